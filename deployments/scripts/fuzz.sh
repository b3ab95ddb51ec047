#!/bin/bash
# Runs every fuzz test for FUZZTIME each. Arguments: the module directories.
set -eu
cd "$(dirname "$0")/../.."
: "${FUZZTIME:=20s}"
for m in "$@"; do
  while read -r file name; do
    echo "== $m $(dirname "$file") $name"
    (cd "$m" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" "./$(dirname "$file")")
  done < <(cd "$m" && grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's/^\.?\/?([^:]+):[0-9]+:func /\1 /')
done
