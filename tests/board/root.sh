#!/usr/bin/env bash
# Makes the virtual board's root file system from Debian packages, as a folder; prints its name. Used by image.sh.
# Unpacking is done by this machine's dpkg; only the packages' own scripts run under qemu-user.
set -euo pipefail
cache=$1

# What a board runs, what kioskd's package depends on, and what the tests look with.
packages=(systemd systemd-sysv libpam-systemd dbus udev kmod openssh-server ca-certificates procps psmisc iproute2 iputils-ping
    alsa-utils v4l-utils gpiod strace busybox-static
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-nice gstreamer1.0-alsa gstreamer1.0-x gstreamer1.0-gl
    fonts-dejavu-core fonts-wqy-microhei)
# Drivers, with what they need: the disk and the network of QEMU's virt, and the board's camera, sound, lines, screen and bad network.
drivers=(virtio_pci virtio_mmio virtio_blk virtio_net virtio_rng ext4 crc32c_generic
    vivid snd-aloop gpio-sim virtio_gpu sch_netem gpio-pl061 rtc-pl031 loop af_packet)

say() { echo "root: $(date +%T) $*" >&2; }
fail() { echo "root: $*" >&2; exit 1; }

out=$cache/root-$(sha256sum < "$0" | cut -c 1-16)
root=$out/root work=$out/work debs=$cache/debs
if [ -e "$out/complete" ]; then
    touch "$out/complete"
    echo "$root"
    exit 0
fi
[ "$(id -u)" = 0 ] || fail "making the virtual board's root file system needs root"
for tool in qemu-aarch64-static depmod; do
    command -v "$tool" > /dev/null || fail "$tool is missing: boards/setup.sh board"
done
# An earlier run may have left something mounted: never delete through it.
if grep -q " $(realpath -m "$out")/" /proc/self/mounts; then fail "something is mounted below $out: umount it"; fi
rm -rf --one-file-system "$out"
mkdir -p "$root" "$work"/{lists/partial,etc/apt.conf.d} "$debs/partial"

# A handler in the kernel that was opened at registration (flag F) works inside the root, too.
if [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
    mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register
fi

# --- fetch
mirror=$(awk '$1 == "URIs:" && $2 !~ /security/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2> /dev/null || true)
mirror=${mirror:-http://deb.debian.org/debian}
: > "$work/status"
for suite in "$mirror bookworm" "$mirror bookworm-backports" "$mirror trixie-backports" "${mirror%/debian}/debian-security bookworm-security"; do
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $suite main"
done > "$work/etc/sources.list"
cat > "$work/etc/preferences" <<P
Package: gpiod libgpiod3
Pin: release n=bookworm-backports
Pin-Priority: 900

Package: *
Pin: release n=trixie-backports
Pin-Priority: 50
P
cat > "$work/apt.conf" <<C
APT::Architecture "arm64"; APT::Architectures { "arm64"; };
Dir::State "$work"; Dir::State::Lists "$work/lists"; Dir::State::status "$work/status";
Dir::Cache "$work"; Dir::Cache::archives "$debs"; Dir::Etc "$work/etc"; Dir::Etc::sourcelist "$work/etc/sources.list";
Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferences "$work/etc/preferences"; Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none"; Acquire::Retries "5"; APT::Install-Recommends "false"; APT::Sandbox::User "root"; Debug::NoLocking "true";
C
export APT_CONFIG=$work/apt.conf
debs_of() { # debs_of PACKAGE...: the files of exactly these and what they need
    apt-get -qq -s install "$@" | awk '/^Inst/ { print $2, $3 }' | tr -d '(' |
        while read -r name version; do ls "$debs/${name%%:*}_${version//:/%3a}_"*.deb; done
}
say "fetching package lists from $mirror"
apt-get -qq update
# Debian's kernels before 7 have no gpio-sim; the newest of trixie-backports has everything the board is made of.
kernel=$(apt-cache pkgnames linux-modules- | grep -E '^linux-modules-[0-9.]+\+deb13-arm64$' | sort -V | tail -n 1)
kernel=${kernel#linux-modules-}
[ -n "$kernel" ] || fail "no kernel in trixie-backports of $mirror"
say "fetching packages and kernel $kernel"
base=('?essential' base-files base-passwd)
apt-get -qq -y install --download-only "${base[@]}" "${packages[@]}" > "$work/fetch.log"
(cd "$debs" && apt-get -qq download "linux-modules-$kernel" "linux-binary-$kernel" "linux-base-$kernel")
debs_of "${base[@]}" > "$work/essential"
debs_of "${base[@]}" "${packages[@]}" > "$work/packages"
unset APT_CONFIG

say "unpacking $(wc -l < "$work/packages") packages"
for folder in bin sbin lib; do mkdir -p "$root/usr/$folder"; ln -s "usr/$folder" "$root/$folder"; done
mkdir -p "$root"/{etc/apt,var/lib/dpkg/{info,updates,triggers},var/log,proc,sys,dev,tmp,run,root}
chmod 1777 "$root/tmp"
: > "$root/var/lib/dpkg/status"
: > "$root/var/lib/dpkg/available"
echo arm64 > "$root/var/lib/dpkg/arch"
# The first of the packages' scripts already need a shell and its friends.
while read -r deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$root"; done < "$work/essential"
cp -a "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp -a "$root/usr/share/base-passwd/group.master" "$root/etc/group"
ln -sf mawk "$root/usr/bin/awk"
: > "$root/etc/fstab"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/urandom" c 1 9
ln -sf /proc/self/fd "$root/dev/fd"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc" 2> /dev/null || true' EXIT
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C LANG=C
quick=(--force-depends --force-confold --force-unsafe-io)
mapfile -t files < "$work/packages"
dpkg --root="$root" "${quick[@]}" --force-architecture --force-overwrite --force-remove-essential --no-triggers \
    --path-exclude='/usr/share/man/*' --path-exclude='/usr/share/doc/*' --path-exclude='/usr/share/locale/*' --path-exclude='/usr/share/info/*' \
    --unpack "${files[@]}" > "$work/unpack.log" 2>&1 || { tail -n 20 "$work/unpack.log" >&2; fail "dpkg could not unpack (see $work/unpack.log)"; }

# Under emulation an RSA key takes a minute; image.sh replaces these.
mkdir -p "$root/etc/ssh"
ssh-keygen -q -A -f "$root"
say "running the packages' scripts under emulation"
inside() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"; }
inside /usr/bin/dpkg "${quick[@]}" --configure base-passwd base-files > "$work/configure.log" 2>&1 || true
for attempt in 1 2 3; do # some depend on each other in a circle
    if inside /usr/bin/dpkg "${quick[@]}" --configure -a >> "$work/configure.log" 2>&1; then break; fi
    [ "$attempt" -lt 3 ] || { tail -n 30 "$work/configure.log" >&2; fail "dpkg could not configure (see $work/configure.log)"; }
done
rm -f "$root/usr/sbin/policy-rc.d"
umount "$root/proc"
trap - EXIT

# --- kernel
say "kernel $kernel"
mkdir "$work/kernel"
for part in modules binary base; do
    dpkg-deb --fsys-tarfile "$(ls "$debs/linux-$part-${kernel}"_*.deb | sort -V | tail -n 1)" | tar -x --exclude='*/dtb' --exclude='*/System.map' -C "$work/kernel"
done
ln -s usr/lib "$work/kernel/lib"
tree=$work/kernel/lib/modules/$kernel
[ -e "$tree/vmlinuz" ] || fail "linux-binary-$kernel has no usr/lib/modules/$kernel/vmlinuz"
depmod -b "$work/kernel" "$kernel"
mkdir -p "$root/usr/lib/modules/$kernel"
find "$tree" -maxdepth 1 \( -name vmlinuz -o -name 'modules.order' -o -name 'modules.builtin*' \) -exec cp {} "$root/usr/lib/modules/$kernel/" \;
for driver in "${drivers[@]}"; do
    # What is built in has no file; what is missing is found out below.
    { modprobe -d "$work/kernel" -S "$kernel" --show-depends "$driver" 2> /dev/null || true; }
done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
    install -D -m 644 "$file" "$root/usr/lib/modules/$kernel/${file##*/modules/"$kernel"/}"
done
depmod -b "$root" "$kernel"
for driver in vivid snd-aloop gpio-sim virtio_gpu sch_netem; do
    modprobe -d "$root" -S "$kernel" --show-depends "$driver" > /dev/null || fail "kernel $kernel has no driver $driver"
done
rm -rf --one-file-system "$work/kernel" "$work/lists"
touch "$out/complete"
say "made in $SECONDS s, $(du -sm "$root" | cut -f 1) MiB"
echo "$root"
