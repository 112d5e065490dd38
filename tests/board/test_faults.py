"""What happens in a branch office, one fault after the other; each prints how long the call took to come back.

"Back" is ten new frames and tone at both ends, by content, counted from the fault.
"""

import time

import pytest

from both_ends import until_both_flow
from conftest import start_call
from wait import until

WORKER = "systemctl show -p MainPID --value 'kiosk-media@*' | sort -n | tail -n 1"
# Under emulation a worker takes ten times as long to start as on a board.
BACK = 180


class Watch:
    """From the fault until the call is back."""

    def __init__(self, figures, what):
        self.figures, self.what, self.began = figures, what, time.monotonic()

    def back(self, kiosk, clerk, seconds=BACK):
        until_both_flow(kiosk, clerk, seconds)
        self.figures(f"{self.what}: back after", f"{time.monotonic() - self.began:.1f} s")


def another_worker(kiosk, before, seconds=90):
    return until("another worker", lambda: (s := kiosk.status["worker"])["generation"] > before["generation"] and s["pid"] not in (None, before["pid"]) and s,
                 seconds, kiosk, every=0.3)


def test_the_worker_is_killed(call, figures):
    kiosk, clerk = call
    before = kiosk.status["worker"]
    watch = Watch(figures, "worker killed")
    kiosk.shell.run(f"kill -KILL {before['pid']}")
    another_worker(kiosk, before)
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


def test_the_worker_stops_dead(call, figures):
    kiosk, clerk = call
    before = kiosk.status["worker"]
    watch = Watch(figures, "worker stopped")
    kiosk.shell.run(f"kill -STOP {before['pid']}")
    another_worker(kiosk, before)
    watch.back(kiosk, clerk)
    until("systemd to have ended the stopped worker", lambda: not kiosk.shell.works(f"test -e /proc/{before['pid']}"), 60, kiosk)


def test_kioskd_is_killed(call, figures):
    kiosk, clerk = call
    pid = kiosk.pid
    watch = Watch(figures, "kioskd killed")
    kiosk.shell.run(f"kill -KILL {pid}")
    until("another kioskd", lambda: kiosk.pid not in (0, pid), 60, kiosk)
    # The new one finds out that it was in a call, and goes back.
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


def test_kioskd_stops_dead_and_its_watchdog_ends_it(call, figures):
    kiosk, clerk = call
    pid = kiosk.pid
    watch = Watch(figures, "kioskd stopped")
    kiosk.shell.run(f"kill -STOP {pid}")
    until("another kioskd", lambda: kiosk.pid not in (0, pid), 90, kiosk)
    assert "watchdog" in kiosk.shell.run("journalctl -u kioskd --no-pager -n 30 | tr A-Z a-z"), kiosk.journal()
    # The new one finds out that it was in a call, and goes back.
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


@pytest.mark.virtual
def test_the_camera_is_unplugged_and_plugged_in_again(call, figures):
    kiosk, clerk = call
    watch = Watch(figures, "camera unplugged")
    # Readers are told that it is gone, as of a camera that is pulled out; then it is.
    kiosk.board.camera_there(False)
    until("a placeholder at the page", lambda: picture_is_placeholder(clerk), 90, clerk, kiosk)
    figures("camera unplugged: placeholder at the page after", f"{time.monotonic() - watch.began:.1f} s")
    assert kiosk.state == "in_call"
    assert "camera" in kiosk.shell.run("kioskd status --json").lower()
    watch = Watch(figures, "camera plugged in again")
    kiosk.board.camera_there(True)
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


@pytest.mark.virtual
@pytest.mark.long
@pytest.mark.parametrize("control", ["disconnect", "inject_fatal_streaming_error", "inject_v4l2_buf_flag_error", "inject_vidioc_qbuf_error"])
def test_the_camera_has_an_error(call, figures, control):
    kiosk, clerk = call
    before = kiosk.holders()
    watch = Watch(figures, f"vivid's {control}")
    kiosk.board.vivid(**{control: 1})
    kiosk.shell.run("sleep 1")
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"
    # A camera that is still open somewhere is never plugged in again: vivid waits for its last reader, a USB camera for its number.
    until("camera and card to be open as often as before", lambda: kiosk.holders() == before, 30, kiosk)


def picture_is_placeholder(clerk):
    """Frames come, and they are not vivid's."""
    clerk.forget()
    clerk.page.wait_for_timeout(1500)
    seen = clerk.seen
    return seen["other"] >= 2 and seen["vivid"] == 0


@pytest.mark.virtual
def test_the_sound_card_is_unplugged_and_plugged_in_again(call, figures):
    kiosk, clerk = call
    kiosk.board.sound_there(False)
    until("the hum to be gone at the page", lambda: not kiosk.board.heard(clerk.tone()), 60, clerk, kiosk)
    until_frames = clerk.seen["changed"]
    until("the picture to go on without sound", lambda: clerk.seen["changed"] > until_frames + 10, 60, clerk, kiosk)
    kiosk.board.sound_there(True)
    watch = Watch(figures, "sound card plugged in again")
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


@pytest.mark.virtual
def test_a_processor_that_is_too_busy_is_not_blamed_on_microphone_or_speaker(call):
    kiosk, clerk = call
    since = kiosk.shell.run("date +%s").strip()
    kiosk.shell.run("timeout 20 sh -c 'while :; do :; done'; true", 60)
    until_both_flow(kiosk, clerk, BACK)
    log = kiosk.shell.run(f"journalctl --no-pager -o cat --since @{since} -u kioskd -u 'kiosk-media@*'", 60)
    assert "s no sound; unplug it" not in log, log


@pytest.mark.virtual
@pytest.mark.parametrize("seconds", [5, pytest.param(30, marks=pytest.mark.long)])
def test_the_network_is_away(call, figures, seconds):
    kiosk, clerk = call
    kiosk.board.link(False)
    time.sleep(seconds)
    kiosk.board.link(True)
    watch = Watch(figures, f"network down for {seconds} s, from its return")
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


@pytest.mark.virtual
def test_a_stuck_button_is_reported_and_ignored(kiosk):
    calls = kiosk.status["calls"]
    kiosk.board.hold_button(True)
    try:
        until("the stuck button in the status", lambda: kiosk.status["panel"]["button"]["stuck"], 60, kiosk)
        assert "stuck" in kiosk.shell.run("journalctl -u kioskd --no-pager -n 20").lower(), kiosk.journal()
        # The first moment was a press, and a long one hangs up.
        kiosk.until_ready(120)
        kiosk.shell.run("sleep 5")
        status = kiosk.status
        assert status["state"] == "idle" and status["calls"] <= calls + 1, "a stuck button goes on pressing"
    finally:
        kiosk.board.hold_button(False)
    until("the button to be well again", lambda: not kiosk.status["panel"]["button"]["stuck"], 60, kiosk)
    kiosk.press()
    kiosk.until_state("waiting", 60)


@pytest.mark.virtual
@pytest.mark.long
def test_fifty_presses_in_five_seconds_leave_a_kiosk_that_works(kiosk, clerk, figures):
    pid, before = kiosk.pid, kiosk.status
    kiosk.board.press_often(50, 0.1)
    after = kiosk.status
    assert kiosk.pid == pid and after["worker"]["restarts"] == before["worker"]["restarts"], kiosk.report()
    figures("fifty presses in about 5 s: calls begun", after["calls"] - before["calls"])
    kiosk.shell.run("kioskd hangup", check=False)
    kiosk.until_ready(120)
    clerk.until_screen("lobby", 60)
    start_call(kiosk, clerk)
