#!/usr/bin/env bash
# Installs what the tests need and runs everything; about 40 minutes on two cores, from a cold machine.
#   tests/run.sh                 these stages: style deny features yocto units once browser cross board
#   tests/run.sh STAGE...        only these
#   tests/run.sh --all [STAGE..] also what takes long: 200 calls in a row, every fault of the virtual board, and the stages
#                                packages reproducible trixie
# A stage that fails does not stop the others. What `cross` and `board` need is made beside the stages before them.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here" || exit 1

usual=(style deny features yocto units once browser cross board)
longer=(packages reproducible trixie)
if [ "${1:-}" = --all ]; then
    export RTCROOM_ALL=1
    shift
fi
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=("${usual[@]}" ${RTCROOM_ALL:+"${longer[@]}"})

cargo=$(boards/setup.sh build run test | tail -n 1) || exit 1
PATH="$(dirname "$cargo"):$PATH"
export PATH
target=${CARGO_TARGET_DIR:-$here/target}
export CARGO_TARGET_DIR=$target
export RTCROOM_BIN=$target/release

style() {
    if ! "$cargo" fmt --version >/dev/null 2>&1 || ! "$cargo" clippy --version >/dev/null 2>&1; then
        # The compiler is Debian's: its formatter and linter are packages of their own.
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rustfmt-web rust-web-clippy || return 1
    fi
    "$cargo" fmt --check &&
        "$cargo" clippy --release --locked --all-targets -- -D warnings &&
        "$cargo" clippy --release --locked --no-default-features --features kiosk -- -D warnings &&
        "$cargo" clippy --release --locked --no-default-features --features roomservice -- -D warnings
}

deny() {
    local tools=$target/tools
    if ! "$cargo" deny --version >/dev/null 2>&1 && [ ! -x "$tools/bin/cargo-deny" ]; then
        CARGO_PROFILE_DEV_DEBUG=0 "$cargo" install --quiet --debug --locked --root "$tools" cargo-deny || return 1
    fi
    PATH="$tools/bin:$PATH" "$cargo" deny --all-features check licenses bans sources || return 1
    # cargo-deny passes over a library that is also a C dynamic library, as gst-plugin-rtp is.
    local odd
    odd=$("$cargo" metadata --locked --format-version 1 --filter-platform x86_64-unknown-linux-gnu |
        jq -r '.packages[] | select((.license // "") | test("MIT|Apache-2.0|BSD|ISC|Zlib|Unicode") | not) | "\(.name) \(.license)"')
    [ "$odd" = "gst-plugin-rtp MPL-2.0" ] || { echo "licences that are not allowed: $odd"; return 1; }
}

features() { # each half without the other's crates
    local kiosk server crate wrong=0
    kiosk=$("$cargo" tree --locked --prefix none --edges normal --no-default-features --features kiosk) || return 1
    server=$("$cargo" tree --locked --prefix none --edges normal --no-default-features --features roomservice) || return 1
    for crate in axum str0m openssl; do
        if grep -q "^$crate v" <<<"$kiosk"; then echo "feature kiosk pulls in $crate"; wrong=1; fi
    done
    for crate in gstreamer reqwest alsa v4l heapless; do
        if grep -q "^$crate v" <<<"$server"; then echo "feature roomservice pulls in $crate"; wrong=1; fi
    done
    return $wrong
}

yocto() { # the layer's style, and bitbake's own parser; what it says is checked by tests/yocto_recipe.rs
    local venv=$here/tests/yocto/.venv
    if [ ! -x "$venv/bin/oelint-adv" ]; then
        /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r tests/yocto/requirements.txt || return 1
    fi
    # homepageping asks the network; inconspaces dislikes the format in which bitbake itself writes crates.inc.
    "$venv/bin/oelint-adv" --quiet --relpaths --mode all --release wrynose --hide info \
        --suppress oelint.vars.homepageping --suppress oelint.vars.inconspaces -- yocto/meta-rtcroom-kiosk/recipes-*/*/*.bb &&
        "$venv/bin/python" tests/yocto/parse.py
}

units() { "$cargo" test --release --locked --no-fail-fast; }

once() {
    local line
    line=$(boards/simulator.sh --once | tail -n 1)
    echo "$line"
    [ "$(jq .ok <<<"$line")" = true ]
}

venv=$here/tests/.venv

python() {
    [ -x "$venv/bin/pytest" ] || {
        /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r tests/e2e/requirements.txt
    }
}

browser() {
    python && "$venv/bin/pytest" -q -ra --durations=10 tests/e2e
}

beside=
begin_beside() { # the packages for arm64 and the virtual board's disk, with what the other stages leave of the machine
    boards/setup.sh cross board >/dev/null || return 1
    mkdir -p "$target"
    # Of the idle class, and in a session of its own, whose share of the processor is the least (sched(7)): the tests wait
    # more than they compute, and the moment one wants a core it has it.
    setsid chrt --idle 0 ionice -c 3 bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null
        tests/board/image.sh & boards/cross.sh arm64; made=$?; wait $! && exit $made' >"$target/beside.log" 2>&1 &
    beside=$!
    trap '[ -z "$beside" ] || kill -- -"$beside" 2>/dev/null' EXIT
}

arm64_made=
made() { # waits for them, or makes them now; once for both stages
    if [ -n "$beside" ]; then
        # If it still runs: it may have the machine now.
        { echo 0 >"/proc/$beside/autogroup"; } 2>/dev/null
        wait "$beside"
        arm64_made=$? beside=
        grep -E '^(cross|image|root):.* s(,|$)' "$target/beside.log"
        [ "$arm64_made" = 0 ] || { tail -n 60 "$target/beside.log"; echo "once more, by itself"; arm64_made=; }
    fi
    if [ -z "$arm64_made" ]; then
        boards/setup.sh cross board >/dev/null && boards/cross.sh arm64 && tests/board/image.sh
        arm64_made=$?
    fi
    return "$arm64_made"
}

cross() { # the packages for a 64-bit ARM board, as our users' CI makes them
    made && tests/packages/check.sh target/deb/arm64/*.deb
}

board() { # the package for arm64 on a virtual board: one boot, and the faults that do not take long
    local figures=$target/board-figures outcome=0
    python && made || return 1
    rm -f "$figures"
    BOARD_FIGURES=$figures "$venv/bin/pytest" -q -ra --durations=10 tests/board ${RTCROOM_ALL:+--all-faults} || outcome=1
    cat "$figures" 2>/dev/null
    return $outcome
}

packages() { # the other architectures; installed, upgraded, removed and purged on Debian 12 and 13
    boards/cross.sh amd64 && tests/packages/check.sh target/deb/amd64/*.deb &&
        tests/packages/lifecycle.sh bookworm target/deb/amd64 && tests/packages/lifecycle.sh trixie target/deb/amd64 &&
        boards/cross.sh armhf && tests/packages/check.sh target/deb/armhf/*+deb12_armhf.deb &&
        boards/cross.sh armhf --suite trixie && tests/packages/check.sh target/deb/armhf/*+deb13_armhf.deb
}

reproducible() { # the packages of the stage cross, and others from another clone at another place
    made && tests/packages/reproducible.sh arm64 target/deb/arm64
}

trixie() { tests/packages/fresh.sh trixie; }

case " ${stages[*]} " in *" cross "* | *" board "*) begin_beside || exit 1 ;; esac

# One build serves all: tests, simulator and browser use the release profile. With the tests at once, for their crates ask
# some of the programs' for more features, and those and the programs would be built again.
with=
case " ${stages[*]} " in *" units "*) with=--tests ;; esac
"$cargo" build --release --locked --bins $with || exit 1

failed=0
summary=
for stage in "${stages[@]}"; do
    case " ${usual[*]} ${longer[*]} " in *" $stage "*) ;; *) echo "no stage '$stage'"; exit 2 ;; esac
    echo "=== $stage"
    begin=$SECONDS
    if "$stage"; then outcome=passed; else outcome=FAILED; failed=1; fi
    summary+="$(printf '%-10s %-7s %4d s' "$stage" "$outcome" $((SECONDS - begin)))"$'\n'
done
echo "=== summary, $SECONDS s in all"
printf '%s' "$summary"
exit $failed
