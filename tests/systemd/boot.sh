#!/usr/bin/env bash
# Boots a systemd of its own with our units, without a virtual machine: PID 1 of its own namespaces, on an overlay of this
# machine's root, with a network of its own. For tests/systemd_boot.rs; root only.
#   boot.sh DIR BIN UPTIME   DIR is empty; BIN holds kioskd, kiosk-media, roomservice; UPTIME in seconds is what it believes.
# Becomes the outer process of it all: its only child is systemd, and everything ends with that.
# Devices and kernel settings are this machine's, so nothing that would change them is started.
set -euo pipefail
dir=$1 bin=$2 uptime=$3
here=$(cd "$(dirname "$0")/../.." && pwd)
group=/sys/fs/cgroup/unified
[ -d "$group" ] || group=/sys/fs/cgroup
group=$group/rtcroom-test-$$
mkdir "$group"
echo $$ > "$group/cgroup.procs"
mount -t tmpfs -o size=512M,mode=755 tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
export dir bin here
# Whoever started this is the test; nothing outlives it.
exec setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --uts --ipc --cgroup --net \
    --time --boottime "$((uptime - $(cut -d. -f1 /proc/uptime)))" --propagation private bash -euc '
    root=$dir/root
    mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    for place in run tmp; do mount -t tmpfs tmpfs "$root/$place"; done
    ip link set lo up
    hostname kiosk

    install -m 755 "$bin/kioskd" "$bin/kiosk-media" "$bin/roomservice" "$root/usr/bin"
    units=$root/etc/systemd/system
    rm -rf "$units" "$root/etc/rtcroom-kiosk" "$root/etc/roomservice"
    mkdir -p "$units" "$root/etc/rtcroom-kiosk" "$root/etc/roomservice" "$root/etc/peer"
    cp "$here"/systemd/*.service "$here"/systemd/*.socket "$here"/systemd/*.path "$units"
    for unit in systemd-binfmt systemd-sysctl systemd-modules-load systemd-udevd systemd-udev-trigger systemd-remount-fs \
        systemd-tmpfiles-setup-dev systemd-hwdb-update systemd-random-seed systemd-logind systemd-timesyncd; do
        ln -s /dev/null "$units/$unit.service"
    done
    ln -s /dev/null "$units/proc-sys-fs-binfmt_misc.automount"
    printf "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=roomservice.service kioskd.service kiosk-media.socket kioskd-reboot.path\n" > "$units/test.target"
    mkdir -p "$root/etc/systemd/journald.conf.d"
    printf "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n" > "$root/etc/systemd/journald.conf.d/test.conf"
    cp "$here"/systemd/sysusers.d/* "$root/usr/lib/sysusers.d"
    cp "$here"/systemd/tmpfiles.d/* "$root/usr/lib/tmpfiles.d"
    systemd-sysusers --root="$root"

    keys=$root/etc/roomservice/keys
    "$bin/roomservice" keygen --out "$keys"
    printf "listen = \"127.0.0.1:8443\"\nsdk_app_id = 1400000001\n[tickets]\npublic_key = \"keys/public.pem\"\nprivate_key = \"keys/private.pem\"\n" \
        > "$root/etc/roomservice/roomservice.toml"
    chroot "$root" chgrp -R roomservice /etc/roomservice
    chmod -R g+rX "$root/etc/roomservice"
    for user in kiosk-7 peer; do
        to=$root/etc/peer
        [ "$user" = peer ] || to=$root/etc/rtcroom-kiosk
        "$bin/roomservice" sign --config "$root/etc/roomservice/roomservice.toml" --user "$user" > "$to/ticket"
        printf "board = \"%s\"\nlanguage = \"en\"\n[server]\nurl = \"http://127.0.0.1:8443/weapp/double_room\"\n[room]\nid = \"branch-7\"\n[user]\nid = \"%s\"\nsdk_app_id = 1400000001\n[screen]\noutput = \"none\"\n" \
            "$here/boards/simulator.toml" "$user" > "$to/kioskd.toml"
    done
    # Only systemd may read it, which hands it on as a credential.
    chmod 600 "$root/etc/rtcroom-kiosk/ticket"
    rm -f "$root"/usr/lib/tmpfiles.d/rtcroom-kiosk.conf
    chroot "$root" chgrp -R kioskd /etc/rtcroom-kiosk
    chmod 750 "$root/etc/rtcroom-kiosk"

    cd "$root"
    mkdir oldroot
    pivot_root . oldroot
    umount -l oldroot
    # As systemd itself does outside containers; credentials are mounted from a namespace beside.
    mount --make-rshared /
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
        /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no < /dev/null
'
