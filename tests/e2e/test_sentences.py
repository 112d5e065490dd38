"""What is wrong is said in one clear sentence, on the screen and in the log, and it heals when the cause is gone."""

import subprocess

import pytest

from program import binary
from service import Authority, Service
from wait import tail, until


def sentence(kiosk):
    screen = kiosk.status["screen"]
    return f"{screen['headline']} {screen['detail']}"


def until_said(kiosk, words):
    said = until(
        f"the kiosk's screen to speak of one of {words}",
        lambda: next((word for word in words if word in sentence(kiosk).lower()), None), 30, kiosk,
    )
    assert said
    log = kiosk.log.read_text().lower()
    assert any(word in log for word in words), f"the log has none of {words}\n{tail(kiosk.log)}"


def test_an_expired_ticket_is_named_and_a_new_one_cures_it(kiosks, service):
    kiosk = kiosks(7, ticket=service.expired_ticket("kiosk-7"))
    kiosk.start(state=None)
    until_said(kiosk, ["expired"])
    kiosk.ticket_file.write_text(service.ticket("kiosk-7"))
    kiosk.until_state("idle", 60)


def test_a_ticket_of_another_key_is_named_and_a_right_one_cures_it(kiosks, service, tmp_path):
    kiosk = kiosks(7, ticket=Service(tmp_path / "foreign").ticket("kiosk-7"))
    kiosk.start(state=None)
    until_said(kiosk, ["signed with", "ticket"])
    kiosk.ticket_file.write_text(service.ticket("kiosk-7"))
    kiosk.until_state("idle", 60)


def test_a_wrong_server_address_is_named(kiosks):
    kiosk = kiosks(7, server="https://127.0.0.1:9/weapp/double_room")
    kiosk.start(state=None)
    until_said(kiosk, ["127.0.0.1:9", "server", "network"])


def test_a_server_that_comes_late_is_found(kiosks, service):
    service.stop()
    kiosk = kiosks(7)
    kiosk.start(state=None)
    kiosk.until_state("offline", 30)
    service.start()
    kiosk.until_state("idle", 60)


def test_an_unknown_ca_is_named(kiosks, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    kiosk = kiosks(7, ca=Authority(other, "another CA").certificate)
    kiosk.start(state=None)
    until_said(kiosk, ["certificate", "ca "])


@pytest.mark.parametrize("program", ["kioskd", "roomservice"])
def test_an_unknown_key_in_the_config_is_named_with_its_file(kiosks, service, tmp_path, program):
    if program == "kioskd":
        config = kiosks(7).config
        command = [binary("kioskd"), "check-config", "--config", str(config)]
    else:
        config = service.config
        command = [binary("roomservice"), "serve", "--config", str(config)]
    config.write_text("colour_of_button = 1\n" + config.read_text())
    done = subprocess.run(command, capture_output=True, text=True, timeout=15)
    assert done.returncode != 0
    assert "colour_of_button" in done.stderr and config.name in done.stderr, done.stderr
