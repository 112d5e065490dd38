#!/usr/bin/env bash
# Installs what building and running on this Debian needs, and nothing that is there already.
#   boards/setup.sh build   a C compiler, the -dev packages and, where none is new enough, a Rust toolchain
#   boards/setup.sh run     the GStreamer plugins and fonts that the simulator and kiosks use
#   boards/setup.sh test    what tests/run.sh needs besides: a browser, an X server, Python
#   boards/setup.sh board   the virtual board of tests/board: QEMU from backports, and what makes its disk
#   boards/setup.sh cross   what boards/cross.sh needs; no cargo, it builds in a chroot of its own
# Several words may be given. Prints the cargo to use on its last line.
set -euo pipefail

# Cargo.toml's rust-version, the oldest compiler that will do.
here=$(cd "$(dirname "$0")/.." && pwd)
want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml")

build_packages=(build-essential pkg-config libssl-dev libasound2-dev libclang-dev
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev ca-certificates)
run_packages=(gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-nice gstreamer1.0-alsa gstreamer1.0-x fonts-dejavu-core fonts-wqy-microhei curl jq ca-certificates)
test_packages=(systemd chromium espeak-ng xvfb weston gstreamer1.0-gl x11-utils imagemagick tesseract-ocr python3 python3-venv openssl iproute2 procps curl jq git)
board_packages=(kmod cpio zstd xz-utils e2fsprogs openssh-client python3 python3-venv chromium openssl)
cross_packages=(mmdebstrap debian-archive-keyring util-linux)
# Debian 12's own QEMU is too old for a Debian 12 that has another part of it from backports.
board_backports=(qemu-system-arm qemu-user-static qemu-utils)

say() { echo "setup: $*" >&2; }

new_enough() { # new_enough CARGO: whether its compiler is at least rust-version
    local version
    version=$("$1" --version 2>/dev/null | awk '{print $2}') || return 1
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$want" "$version" | sort -V | head -n 1)" = "$want" ]
}

find_cargo() {
    local cargo
    for cargo in "${CARGO:-}" "$(command -v cargo || true)" "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
        if [ -n "$cargo" ] && [ -x "$cargo" ] && new_enough "$cargo"; then
            echo "$cargo"
            return 0
        fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install() { # install [-t SUITE] PACKAGE...: those that are missing
    local missing=() release=() package
    if [ "${1:-}" = -t ]; then release=(-t "$2"); shift 2; fi
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say "these packages are missing, install them as root: apt-get install ${missing[*]}"
        exit 1
    fi
    say "installing ${missing[*]}"
    # Always: the lists may be older than the sources.
    as_root apt-get update -q >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${release[@]}" "${missing[@]}" >&2
}

add_backports() { # where the machine has none: from the same mirror as its Debian
    [ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ] || return 0
    apt-cache policy | grep -q 'n=bookworm-backports' && return 0
    local mirror
    mirror=$(awk '$1 == "URIs:" && $2 !~ /security/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
    mirror=${mirror:-$(awk '$1 == "deb" && $3 == "bookworm" { print $2; exit }' /etc/apt/sources.list 2>/dev/null || true)}
    say "adding bookworm-backports"
    as_root tee /etc/apt/sources.list.d/rtcroom-backports.sources >/dev/null <<SOURCE
Types: deb
URIs: ${mirror:-http://deb.debian.org/debian}
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCE
}

packages=()
backports=()
for part in "${@:-build}"; do
    case $part in
        build) packages+=("${build_packages[@]}") ;;
        run) packages+=("${run_packages[@]}") ;;
        test) packages+=("${test_packages[@]}") ;;
        board) packages+=("${board_packages[@]}") backports+=("${board_backports[@]}") ;;
        cross) packages+=("${cross_packages[@]}") ;;
        *) say "unknown part '$part': build, run, test, board or cross"; exit 2 ;;
    esac
done
install "${packages[@]}"
if [ ${#backports[@]} -gt 0 ]; then
    add_backports
    # The suite counts only for these; everything else stays as it is.
    release=(-t bookworm-backports)
    [ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ] || release=()
    install "${release[@]}" "${backports[@]}"
fi

[ "$*" != cross ] || exit 0
if ! cargo=$(find_cargo); then
    # Debian keeps a current compiler for its browsers, in 12 and 13 alike.
    install rustc-web cargo-web
    cargo=$(find_cargo) || { say "no cargo of at least $want found, not even from Debian's cargo-web: install one with rustup"; exit 1; }
fi
echo "$cargo"
