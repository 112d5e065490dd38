#!/usr/bin/env bash
# Installs what building and running on this Debian needs, and nothing that is there already.
#   boards/setup.sh build   a C compiler, the -dev packages and, where none is new enough, a Rust toolchain
#   boards/setup.sh run     the GStreamer plugins and fonts that the simulator and kiosks use
#   boards/setup.sh test    what tests/run.sh needs besides: a browser, an X server, Python
# Several words may be given. Prints the cargo to use on its last line.
set -euo pipefail

# Cargo.toml's rust-version, the oldest compiler that will do.
here=$(cd "$(dirname "$0")/.." && pwd)
want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml")

build_packages=(build-essential pkg-config libssl-dev libasound2-dev libclang-dev
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev ca-certificates)
run_packages=(gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-nice gstreamer1.0-alsa gstreamer1.0-x fonts-dejavu-core fonts-wqy-microhei curl jq ca-certificates)
test_packages=(chromium xvfb x11-utils imagemagick tesseract-ocr python3 python3-venv openssl iproute2 procps curl jq git)

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

install() { # install PACKAGE...: those that are missing
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { say "these packages are missing, install them as root: apt-get install ${missing[*]}"; exit 1; }
        sudo=(sudo)
    fi
    say "installing ${missing[*]}"
    # Always: the lists may be older than the sources.
    "${sudo[@]}" apt-get update -q >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

packages=()
for part in "${@:-build}"; do
    case $part in
        build) packages+=("${build_packages[@]}") ;;
        run) packages+=("${run_packages[@]}") ;;
        test) packages+=("${test_packages[@]}") ;;
        *) say "unknown part '$part': build, run or test"; exit 2 ;;
    esac
done
install "${packages[@]}"

if ! cargo=$(find_cargo); then
    # Debian keeps a current compiler for its browsers, in 12 and 13 alike.
    install rustc-web cargo-web
    cargo=$(find_cargo) || { say "no cargo of at least $want found, not even from Debian's cargo-web: install one with rustup"; exit 1; }
fi
echo "$cargo"
