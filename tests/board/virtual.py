"""The virtual board: QEMU `virt` with the kernel's own simulated camera, sound card and lines."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

from ssh import Shell
from wait import until

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("BOARD_CACHE") or "/var/cache/rtcroom-kiosk/board")
# Under emulation, on a machine that may have other work to do.
BOOT_SECONDS = 400
# Of the screen, as boards/qemu-virt.toml has it.
SCREEN = (640, 480)


class VirtualBoard:
    """Two network cards: SSH comes in by the first, which reaches nothing else; the kiosk's is the second."""

    emulated = True
    # How the board reaches this machine, by its second card.
    server_host = "10.0.3.2"
    network = "eth1"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        made = subprocess.run([str(HERE / "image.sh")], stdout=subprocess.PIPE, text=True, check=True, timeout=1800)
        self.image = pathlib.Path(made.stdout.strip().splitlines()[-1])
        self.disk = self.directory / "disk.qcow2"
        self.console = self.directory / "console"
        self.monitor = self.directory / "qmp"
        self.port = free_port()
        self.process = None
        self.boot_seconds = None
        # Writes go to a layer of this run's own: every run starts clean, and a power cut keeps what reached the disk.
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self.image / "disk.img"), "-F", "raw", str(self.disk)], check=True)
        self.shell = Shell("127.0.0.1", self.directory, port=self.port, key=self.image / "id")

    def boot(self, seconds=BOOT_SECONDS):
        """Powers it on and waits until it can be worked with."""
        began = time.monotonic()
        self.monitor.unlink(missing_ok=True)
        already = self.console.read_text(errors="replace").count("BOARD-READY") if self.console.exists() else 0
        with self.console.open("ab") as out:
            self.process = subprocess.Popen([
                # The A76's atomic instructions are one instruction of this machine each; the A72 has none.
                "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a76", "-smp", "2", "-m", "1024", "-accel", "tcg,thread=multi",
                "-nodefaults", "-display", "none", "-serial", "stdio", "-rtc", "base=utc",
                "-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd.gz",
                # A kernel at a random place keeps page tables of its own, and then TCG forgets all translations at every system call.
                "-append", "console=ttyAMA0 root=/dev/vda rw net.ifnames=0 quiet loglevel=4 systemd.show_status=0 nokaslr kpti=off mitigations=off",
                "-drive", f"file={self.disk},if=none,id=disk,format=qcow2,cache=writeback", "-device", "virtio-blk-pci,drive=disk",
                "-netdev", f"user,id=service,net=10.0.2.0/24,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
                "-device", "virtio-net-pci,netdev=service,romfile=,mac=52:54:00:12:34:01",
                "-netdev", "user,id=kiosk,net=10.0.3.0/24,host=10.0.3.2,dns=10.0.3.3",
                "-device", "virtio-net-pci,netdev=kiosk,id=card,romfile=,mac=52:54:00:12:34:02",
                "-device", f"virtio-gpu-pci,id=screen,xres={SCREEN[0]},yres={SCREEN[1]}", "-device", "virtio-rng-pci", "-qmp", f"unix:{self.monitor},server=on,wait=off",
            ], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        until("the board to boot", lambda: self.alive() and self.console.read_text(errors="replace").count("BOARD-READY") > already, seconds, self, every=0.5)
        until("the board to answer by SSH", lambda: self.shell.works("true", 30), 120, self, every=0.5)
        self.boot_seconds = time.monotonic() - began
        return self

    def alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"QEMU ended with {self.process.returncode}")
        return True

    def cut_power(self):
        """QEMU dies at once; what the board had not written is lost, as with a plug that is pulled."""
        self.process.kill()
        self.process.wait(30)
        self.shell.forget()

    def link(self, up):
        """Pulls the kiosk's network cable, or plugs it in."""
        self.ask("set_link", name="card", up=up)

    def screen(self):
        """What is on the screen: width, height, and the pixels' red, green and blue."""
        shot = self.directory / "screen.ppm"
        self.ask("screendump", filename=str(shot), device="screen")
        # P6, "width height", the brightest value, and then the pixels: netpbm's ppm(5).
        kind, size, _, pixels = shot.read_bytes().split(b"\n", 3)
        assert kind == b"P6", kind
        width, height = map(int, size.split())
        return width, height, pixels

    def ask(self, command, **arguments):
        """One QMP command."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(self.monitor))
            stream = line.makefile("rw")
            stream.readline()
            for execute, values in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": execute, "arguments": values}) + "\n")
                stream.flush()
                while True:
                    answer = json.loads(stream.readline())
                    if "error" in answer:
                        raise RuntimeError(f"QEMU says to {execute}: {answer['error']['desc']}")
                    if "return" in answer:
                        break
            return answer["return"]

    def report(self):
        text = self.console.read_text(errors="replace").splitlines() if self.console.exists() else []
        return "\n".join([f"--- the board's console, last 15 of {len(text)} lines", *text[-15:]])

    def close(self):
        if self.process and self.process.poll() is None:
            self.shell.forget()
            self.process.kill()
            self.process.wait(30)
        if not os.environ.get("BOARD_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
