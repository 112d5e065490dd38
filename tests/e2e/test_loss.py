"""A bad line: packets are lost both ways on a long round trip, and the call goes on."""

import pytest

from both_ends import gained, snapshot, until_both_flow
from clerk import hold
from impairer import Impairer
from service import Service

ROUND_TRIP_MS = 100
SECONDS = 20


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


@pytest.mark.parametrize("loss", [0.05, 0.15])
def test_the_call_goes_on_over_a_line_that_loses_packets(link, call, loss):
    kiosk, clerk = call
    link.set(loss=loss, delay_ms=ROUND_TRIP_MS / 2)
    hold(5)  # congestion control and retransmission find out
    clerk.forget_marks()
    before, recoveries = snapshot(kiosk), kiosk.status["call"]["recoveries"]
    hold(SECONDS)
    there = len({mark["counter"] for mark in clerk.marks()}) / SECONDS
    here = gained(kiosk, before)["frames_changed"] / SECONDS
    loud = gained(kiosk, before)["audio_loud_ms"]
    sent = kiosk.status["call"]["stats"]["encoded_bps"] // 1000
    print(f"\n  {loss:.0%} loss both ways, {ROUND_TRIP_MS} ms round trip: {there:.1f} frames/s at the page, {here:.1f} at the kiosk, {sent} kbit/s sent")
    until_both_flow(kiosk, clerk)
    # A browser that loses more than a tenth sends less and less; a slide show is no call.
    assert there >= 5 and here >= 5, f"{there:.1f} frames/s at the page, {here:.1f} at the kiosk"
    assert loud >= SECONDS * 100, f"{loud} ms of the page's beep in {SECONDS} s"
    assert kiosk.state == "in_call" and kiosk.status["call"]["recoveries"] == recoveries, "the call was cut and joined again"
