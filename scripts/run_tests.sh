#!/usr/bin/env bash
# All tests, on two cores: those that watch the clock have the machine, the others take what is left of it meanwhile.
set -uo pipefail
python=${1:?"usage: $0 <python> [pytest options]"}
shift
folder=$(mktemp -d -t learned_arm_tests.XXXXXX)
beside=()
trap 'kill "${beside[@]}" 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# Every node is a process of its own, and compiles nothing that is compiled already.
"$python" -m compileall -q learned_arm arm_control learned_policy_node data_recorder demo_tools benchmarks

# Usage: run_beside <niceness> <name> <tests>
run_beside() {
    nice -n "$1" "$python" -m pytest -ra --durations=10 -m "$3 and not prove" "${options[@]}" >"$folder/$2" 2>&1 </dev/null &
    beside+=($!)
}
options=("$@")
run_beside 5 "lock-step" "lock_step"
run_beside 19 "without nodes" "not ros"
"$python" -m pytest -ra --durations=10 -m "ros and not lock_step and not prove" "$@"
status=$?
names=("lock-step" "without nodes")
for index in 0 1; do
    wait "${beside[$index]}"
    ended=$?
    echo "tests ${names[$index]}:"
    cat "$folder/${names[$index]}"
    status=$((ended > status ? ended : status))
done
exit "$status"
