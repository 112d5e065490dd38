"""A simulated kiosk and the clerk's page in Chromium: one press, a call."""

from both_ends import gained, snapshot, until_both_flow
from clerk import hold
from kiosk import LOUD_MS, TONE_HZ
from program import descendants, resources, settled
from service import A_CALL, NOTHING
from wait import until

CALLS = 10
# Chromium keeps up to six idle connections to a server (net/socket/client_socket_pool_manager.cc, g_max_sockets_per_group).
POOL = 6
MOVING = ("frames_captured", "frames_encoded", "frames_sent")


def test_the_page_decodes_the_frames_of_the_kiosk(call):
    _, clerk = call
    clerk.forget_marks()
    hold(8)
    counters = [mark["counter"] for mark in clerk.marks()]
    distinct = len(set(counters))
    sent = counters[-1] - counters[0] + 1  # the camera counts by one
    assert distinct >= 150, f"{distinct} distinct frames in 8 s"
    wrong = [pair for pair in zip(counters, counters[1:]) if pair[0] >= pair[1]]
    assert not wrong, f"frames came out of order or twice: {wrong}"
    assert distinct >= 0.95 * sent, f"{distinct} of {sent} frames arrived"


def test_the_page_hears_the_tone_of_the_kiosk(call):
    kiosk, clerk = call
    clerk.until_hears(TONE_HZ, 10, kiosk)


def test_the_kiosk_decodes_the_camera_of_the_page(call):
    kiosk, clerk = call
    before = snapshot(kiosk)
    until("a hundred differing frames at the kiosk", lambda: gained(kiosk, before)["frames_changed"] >= 100, 15, kiosk, clerk)


def test_the_kiosk_hears_the_beep_of_the_page(call):
    kiosk, clerk = call
    before = snapshot(kiosk)
    until("the beep at the kiosk", lambda: gained(kiosk, before)["audio_loud_ms"] >= 3 * LOUD_MS, 15, kiosk, clerk)


def test_a_second_press_ends_the_call_and_leaves_nothing_behind(kiosk, clerk, service):
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.answer(kiosk.room)
    clerk.watch()
    until_both_flow(kiosk, clerk)
    assert service.in_use() == A_CALL
    kiosk.press()
    kiosk.until_state("idle")
    clerk.until_screen("lobby")
    assert "ended" in clerk.notice
    until_nothing_is_in_use(service)
    assert kiosk.status["worker"]["pid"], "no worker is warm for the next call"


def test_the_clerk_hangs_up_and_the_kiosk_goes_back_to_its_picture(call):
    kiosk, clerk = call
    clerk.hang_up()
    kiosk.until_state("idle", 5)


def test_nothing_is_captured_or_sent_while_idle(kiosk, service):
    stays_quiet(kiosk, service)


def test_after_a_call_nothing_is_captured_or_sent_any_more(call, service):
    kiosk, clerk = call
    before = kiosk.worker_stats
    assert before["capturing"] and before["sending"], before
    until("all counts to move in a call", lambda: all(kiosk.worker_stats[what] > before[what] for what in MOVING), 5, kiosk)
    kiosk.press()
    kiosk.until_state("idle")
    clerk.until_screen("lobby")
    stays_quiet(kiosk, service)


def test_ten_calls_leave_no_descriptor_thread_or_worker(kiosk, clerk, service):
    def one_call():
        kiosk.press()
        kiosk.until_state("waiting")
        clerk.answer(kiosk.room)
        kiosk.until_state("in_call")
        clerk.watch()
        clerk.until_decodes(3, 20, kiosk)
        kiosk.press()
        kiosk.until_state("idle")
        clerk.until_screen("lobby")

    def open_things():
        return {
            "kioskd": resources(kiosk.program.pid),
            "roomservice": resources(service.program.pid),
            # Another one after each call: what kioskd leaks into its workers shows here.
            "worker": resources(kiosk.worker_pid),
            "workers": sorted(descendants(kiosk.program.pid, dead=True).values()),
            "sockets": service.metrics()["message_sockets"],
        }

    def when_warm():
        until("a warm worker", lambda: kiosk.status["worker"]["warm"], 15, kiosk)
        return settled(open_things)

    for _ in range(3):  # pools and caches fill
        one_call()
    before = when_warm()
    for _ in range(CALLS - 3):
        one_call()
    until_nothing_is_in_use(service)
    after = when_warm()
    assert after["workers"] == before["workers"] and len(after["workers"]) == 1
    assert after["sockets"] == before["sockets"] == 2
    for program in ("kioskd", "roomservice", "worker"):
        for what, count in after[program].items():
            spare = POOL if (program, what) == ("roomservice", "fds") else 1
            assert count <= before[program][what] + spare, f"{program} has {count} {what}, {before[program][what]} before"


def until_nothing_is_in_use(service):
    """No room, no seat, no WHIP or WHEP resource of anybody."""
    until("rooms, members and relay sessions to be gone", lambda: service.in_use() == NOTHING, 5, service)


def stays_quiet(kiosk, service):
    """Neither camera nor encoder nor network does anything for three seconds of idling."""
    # The worker tells every second; what it told last may be from the call's end.
    before = until("the worker to say that it does not capture", lambda: (s := kiosk.worker_stats) and s["capturing"] is False and s, 5, kiosk)
    hold(3)
    after = kiosk.worker_stats
    assert kiosk.state == "idle"
    for stats in (before, after):
        assert stats["capturing"] is False and stats["sending"] is False, stats
    for what in MOVING:
        assert after[what] == before[what], f"{what} moved from {before[what]} to {after[what]}"
    assert service.in_use() == NOTHING
