"""Faults that take long, or change the board itself: run by tests/run.sh --all."""

import time

import pytest

from both_ends import until_both_flow
from conftest import start_call
from test_faults import Watch, another_worker
from wait import until

pytestmark = [pytest.mark.long, pytest.mark.virtual]


def test_the_address_of_the_board_changes(call, figures):
    kiosk, clerk = call
    watch = Watch(figures, "address changed")
    kiosk.board.address("10.0.3.16")
    watch.back(kiosk, clerk)
    assert kiosk.state == "in_call"


def test_the_server_is_away_when_the_kiosk_starts(kiosk, clerk, service, figures):
    service.stop()
    kiosk.shell.run("systemctl restart kioskd", 180)
    figures("kioskd exec → READY without a server", f"{kiosk.ready_seconds():.1f} s")
    said = kiosk.until_state("offline", 60)
    assert kiosk.board.server_host in said["screen"]["headline"] + said["screen"]["detail"] or said["screen"]["headline"], said["screen"]
    watch = Watch(figures, "server down at the start, from its return")
    service.start()
    kiosk.until_ready(120)
    figures("server down at the start: idle after its return in", f"{time.monotonic() - watch.began:.1f} s")
    clerk.until_screen("lobby", 90)
    start_call(kiosk, clerk)


def test_the_disk_is_full(call, figures):
    kiosk, clerk = call
    # What the file system keeps for root, too.
    kiosk.shell.run("fallocate -l $(df --output=avail -B1 / | tail -n 1) /full 2>/dev/null; head -c 1G /dev/zero >> /full 2>/dev/null; sync; true", 180)
    try:
        assert not kiosk.shell.works("echo more > /more"), "the disk is not full"
        until_both_flow(kiosk, clerk, 120)
        before = kiosk.status["worker"]
        watch = Watch(figures, "worker killed on a full disk")
        kiosk.shell.run(f"kill -KILL {before['pid']}")
        another_worker(kiosk, before)
        watch.back(kiosk, clerk)
        kiosk.press()
        kiosk.until_state("idle", 60)
        kiosk.shell.run("systemctl restart kioskd", 180)
        kiosk.until_ready(180)
        clerk.until_screen("lobby", 60)
        start_call(kiosk, clerk)
    finally:
        kiosk.shell.run("rm -f /full /more; sync", 120)


def test_the_clock_jumps_in_a_call(call, figures):
    kiosk, clerk = call
    for hours in (1, -2):
        kiosk.shell.run(f"date -s @$(( $(date +%s) + {hours * 3600} ))")
        watch = Watch(figures, f"clock moved by {hours} h")
        watch.back(kiosk, clerk)
    status = kiosk.status
    assert status["state"] == "in_call" and status["call"]["recoveries"] == 0, status


def test_a_clock_of_1970_is_told_and_set_right(kiosk, clerk, figures):
    kiosk.shell.run("systemctl stop kioskd; date -s @86400; systemctl start kioskd", 180)
    said = kiosk.until_state(("offline", "fault"), 60)
    print(f"\n  in 1970 the screen says: {said['screen']['headline']} / {said['screen']['detail']}; log: {said['detail']}")
    kiosk.board.set_clock()
    watch = Watch(figures, "clock of 1970 set right")
    kiosk.until_ready(180)
    figures("clock of 1970: idle after it is right in", f"{time.monotonic() - watch.began:.1f} s")
    start_call(kiosk, clerk)


def test_the_power_is_cut_in_a_call(call, service, figures):
    kiosk, clerk = call
    kiosk.board.cut_power()
    watch = Watch(figures, "power cut in a call")
    kiosk.board.boot()
    kiosk.board.set_clock()
    figures("power cut: the board is up again after", f"{time.monotonic() - watch.began:.1f} s")
    kiosk.until_ready(240)
    figures("power cut: ready for a press after", f"{time.monotonic() - watch.began:.1f} s")
    assert "recover" in kiosk.shell.run("dmesg | grep -i ext4").lower(), "the journal of the file system was not replayed: was the power really cut?"
    clerk.until_screen("lobby", 180)
    start_call(kiosk, clerk)
    figures("power cut: in a call again after", f"{time.monotonic() - watch.began:.1f} s")


def test_twenty_calls_leave_kioskd_as_it_was(kiosk, clerk, figures):
    readings = {}
    for call in range(1, 21):
        kiosk.press()
        kiosk.until_state("waiting", 60)
        clerk.sees_waiting(kiosk.room, 60)
        clerk.answer_button(kiosk.room).click()
        clerk.until_screen("call", 60)
        clerk.watch()
        clerk.forget()
        until("frames of the board at the page", lambda: clerk.seen["changed"] >= 3, 90, clerk, kiosk)
        kiosk.press()
        kiosk.until_ready(120)
        clerk.until_screen("lobby", 60)
        if call in (5, 20):
            readings[call] = kiosk.resources()
            figures(f"kioskd after {call} calls", readings[call])
    first, last = readings[5], readings[20]
    for what in ("fds", "threads"):
        assert last[what] <= first[what] + 1, (first, last)
    assert last["pss_kb"] <= first["pss_kb"] + 1024, (first, last)
