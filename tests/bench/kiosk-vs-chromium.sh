#!/usr/bin/env bash
# The same 640x480@30 call through the same relay, once with our kiosk and once with Chromium opening the clerk's page in
# the kiosk's place; the other side, a simulated kiosk, publishes already. Alternating runs; prints medians and ours/Chromium.
#   tests/bench/kiosk-vs-chromium.sh [RUNS]      five runs unless told otherwise; about two minutes a run
# Both draw to a window of the same size under one Xvfb, both cancel echo. Nothing is asserted: read the table.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here"
cargo=$(boards/setup.sh build run test | tail -n 1)
if [ -z "${RTCROOM_BIN:-}" ]; then
    "$cargo" build --release --locked --bins
    export RTCROOM_BIN=${CARGO_TARGET_DIR:-$here/target}/release
fi
venv=$here/tests/.venv
[ -x "$venv/bin/pytest" ] || { /usr/bin/python3 -m venv "$venv"; "$venv/bin/pip" install -q --disable-pip-version-check -r tests/e2e/requirements.txt; }
exec "$venv/bin/python" tests/bench/bench.py "${1:-5}"
