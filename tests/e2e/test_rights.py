"""Nobody publishes, plays, enters or acts where it is not their right."""

import pytest

from service import Account

ROOM = "branch-7"
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


@pytest.fixture
def owner(service):
    return Account(service, "kiosk-7").login()


@pytest.fixture
def stranger(service):
    return Account(service, "kiosk-8").login()


def test_a_second_user_cannot_publish_on_anothers_stream(owner, stranger):
    _, push_address = owner.take_seat(ROOM)
    assert stranger.media("POST", push_address, OFFER)[0] == 403


def test_nobody_publishes_without_a_token(owner):
    _, push_address = owner.take_seat(ROOM)
    assert owner.request("POST", push_address, OFFER, {"content-type": "application/sdp"})[0] == 401


def test_a_stream_address_with_a_forged_secret_is_refused(owner):
    _, push_address = owner.take_seat(ROOM)
    forged = push_address[:-4] + ("0000" if not push_address.endswith("0000") else "1111")
    assert owner.media("POST", forged, OFFER)[0] in (403, 404)


def test_nobody_plays_a_room_they_are_not_in(owner, service):
    owner.take_seat(ROOM)
    clerk = Account(service, "clerk-anna").login()
    address = clerk.call("get_pushers", roomID=ROOM)["pushers"][0]["accelerateURL"]
    assert clerk.media("POST", address, OFFER)[0] == 403


def test_a_kiosk_cannot_enter_another_kiosks_room(stranger):
    assert stranger.take_seat(ROOM)[0]["code"] == 5003


def test_a_kiosk_cannot_see_another_kiosks_room(owner, stranger):
    owner.take_seat(ROOM)
    assert stranger.call("get_pushers", roomID=ROOM)["code"] == 5003
    assert stranger.call("get_room_list", index=0, cnt=20)["rooms"] == []


def test_a_clerk_cannot_enter_a_room_without_a_kiosk(service):
    assert Account(service, "clerk-anna").login().take_seat(ROOM)[0]["code"] == 5003


def test_a_user_outside_all_roles_can_enter_nothing(owner, service):
    owner.take_seat(ROOM)
    assert Account(service, "visitor").login().take_seat(ROOM)[0]["code"] == 5003


def test_a_token_serves_only_its_own_user(owner, stranger):
    owner.take_seat(ROOM)
    assert stranger.call("delete_pusher", user="kiosk-7", roomID=ROOM)["code"] == 7


def test_the_user_in_the_body_does_not_count(owner, stranger):
    owner.take_seat(ROOM)
    answer = stranger.post(f"delete_pusher?userID=kiosk-8&token={stranger.token}", {"roomID": ROOM, "userID": "kiosk-7"})
    assert answer["code"] != 0
    assert [pusher["userID"] for pusher in owner.call("get_pushers", roomID=ROOM)["pushers"]] == ["kiosk-7"]


def test_a_third_member_of_a_double_room_gets_5001(owner, service):
    owner.take_seat(ROOM)
    assert Account(service, "clerk-anna").login().take_seat(ROOM)[0]["code"] == 0
    assert Account(service, "clerk-bert").login().take_seat(ROOM)[0]["code"] == 5001


def test_no_ticket_is_given_away_by_a_server_that_is_not_for_tests(service):
    status, body, _ = Account(service, "clerk-anna").request("GET", "weapp/utils/get_login_info?userID=clerk-anna")
    assert "userSig" not in body, (status, body)
