"""A simulated kiosk: kioskd with its worker, on its own runtime directory."""

import json
import os
import signal
import subprocess

from program import Program, ROOT, binary, descendants
from service import SDK_APP_ID
from wait import until

TONE_HZ = 440
# The fake microphone of Chromium beeps once a second, for a fifth of it.
LOUD_MS = 100


class Kiosk:
    """Number `n` is user `kiosk-n` in room `branch-n`, unless another `user` is given. `way` is more of `[server]`."""

    def __init__(self, directory, service, number=7, *, user=None, display=None, config="", server=None, ca=None, ticket=None, way=None):
        self.user = user or f"kiosk-{number}"
        self.directory = directory / self.user
        self.directory.mkdir(parents=True)
        self.service = service
        self.number = number
        self.display = display
        self.runtime = self.directory / "run"
        self.runtime.mkdir()
        self.log = self.directory / "kioskd.log"
        self.config = self.directory / "kioskd.toml"
        self.ticket_file = self.directory / "ticket"
        self.ticket_file.write_text(ticket if ticket is not None else service.ticket(self.user))
        self.program = None
        self.write_config(config, server, ca, way)

    @property
    def room(self):
        return f"branch-{self.number}"

    def write_config(self, config="", server=None, ca=None, way=None):
        more = "\n".join(f'{key} = "{value}"' for key, value in (way or {}).items())
        screen = "" if self.display else '[screen]\noutput = "none"\n'
        self.config.write_text(f"""
board = "simulator"
language = "en"

[server]
url = "{server or self.service.address + "weapp/double_room"}"
ca = "{ca or self.service.authority.certificate}"
{more}

[room]
id = "{self.room}"
info = "test branch {self.number}"

[user]
id = "{self.user}"
name = "Kiosk {self.number}"
sdk_app_id = {SDK_APP_ID}
ticket_file = "{self.ticket_file}"

{config if "[screen]" in config else config + screen}
""")

    def start(self, state="idle", seconds=30):
        environment = {"RUST_LOG": "info", "RTCROOM_BOARDS": os.environ.get("RTCROOM_BOARDS") or str(ROOT / "boards")}
        if self.display:
            environment["DISPLAY"] = self.display
        self.program = Program("kioskd", self.log, ["run", "--config", self.config, "--runtime-dir", self.runtime], environment=environment)
        if state:
            self.until_state(state, seconds)
        return self

    def command(self, *arguments):
        done = subprocess.run([binary("kioskd"), *arguments, "--runtime-dir", str(self.runtime)], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, f"kioskd {' '.join(arguments)}: {done.stderr.strip()}\n{self.program.report()}"
        return done.stdout

    def press(self):
        self.command("press")

    def hang_up(self):
        self.command("hangup")

    @property
    def status(self):
        return json.loads(self.command("status", "--json"))

    @property
    def state(self):
        return self.status["state"]

    def until_state(self, state, seconds=15):
        wanted = (state,) if isinstance(state, str) else state
        return until(f"{self.user} to be {' or '.join(wanted)}", lambda: self.state in wanted and self.status, seconds, self)

    @property
    def player(self):
        """What the worker says of the one member it plays, or None."""
        players = (((self.status.get("call") or {}).get("stats") or {}).get("players")) or []
        return players[0] if players else None

    @property
    def worker_stats(self):
        """What the worker says of itself, in a call or not, or None."""
        return self.status["worker"].get("stats")

    @property
    def worker_pid(self):
        return self.status["worker"]["pid"]

    @property
    def generation(self):
        return self.status["worker"]["generation"]

    def signal_worker(self, number):
        pid = self.worker_pid
        assert pid in descendants(self.program.pid), f"worker {pid} is no child of kioskd {self.program.pid}"
        os.kill(pid, number)
        return pid

    def report(self):
        try:
            status = self.status
        except Exception as error:  # noqa: BLE001 a report must come whatever is wrong
            status = error
        return f"{self.user} says {json.dumps(status) if isinstance(status, dict) else status}\n{self.program.report() if self.program else ''}"

    def close(self):
        if not self.program:
            return
        workers = descendants(self.program.pid)
        for pid in workers:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        try:
            self.program.stop(8)
        finally:
            for pid in workers:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
