#!/usr/bin/env bash
# Inside the chroot, after build.sh: makes the .deb packages of $ARCH and $VERSION from /out/bin and the tree in /src.
# What goes where is in PACKAGE.files, what a package says of itself in PACKAGE.control, what is done when it is
# installed and removed in PACKAGE.{postinst,prerm,postrm}.
set -euo pipefail

deb=/src/boards/deb
maintainer=$(sed -n 's/^Maintainer: //p' "$deb/common.control")
when=$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
case $ARCH in
    arm64) gnu=aarch64-linux-gnu ;;
    armhf) gnu=arm-linux-gnueabihf ;;
    amd64) gnu=x86_64-linux-gnu ;;
esac

put() { # put SOURCE DESTINATION MODE: a pattern goes into a folder, a file to a name; manual pages are compressed
    local sources=($1) source to
    if [ ! -e "${sources[0]}" ]; then echo "$package.files: there is no $1" >&2; exit 1; fi
    for source in "${sources[@]}"; do
        to=$root/$2
        if [[ $2 == */ ]]; then to+=$(basename "$source"); fi
        install -D -m "$3" "$source" "$to"
        if [[ $to == */share/man/* ]]; then gzip -9n "$to"; fi
    done
}

depends_on_libraries() { # the shared libraries that the programs of this package are linked with, as packages
    local work
    work=$(mktemp -d)
    mkdir "$work/debian"
    printf 'Source: %s\n\nPackage: %s\nArchitecture: any\n' "$package" "$package" >"$work/debian/control"
    (cd "$work" && DEB_HOST_ARCH=$ARCH dpkg-shlibdeps -O "$root"/usr/bin/*) | sed -n 's/^shlibs:Depends=//p'
    rm -r "$work"
}

make() {
    package=$1
    root=$(mktemp -d)/$package
    cd /src
    local source to mode
    while read -r source to mode; do
        case $source in '' | '#'*) continue ;; bin/*) source=/out/$source ;; esac
        put "$source" "$to" "$mode"
    done <"$deb/$package.files"

    local doc=$root/usr/share/doc/$package
    install -D -m 644 "$deb/copyright" "$doc/copyright"
    printf '%s (%s) stable; urgency=medium\n\n  * Version %s; what changed is in the log of its sources.\n\n -- %s  %s\n' \
        "$package" "$VERSION" "$VERSION" "$maintainer" "$when" | gzip -9n >"$doc/changelog.gz"
    chmod 644 "$doc/changelog.gz"

    install -d "$root/DEBIAN"
    (cd "$root" && find etc -type f 2>/dev/null | sort | sed 's,^,/,') >"$root/DEBIAN/conffiles" || true
    [ -s "$root/DEBIAN/conffiles" ] || rm "$root/DEBIAN/conffiles"
    local script
    for script in postinst prerm postrm; do
        install -m 755 "$deb/$package.$script" "$root/DEBIAN/$script"
    done
    (cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    # In KiB, as dpkg-gencontrol counts: each file rounded up, each folder or link one.
    local size libraries
    size=$(cd "$root" && find . -path ./DEBIAN -prune -o -mindepth 1 \( -type f -printf '%s\n' -o -printf '0\n' \) |
        awk '{ sum += $1 > 0 ? int(($1 + 1023) / 1024) : 1 } END { print sum }')
    libraries=$(depends_on_libraries)
    {
        echo "Package: $package"
        echo "Version: $VERSION"
        echo "Architecture: $ARCH"
        echo "Installed-Size: $size"
        cat "$deb/common.control"
        sed "s/@LIBRARIES@/$libraries/; /^#/d" "$deb/$package.control"
    } >"$root/DEBIAN/control"
    find "$root" -type d -exec chmod 755 {} +
    find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    # One thread, and SOURCE_DATE_EPOCH for the archive's own times: the same bytes each time.
    dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "/out/${package}_${VERSION}_$ARCH.deb"
    rm -r "$(dirname "$root")"
}

make rtcroom-kiosk
make rtcroom-roomservice
cd /out
lintian --allow-root --no-cfg --fail-on error --tag-display-limit 0 --suppress-tags "$(grep -v '^#' "$deb/lintian" | paste -sd,)" \
    ./*_"${VERSION}_$ARCH.deb"
