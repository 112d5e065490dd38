"""`kioskd doctor` on the board, where cameras, cards and lines are the kernel's: what is busy is told with who holds it.

kioskd is stopped meanwhile, so that doctor has the login and the devices.
"""

import json

import pytest

from wait import until

pytestmark = [pytest.mark.virtual, pytest.mark.long]
# Under emulation a worker alone takes half a minute to start.
PATIENCE = 400


class Findings:
    def __init__(self, text):
        self.all = json.loads(text)
        self.by_part = {found["part"]: found for found in self.all["findings"]}

    def line(self, part):
        found = self.by_part[part]
        return f"{found['verdict']}: {found['detail']}; {found.get('cure', '')}"

    @property
    def failed(self):
        return sorted(part for part, found in self.by_part.items() if found["verdict"] == "fail")


@pytest.fixture
def patient(kiosk):
    kiosk.shell.run("systemctl stop kioskd", 120)
    until("the worker to be gone", lambda: not kiosk.shell.works("pgrep -x kiosk-media"), 60, kiosk)
    yield kiosk
    kiosk.board.heal()
    kiosk.start()


def examine(kiosk):
    return Findings(kiosk.shell.run("timeout 380 kioskd doctor --json 2>/dev/null", PATIENCE, check=False))


class Holder:
    """A program on the board that holds something until it is ended."""

    def __init__(self, kiosk, command, holds):
        """Starts it and waits until `holds`, a shell's test, says that it does; one that ends instead is told with what it said."""
        self.shell = kiosk.shell
        self.pid = int(self.shell.run(f"rm -f /tmp/holder; setsid -f sh -c 'echo $$ > /tmp/holder; exec {command}' > /tmp/holder.log 2>&1 < /dev/null; "
                                      "until [ -s /tmp/holder ]; do sleep 0.1; done; cat /tmp/holder"))
        until(f"`{command}` to hold it", lambda: not self.lives or self.shell.works(holds), 60, kiosk)
        assert self.lives, f"`{command}` ended: {self.shell.run('cat /tmp/holder.log')}"

    @property
    def lives(self):
        return self.shell.works(f"kill -0 {self.pid}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shell.run(f"kill {self.pid}", check=False)


def test_a_board_that_is_well_is_found_to_be_well(patient):
    found = examine(patient)
    assert found.failed == [], json.dumps(found.all, indent=1)
    assert found.by_part["relay"]["verdict"] == found.by_part["camera"]["verdict"] == "ok", found.all


def test_a_camera_that_another_program_has_is_told_with_the_program(patient):
    camera = patient.board.camera
    with Holder(patient, f"v4l2-ctl -d {camera} --stream-mmap --stream-count=0", f"fuser -s {camera}") as holder:
        found = examine(patient)
        assert holder.lives, "nobody held the camera to the end"
    assert found.failed == ["camera"], json.dumps(found.all, indent=1)
    line = found.line("camera")
    assert "busy" in line and "v4l2-ctl" in line and str(holder.pid) in line, line


def test_a_line_that_another_program_has_is_told_with_the_program(patient):
    with Holder(patient, "gpiomon --quiet --consumer another-program button", "gpioinfo button | grep -q another-program") as holder:
        found = examine(patient)
        assert holder.lives, "nobody held the line to the end"
    assert found.failed == ["button"], json.dumps(found.all, indent=1)
    assert "in use" in found.line("button") and "another-program" in found.line("button"), found.line("button")


def test_a_sound_card_that_was_pulled_out_is_missed(patient):
    patient.board.sound_there(False)
    found = examine(patient)
    assert "microphone" in found.failed, json.dumps(found.all, indent=1)
    assert set(found.failed) <= {"microphone", "speaker"}, json.dumps(found.all, indent=1)
