#!/bin/bash
# Runs the kind kubernetes against a real control plane on loopback: builds it unless it is cached, starts it, runs the suite, takes
# everything down. Arguments go to go test, such as -v or -run TestE2EDrain; with any, unused rights are no failure.
set -eu
cd "$(dirname "$0")/../.."
module=$PWD/deployments/e2e-kube
script=$PWD/deployments/scripts/e2e-kube.sh

# What the programs are made of names the folder they are kept in: the modules, how they are built, and the compiler.
version=$(awk '$1 == "k8s.io/kubernetes" {print $2; exit}' "$module/go.mod")
sum=$( (cat "$module/go.mod" "$module/go.sum" "$script"; cd "$module"; GOWORK=off go env GOVERSION GOOS GOARCH) | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palmops/e2e-kube-$version-$sum
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"
build() { # name, package
  [ -x "$cache/$1" ] && return
  echo "e2e-kube: building $1 $version, kept in $cache"
  (cd "$module" && GOWORK=off nice go build -buildvcs=false -trimpath -ldflags "-s -w $stamp" -o "$cache/$1.new" "$2")
  mv "$cache/$1.new" "$cache/$1"
}
build etcd go.etcd.io/etcd/server/v3
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
(cd "$module" && GOWORK=off go build -buildvcs=false -o "$cache/e2e-kube" .)
exec 9>&-

rights=()
[ $# -gt 0 ] || rights=(-rights)
# go test compiles first and hands the test binary to the harness.
go test -tags e2e -count=1 -timeout 10m -run '^TestE2E' -exec "$cache/e2e-kube -bin $cache ${rights[*]}" "$@" ./services/executor/internal/kind/kubernetes
