#!/usr/bin/env bash
# From a Debian 12 or 13 for x86_64 to stripped programs and .deb packages for a board: one command, as root.
#   boards/cross.sh arm64                  for Debian 12, 13 and Raspberry Pi OS, 64 bit
#   boards/cross.sh armhf                  for Debian 12 and Raspberry Pi OS "bookworm", 32 bit
#   boards/cross.sh armhf --suite trixie   for Debian 13: time became 64 bits wide there, so libraries have other names
#   boards/cross.sh amd64                  for Debian 12 and 13 on PCs and servers
#     --out DIR       where the results go; target/deb/ARCH is the default
#     --version V     the packages' version; Cargo.toml's is the default
#     --target DIR    an empty build folder of its own, instead of the cached one
#     --fresh         a new chroot, with the compiler and libraries of today
#     --chroot-only   makes the chroot and prints where it is
# The last lines name the files made. All is built in a clean chroot that lies below /var/cache/rtcroom-kiosk/cross
# (RTCROOM_CROSS_CACHE), as do crates and objects: 4 GB for an architecture, and to be deleted at will.
# The same commit gives the same bytes: times are SOURCE_DATE_EPOCH, or else those of the commit.
# http_proxy, https_proxy and the machine's certificates are used; RTCROOM_MIRROR is another mirror of Debian, and
# RTCROOM_KEYRING the file of its public keys where it signs by itself.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
usage() { sed -n '2,17s/^# \{0,1\}//p' "$0"; }
say() { echo "cross: $*" >&2; }
stop() { say "$*"; exit 1; }

arch='' suite=bookworm out='' version='' target='' fresh=no chroot_only=no
while [ $# -gt 0 ]; do
    case $1 in
        arm64 | armhf | amd64) arch=$1 ;;
        --suite) suite=${2:?--suite: bookworm or trixie}; shift ;;
        --out) out=${2:?--out: a folder}; shift ;;
        --version) version=${2:?--version: a Debian version}; shift ;;
        --target) target=${2:?--target: a folder}; shift ;;
        --fresh) fresh=yes ;;
        --chroot-only) chroot_only=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
[ -n "$arch" ] || { usage >&2; exit 2; }
case $suite in bookworm | trixie) ;; *) stop "--suite $suite: bookworm or trixie" ;; esac
[ "$(id -u)" = 0 ] || stop "must be run as root: a chroot is made and used"
[ "$(dpkg --print-architecture)" = amd64 ] || stop "runs on x86_64 (amd64) only; this machine is $(dpkg --print-architecture)"

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -c safe.directory='*' -C "$here" log -1 --format=%ct 2>/dev/null) ||
        stop "$here is no git clone: set SOURCE_DATE_EPOCH to the time of this release, in seconds since 1970"
fi
export SOURCE_DATE_EPOCH
[ -n "$version" ] || version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
# Which release it is for shows in the version where there is a package for each.
if [ "$arch" = armhf ]; then version+=$([ "$suite" = trixie ] && echo '+deb13' || echo '+deb12'); fi

cache=${RTCROOM_CROSS_CACHE:-/var/cache/rtcroom-kiosk/cross}
out=${out:-$here/target/deb/$arch}
mkdir -p "$cache/cargo" "$out"
out=$(cd "$out" && pwd)

command -v mmdebstrap >/dev/null || "$here/boards/setup.sh" cross >&2
fresh=$fresh "$here/boards/deb/chroot.sh" "$suite" "$arch" "$cache" >"$out/.chroot"
chroot=$(tail -n 1 "$out/.chroot")
rm "$out/.chroot"
if [ $chroot_only = yes ]; then echo "$chroot"; exit 0; fi

target=${target:-$cache/target-$(basename "$chroot")}
mkdir -p "$target"
target=$(cd "$target" && pwd)
say "building $arch in $chroot, objects in $target"
begin=$SECONDS
# One build at a time in a build folder. The mounts are seen by the build alone and end with it.
rm -rf "$out/bin" "$out"/*_"$version"_"$arch".deb
flock "$target" unshare --mount --propagation private "$here/boards/deb/enter.sh" \
    "$chroot" "$here" "$cache/cargo" "$target" "$out" \
    env ARCH="$arch" VERSION="$version" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" sh -c '/src/boards/deb/build.sh && /src/boards/deb/package.sh' >&2
say "done in $((SECONDS - begin)) s"
ls -d "$out"/bin/* "$out"/*_"$version"_"$arch".deb
