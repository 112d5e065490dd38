#!/usr/bin/env bash
# Makes a chroot to build in, unless there is one from the same packages: chroot.sh SUITE ARCH CACHE.
# The last line says where it is. fresh=yes makes it anew. It is complete or not there at all.
set -euo pipefail

suite=$1 arch=$2 cache=$3
say() { echo "cross: $*" >&2; }

# The compiler is Debian's for its browsers, of the same version in Debian 12 and 13.
# libclang: the v4l crate makes its bindings from the kernel's header.
tools=(rustc-web cargo-web libjemalloc2 libclang-dev gcc lld libc6-dev pkg-config ca-certificates dpkg-dev lintian)
libraries=(libstd-rust-web-dev libgstreamer-plugins-bad1.0-0 libgstreamer-plugins-base1.0-dev libasound2-dev libssl-dev libc6-dev)
# Unpacked only: it depends on OpenCV for a header that is not used, which is 150 MB of packages.
unpacked=(libgstreamer-plugins-bad1.0-dev)
case $arch in
    arm64) tools+=(gcc-aarch64-linux-gnu) ;;
    armhf) tools+=(gcc-arm-linux-gnueabihf) ;;
    amd64) ;;
esac
libraries=("${libraries[@]/%/:$arch}")
unpacked=("${unpacked[@]/%/:$arch}")

# This file is the recipe: what it says is what the chroot is made of.
key=$( (cat "$0"; echo "$suite $arch") | sha256sum | cut -c 1-12)
chroot=$cache/$suite-$arch-$key
exec 9>"$cache/$suite-$arch.lock"
flock 9
if [ "${fresh:-no}" = yes ]; then rm -rf --one-file-system "$chroot"; fi
if [ -d "$chroot" ]; then
    say "using the chroot of $(date -r "$chroot/made" +%F); --fresh makes one of today's packages"
    echo "$chroot"
    exit 0
fi

new=$chroot.new
mirror=${RTCROOM_MIRROR:-http://deb.debian.org/debian}
keyring=${RTCROOM_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
both=amd64
[ "$arch" = amd64 ] || both=amd64,$arch
say "making a chroot of Debian $suite for amd64 and $arch: 2 to 5 minutes, 300 MB to fetch"
begin=$SECONDS
# No manual pages and translations; no waiting for the disk: a chroot that is cut short is made anew.
make() {
    rm -rf --one-file-system "$new"
    mmdebstrap --variant=apt --mode=root --architectures="$both" --skip=check/qemu,cleanup/apt \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
        --dpkgopt='force-unsafe-io' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --include="$(IFS=,; echo "${tools[*]},${libraries[*]}")" "$suite" "$new" - >&2 <<SOURCES
deb [signed-by=$keyring] $mirror $suite main
deb [signed-by=$keyring] $mirror $suite-updates main
deb [signed-by=$keyring] ${mirror%/debian}/debian-security $suite-security main
SOURCES
}
# A mirror that is being brought up to date has lists and packages of two days for a while.
for pause in 30 90 0; do
    make && break
    [ $pause != 0 ] || { say "the chroot could not be made; is $mirror reachable and up to date? (RTCROOM_MIRROR is another, RTCROOM_KEYRING its key)"; exit 1; }
    say "once more in $pause s"
    sleep $pause
done
chroot "$new" sh -ec "mkdir /tmp/debs; cd /tmp/debs; apt-get download -q ${unpacked[*]}; for deb in *.deb; do dpkg-deb -x \$deb /; done; rm -r /tmp/debs; apt-get clean" >&2
chroot "$new" dpkg-query -W >"$new/made"
mkdir -p "$new/src" "$new/cargo" "$new/target" "$new/out"
mv "$new" "$chroot"
say "the chroot took $((SECONDS - begin)) s and $(du -sm "$chroot" | cut -f 1) MB"
echo "$chroot"
