#!/bin/bash
# Speed as ratios, each measured against its own yardstick in the same run. The numbers of single operations depend on the
# machine; the ratios should not.
set -eu
cd "$(dirname "$0")/../.."
: "${BENCHTIME:=1s}"
go test -run '^$' -bench Ratio -benchtime "$BENCHTIME" -benchmem ./libs/wecom ./libs/token | grep -E 'Ratio|^(ok|FAIL)'
go test -run '^$' -bench ChainRatio -benchtime "${CHAINTIME:-1000x}" ./services/palmops/internal/local | grep -E 'Chain|^(ok|FAIL)'
go test -run '^$' -bench Resident -benchtime 1x ./services/palmops/internal/command | grep -E 'Resident|^(ok|FAIL)'
