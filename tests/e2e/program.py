"""One of our programs, started by a test and ended with it."""

import os
import pathlib
import signal
import subprocess
import time

from wait import tail

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RTCROOM_BIN") or ROOT / "target" / "release")


def binary(name):
    """Where a program of ours lies."""
    path = BIN / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: build it (cargo build --release) or set RTCROOM_BIN")
    return str(path)


class Program:
    """A running program with its log in a file."""

    def __init__(self, name, log, arguments, *, stdout=None, environment=None):
        self.log = log
        self.name = name
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [binary(name), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=stdout or sink,
                stderr=sink,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process.poll() is None

    def stop(self, seconds=5):
        """SIGTERM; gives the exit code. A program that does not leave in time is killed, and that is an error."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not leave within {seconds} s of SIGTERM\n{tail(self.log)}") from None

    def kill(self):
        """SIGKILL."""
        if self.alive:
            self.process.kill()
        self.process.wait(5)

    def report(self):
        state = "runs" if self.alive else f"ended with {self.process.returncode}"
        return f"{self.name} ({self.pid}) {state}\n{tail(self.log)}"


def descendants(pid, dead=False):
    """All processes below `pid`, as pid → name; on demand also those that ended and were never waited for."""
    found = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        found[int(entry.name)] = (int(rest[1]), name, rest[0])
    below, new = {}, {pid}
    while new:
        new = {child for child, (parent, _, state) in found.items() if parent in new and child not in below and (dead or state != "Z")}
        below.update({child: found[child][1] for child in new})
    return below


def resources(pid):
    """How many file descriptors and threads a process has."""
    base = pathlib.Path("/proc") / str(pid)
    return {"fds": len(list((base / "fd").iterdir())), "threads": len(list((base / "task").iterdir()))}


def settled(read, seconds=5):
    """A reading that has stayed the same for a second, or the last one."""
    limit, last, since = time.monotonic() + seconds, read(), time.monotonic()
    while time.monotonic() < limit and time.monotonic() - since < 1:
        time.sleep(0.1)
        now = read()
        if now != last:
            last, since = now, time.monotonic()
    return last
