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


def hold(kiosk, command):
    """Starts a program on the board that holds something; gives its process id."""
    return int(kiosk.shell.run(f"setsid -f sh -c 'echo $$ > /tmp/holder; exec {command}' > /dev/null 2>&1 < /dev/null; sleep 1; cat /tmp/holder"))


def test_a_board_that_is_well_is_found_to_be_well(patient):
    found = examine(patient)
    assert found.failed == [], json.dumps(found.all, indent=1)
    assert found.by_part["relay"]["verdict"] == found.by_part["camera"]["verdict"] == "ok", found.all


def test_a_camera_that_another_program_has_is_told_with_the_program(patient):
    camera = patient.board.camera
    holder = hold(patient, f"v4l2-ctl -d {camera} --stream-mmap --stream-count=0")
    try:
        found = examine(patient)
        assert found.failed == ["camera"], json.dumps(found.all, indent=1)
        line = found.line("camera")
        assert "busy" in line and "v4l2-ctl" in line and str(holder) in line, line
    finally:
        patient.shell.run(f"kill {holder}")


def test_a_line_that_another_program_has_is_told_with_the_program(patient):
    holder = hold(patient, "gpiomon --consumer another-program -c $(gpiodetect | awk \"/gpio-sim/ { print \\$1; exit }\") button")
    try:
        found = examine(patient)
        assert found.failed == ["button"], json.dumps(found.all, indent=1)
        assert "in use" in found.line("button") and "another-program" in found.line("button"), found.line("button")
    finally:
        patient.shell.run(f"kill {holder}", check=False)


def test_a_sound_card_that_was_pulled_out_is_missed(patient):
    patient.board.sound_there(False)
    found = examine(patient)
    assert "microphone" in found.failed, json.dumps(found.all, indent=1)
    assert set(found.failed) <= {"microphone", "speaker"}, json.dumps(found.all, indent=1)
