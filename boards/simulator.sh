#!/usr/bin/env bash
# A kiosk, its RoomService and nothing else needed: installs what is missing, builds, and starts both.
#   boards/simulator.sh           prints the clerk's address; Enter in this terminal is the button, Ctrl-C ends
#   boards/simulator.sh --once    no terminal, no browser: one call of 10 s with a second simulated member;
#                                 the last line is one JSON object, exit 0 only if picture and sound arrived on both sides
# RTCROOM_BIN=DIR uses programs built elsewhere; RTCROOM_KEEP=1 keeps the logs.
set -euo pipefail

usage() { sed -n '2,6s/^# \{0,1\}//p' "$0"; }
once=no
case "${1:-}" in
    '') ;;
    --once) once=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
hold_seconds=10

say() { echo "simulator: $*" >&2; }

if [ -n "${RTCROOM_BIN:-}" ]; then
    bin=$RTCROOM_BIN
else
    cargo=$(boards/setup.sh build run | tail -n 1)
    say "building (the first time takes some minutes)"
    "$cargo" build --release --locked
    bin=${CARGO_TARGET_DIR:-target}/release
fi

run=$(mktemp -d "${TMPDIR:-/tmp}/rtcroom-simulator.XXXXXX")
pids=()
clean() {
    trap - EXIT INT TERM
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    # kioskd and roomservice leave in good order within 3 s.
    for _ in $(seq 40); do
        local left=no
        for pid in "${pids[@]}"; do ! kill -0 "$pid" 2>/dev/null || left=yes; done
        [ "$left" = yes ] || break
        sleep 0.1
    done
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    if [ -n "${RTCROOM_KEEP:-}" ]; then say "logs are in $run"; else rm -rf "$run"; fi
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() { # fail SENTENCE: says it, shows the ends of the logs, and gives the JSON of a failure as the last line
    say "$*"
    for log in "$run"/*.log; do
        say "end of $(basename "$log"):"
        tail -n 15 "$log" >&2 || true
    done
    [ "$once" = no ] || jq -cn --arg why "$*" '{ok: false, why: $why}'
    exit 1
}

until_true() { # until_true SECONDS WHAT COMMAND...: waits until COMMAND succeeds
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "waited $seconds s for $what"
        sleep 0.1
    done
}

# --- RoomService -------------------------------------------------------------------------------------------------
port=8080
[ "$once" = no ] || port=0
"$bin/roomservice" serve --dev --listen "127.0.0.1:$port" >"$run/address" 2>"$run/roomservice.log" &
pids+=($!)
sleep 0.2
if [ "$port" != 0 ] && ! kill -0 "${pids[0]}" 2>/dev/null; then
    say "port $port is taken; using another"
    "$bin/roomservice" serve --dev --listen 127.0.0.1:0 >"$run/address" 2>"$run/roomservice.log" &
    pids=($!)
fi
until_true 10 "RoomService's address" test -s "$run/address"
address=$(head -n 1 "$run/address")
address=${address%/}

# --- kiosks ------------------------------------------------------------------------------------------------------
configure() { # configure NAME TONE_HZ DISPLAY_NAME
    mkdir -p "$run/$1"
    cat >"$run/$1.toml" <<END
board = "simulator"
language = "$(case "${LANG:-}" in zh*) echo zh ;; *) echo en ;; esac)"

[server]
url = "$address/weapp/double_room"

[room]
id = "simulator"
info = "boards/simulator.sh"

[user]
id = "$1"
name = "$3"
sdk_app_id = 1400000001
dev_ticket = true

[sound]
tone_hz = $2
END
    if [ "$once" = yes ]; then
        printf '\n[screen]\noutput = "none"\n' >>"$run/$1.toml"
    fi
}

kiosk() { "$bin/kioskd" "$1" --runtime-dir "$run/$2" "${@:3}"; }
status() { kiosk status "$1" --json 2>/dev/null; }
state_is() { [ "$(status "$1" | jq -r .state)" = "$2" ]; }

if [ "$once" = no ]; then
    configure kiosk 440 "Simulated kiosk"
    say "the clerk's page: $address/   (press \"get a test ticket\" there)"
    say "Enter is the button: once to call, again to end. Ctrl-C ends the simulator. Log: $run/roomservice.log"
    "$bin/kioskd" run --config "$run/kiosk.toml" --runtime-dir "$run/kiosk" --boards-dir boards
    exit
fi

configure peer 880 "Simulated member"
configure kiosk 440 "Simulated kiosk"
for name in peer kiosk; do
    "$bin/kioskd" run --config "$run/$name.toml" --runtime-dir "$run/$name" --boards-dir boards \
        </dev/null >"$run/$name.log" 2>&1 &
    pids+=($!)
done
for name in peer kiosk; do until_true 30 "$name to be idle" state_is "$name" idle; done
kiosk press peer >/dev/null
until_true 15 "the second member to wait in the room" state_is peer waiting

say "pressing the button"
kiosk press kiosk >/dev/null
until_true 30 "the call" state_is kiosk in_call
until_true 15 "the call at the second member" state_is peer in_call
say "in the call; holding it for $hold_seconds s"
sleep "$hold_seconds"
# Every count was made by the process that showed the frames, from the pixels behind its decoder.
status peer >"$run/peer.json"
status kiosk >"$run/kiosk.json"
kiosk press kiosk >/dev/null
until_true 10 "the kiosk to be idle again" state_is kiosk idle
kiosk hangup peer >/dev/null
until_true 10 "the second member to be idle again" state_is peer idle

jq -cn --slurpfile kiosk "$run/kiosk.json" --slurpfile peer "$run/peer.json" --argjson hold "$hold_seconds" '
    def last_stats: .call.stats // {};
    def shown: [(last_stats.players // [])[] | select(.mark != null)] | max_by(.frames_shown) // {};
    ($kiosk[0] | shown) as $here | ($peer[0] | shown) as $there |
    # A third of the frames and of the sound that the time held has room for is the least that counts as a call.
    def arrived: (.mark.distinct // 0) >= ($hold * 10) and (.audio_loud_ms // 0) >= ($hold * 333);
    {
        ok: (($here | arrived) and ($there | arrived)),
        press_to_first_remote_frame_ms: $kiosk[0].call.first_remote_frame_ms,
        press_to_first_frame_at_peer_ms:
            (if $there.mark then $there.mark.first_at_ms - $kiosk[0].call.pressed_at_ms else null end),
        frames_sent: ($kiosk[0] | last_stats.frames_sent),
        frames_shown: $there.mark.distinct,
        audio_shown_ms: ([$here.audio_loud_ms, $there.audio_loud_ms] | min),
        glass_to_glass_ms: {
            p50: ([$here.mark.age_p50_ms, $there.mark.age_p50_ms] | max),
            p95: ([$here.mark.age_p95_ms, $there.mark.age_p95_ms] | max)
        }
    }' >"$run/result.json"
[ "$(jq .ok "$run/result.json")" = true ] || {
    jq -c '.call' "$run/kiosk.json" "$run/peer.json" >&2
    tail -n 20 "$run"/*.log >&2
}
cat "$run/result.json"
[ "$(jq .ok "$run/result.json")" = true ]
