#!/usr/bin/env bash
# Inside the chroot: builds the three programs for $ARCH and leaves them, stripped, in /out/bin.
set -euo pipefail

case $ARCH in
    arm64) rust=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu ;;
    armhf) rust=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf ;;
    amd64) rust=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu ;;
esac
upper=$(tr a-z- A-Z_ <<<"$rust")
export "CC_${rust//-/_}=$gnu-gcc"
# The three programs share a library crate. lld leaves out the shared libraries of the parts that a program does not use;
# GNU ld would have kioskd and roomservice load GStreamer.
# A cross compiler does not look for it in PATH, hence -B.
mkdir /tmp/lld
ln -s /usr/bin/ld.lld /tmp/lld/ld.lld
printf '#!/bin/sh\nexec %s-gcc -B /tmp/lld -fuse-ld=lld -Wl,--as-needed "$@"\n' "$gnu" >/tmp/linker
chmod 755 /tmp/linker
export "CARGO_TARGET_${upper}_LINKER=/tmp/linker"
export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_LIBDIR=/usr/lib/$gnu/pkgconfig:/usr/share/pkgconfig
# v4l's bindings are made from the target's headers.
[ "$ARCH" = amd64 ] || export BINDGEN_EXTRA_CLANG_ARGS="--target=$gnu -I/usr/$gnu/include"
cd /src
# cargo goes by file times, and another clone may have built here before: what differs is built, whatever its time.
sum=$(find src Cargo.toml Cargo.lock boards/deb/build.sh -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
if [ "$sum" != "$(cat /target/built-from 2>/dev/null)" ]; then
    rm -f /target/built-from
    cargo clean --locked --release --target "$rust" -p rtcroom-kiosk
fi
# Debian's compiler allocates by the C library; with jemalloc, as upstream's has it, it takes an eighth less time.
LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2 cargo build --release --locked --bins --target "$rust"
echo "$sum" >/target/built-from

install -d /out/bin
for program in kioskd kiosk-media roomservice; do
    "$gnu-strip" --remove-section=.comment --remove-section=.note -o "/out/bin/$program" "/target/$rust/release/$program"
    touch --date="@$SOURCE_DATE_EPOCH" "/out/bin/$program"
done
