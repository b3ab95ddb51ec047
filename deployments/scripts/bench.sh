#!/bin/bash
# Speed, held against limits. Single operations are measured as ratios, each against its own yardstick in the same run: their
# times depend on the machine, the ratios should not. Where a limit is a time, it is meant for a machine that does nothing
# else. So a second figure stands beside it that a busy machine changes less, such as the same limit measured with a yardstick,
# and the limit is broken when both are over. Exit 1 when a limit is broken or a benchmark fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${BENCHTIME:=1s}"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
broken=0

# run BENCHMARK TIME PACKAGE… (flags before them): the figures of the lines go to $out, the lines themselves to the screen.
run() {
	if ! go test -run '^$' -bench "$1" -benchtime "$2" "${@:3}" >"$out" 2>&1; then
		tail -n 50 "$out"
		broken=1
		return
	fi
	grep -E '^(Benchmark|ok)' "$out"
}

value() { awk -v unit="$1" '/^Benchmark/ { for (i = 3; i < NF; i += 2) if ($(i + 1) == unit) v = $i } END { print v }' "$out"; }

over() { [ -z "$1" ] || awk -v v="$1" -v most="$2" 'BEGIN { exit !(v + 0 > most + 0) }'; }

# limit TEXT UNIT MOST [UNIT MOST]: of two figures one may be over.
limit() {
	local text=$1 first second verdict=ok
	first=$(value "$2")
	if [ $# -lt 5 ]; then
		over "$first" "$3" && verdict=BROKEN
		printf '  %-6s %-62s %10s %s, limit %s\n' "$verdict" "$text" "${first:-missing}" "$2" "$3"
	else
		second=$(value "$4")
		if over "$first" "$3"; then
			verdict=busy # the time is over on a machine that is not quiet
			over "$second" "$5" && verdict=BROKEN
		fi
		printf '  %-6s %-62s %10s %s, limit %s; %s %s, limit %s\n' "$verdict" "$text" "${first:-missing}" "$2" "$3" "${second:-missing}" "$4" "$5"
	fi
	[ "$verdict" != BROKEN ] || broken=1
}

run Ratio "$BENCHTIME" -benchmem ./libs/wecom ./libs/token
run ChainRatio "${CHAINTIME:-1000x}" ./services/palmops/internal/local
run Resident 1x ./services/palmops/internal/command

run FirstEffect 200x ./services/executor/internal/runner
limit "an order to the leave for its first effect, half of them" p50-ms 10 writes 14
run LimitEffect 60x ./services/palmops/internal/local
limit "a confirmation on the phone to the first change at the target" p50-ms 10 writes 16
run LimitList 10x ./services/palmops/internal/local
limit "5,000 deployments to page one on the phone" list-ms 500 readings 4
run LimitIdle 1x ./services/executor/app
limit "an idle executor that has the kind kubernetes" kubernetes-MB 60
limit "an idle executor that has every other kind" others-MB 30

run LimitLoad 15x ./services/dialog/menu
limit "10,000 nodes are read, built, checked and bound to a policy" load-ms 500 load-ratio 3.7
run LimitSearch 100x ./services/dialog/menu
limit "the slowest search over 10,000 nodes" search-ms 5 search-ratio 9
run LimitStep 100x ./services/dialog/internal/flow
limit "one step in a menu of 10,000 nodes" step-us 20
limit "the same against a menu of 100 nodes" step-growth 1.5
run Sessions100k 1x ./services/dialog/internal/session
limit "100,000 open sessions in Redis" MB 100

# The bus answers for every message only when it is on the disk. How many a disk takes says nothing about replicas or
# reloads, so its files lie in memory where there is a place for that; and a machine that cannot do 500 messages a second is
# measured at the rate that it can.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
run Replicas 1x ./services/executor/internal/runner
limit "400 actions by 8 replicas, over an eighth of the time of one" of-ideal 1.066 of-bare 1.25
run LimitReload 1x ./services/dialog/app
printf '  at %s messages a second with %s reloads: half of the replies within %s ms, without reloads %s ms; 99 of 100 within %s ms, without %s ms\n' \
	"$(value messages/s)" "$(value reloads)" "$(value p50-ms)" "$(value calm-p50-ms)" "$(value p99-ms)" "$(value calm-p99-ms)"
limit "messages lost during reloads" lost 0
limit "messages answered twice during reloads" twice 0
limit "a reply during reloads, 99 of 100; and in the best of 4 runs" p99-ms 50 best-p99-ms 50

exit "$broken"
