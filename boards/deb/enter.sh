#!/usr/bin/env bash
# Runs a command in the chroot: enter.sh CHROOT SOURCE CARGO TARGET OUT COMMAND...
# To be called in a mount namespace of its own. Every path is the same inside wherever it lies outside, so that none of
# this machine's gets into the programs.
set -euo pipefail

chroot=$1 source=$2 cargo=$3 target=$4 out=$5
shift 5
mount --bind "$source" "$chroot/src"
mount -o remount,bind,ro "$chroot/src"
mount --bind "$cargo" "$chroot/cargo"
mount --bind "$target" "$chroot/target"
mount --bind "$out" "$chroot/out"
mount -t proc proc "$chroot/proc"
mount -t tmpfs tmpfs "$chroot/tmp"
# How the machine itself reaches crates.io: names and certificates.
cp -L /etc/resolv.conf "$chroot/etc/resolv.conf"
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    mount --bind /etc/ssl/certs/ca-certificates.crt "$chroot/etc/ssl/certs/ca-certificates.crt"
fi
through=()
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [ -n "${!name:-}" ]; then through+=("$name=${!name}"); fi
done
exec chroot "$chroot" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 TZ=UTC CARGO_HOME=/cargo \
    CARGO_TARGET_DIR=/target "${through[@]}" "$@"
