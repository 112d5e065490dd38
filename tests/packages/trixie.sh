#!/usr/bin/env bash
# boards/simulator.sh --once in a Debian 13 with nothing installed: its compiler, its GStreamer 1.26.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
cache=${RTCROOM_CROSS_CACHE:-/var/cache/rtcroom-kiosk/cross}
mkdir -p "$cache/cargo" "$cache/target-simulator-trixie"
"$here/tests/packages/throwaway.sh" trixie "$here:/tree" "$cache/cargo:/cargo" "$cache/target-simulator-trixie:/objects" -- \
    sh -c 'apt-get update -q >/dev/null && cd /tree && CARGO_HOME=/cargo CARGO_TARGET_DIR=/objects exec boards/simulator.sh --once' |
    tee /dev/stderr | tail -n 1 | grep -q '"ok":true'
