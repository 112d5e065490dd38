"""From power to a call on a board with real kernel drivers: camera, sound card, button and lamp."""

import pytest

from both_ends import CLERK_HZ, speaker
from conftest import start_call
from wait import until


def test_the_kiosk_reports_ready_and_idles_with_everything_closed(kiosk):
    state = kiosk.unit("ActiveState", "SubState", "StatusText", "NRestarts")
    assert state["ActiveState"] == "active" and state["StatusText"].startswith("idle"), state
    assert state["NRestarts"] == "0", state
    assert kiosk.holders() == [], "somebody has the camera or the card open while the kiosk idles"
    before = kiosk.status["worker"]["stats"]
    kiosk.shell.run("sleep 3")
    after = kiosk.status["worker"]["stats"]
    for stats in (before, after):
        assert stats["capturing"] is False and stats["sending"] is False, stats
    for what in ("frames_captured", "frames_encoded", "frames_sent"):
        assert before[what] == after[what], f"{what} moved while idle: {before[what]}, {after[what]}"


def test_a_press_brings_a_call_with_picture_and_sound_both_ways(kiosk, clerk, figures):
    took = start_call(kiosk, clerk)
    call = kiosk.status["call"]
    figures("press → the first frame of the clerk on the board", f"{call['first_remote_frame_ms']} ms")
    figures("answer → ten new frames and tone at both ends", f"{took:.1f} s")
    assert clerk.seen["other"] == 0 or clerk.seen["vivid"] > clerk.seen["other"], clerk.report()
    assert kiosk.holders(), "nobody has the camera open in a call"


@pytest.mark.virtual
def test_the_clerk_is_heard_from_the_speaker_of_the_board(call):
    kiosk, clerk = call
    heard = []

    def right():
        heard.append(speaker(kiosk))
        return abs(heard[-1][0] - CLERK_HZ) <= 12 and heard[-1][1] > -45

    until(f"{CLERK_HZ} Hz from the board's speaker", right, 60, kiosk, clerk)
    print(f"\n  the speaker gives {heard[-1][0]} Hz at {heard[-1][1]:.0f} dBFS")


@pytest.mark.virtual
def test_the_screen_shows_the_clerk_moving_in_the_call_and_not_before_or_after(kiosk, clerk):
    assert clerks_block(kiosk) is None, "the clerk's picture is on the screen before the call"
    start_call(kiosk, clerk)
    places = set()
    until("the clerk's block at three places of the screen", lambda: places.add(clerks_block(kiosk)) or len(places - {None}) >= 3, 60, kiosk, clerk)
    kiosk.press()
    kiosk.until_state("idle", 60)
    until("the clerk's picture to be gone from the screen", lambda: clerks_block(kiosk) is None, 60, kiosk)


def clerks_block(kiosk):
    """The column of the screen's where the clerk's orange block is (clerk_devices.js: #fc8, a fiftieth of the picture); None without one."""
    width, _, pixels = kiosk.board.screen()
    rgb = zip(pixels[0::3], pixels[1::3], pixels[2::3])
    columns = [n % width for n, (red, green, blue) in enumerate(rgb) if abs(red - 0xff) < 40 and abs(green - 0xcc) < 40 and abs(blue - 0x88) < 40]
    return sum(columns) // len(columns) if len(columns) > len(pixels) // 3 / 500 else None


@pytest.mark.virtual
@pytest.mark.long
@pytest.mark.parametrize("output", ["fbdev", "none", "kms"])
def test_each_screen_of_the_board_can_be_chosen(kiosk, output):
    kiosk.shell.run("head -c 1228800 /dev/zero > /dev/fb0", 60, check=False)
    kiosk.configure(f'[screen]\noutput = "{output}"\n')
    kiosk.start()
    kiosk.until_ready(180)
    if output == "none":
        kiosk.shell.run("sleep 3")
        assert ready_disc(kiosk) < 0.01, "something is drawn though there is to be no screen"
    else:
        until("the green disc of a kiosk that is ready", lambda: ready_disc(kiosk) > 0.01, 60, kiosk)


def ready_disc(kiosk):
    """How much of the screen is green, as the disc of a kiosk that is ready."""
    width, height, pixels = kiosk.board.screen()
    return sum(green > 150 and red < 110 and blue < 180 for red, green, blue in zip(pixels[0::3], pixels[1::3], pixels[2::3])) / (width * height)


@pytest.mark.virtual
def test_the_lamp_tells_idle_waiting_call_and_trouble_apart(kiosk, clerk, service):
    seen = {"idle": kiosk.lamp(3)}
    kiosk.press()
    kiosk.until_state("waiting", 60)
    seen["waiting"] = kiosk.lamp(5)
    clerk.sees_waiting(kiosk.room, 60)
    clerk.answer_button(kiosk.room).click()
    kiosk.until_state("in_call", 60)
    seen["in call"] = kiosk.lamp(9)
    kiosk.press()
    kiosk.until_state("idle", 60)
    service.stop()
    try:
        kiosk.until_state("offline", 90)
        seen["trouble"] = kiosk.lamp(9)
    finally:
        service.start()
    print("\n" + "\n".join(f"  lamp, {state}: {shape(runs)}" for state, runs in seen.items()))
    assert [level for level, _ in seen["idle"]] == [1], f"idle: {seen['idle']}"
    # Patterns of src/board/lamp.rs, by their shape: emulation stretches times.
    waiting, talking, trouble = (shares(seen[state]) for state in ("waiting", "in call", "trouble"))
    assert 0.3 < waiting["lit"] < 0.7 and waiting["changes"] >= 6, f"waiting: {seen['waiting']}"
    assert talking["lit"] > 0.75 and talking["changes"] >= 4, f"in call: {seen['in call']}"
    assert trouble["lit"] < 0.3 and trouble["changes"] >= 8, f"trouble: {seen['trouble']}"


def test_a_second_press_ends_the_call_and_closes_camera_and_card(call):
    kiosk, clerk = call
    kiosk.press()
    kiosk.until_state("idle", 60)
    clerk.until_screen("lobby", 60)
    until("camera and sound card to be closed", lambda: kiosk.holders() == [], 30, kiosk)
    quiet = until("the worker to say that it does not capture", lambda: (s := kiosk.status["worker"]["stats"]) and not s["capturing"] and s, 60, kiosk)
    kiosk.shell.run("sleep 3")
    after = kiosk.status["worker"]["stats"]
    assert quiet["frames_encoded"] == after["frames_encoded"] and not after["sending"], (quiet, after)


def shares(runs):
    """How much of the time the lamp is lit, and how often it changes."""
    total = sum(length for _, length in runs)
    return {"lit": sum(length for level, length in runs if level) / total, "changes": len(runs) - 1}


def shape(runs):
    return " ".join(f"{'on' if level else 'off'} {length:.2f}" for level, length in runs[:10])
