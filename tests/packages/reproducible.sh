#!/usr/bin/env bash
# Two builds from two clones in two places, each with an empty build folder, give the same bytes: reproducible.sh ARCH
set -euo pipefail

arch=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/rtcroom-reproducible.XXXXXX")
trap 'rm -rf "$work"' EXIT
for place in one another/place; do
    mkdir -p "$work/$place"
    git -c safe.directory='*' clone -q "$here" "$work/$place/tree"
    "$work/$place/tree/boards/cross.sh" "$arch" --target "$work/$place/objects" --out "$work/$place/out"
done
wrong=0
(cd "$work/one/out" && find . -type f | sort) >"$work/files"
while read -r file; do
    cmp "$work/one/out/$file" "$work/another/place/out/$file" || wrong=1
done <"$work/files"
[ $wrong = 1 ] || { echo "packages: two builds gave the same bytes:"; cd "$work/one/out"; xargs sha256sum <"$work/files"; }
exit $wrong
