#!/usr/bin/env bash
# All tests, on two cores: those that start nodes have the machine, the others take what is left of it meanwhile.
set -uo pipefail
python=${1:?"usage: $0 <python> [pytest options]"}
shift
log=$(mktemp -t learned_arm_tests.XXXXXX)
# Every node is a process of its own; none compiles what is compiled already.
"$python" -m compileall -q learned_arm arm_control learned_policy_node data_recorder demo_tools benchmarks
nice -n 19 "$python" -m pytest -ra --durations=5 -m "not ros and not prove" "$@" >"$log" 2>&1 </dev/null &
beside=$!
trap 'kill "$beside" 2>/dev/null; rm -f "$log"' EXIT
trap 'exit 130' INT TERM
# A machine that stood still is not what is tested: a test that failed because the door, rightly, stopped the arm for it is
# run once more. What fails otherwise is not.
"$python" -m pytest -ra --durations=10 --reruns 1 --only-rerun "stood still|silent for" \
    -m "ros and not prove" "$@"
with_nodes=$?
echo "tests without nodes:"
wait "$beside"
without_nodes=$?
cat "$log"
exit $((with_nodes > without_nodes ? with_nodes : without_nodes))
