#!/usr/bin/env bash
# Two builds from two clones in two places, each with an empty build folder, give the same bytes:
#   reproducible.sh ARCH        builds twice
#   reproducible.sh ARCH DIR    builds once, and compares with what boards/cross.sh left in DIR from this commit
set -euo pipefail

arch=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/rtcroom-reproducible.XXXXXX")
trap 'rm -rf "$work"' EXIT
build() { # build PLACE
    mkdir -p "$work/$1"
    git -c safe.directory='*' clone -q "$here" "$work/$1/tree"
    "$work/$1/tree/boards/cross.sh" "$arch" --target "$work/$1/objects" --out "$work/$1/out"
}
build another/place
one=${2:-}
if [ -z "$one" ]; then
    build one
    one=$work/one/out
fi
wrong=0
(cd "$work/another/place/out" && find . -type f | sort) >"$work/files"
while read -r file; do
    cmp "$one/$file" "$work/another/place/out/$file" || wrong=1
done <"$work/files"
[ -s "$work/files" ] || { echo "packages: nothing was built"; exit 1; }
[ $wrong = 1 ] || { echo "packages: two builds gave the same bytes:"; cd "$one"; xargs sha256sum <"$work/files"; }
exit $wrong
