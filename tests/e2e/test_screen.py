"""What the customer reads, from the pixels of the kiosk's screen."""

import pytest

from screen import Screen, changed_share
from wait import until


@pytest.fixture
def screen(tmp_path):
    started = Screen(tmp_path)
    yield started
    started.close()


@pytest.fixture
def kiosk(kiosks, screen):
    return kiosks(7, display=screen.display).start()


def test_the_idle_picture_says_how_to_begin(kiosk, screen):
    screen.until_reads("button", 20, kiosk)


def test_a_text_of_the_clerk_is_shown_on_the_kiosks_screen(kiosk, clerk, screen):
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.answer(kiosk.room)
    clerk.watch()
    clerk.until_decodes(10, 20, kiosk)
    clerk.send("PASSPORT NUMBER 4815")
    screen.until_reads("PASSPORT NUMBER 4815", 15, kiosk, clerk)


def test_a_chinese_text_changes_the_kiosks_screen(kiosk, clerk, screen):
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.answer(kiosk.room)
    clerk.watch()
    clerk.until_decodes(10, 20, kiosk)
    clerk.send("请出示身份证件")
    lower_half = (0, 360, 1280, 720)
    before = screen.picture()
    until("the message to be laid over the picture", lambda: changed_share(before, screen.picture(), lower_half) > 0.02, 10, kiosk)


def test_a_full_room_shows_busy_to_the_customer(tmp_path, service, kiosks, screen):
    from service import Account

    service.stop()
    service.roles = ""  # with roles nobody else could fill the kiosk's room
    service.write_config()
    service.start()
    kiosk = kiosks(7, display=screen.display).start()
    first, second = Account(service, "anna").login(), Account(service, "bert").login()
    assert first.take_seat(kiosk.room)[0]["code"] == 0
    assert second.take_seat(kiosk.room)[0]["code"] == 0
    third = Account(service, "carl").login()
    assert third.take_seat(kiosk.room)[0]["code"] == 5001
    kiosk.press()
    until("the kiosk to say that it is busy", lambda: "busy" in kiosk.status["screen"]["headline"].lower(), 10, kiosk)
    screen.until_reads("busy", 10, kiosk)
