#!/usr/bin/env bash
# Runs a command in a Debian that is thrown away afterwards: throwaway.sh SUITE BIND:AT... -- COMMAND...
# The Debian is made once (mmdebstrap, cached) and laid under an overlay in memory, in a mount namespace of its own.
# PACKAGES names what it holds besides systemd and apt.
set -euo pipefail

suite=$1
shift
cache=${RTCROOM_CROSS_CACHE:-/var/cache/rtcroom-kiosk/cross}
mirror=${RTCROOM_MIRROR:-http://deb.debian.org/debian}
keyring=${RTCROOM_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
packages=systemd,udev,ca-certificates${PACKAGES:+,$PACKAGES}
base=$cache/test-$suite-$(sha256sum <<<"$suite $packages" | cut -c 1-12)
if [ -z "${THROWAWAY_INSIDE:-}" ]; then
    if [ ! -d "$base" ]; then
        mkdir -p "$cache"
        echo "packages: making a Debian $suite to try packages on" >&2
        rm -rf --one-file-system "$base.new"
        mmdebstrap --variant=apt --mode=root --skip=check/qemu,cleanup/apt --aptopt='APT::Install-Recommends "false"' \
            --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io --include="$packages" "$suite" "$base.new" - >&2 <<SOURCES
deb [signed-by=$keyring] $mirror $suite main
deb [signed-by=$keyring] $mirror $suite-updates main
deb [signed-by=$keyring] ${mirror%/debian}/debian-security $suite-security main
SOURCES
        install -D -m 644 "$keyring" "$base.new$keyring"
        mv "$base.new" "$base"
    fi
    THROWAWAY_INSIDE=1 exec unshare --mount --propagation private "$0" "$suite" "$@"
fi

# The mounts are seen by this process alone and end with it.
mount -t tmpfs -o size=8G tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$base,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
root=/mnt/root
while [ "$1" != -- ]; do
    mkdir -p "$root${1#*:}"
    mount --bind "${1%%:*}" "$root${1#*:}"
    shift
done
shift
mount -t proc proc "$root/proc"
mount -t devtmpfs devtmpfs "$root/dev" 2>/dev/null || mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    mount --bind /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
fi
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
