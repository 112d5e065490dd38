#!/usr/bin/env bash
# Installs, upgrades, removes and purges the packages on a Debian that is thrown away: lifecycle.sh bookworm|trixie DIR
set -euo pipefail

if [ "${1:-}" != inside ]; then
    suite=$1 folder=$(realpath "$2")
    exec "$(dirname "$0")/throwaway.sh" "$suite" "$folder:/debs" "$(realpath "$(dirname "$0")"):/test" -- /test/lifecycle.sh inside "$suite"
fi

suite=$2
wrong=0
bad() { echo "packages: $suite: $*"; wrong=1; }
expect() { # expect SENTENCE COMMAND...
    local sentence=$1
    shift
    "$@" >/tmp/said 2>&1 || bad "$sentence $(tail -n 5 /tmp/said)"
}
quietly() { "$@" >/tmp/log 2>&1 || { tail -n 20 /tmp/log; bad "does not work: $*"; }; }
enabled() { [ -L "/etc/systemd/system/$1" ]; }
files() { # everything but what apt and dpkg keep for themselves
    (cd / && find etc usr var -xdev ! -path 'var/lib/dpkg/*' ! -path 'var/cache/*' ! -path 'var/log/*' ! -path 'var/lib/apt/*' \
        ! -name '*~' ! -name '*-' | sort)
}

# The same contents with a higher version: an upgrade.
newer() {
    local deb
    mkdir -p /tmp/newer
    for deb in /debs/*.deb; do
        dpkg-deb -R "$deb" /tmp/unpacked
        sed -i 's/^Version: .*/&+1/' /tmp/unpacked/DEBIAN/control
        dpkg-deb --root-owner-group -Znone -b /tmp/unpacked "/tmp/newer/$(basename "$deb")" >/dev/null
        rm -r /tmp/unpacked
    done
}

quietly apt-get update -q
# What the packages depend on comes first, so that what is left over is theirs.
depends=$(for deb in /debs/*.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed 's/|.*//; s/(.*//; s/ //g' | sort -u)
quietly apt-get install -y -q --no-install-recommends $depends
files >/tmp/before

quietly apt-get install -y -q --no-install-recommends /debs/*.deb
for user in kioskd kiosk-media roomservice; do expect "there is no user $user" getent passwd "$user"; done
expect "kioskd may not reach the lines of the button" sh -c 'id -nG kioskd | grep -qw gpio'
expect "kiosk-media may not reach cameras, sound and screen" sh -c 'id -nG kiosk-media | grep -w video | grep -w audio | grep -qw render'
for unit in multi-user.target.wants/kioskd.service sockets.target.wants/kiosk-media.socket \
    multi-user.target.wants/kioskd-reboot.path multi-user.target.wants/roomservice.service; do
    expect "$unit is not enabled" enabled "$unit"
done
expect "the folder of secrets is open to everybody: $(stat -c '%a %U:%G' /etc/rtcroom-kiosk)" \
    [ "$(stat -c '%a %U:%G' /etc/rtcroom-kiosk)" = "750 root:kioskd" ]
for program in kioskd kiosk-media roomservice; do expect "$program does not run" "$program" --version; done
expect "the board's media worker lists no encoder" sh -c 'kiosk-media --inspect | grep -q openh264enc'
expect "the example is not a valid configuration, but for its ticket and authority" \
    sh -c 'kioskd check-config --config /etc/rtcroom-kiosk/kioskd.example.toml 2>&1 | grep -Eq "ok|ca.pem|ticket"'
expect "units are not valid" systemd-analyze verify --man=no /usr/lib/systemd/system/kioskd.service /usr/lib/systemd/system/roomservice.service

# What an integrator makes.
cp /etc/rtcroom-kiosk/kioskd.example.toml /etc/rtcroom-kiosk/kioskd.toml
echo secret >/etc/rtcroom-kiosk/ticket
mkdir -p /var/lib/kioskd /etc/roomservice/keys
echo secret >/etc/roomservice/keys/secret.hex
echo '# mine' >>/etc/rtcroom-kiosk/kioskd.toml
quietly systemctl disable roomservice.service

newer
quietly apt-get install -y -q --no-install-recommends /tmp/newer/*.deb
expect "an upgrade changed kioskd.toml" grep -q '# mine' /etc/rtcroom-kiosk/kioskd.toml
expect "an upgrade lost the ticket" grep -q secret /etc/rtcroom-kiosk/ticket
expect "the ticket is not for kioskd alone: $(stat -c '%a %U:%G' /etc/rtcroom-kiosk/ticket)" \
    [ "$(stat -c '%a %U:%G' /etc/rtcroom-kiosk/ticket)" = "640 root:kioskd" ]
expect "kioskd.service is not enabled after an upgrade" enabled multi-user.target.wants/kioskd.service
expect "an upgrade enabled a service that the administrator had disabled" sh -c '! [ -e /etc/systemd/system/multi-user.target.wants/roomservice.service ]'

quietly apt-get remove -y -q rtcroom-kiosk rtcroom-roomservice
expect "a program is left after removal" sh -c '! [ -e /usr/bin/kioskd ] && ! [ -e /usr/bin/roomservice ]'
expect "removal took the configuration, which a purge is for" [ -e /etc/rtcroom-kiosk/kioskd.toml ]
quietly apt-get install -y -q --no-install-recommends /debs/*.deb
expect "kioskd.service is not enabled when installed again" enabled multi-user.target.wants/kioskd.service

quietly apt-get purge -y -q rtcroom-kiosk rtcroom-roomservice
rm -rf /tmp/newer
files >/tmp/after
# Users are left, locked: files elsewhere may have their numbers.
left=$(diff /tmp/before /tmp/after | sed -n 's/^> //p' || true)
[ -z "$left" ] || bad "left after a purge:"$'\n'"$left"
[ $wrong = 1 ] || echo "packages: $suite: installed, upgraded, removed, installed again and purged; nothing is left"
exit $wrong
