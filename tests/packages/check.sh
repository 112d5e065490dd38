#!/usr/bin/env bash
# Looks into built packages: check.sh DEB...
# The programs are for the right machine, stripped and linked with what they need only; every dependency can be had from
# Debian 12 and Debian 13 (for armhf: from the release in its version); nothing that an integrator needs is missing.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0
bad() { echo "packages: $*"; wrong=1; }

resolves() { # resolves SUITE ARCH DEB...: apt finds all that they depend on, on a machine where nothing is installed
    local suite=$1 arch=$2 apt=$work/apt-$1-$2 mirror=${RTCROOM_MIRROR:-http://deb.debian.org/debian} plan
    shift 2
    mkdir -p "$apt"/{lists/partial,archives/partial,preferences.d,apt.conf.d}
    : >"$apt/status"
    echo "deb [signed-by=${RTCROOM_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}] $mirror $suite main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
APT::Architecture "$arch"; APT::Architectures { "$arch"; };
Dir::State "$apt"; Dir::State::status "$apt/status"; Dir::Cache "$apt"; Dir::Etc "$apt"; Dir::Etc::sourceparts "/dev/null";
Acquire::Languages "none"; APT::Sandbox::User "root"; Debug::NoLocking "true";
CONF
    APT_CONFIG=$apt/apt.conf apt-get -qq update || { bad "no package lists of $suite for $arch from $mirror"; return; }
    if plan=$(APT_CONFIG=$apt/apt.conf apt-get -s --no-install-recommends install "$@" 2>&1); then
        echo "packages: $suite $arch: $(grep -c ^Inst <<<"$plan") packages to install on an empty system"
    else
        bad "cannot be installed on $suite for $arch:"$'\n'"$(tail -n 15 <<<"$plan")"
    fi
}

has() { grep -qx "$1" "$work/$name.list" || bad "$name lacks $1"; }

debs=()
for deb in "$@"; do debs+=("$(realpath "$deb")"); done
for deb in "${debs[@]}"; do
    name=$(dpkg-deb -f "$deb" Package) arch=$(dpkg-deb -f "$deb" Architecture) version=$(dpkg-deb -f "$deb" Version)
    dpkg-deb -x "$deb" "$work/$name"
    (cd "$work/$name" && find . \( -type f -o -type l \) | sed 's/^\.//' | sort) >"$work/$name.list"
    case $arch in amd64) machine='X86-64' ;; arm64) machine=AArch64 ;; armhf) machine=ARM ;; esac
    for program in "$work/$name"/usr/bin/*; do
        has "/usr/share/man/man1/$(basename "$program").1.gz"
        has "/usr/share/bash-completion/completions/$(basename "$program")"
        has "/usr/share/zsh/vendor-completions/_$(basename "$program")"
        has "/usr/share/fish/vendor_completions.d/$(basename "$program").fish"
        readelf -h "$program" | grep -q "Machine:.*$machine" || bad "$(basename "$program") is not for $arch"
        ! readelf -SW "$program" | grep -Eq ' \.(symtab|debug_info) ' || bad "$(basename "$program") is not stripped"
        if [ "$(basename "$program")" != kiosk-media ] && readelf -d "$program" | grep -q 'NEEDED.*\(libgst\|libasound\)'; then
            bad "$(basename "$program") loads GStreamer or ALSA"
        fi
        printf 'packages: %-12s %-6s %8d bytes\n' "$(basename "$program")" "$arch" "$(stat -c %s "$program")"
    done
    echo "packages: $name $version $arch: $(dpkg-deb -f "$deb" Installed-Size) KiB installed, $(stat -c %s "$deb") bytes as .deb"
    case $name in
        rtcroom-kiosk)
            for file in /usr/bin/kioskd /usr/bin/kiosk-media /usr/lib/systemd/system/kioskd.service \
                /usr/lib/systemd/system/kiosk-media.socket /usr/lib/systemd/system/kiosk-media@.service \
                /usr/lib/sysusers.d/rtcroom-kiosk.conf /usr/lib/tmpfiles.d/rtcroom-kiosk.conf \
                /usr/lib/udev/rules.d/60-rtcroom-kiosk.rules /etc/rtcroom-kiosk/kioskd.example.toml \
                /usr/share/doc/rtcroom-kiosk/copyright; do
                has "$file"
            done
            here=$(cd "$(dirname "$0")/../.." && pwd)
            for board in "$here"/boards/*.toml; do has "/usr/share/rtcroom-kiosk/boards/$(basename "$board")"; done
            ;;
        rtcroom-roomservice)
            has /usr/bin/roomservice
            has /usr/lib/systemd/system/roomservice.service
            has /etc/roomservice/roomservice.example.toml
            ! dpkg-deb -f "$deb" Depends | grep -q 'gstreamer' || bad "the server depends on GStreamer"
            ;;
    esac
done
case $arch/$version in
    armhf/*+deb13) suites=(trixie) ;;
    armhf/*) suites=(bookworm) ;;
    *) suites=(bookworm trixie) ;;
esac
for suite in "${suites[@]}"; do resolves "$suite" "$arch" "${debs[@]}"; done
exit $wrong
