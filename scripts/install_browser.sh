#!/usr/bin/env bash
# A headless Chromium for the tests that open pages. Installs it as root on Debian or Ubuntu; elsewhere it says how.
set -euo pipefail
command -v chromium >/dev/null && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } && exit 0
fi
echo "no chromium: tests that open pages are skipped; run: sudo apt-get install -y chromium" >&2
