"""A simulated kiosk and the clerk's page in Chromium: one press, a call."""

from both_ends import gained, snapshot
from clerk import hold
from kiosk import LOUD_MS, TONE_HZ
from program import descendants, resources, settled
from service import Account
from wait import until

CALLS = 20


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


def test_a_second_press_ends_the_call_and_leaves_nothing_behind(kiosk, clerk):
    played = []
    clerk.page.on("response", lambda answer: played.append(answer.url) if answer.status == 201 and "/whep/" in answer.url else None)
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.answer(kiosk.room)
    clerk.watch()
    clerk.until_decodes(10, 20, kiosk)
    kiosk.press()
    kiosk.until_state("idle")
    clerk.until_screen("lobby")
    assert "ended" in clerk.notice
    account = Account(kiosk.service, "clerk-audit").login()
    until("the room to be gone", lambda: account.call("get_pushers", roomID=kiosk.room)["code"] == 3, 5, kiosk.service)
    assert played, "the page played nothing"
    for address in played:
        status = account.media("POST", address)[0]
        assert status in (403, 404), f"{address} can still be played: {status}"
    assert kiosk.status["worker"]["pid"], "no worker is warm for the next call"


def test_the_clerk_hangs_up_and_the_kiosk_goes_back_to_its_picture(call):
    kiosk, clerk = call
    clerk.hang_up()
    kiosk.until_state("idle", 5)


def test_nothing_is_captured_or_sent_while_idle(kiosk):
    stats = kiosk.status["worker"].get("stats") or {}
    assert not stats.get("capturing") and not stats.get("sending"), stats


def test_twenty_calls_leave_no_descriptor_thread_or_worker(kiosk, clerk, service):
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
            "workers": sorted(descendants(kiosk.program.pid).values()),
        }

    for _ in range(3):  # pools and caches fill
        one_call()
    before = settled(open_things)
    for _ in range(CALLS - 3):
        one_call()
    after = settled(open_things)
    assert after["workers"] == before["workers"]
    for program in ("kioskd", "roomservice"):
        for what, count in after[program].items():
            assert count <= before[program][what] + 1, f"{program} has {count} {what}, {before[program][what]} before"
