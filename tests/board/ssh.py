"""A board at the far end of SSH: run a command, put a file, and nothing else."""

import pathlib
import shlex
import subprocess


class Refused(AssertionError):
    """A command on the board ended with an error."""


class Shell:
    """One connection is opened and shared by all commands; under emulation each handshake costs seconds."""

    def __init__(self, host, directory, *, user="root", port=22, key=None):
        self.socket = pathlib.Path(directory) / "ssh"
        self.where = f"{user}@{host}"
        self.options = [
            "-p", str(port), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
            "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6",
            "-o", f"ControlPath={self.socket}", "-o", "ControlMaster=auto", "-o", "ControlPersist=600",
        ]
        if key:  # a board of the tests' own: another one each time, so nothing to know it by
            self.options += ["-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]

    def run(self, command, seconds=60, check=True, data=None, binary=False):
        """What the command says; with `check`, an error of it is one of the test's."""
        try:
            done = subprocess.run(["ssh", *self.options, self.where, command], input=data, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Refused(f"the board did not finish within {seconds} s: {command}") from None
        if check and done.returncode:
            raise Refused(f"on the board, `{command}` ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
        return done.stdout if binary else done.stdout.decode(errors="replace")

    def works(self, command, seconds=60):
        """Whether the command ends well."""
        try:
            self.run(command, seconds)
        except Refused:
            return False
        return True

    def start(self, command, **options):
        """The command as a process of its own; the caller ends it."""
        return subprocess.Popen(["ssh", *self.options, self.where, command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)

    def put(self, path, content, mode="644", owner="root:root"):
        """Writes a file as a whole."""
        data = content if isinstance(content, bytes) else content.encode()
        path = shlex.quote(str(path))
        self.run(f"mkdir -p $(dirname {path}) && cat > {path}.new && chmod {mode} {path}.new && chown {owner} {path}.new && mv {path}.new {path}", data=data, seconds=120)

    def forget(self):
        """Drops the shared connection: the board is about to vanish, or has."""
        subprocess.run(["ssh", *self.options, "-O", "exit", self.where], capture_output=True, timeout=20)
        self.socket.unlink(missing_ok=True)
