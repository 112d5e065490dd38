"""What the browser tests share: RoomService, kiosks and Chromium, all real, all on loopback."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from both_ends import until_both_flow
from clerk import FAKE_DEVICES, FLAGS, Clerk, Member
from kiosk import Kiosk
from service import Service

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def playwright():
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright):
    """The browser, with Chromium's fake camera and microphone."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS + FAKE_DEVICES)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def chromium_without_devices(playwright):
    """A browser on a machine without camera and microphone."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def service(tmp_path):
    started = Service(tmp_path / "service").start()
    yield started
    started.close()


@pytest.fixture
def clerks(chromium, service):
    """Makes clerks: `clerks("clerk-anna")`."""
    yield from makers(lambda user, browser=chromium, **context: Clerk(browser, service, user, **context))


@pytest.fixture
def members(chromium, service):
    """Makes bare members."""
    yield from makers(lambda user, browser=chromium, **context: Member(browser, service, user, **context))


@pytest.fixture
def kiosks(tmp_path, service):
    """Makes kiosks: `kiosks(7)`; not started yet."""
    yield from makers(lambda number=7, **options: Kiosk(tmp_path, service, number, **options))


@pytest.fixture
def clerk(clerks):
    return clerks("clerk-anna").sign_in()


@pytest.fixture
def kiosk(kiosks):
    return kiosks(7).start()


@pytest.fixture
def call(kiosk, clerk):
    """A kiosk and a clerk in a call, with picture and sound both ways."""
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.answer(kiosk.room)
    clerk.watch()
    until_both_flow(kiosk, clerk)
    return kiosk, clerk


def makers(make):
    made = []

    def one(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]

    yield one
    for thing in reversed(made):
        thing.close()
