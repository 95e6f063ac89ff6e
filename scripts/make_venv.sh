#!/usr/bin/env bash
# Creates the virtual environment from requirements.txt, or brings an existing one up to date.
# usage: make_venv.sh <folder>   (PYTHON names another interpreter)
set -euo pipefail

readonly folder=$1
readonly is_supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'

fail() {
    echo "error: $1" >&2
    exit 1
}

platform="$(uname -s) $(uname -m)"
[ "$platform" = "Linux x86_64" ] ||
    fail "the ROS 2 wheels exist for Linux x86_64 only: got $platform; on other machines build with colcon on ROS 2 Jazzy"

if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c "$is_supported" 2>/dev/null; then
    python=""
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c "$is_supported" 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || fail "Python 3.11 to 3.14 is needed: got $("${PYTHON:-python3}" --version 2>/dev/null || echo "no ${PYTHON:-python3}"); name one: make PYTHON=/path/to/python3.11"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module; run: sudo apt-get install -y $("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    echo "creating $folder with $("$python" --version)"
    "$python" -m venv --clear "$folder"
fi

echo "installing requirements.txt (about 2 GB, a minute or more)"
# A process of these wheels marks its environment; what it starts must find its own libraries anew.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
"$folder/bin/python" -m pip install --disable-pip-version-check --no-input --quiet -r requirements.txt
