#!/usr/bin/env bash
# boards/simulator.sh --once in a Debian with nothing installed: its compiler, its GStreamer (1.22 in Debian 12, 1.26 in 13).
#   fresh.sh bookworm|trixie        builds there
#   fresh.sh bookworm|trixie DIR    with programs built elsewhere, as the packages have them
set -euo pipefail

suite=${1:?bookworm or trixie}
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
cache=${RTCROOM_CROSS_CACHE:-/var/cache/rtcroom-kiosk/cross}
objects=$cache/target-simulator-$suite
mkdir -p "$cache/cargo" "$objects"
binds=("$here:/tree" "$cache/cargo:/cargo" "$objects:/objects")
# The packages that `boards/setup.sh build run` would install, by itself when it builds.
prepare='boards/setup.sh run >/dev/null 2>&1; gst=$(dpkg-query -W -f "\${Version}" libgstreamer1.0-0); echo "GStreamer $gst" >&2'
run='boards/simulator.sh --once'
if [ $# -gt 0 ]; then
    binds+=("$(realpath "$1"):/programs")
    run="RTCROOM_BIN=/programs $run"
else
    prepare=true
fi
"$here/tests/packages/throwaway.sh" "$suite" "${binds[@]}" -- \
    sh -c "cd /tree && export CARGO_HOME=/cargo CARGO_TARGET_DIR=/objects && $prepare && $run" |
    tee >(cat >&2) | tail -n 1 | grep -q '"ok":true' # opening /dev/stderr would cut short a log it goes to
