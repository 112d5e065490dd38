"""The board that the tests are about: virtual, or a real one at the far end of SSH."""

import os
import pathlib
import socket
import time
import urllib.parse

import pytest

from appliance import BUTTON, DOOR, LAMP, steps
from ssh import Shell
from virtual import VirtualBoard

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where boards/cross.sh puts its packages.
PACKAGES = pathlib.Path(os.environ.get("RTCROOM_PACKAGES") or ROOT / "target" / "deb")
LAMP_PERIOD = 0.05
BOARD_HZ = 523


def board_of(address, directory):
    """`ssh://root@host[:port]` gives a real board, nothing the virtual one."""
    return RealBoard(address, directory) if address else Virtual(directory)


class Common:
    """What any board can do by its shell."""

    def packages(self):
        """The newest kiosk package for the board's architecture."""
        kind = self.shell.run("dpkg --print-architecture").strip()
        found = sorted(PACKAGES.glob(f"**/rtcroom-kiosk_*_{kind}.deb"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise FileNotFoundError(f"no rtcroom-kiosk_*_{kind}.deb below {PACKAGES}: boards/cross.sh {kind}, or set RTCROOM_PACKAGES")
        return found[-1:]


class Virtual(VirtualBoard, Common):
    """QEMU's board, with the hands that press its button and shake its devices."""

    board_file = "qemu-virt"
    # What the page has to see for new: vivid's own picture with another clock in it.
    picture = "changed"
    server_listens = "127.0.0.1"
    server_addresses = (VirtualBoard.server_host, "127.0.0.1")

    def press(self, seconds=0.3):
        # A contact to ground: see boards/qemu-virt.toml.
        self.shell.run(f"echo pull-down > {BUTTON}/pull; sleep {seconds}; echo pull-up > {BUTTON}/pull", 60)

    def heard(self, tone):
        """Whether the page hears what is hummed before the microphone: board-tone.service."""
        return abs(tone["hz"] - BOARD_HZ) < 12 and tone["dbfs"] > -45

    def press_often(self, times, every):
        self.shell.run(f"for i in $(seq {times}); do echo pull-down > {BUTTON}/pull; sleep {every / 2}; echo pull-up > {BUTTON}/pull; sleep {every / 2}; done", 120)

    def hold_button(self, down):
        self.shell.run(f"echo {'pull-down' if down else 'pull-up'} > {BUTTON}/pull")

    def door(self, opened):
        self.shell.run(f"echo {'pull-up' if opened else 'pull-down'} > {DOOR}/pull")

    def lamp(self, seconds):
        count = int(seconds / LAMP_PERIOD)
        text = self.shell.run(f"n=0; while [ $n -lt {count} ]; do read -r v < {LAMP}/value; printf $v; n=$((n+1)); sleep {LAMP_PERIOD}; done", seconds + 60)
        return steps([int(level) for level in text.strip()], LAMP_PERIOD)

    def record_speaker(self, seconds, rate):
        return self.shell.run(f"arecord -q -D plughw:CARD=Loopback,DEV=1,SUBDEV=0 -f S16_LE -r {rate} -c 1 -t raw -d {seconds}", seconds + 60, binary=True)

    def vivid(self, **controls):
        """Sets controls of the camera; the errors among them are vivid's own fault injection."""
        for name, value in controls.items():
            self.shell.run(f"v4l2-ctl -d {self.camera} --set-ctrl {name}={value}")

    @property
    def camera(self):
        return self.shell.run("for d in /sys/class/video4linux/video*; do grep -q vivid $d/name && echo /dev/$(basename $d) && break; done").strip()

    def camera_there(self, there):
        """Pulls the camera out, or plugs it in again. vivid's own `disconnect` lasts only until its last reader is gone."""
        driver = "/sys/bus/platform/drivers/vivid"
        if there:
            self.shell.run(f"test -e {driver}/vivid.0 || echo vivid.0 > {driver}/bind; udevadm settle", 120)
        else:
            self.shell.run(f"v4l2-ctl -d {self.camera} --set-ctrl disconnect=1; echo vivid.0 > {driver}/unbind", 120)

    def sound_there(self, there):
        """Pulls the sound card out, or plugs it in again."""
        driver = "/sys/bus/platform/drivers/snd_aloop"
        if there:
            self.shell.run(f"test -e {driver}/snd_aloop.0 || echo snd_aloop.0 > {driver}/bind; udevadm settle; systemctl start board-tone", 120)
        else:
            # It waits for those who have it open; they are told that it is gone.
            self.shell.run(f"systemctl stop board-tone; echo snd_aloop.0 > {driver}/unbind", 120)

    def address(self, new):
        """Gives the kiosk's network card another address, as a router that was replaced."""
        card = self.network
        self.shell.run(f"ip addr add {new}/24 dev {card}; old=$(ip -4 -o addr show dev {card} | grep -v {new}/ | awk '{{ print $4 }}'); "
                       f"for a in $old; do ip addr del $a dev {card}; done; ip route replace default via {self.server_host} dev {card}")

    def set_clock(self):
        """As a time server does."""
        self.shell.run(f"date -s @{time.time():.0f}")

    def heal(self):
        """Undoes every fault this class knows."""
        self.link(True)
        self.hold_button(False)
        self.door(False)
        self.camera_there(True)
        self.sound_there(True)
        self.shell.run("rm -f /full")
        if abs(float(self.shell.run("date +%s")) - time.time()) > 5:
            self.set_clock()
        if "10.0.3.15/" not in self.shell.run(f"ip -4 -o addr show dev {self.network}"):
            self.address("10.0.3.15")


class RealBoard(Common):
    """A board on the desk, in a room that is not silent, whose camera looks at something that moves; the control socket presses, for there
    is no hand. Tests that need more are skipped, and say so."""

    emulated = False
    # What the page has to see for new: anything that moves.
    picture = "moved"

    def __init__(self, address, directory):
        parts = urllib.parse.urlsplit(address)
        if parts.scheme != "ssh" or not parts.hostname:
            raise ValueError(f"RTCROOM_BOARD={address}: has to be ssh://root@host[:port]")
        self.shell = Shell(parts.hostname, directory, user=parts.username or "root", port=parts.port or 22)
        self.board_file = os.environ.get("RTCROOM_BOARD_FILE", "")
        if not self.board_file:
            raise ValueError("RTCROOM_BOARD_FILE has to name the board's file, such as raspberry-pi-4")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((parts.hostname, 9))
            self.server_host = probe.getsockname()[0]
        self.server_listens = "0.0.0.0"
        self.server_addresses = (self.server_host, "127.0.0.1")
        self.boot_seconds = 0.0

    def boot(self):
        began = time.monotonic()
        self.shell.run("true", 60)
        self.boot_seconds = time.monotonic() - began
        return self

    def press(self, seconds=0.3):
        self.shell.run("kioskd press")

    def heard(self, tone):
        return tone["dbfs"] > -60

    def lamp(self, seconds):
        pytest.skip("nobody looks at a real board's lamp")

    def record_speaker(self, seconds, rate):
        pytest.skip("nobody records a real board's speaker")

    def heal(self):
        pass

    def report(self):
        return f"--- the board at {self.shell.where}"

    def close(self):
        self.shell.forget()
