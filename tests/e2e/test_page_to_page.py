"""Two Chromium pages through the real RoomService and relay: one on rtcroom.js alone, in a kiosk's place, and the clerk's page."""

import pytest

from clerk import Clerk, hold
from service import Account, Service
from wait import until

ROOM = "branch-7"
HZ = 440
PRESS_AT = """([at, room]) => {
    const button = document.querySelector(`[data-room-id="${room}"] [data-answer]`);
    setTimeout(() => button.click(), at - Date.now());
}"""


@pytest.fixture
def member(members):
    return members("kiosk-7").enter(ROOM, info="East hall", hz=HZ)


@pytest.fixture
def pair(member, clerk):
    clerk.answer(ROOM)
    clerk.watch()
    clerk.until_decodes(10, 20, member, clerk.service)
    return member, clerk


def test_the_page_decodes_the_frames_of_the_other_page_in_order(pair):
    _, clerk = pair
    clerk.forget_marks()
    hold(8)
    counters = [mark["counter"] for mark in clerk.marks()]
    assert len(set(counters)) >= 100, f"{len(set(counters))} distinct frames in 8 s"
    wrong = [pair for pair in zip(counters, counters[1:]) if pair[0] >= pair[1]]
    assert not wrong, f"frames came out of order or twice: {wrong}"


def test_the_page_hears_the_other_page(pair):
    member, clerk = pair
    clerk.until_hears(HZ, 20, member)


def test_the_other_page_gets_the_clerks_picture(pair):
    member, _ = pair
    before = member.frames()
    until("twenty frames of the clerk at the other page", lambda: member.frames() - before >= 20, 15, member)


def test_a_text_of_the_clerk_reaches_the_other_member_and_is_marked_as_sent(pair):
    member, clerk = pair
    clerk.send("请出示 <b>passport</b>")
    text = member.until_event("text", lambda event: event["userID"] == clerk.user)
    assert text["textMsg"] == "请出示 <b>passport</b>"
    until("the text to be marked as sent", lambda: clerk.page.locator('.message.own[data-state="sent"]').count() == 1, 5, clerk)


def test_a_text_of_the_other_member_is_shown_as_text(pair):
    member, clerk = pair
    member.page.evaluate("rtcroomMember.say('<img src=x onerror=alert(1)>')")
    until("the text in the history", lambda: "<img src=x" in clerk.page.inner_text("#history"), 5, clerk)
    assert clerk.page.locator("#history img").count() == 0


def test_a_custom_message_reaches_the_other_member(pair):
    member, clerk = pair
    clerk.page.evaluate("import('/rtcroom.js').then(({default: room}) => room.sendRoomCustomMsg({data: {cmd: 'sign', msg: 'page 2'}}))")
    event = member.until_event("custom")
    assert (event["cmd"], event["msg"]) == ("sign", "page 2")


def test_hanging_up_leaves_no_seat_and_no_media_resource(member, clerk):
    resources = []
    clerk.page.on("response", lambda answer: resources.append(answer) if answer.status == 201 else None)
    clerk.answer(ROOM)
    clerk.watch()
    clerk.until_decodes(10, 20, member)
    clerk.hang_up()
    account = Account(clerk.service, "clerk-audit").login()
    until("the clerk's seat to be free", lambda: seats(account) == ["kiosk-7"], 5, clerk, clerk.service)
    assert {answer.url.split("/")[3] for answer in resources} == {"whip", "whep"}
    owner = Account(clerk.service, clerk.user)
    for answer in resources:
        owner.token = answer.request.headers["authorization"].removeprefix("Bearer ")
        location = answer.headers["location"]
        until(f"{location} to be gone", lambda: owner.media("PATCH", location)[0] == 404, 5, clerk.service)


def test_closing_the_page_frees_the_seat_at_once(pair):
    _, clerk = pair
    account = Account(clerk.service, "clerk-audit").login()
    clerk.page.on("dialog", lambda dialog: dialog.accept())
    with clerk.page.expect_event("close", timeout=10_000):
        clerk.page.close(run_before_unload=True)
    # The server itself would need 20 s to notice.
    until("the clerk's seat to be free", lambda: seats(account) == ["kiosk-7"], 8, clerk.service)


def test_a_member_that_comes_back_with_another_stream_is_seen_again(pair):
    member, clerk = pair
    member.page.reload()
    member.enter(ROOM)
    clerk.until_decodes(10, 30, member, clerk.service)
    assert clerk.screen == "call"


def test_the_camera_switched_off_is_closed_and_a_slate_is_sent(pair):
    member, clerk = pair
    clerk.page.click("#camera")
    until("the camera to be switched off", lambda: clerk.page.get_attribute("#camera", "data-off") == "true", 5, clerk)
    label = clerk.page.evaluate("document.querySelector('#local-video').srcObject.getVideoTracks()[0].label")
    assert "fake" not in label.lower(), f"the camera is still in use: {label}"
    told = len(member.events("state"))
    hold(4)  # longer than what counts as dead media
    before = member.frames()
    until("the slate's frames at the other page", lambda: member.frames() - before >= 5, 10, member)
    assert not any(event["state"] == "recovering" for event in member.events("state")[told:]), "the slate was taken for a dead line"


def test_the_page_and_the_other_page_find_each_other_after_a_restart_of_roomservice(pair):
    member, clerk = pair
    clerk.service.stop()
    until("the page to say that the server is away", lambda: clerk.page.is_visible("#banner"), 10, clerk)
    clerk.service.start()
    clerk.until_decodes(10, 40, member, clerk.service)
    clerk.until_hears(HZ, 20, member)
    before = member.frames()
    until("new frames at the other page", lambda: member.frames() - before >= 10, 20, member, clerk)
    until("the page to be at ease again", lambda: not clerk.page.is_visible("#banner") and not clerk.page.is_visible("#stage-note"), 10, clerk)


def test_two_clerks_answer_and_one_is_told_who_won(member, clerks, service):
    pair = [clerks(name).sign_in().sees_waiting(ROOM) for name in ("clerk-anna", "clerk-bert")]
    now = pair[0].page.evaluate("Date.now()")
    for one in pair:  # both at the same moment, before either page can hear of the other
        one.page.evaluate(PRESS_AT, [now + 1000, ROOM])
    loser = until("one clerk to be back at the list", lambda: next((one for one in pair if one.screen == "lobby" and one.notice), None), 10, *pair, service)
    winner = next(one for one in pair if one is not loser)
    winner.watch()
    winner.until_decodes(10, 20, member)
    assert winner.user in loser.notice, loser.notice
    assert winner.screen == "call"


def test_the_ticket_of_a_portal_is_cleared_from_the_address(clerks):
    clerk = clerks("clerk-anna").hand_over(lang="zh")
    assert "#" not in clerk.page.url and "userSig" not in clerk.page.evaluate("location.href")
    assert clerk.page.inner_text("#screen-lobby h1") == "等候中的客户"
    assert "userSig" not in clerk.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


def test_the_older_of_two_pages_of_one_user_gives_way(clerks, service):
    older = clerks("clerk-anna").sign_in()
    until("the older page's message socket", lambda: service.metrics()["message_sockets"] == 1, 10, older, service)
    newer = clerks("clerk-anna").sign_in()
    older.until_screen("login")
    until("the older page to say why", lambda: "another page" in older.page.inner_text("#login-error"), 5, older)
    hold(3)
    newer.until_screen("lobby")
    assert not newer.page.is_visible("#banner")


def test_enter_answers_and_escape_does_not_hang_up(member, clerk):
    clerk.sees_waiting(ROOM)
    clerk.page.evaluate("document.activeElement.blur()")
    clerk.page.keyboard.press("Enter")
    clerk.until_screen("call")
    clerk.page.keyboard.press("Escape")
    clerk.watch()
    clerk.until_decodes(10, 20, member)
    assert clerk.screen == "call"


def test_without_camera_and_microphone_the_page_says_why_and_the_call_goes_on(member, service, chromium_without_devices):
    clerk = Clerk(chromium_without_devices, service, "clerk-bare").sign_in()
    try:
        clerk.answer(ROOM)
        clerk.watch()
        clerk.until_decodes(10, 20, member)
        until("the page to say why", lambda: "none found" in clerk.page.inner_text("#device-trouble"), 5, clerk)
        before = member.frames()
        until("the slate at the other page", lambda: member.frames() - before >= 5, 10, member, clerk)
    finally:
        clerk.close()


@pytest.mark.parametrize("case", ["expired", "other user", "nonsense", "foreign key"])
def test_a_ticket_that_is_no_good_is_refused_in_one_sentence(clerks, service, tmp_path, case):
    clerk = clerks("clerk-anna")
    ticket, words = {
        "expired": lambda: (service.expired_ticket("clerk-anna"), "expired"),
        "other user": lambda: (service.ticket("clerk-bert"), "belongs to"),
        "nonsense": lambda: ("nonsense", "not a ticket"),
        "foreign key": lambda: (foreign_ticket(tmp_path), "refused"),
    }[case]()
    clerk.page.goto(service.address)
    clerk.page.fill("#user-id", "clerk-anna")
    clerk.page.fill("#user-sig", ticket)
    clerk.page.click("#login")
    until(f"the sentence with {words!r}", lambda: words in clerk.page.inner_text("#login-error"), 5, clerk)


def foreign_ticket(directory):
    return Service(directory / "foreign").ticket("clerk-anna")


def seats(account):
    return [pusher["userID"] for pusher in account.call("get_pushers", roomID=ROOM).get("pushers", [])]

