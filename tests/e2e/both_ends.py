"""What "in a call" and "recovered" mean: new frames and tone at both ends, not a state."""

from kiosk import LOUD_MS, TONE_HZ
from wait import until

NEW_FRAMES = 10


def until_both_flow(kiosk, clerk, seconds=30):
    """Ten new frames and tone at the kiosk and at the page, counted from now."""
    clerk.forget_marks()
    before = snapshot(kiosk)
    witnesses = (clerk, kiosk, clerk.service)
    until("ten new frames of the kiosk at the page", lambda: len({mark["counter"] for mark in clerk.marks()}) >= NEW_FRAMES, seconds, *witnesses)
    until("the kiosk's tone at the page", lambda: clerk.hears(TONE_HZ), seconds, *witnesses)
    until("ten new frames of the page at the kiosk", lambda: gained(kiosk, before)["frames_changed"] >= NEW_FRAMES, seconds, *witnesses)
    until("the page's beep at the kiosk", lambda: gained(kiosk, before)["audio_loud_ms"] >= LOUD_MS, seconds, *witnesses)


def snapshot(kiosk):
    """What the kiosk has shown so far, and by which session of which worker."""
    return {"generation": kiosk.generation, **(kiosk.player or {"session": None})}


def gained(kiosk, before):
    """What the kiosk has shown since `before`; a new worker and a new session count from nothing."""
    now = snapshot(kiosk)
    same = all(now[key] == before.get(key) for key in ("generation", "session"))
    return {key: now.get(key, 0) - (before.get(key, 0) if same else 0) for key in ("frames_shown", "frames_changed", "audio_ms", "audio_loud_ms")}
