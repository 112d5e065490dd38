"""One boot serves all tests here: a board, a kiosk installed on it from its package, RoomService and Chromium outside it.

    tests/run.sh board                                      the virtual board; --all-faults adds those that take long
    RTCROOM_BOARD=ssh://root@10.0.0.7 RTCROOM_BOARD_FILE=raspberry-pi-4 tests/.venv/bin/pytest -ra tests/board
                                                            a real board: it has to reach this machine by TCP and UDP
RTCROOM_PACKAGES is where the package lies (target/deb), RTCROOM_BIN where roomservice does (target/release).
The real board's /etc/rtcroom-kiosk is overwritten, and the kiosk stays installed.
"""

import os
import pathlib
import sys
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
# The browser tests' RoomService, page and waiting. Our own both_ends takes the place of theirs.
sys.path.append(str(HERE.parent / "e2e"))

from playwright.sync_api import sync_playwright  # noqa: E402

from appliance import Appliance  # noqa: E402
from boards import board_of  # noqa: E402
from both_ends import until_both_flow  # noqa: E402
from clerk import FAKE_DEVICES, FLAGS  # noqa: E402
from clerk_at_board import BoardClerk  # noqa: E402
from service import Service  # noqa: E402
from wait import until  # noqa: E402

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def pytest_addoption(parser):
    parser.addoption("--all-faults", action="store_true", help="also the faults that take long; tests/run.sh --all")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with --all-faults")
    config.addinivalue_line("markers", "virtual: needs the virtual board's own means (QEMU, vivid, snd-aloop)")


def pytest_collection_modifyitems(config, items):
    real = os.environ.get("RTCROOM_BOARD")
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--all-faults"):
            item.add_marker(pytest.mark.skip(reason="takes long: tests/run.sh --all, or pytest --all-faults"))
        if real and item.get_closest_marker("virtual"):
            item.add_marker(pytest.mark.skip(reason="needs QEMU, vivid or snd-aloop, and RTCROOM_BOARD names a real board"))


@pytest.fixture(scope="session")
def figures():
    """Times and sizes, printed together at the end; also into $BOARD_FIGURES."""
    lines = []

    def add(what, value):
        lines.append(f"{what}: {value}")
        print(f"\n  {lines[-1]}", flush=True)

    yield add
    text = "\n".join(lines)
    print(f"\n--- figures of the board\n{text}", flush=True)
    if os.environ.get("BOARD_FIGURES"):
        pathlib.Path(os.environ["BOARD_FIGURES"]).write_text(text + "\n")


@pytest.fixture(scope="session")
def board(tmp_path_factory, figures):
    """The virtual board, booted; or the one that RTCROOM_BOARD names."""
    started = board_of(os.environ.get("RTCROOM_BOARD"), tmp_path_factory.mktemp("board"))
    try:
        started.boot()
        figures("boot of the board", f"{started.boot_seconds:.0f} s")
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory, board):
    """RoomService, where both the board and Chromium reach it."""
    made = Service(tmp_path_factory.mktemp("service"), addresses=board.server_addresses, advertise=board.server_addresses)
    made.listen = board.server_listens
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="session")
def installed(board, service, figures):
    """The kiosk as its package installs it, configured and ready."""
    made = Appliance(board, service)
    made.install(board.packages())
    made.configure()
    began = time.monotonic()
    made.start()
    figures("kioskd exec → READY on the board", f"{made.ready_seconds():.1f} s")
    made.until_ready(180)
    figures("systemctl restart kioskd → idle with a warm worker", f"{time.monotonic() - began:.1f} s")
    return made


@pytest.fixture
def kiosk(installed, service):
    """The kiosk, idle and warm; what an earlier test left is put in order first."""
    kiosk = installed
    kiosk.board.heal()
    if not service.program.alive:
        service.start()
    if kiosk.unit("ActiveState")["ActiveState"] not in ("active", "activating"):
        kiosk.start()
    if until("kioskd to answer", lambda: kiosk.state, 60, kiosk) not in ("idle", "offline", "starting"):
        kiosk.shell.run("kioskd hangup", 60, check=False)
    kiosk.until_ready(180)
    return kiosk


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS + FAKE_DEVICES)
        yield browser
        browser.close()


@pytest.fixture
def clerk(chromium, service):
    made = BoardClerk(chromium, service)
    made.sign_in()
    yield made
    made.close()


@pytest.fixture
def call(kiosk, clerk):
    """The button was pressed, the clerk has answered, and both see and hear each other."""
    start_call(kiosk, clerk)
    yield kiosk, clerk
    kiosk.board.heal()
    kiosk.shell.run("kioskd hangup", 60, check=False)
    # A page that is closed in a call stays a member for a while, whom the next press would find.
    clerk.until_screen("lobby", 60)


def start_call(kiosk, clerk):
    """Press, answer, and wait until both see and hear each other; gives the seconds from answering."""
    kiosk.press()
    kiosk.until_state("waiting", 60)
    clerk.sees_waiting(kiosk.room, 60)
    clerk.answer_button(kiosk.room).click()
    clerk.until_screen("call", 60)
    clerk.watch()
    return until_both_flow(kiosk, clerk, 120)
