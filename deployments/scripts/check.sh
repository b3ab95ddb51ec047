#!/bin/bash
# Everything about the code that is not its behaviour. Arguments: the module directories.
set -eu
cd "$(dirname "$0")/../.."
GOLANGCI=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOFUMPT=mvdan.cc/gofumpt@v0.12.0

step() { echo "== $*"; }

step gofumpt
unformatted=$(go run $GOFUMPT -l "$@" deployments/e2e-kube)
[ -z "$unformatted" ] || { echo "not formatted:"; echo "$unformatted"; exit 1; }

step go vet
go vet work

go vet -tags e2e ./services/executor/internal/kind/kubernetes
(cd deployments/e2e-kube && GOWORK=off go vet ./...)

step golangci-lint
dirs=()
for m in "$@"; do dirs+=("./$m/..."); done
go run $GOLANGCI run "${dirs[@]}"

step import law
go test -count=1 ./libs/archtest

step each module alone and tidy
for m in "$@"; do
  (cd "$m" && GOWORK=off go vet ./... && GOWORK=off go mod tidy -diff && GOWORK=off go test -count=1 -run '^$' ./... >/dev/null) || { echo "module $m does not stand alone"; exit 1; }
done
