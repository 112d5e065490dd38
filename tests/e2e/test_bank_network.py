"""A bank's network: the server is known to the proxy alone, and asks everybody for a certificate."""

import pytest

from both_ends import NEW_FRAMES, gained, snapshot
from kiosk import LOUD_MS, Kiosk
from proxy import Proxy
from service import A_CALL, Service
from test_sentences import sentence
from wait import tail, until

# No name server knows it (RFC 6761); our proxy does.
NAME = "rooms.invalid"


@pytest.fixture
def service(tmp_path):
    started = Service(tmp_path / "service", names=[NAME], asks_clients=True).start()
    yield started
    started.close()


@pytest.fixture
def proxy(service):
    started = Proxy({f"{NAME}:{service.port}": ("127.0.0.1", service.port)})
    yield started
    started.close()


@pytest.fixture
def far_kiosk(kiosks, service, proxy):
    """Makes a kiosk behind the proxy, with or without its certificate."""

    def make(certificate=True):
        way = {"proxy": proxy.address}
        if certificate:
            way["client_cert"], way["client_key"] = service.authority.issue("kiosk-7")
        return kiosks(7, server=f"https://{NAME}:{service.port}/weapp/double_room", way=way)

    return make


@pytest.fixture
def near_kiosk(tmp_path, service):
    """A simulated clerk on the server's own network: it too has a certificate."""
    certificate, key = service.authority.issue("clerk-sim")
    kiosk = Kiosk(tmp_path, service, 7, user="clerk-sim", config="[sound]\ntone_hz = 660\n",
                  way={"client_cert": certificate, "client_key": key})
    yield kiosk
    kiosk.close()


def test_a_kiosk_with_a_certificate_behind_a_proxy_is_in_a_call(far_kiosk, near_kiosk, proxy, service):
    far = far_kiosk().start()
    near_kiosk.start()
    far.press()
    far.until_state("waiting")
    near_kiosk.press()
    for kiosk in (far, near_kiosk):
        kiosk.until_state("in_call")
    until_both_see_and_hear({far: 660, near_kiosk: 440}, service, proxy)
    assert service.in_use() == A_CALL
    assert proxy.asked and set(proxy.asked) == {f"CONNECT {NAME}:{service.port}"}, proxy.report()
    far.press()
    far.until_state("idle")


def test_a_kiosk_without_the_certificate_says_so(far_kiosk, proxy, service):
    kiosk = far_kiosk(certificate=False).start(state=None)
    until("the screen to say that there is no secure connection", lambda: f"No secure connection to {NAME}" in sentence(kiosk), 30, kiosk, proxy, service)
    log = [line for line in kiosk.log.read_text().splitlines() if "client_cert" in line]
    assert log and "CertificateRequired" in log[0], tail(kiosk.log)
    kiosk.until_state("fault")


def until_both_see_and_hear(tones, service, proxy, seconds=30):
    """Ten new frames, read from their pixels, and the other's tone at each of both, counted from now."""
    before = {kiosk: snapshot(kiosk) for kiosk in tones}
    marks = {kiosk: distinct(kiosk) for kiosk in tones}
    for kiosk, hz in tones.items():
        witnesses = (*tones, service, proxy)
        until(f"ten new frames at {kiosk.user}", lambda: distinct(kiosk) >= marks[kiosk] + NEW_FRAMES, seconds, *witnesses)
        until(f"sound at {kiosk.user}", lambda: gained(kiosk, before[kiosk])["audio_loud_ms"] >= 3 * LOUD_MS, seconds, *witnesses)
        until(f"{hz} Hz at {kiosk.user}", lambda: abs(kiosk.player["audio_hz"] - hz) < 12, seconds, *witnesses)


def distinct(kiosk):
    return ((kiosk.player or {}).get("mark") or {}).get("distinct", 0)
