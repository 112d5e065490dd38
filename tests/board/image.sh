#!/usr/bin/env bash
# Makes the virtual board's disk, kernel and initrd, as root; prints the folder that holds them.
#   tests/board/image.sh        from the cache when nothing it is made of has changed
#   BOARD_CACHE=DIR             another cache than /var/cache/rtcroom-kiosk/board
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${BOARD_CACHE:-/var/cache/rtcroom-kiosk/board}
# What initrd needs to find the disk.
disk_drivers=(virtio_pci virtio_blk ext4 crc32c_generic)

say() { echo "image: $(date +%T) $*" >&2; }
fail() { echo "image: $*" >&2; exit 1; }

inputs() { # names and contents of everything the image is made of
    cat "$0" "$here/root.sh" "$here/init"
    (cd "$here/overlay" && find . -type f | sort | while read -r file; do stat -c '%n %a' "$file"; cat "$file"; done)
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9
out=$cache/image-$(inputs | sha256sum | cut -c 1-16)
if [ -e "$out/complete" ]; then
    touch "$out/complete"
    say "from the cache"
    echo "$out"
    exit 0
fi
for tool in mke2fs cpio modprobe ssh-keygen qemu-system-aarch64; do
    command -v "$tool" > /dev/null || fail "$tool is missing: boards/setup.sh board"
done
packages=$("$here/root.sh" "$cache" | tail -n 1)
rm -rf --one-file-system "$out"
mkdir -p "$out"
root=$out/root
# Hard links: a file that is to differ has to be replaced, never written to.
cp -al "$packages" "$root"
kernel=$(ls "$root/usr/lib/modules")

say "kernel $kernel and initrd"
cp "$root/usr/lib/modules/$kernel/vmlinuz" "$out/vmlinuz"
initrd=$out/initrd
mkdir -p "$initrd"/{bin,dev,proc,sys,newroot,drivers}
cp "$root/bin/busybox" "$initrd/bin/busybox"
install -m 755 "$here/init" "$initrd/init"
for driver in "${disk_drivers[@]}"; do
    { modprobe -d "$root" -S "$kernel" --show-depends "$driver" 2> /dev/null || true; } | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
    name=$(basename "$file")
    case $name in
        *.xz) name=${name%.xz}; xz -dc "$file" > "$initrd/drivers/$name" ;;
        *.zst) name=${name%.zst}; zstd -qdc "$file" > "$initrd/drivers/$name" ;;
        *) cp "$file" "$initrd/drivers/$name" ;;
    esac
    echo "$name" >> "$initrd/drivers/order"
done
[ -s "$initrd/drivers/order" ] || fail "kernel $kernel has no drivers for the disk"
(cd "$initrd" && find . | cpio -o -H newc --quiet | gzip -1) > "$out/initrd.gz"

say "settings"
put() { # put FILE: standard input becomes a file of the board
    mkdir -p "$(dirname "$root/$1")"
    rm -f "$root/$1"
    cat > "$root/$1"
}
(cd "$here/overlay" && find . -type f) | while read -r file; do
    put "$file" < "$here/overlay/$file"
    chmod --reference="$here/overlay/$file" "$root/$file"
done
ssh-keygen -q -t ed25519 -N '' -C board-test -f "$out/id"
put root/.ssh/authorized_keys < "$out/id.pub"
chmod 700 "$root/root" "$root/root/.ssh"
chmod 600 "$root/root/.ssh/authorized_keys"
rm -f "$root"/etc/ssh/ssh_host_*
ssh-keygen -q -t ed25519 -N '' -C board -f "$root/etc/ssh/ssh_host_ed25519_key"
echo board | put etc/hostname
printf '127.0.0.1 localhost board\n' | put etc/hosts
# A machine without an identity spends 75 s of its first boot on presets, and then waits for a key.
echo 0123456789abcdef0123456789abcdef | put etc/machine-id
rm -f "$root/var/lib/dbus/machine-id"
units=$root/etc/systemd/system
mkdir -p "$units/multi-user.target.wants"
ln -sfn /usr/lib/systemd/system/multi-user.target "$units/default.target"
ln -sfn /usr/lib/systemd/system/systemd-networkd.service "$units/multi-user.target.wants/systemd-networkd.service"
for unit in board-lines board-tone board-ready; do ln -sfn ../$unit.service "$units/multi-user.target.wants/$unit.service"; done
for unit in systemd-firstboot.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    dpkg-db-backup.timer systemd-timesyncd.service getty@tty1.service serial-getty@ttyAMA0.service; do
    ln -sfn /dev/null "$units/$unit"
done

say "file system"
truncate -s 3G "$out/disk.img"
# With a journal: the tests cut the power.
mke2fs -q -t ext4 -E lazy_itable_init=1,root_owner=0:0 -O has_journal -d "$root" "$out/disk.img"
rm -rf --one-file-system "$root" "$initrd"
touch "$out/complete"
# Boards that were not used for two weeks; root file systems likewise.
find "$cache" -mindepth 2 -maxdepth 2 -name complete -mtime +14 -printf '%h\n' | while read -r old; do rm -rf --one-file-system "$old"; done
say "made in $SECONDS s, $(du -m "$out/disk.img" | cut -f 1) MiB"
echo "$out"
