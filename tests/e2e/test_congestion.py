"""A link that becomes narrow: the encoder follows it down, and up again."""

import pytest

from both_ends import until_both_flow
from impairer import Impairer
from service import Service
from wait import until

NARROW_BPS = 300_000


@pytest.fixture
def service(tmp_path):
    """The relay names an address that is the impairer's."""
    started = Service(tmp_path / "service", advertise="127.0.0.2").start()
    yield started
    started.close()


@pytest.fixture
def link(service):
    impairer = Impairer(service.port)
    yield impairer
    impairer.close()


def test_the_encoder_falls_below_a_narrow_link_and_returns_after(link, call):
    kiosk, clerk = call

    def encoded():
        return kiosk.status["call"]["stats"]["encoded_bps"]

    until("the encoder to use a free link", lambda: encoded() > 600_000, 30, kiosk)
    link.set(rate_bps=NARROW_BPS)
    until("the encoder to fall below 300 kbit/s", lambda: 0 < encoded() < NARROW_BPS, 40, kiosk)
    until_both_flow(kiosk, clerk)
    link.set(rate_bps=0)
    until("the encoder to return", lambda: encoded() > 600_000, 60, kiosk)
    until_both_flow(kiosk, clerk)
