#!/usr/bin/env bash
# All tests, on two cores. Those that start nodes have the machine; beside them, with what is left of it, run first those
# without nodes, then those whose nodes can wait for a core.
set -uo pipefail
python=${1:?"usage: $0 <python> [pytest options]"}
shift
logs=$(mktemp -d -t learned_arm_tests.XXXXXX)
# Every node is a process of its own; none compiles what is compiled already.
"$python" -m compileall -q learned_arm arm_control learned_policy_node data_recorder demo_tools benchmarks
# What tests compute is small: threads for it cost every process a part of its start.
export OPENBLAS_NUM_THREADS=1
# A machine that stood still is not what is tested: a test that failed because the door, rightly, stopped the arm for it is
# run once more. What fails otherwise is not.
with_nodes=("$python" -m pytest -ra --durations=10 --reruns 1 --only-rerun "stood still|silent for")
patiently() {
    nice -n 19 "$@" &
    trap 'kill '$! EXIT
    wait $!
    local status=$?
    trap - EXIT
    return "$status"
}
beside() {
    trap 'exit 143' TERM
    patiently "$python" -m pytest -ra --durations=5 -m "not ros and not prove" "$@" >"$logs/without" 2>&1
    local status=$?
    patiently "${with_nodes[@]}" -m "ros and unhurried and not prove" --ignore=test/docs "$@" >"$logs/unhurried" 2>&1
    return $((status | $?))
}
beside "$@" </dev/null &
beside=$!
trap 'kill "$beside" 2>/dev/null; rm -rf "$logs"' EXIT
trap 'exit 130' INT TERM
"${with_nodes[@]}" -m "ros and not unhurried and not prove" "$@"
status=$?
echo "tests of what the documentation says:"
"${with_nodes[@]}" -m "ros and unhurried and not prove" test/docs "$@"
status=$((status | $?))
wait "$beside"
status=$((status | $?))
echo "tests with nodes that can wait:"
cat "$logs/unhurried"
echo "tests without nodes:"
cat "$logs/without"
exit "$status"
