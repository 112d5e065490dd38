"""What "in a call" and "recovered" mean on a board: ten new frames and tone at both ends, checked by content."""

import array
import math
import time

from wait import until

NEW_FRAMES = 10
# What the clerk's microphone gives (clerk_devices.js).
CLERK_HZ = 660


def until_both_flow(kiosk, clerk, seconds=90):
    """Waits for ten new frames and tone at both ends, counted from now; gives the seconds it took."""
    began = time.monotonic()
    left = lambda: max(1, seconds - (time.monotonic() - began))  # noqa: E731
    witnesses = (clerk, kiosk, clerk.service)
    # A kioskd that has just begun does not answer yet.
    before = until("the kiosk's status", lambda: shown(kiosk), left(), *witnesses, every=0.2)
    clerk.forget()
    until("ten new frames of the board's camera at the page", lambda: clerk.seen[kiosk.board.picture] >= NEW_FRAMES, left(), *witnesses, every=0.2)
    until("the board's microphone at the page", lambda: kiosk.board.heard(clerk.tone()), left(), *witnesses, every=0.2)
    until("ten new frames of the page at the kiosk", lambda: new_frames(kiosk, before) >= NEW_FRAMES, left(), *witnesses, every=0.2)
    until(f"{CLERK_HZ} Hz of the page at the kiosk", lambda: abs(player_of(kiosk.status).get("audio_hz", 0) - CLERK_HZ) < 12, left(), *witnesses, every=0.2)
    return time.monotonic() - began


def shown(kiosk):
    """Which frames the kiosk has seen, by the marks in their pixels, and from which session of which worker."""
    status = kiosk.status
    player = player_of(status)
    return status["worker"]["generation"], player.get("session"), ((player.get("mark") or {}).get("distinct", 0))


def new_frames(kiosk, before):
    """Marked frames since `before`; a new worker and a new session count from nothing."""
    now = shown(kiosk)
    return now[2] - (before[2] if now[:2] == before[:2] else 0)


def player_of(status):
    """What the worker says of the one member it plays."""
    players = (((status.get("call") or {}).get("stats") or {}).get("players")) or []
    return players[0] if players else {}


def strongest_hz(samples, rate, lowest=200, highest=2000):
    """`(hz, dbfs)` of 16-bit samples: the strongest of all whole multiples of 1 Hz, by Goertzel on a second at most."""
    samples = samples[:rate]
    if not samples:
        return 0, -200.0
    power = sum(sample * sample for sample in samples) / len(samples)
    dbfs = 10 * math.log10(power / 32768**2) if power else -200.0
    thin, step = samples[::8], 8  # up to 3 kHz: enough for a tone, and eight times as fast

    def strength(hz):
        factor = 2 * math.cos(2 * math.pi * hz * step / rate)
        last = before = 0.0
        for sample in thin:
            last, before = sample + factor * last - before, last
        return last * last + before * before - factor * last * before

    coarse = max(range(lowest, highest, 10), key=strength)
    return max(range(coarse - 9, coarse + 10), key=strength), dbfs


def speaker(kiosk, seconds=2, rate=48000):
    """`(hz, dbfs)` of what comes from the board's speaker: recorded at the far side of the loopback card."""
    data = kiosk.board.record_speaker(seconds, rate)
    samples = array.array("h")
    samples.frombytes(data[: len(data) // 2 * 2])
    # The beginning may still be silence of the card's.
    return strongest_hz(samples[len(samples) // 2 :], rate)
