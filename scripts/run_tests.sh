#!/usr/bin/env bash
# All tests, on two cores: those that start nodes have the machine, the others take what is left of it meanwhile. Nodes in
# lock-step can wait for a core, so that their tests come last, in two halves at once.
set -uo pipefail
python=${1:?"usage: $0 <python> [pytest options]"}
shift
logs=$(mktemp -d -t learned_arm_tests.XXXXXX)
# Every node is a process of its own; none compiles what is compiled already.
"$python" -m compileall -q learned_arm arm_control learned_policy_node data_recorder demo_tools benchmarks
nice -n 19 "$python" -m pytest -ra --durations=5 -m "not ros and not prove" "$@" >"$logs/beside" 2>&1 </dev/null &
beside=$!
half=
trap 'kill $beside $half 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM
# A machine that stood still is not what is tested: a test that failed because the door, rightly, stopped the arm for it is
# run once more. What fails otherwise is not.
with_nodes=("$python" -m pytest -ra --durations=10 --reruns 1 --only-rerun "stood still|silent for")
worst=0
note() { worst=$(($1 > worst ? $1 : worst)); }
"${with_nodes[@]}" -m "ros and not unhurried and not prove" "$@"
note $?
"${with_nodes[@]}" -m "ros and unhurried and not prove" --ignore=test/docs "$@" >"$logs/half" 2>&1 </dev/null &
half=$!
echo "tests of what the documentation says:"
"${with_nodes[@]}" -m "ros and unhurried and not prove" test/docs "$@"
note $?
echo "tests with nodes in lock-step:"
wait "$half"
note $?
cat "$logs/half"
echo "tests without nodes:"
wait "$beside"
note $?
cat "$logs/beside"
exit "$worst"
