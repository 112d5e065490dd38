"""The kiosk on the board: its files, its units, its button and lamp, and what it says of itself."""

import json
import re
import time

from service import SDK_APP_ID
from wait import until

CONFIG = "/etc/rtcroom-kiosk"
LINES = "/run/board-lines"
BUTTON, LAMP, DOOR = (f"{LINES}/sim_gpio{line}" for line in (4, 5, 6))


class Appliance:
    """kioskd as its package installed it, started and watched by systemd."""

    user = "kiosk-7"
    room = "branch-7"

    def __init__(self, board, service):
        self.board = board
        self.shell = board.shell
        self.service = service

    # --- files and units

    def install(self, packages):
        """Installs packages as an integrator does; they find what they depend on already there."""
        for package in packages:
            self.shell.put(f"/tmp/{package.name}", package.read_bytes())
        names = " ".join(f"/tmp/{package.name}" for package in packages)
        self.shell.run(f"systemctl stop kioskd.service 2>/dev/null; DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i {names} && rm {names}", 300)

    def configure(self, more=""):
        """Writes what an integrator writes: the configuration, the ticket and the private authority's certificate."""
        self.shell.put(f"{CONFIG}/ca.pem", self.service.authority.certificate.read_bytes())
        self.ticket(self.service.ticket(self.user))
        self.shell.put(f"{CONFIG}/kioskd.toml", f"""
board = "{self.board.board_file}"
language = "en"

[server]
url = "https://{self.board.server_host}:{self.service.port}/weapp/double_room"
ca = "ca.pem"

[room]
id = "{self.room}"
info = "the board"

[user]
id = "{self.user}"
name = "Kiosk on the board"
sdk_app_id = {SDK_APP_ID}
ticket_file = "ticket"
{more}
""", "640", "root:kioskd")

    def ticket(self, text):
        self.shell.put(f"{CONFIG}/ticket", text, "640", "root:kioskd")

    def start(self, seconds=180):
        self.shell.run("systemctl daemon-reload; systemctl restart kiosk-media.socket; systemctl reset-failed kioskd 2>/dev/null; systemctl restart kioskd", seconds)
        return self

    def unit(self, *names, unit="kioskd.service"):
        """Properties of a unit."""
        text = self.shell.run(f"systemctl show {unit} " + " ".join(f"-p {name}" for name in names))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def ready_seconds(self):
        """From exec to READY, by systemd's own clock."""
        times = self.unit("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
        return (int(times["ActiveEnterTimestampMonotonic"]) - int(times["ExecMainStartTimestampMonotonic"])) / 1e6

    @property
    def pid(self):
        return int(self.unit("MainPID")["MainPID"])

    # --- button and lamp

    def press(self, seconds=0.3):
        """A finger on the button."""
        self.board.press(seconds)

    def lamp(self, seconds=4):
        """What the lamp shows over time, as (lit for, dark for) in the order seen; one element when it is steady."""
        return self.board.lamp(seconds)

    # --- what it says

    @property
    def status(self):
        return json.loads(self.shell.run("kioskd status --json", 30))

    @property
    def state(self):
        return self.status["state"]

    def until_state(self, state, seconds=60):
        wanted = (state,) if isinstance(state, str) else state
        return until(f"the kiosk to be {' or '.join(wanted)}", lambda: (s := self.status)["state"] in wanted and s, seconds, self, every=0.2)

    def until_ready(self, seconds=120):
        """Idle, with a worker that is warm."""
        return until("the kiosk to be idle with a warm worker",
                     lambda: (s := self.status)["state"] == "idle" and s["worker"]["warm"] and s, seconds, self, self.service, every=0.3)

    def resources(self):
        """File descriptors, threads and memory of kioskd."""
        text = self.shell.run(f"p={self.pid}; ls /proc/$p/fd | wc -l; ls /proc/$p/task | wc -l; grep -E '^(Pss|Rss):' /proc/$p/smaps_rollup")
        numbers = [int(number) for number in re.findall(r"\d+", text)]
        return dict(zip(("fds", "threads", "rss_kb", "pss_kb"), numbers))

    def holders(self):
        """The kiosk's descriptors of cameras and sound cards, such as `kiosk-media /dev/video0`; a device that is open twice comes twice."""
        text = self.shell.run("find /proc/[0-9]*/fd \\( -lname '/dev/video*' -o -lname '/dev/snd/pcm*' \\) -printf '%h %l\\n' 2>/dev/null | "
                              "while read -r fds device; do echo \"$(cat ${fds%fd}comm) $device\"; done")
        return sorted(line for line in text.splitlines() if line.startswith("kiosk"))

    def journal(self, lines=40, grep="kiosk"):
        return self.shell.run(f"journalctl -n {lines} --no-pager -o short-monotonic -u kioskd -u 'kiosk-media@*' 2>/dev/null", 60)

    def report(self):
        parts = []
        for what, look in (("status", lambda: self.shell.run("kioskd status --json", 20)), ("journal", self.journal),
                           ("units", lambda: self.shell.run("systemctl --no-pager -l status kioskd.service kiosk-media.socket 2>&1 | head -40", 30))):
            try:
                parts.append(f"--- the board's {what}\n{look()}")
            except Exception as error:  # noqa: BLE001 a report must come whatever is wrong
                parts.append(f"--- the board's {what}: {error}")
        return "\n".join([*parts, self.board.report()])


def steps(samples, period):
    """Runs of equal samples as (level, seconds)."""
    runs = []
    for sample in samples:
        if runs and runs[-1][0] == sample:
            runs[-1][1] += period
        else:
            runs.append([sample, period])
    return [(level, length) for level, length in runs]
