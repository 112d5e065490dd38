"""The call comes back by itself: ten new frames and tone at both ends, not a state."""

import os
import signal

from both_ends import until_both_flow
from service import Account
from wait import until


def test_the_call_comes_back_after_the_worker_was_killed(call):
    kiosk, clerk = call
    generation = kiosk.generation
    pid = kiosk.signal_worker(signal.SIGKILL)
    until("another worker", lambda: kiosk.generation > generation and kiosk.worker_pid not in (None, pid), 15, kiosk)
    until_both_flow(kiosk, clerk)
    assert kiosk.state == "in_call"


def test_the_call_comes_back_after_the_worker_stopped_dead(call):
    kiosk, clerk = call
    generation = kiosk.generation
    pid = kiosk.signal_worker(signal.SIGSTOP)
    until("another worker", lambda: kiosk.generation > generation and kiosk.worker_pid not in (None, pid), 30, kiosk)
    until_both_flow(kiosk, clerk)
    until(f"the stopped worker {pid} to be gone", lambda: kiosk.state == "in_call" and not alive(pid), 10, kiosk)


def test_the_clerk_is_free_soon_after_a_customer_hangs_up_though_there_was_trouble(call):
    kiosk, clerk = call
    # Both are held up until the page misses the customer: kioskd would start another worker sooner.
    held = [kiosk.signal_worker(signal.SIGSTOP), kiosk.program.pid]
    os.kill(kiosk.program.pid, signal.SIGSTOP)
    try:
        clerk.page.wait_for_selector("#tiles [data-state=recovering]", timeout=15000)
    finally:
        for pid in held:
            os.kill(pid, signal.SIGCONT)
    until_both_flow(kiosk, clerk)
    kiosk.press()
    # A customer who got lost is waited for half a minute.
    clerk.until_screen("lobby", 12)


def test_the_call_comes_back_after_a_restart_of_roomservice(call, service):
    kiosk, clerk = call
    service.stop()
    until("the page to say that the server is away", lambda: clerk.page.is_visible("#banner"), 10, clerk)
    service.start()
    until_both_flow(kiosk, clerk, 60)
    assert kiosk.until_state("in_call", 10)


def test_the_call_comes_back_after_roomservice_was_killed(call, service):
    kiosk, clerk = call
    service.program.kill()
    service.start()
    until_both_flow(kiosk, clerk, 60)


def test_a_press_ends_a_call_whose_server_is_away_and_the_next_call_works(call, service):
    kiosk, clerk = call
    service.stop()
    kiosk.press()
    kiosk.until_state(("offline", "idle"), 15)
    service.start()
    kiosk.until_state("idle", 40)
    clerk.until_screen("lobby", 60)
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.answer(kiosk.room)
    clerk.watch()
    until_both_flow(kiosk, clerk)


def test_a_clerk_who_answers_after_a_restart_of_roomservice_gets_into_the_call(kiosk, clerk, service):
    service.stop()
    until("the page to say that the server is away", lambda: clerk.page.is_visible("#banner"), 10, clerk)
    service.start()
    until("the page to be at ease again", lambda: not clerk.page.is_visible("#banner"), 20, clerk)
    kiosk.until_state("idle", 40)
    kiosk.press()
    kiosk.until_state("waiting")
    answer(kiosk, clerk)


def test_a_clerk_who_answers_while_the_page_logs_in_again_gets_into_the_call(kiosk, clerk, service):
    wait_for_clerk(kiosk, clerk)
    # The page is kept from hearing of the restart, so that its token and its push address are those of the former server.
    clerk.context.set_offline(True)
    service.program.kill()
    service.start()
    until("the kiosk to be back in its room", lambda: service.in_use()["members"] == 1, 40, kiosk, service)
    clerk.context.set_offline(False)
    answer(kiosk, clerk)


def test_a_clerk_who_answers_while_roomservice_is_away_is_told_and_can_answer_again(kiosk, clerk, service):
    wait_for_clerk(kiosk, clerk)
    service.program.kill()
    clerk.answer_button(kiosk.room).click()
    until("the page to say why there is no call", lambda: clerk.screen == "lobby" and "does not answer" in clerk.notice, 10, clerk)
    service.start()
    until("the kiosk to be back in its room", lambda: service.in_use()["members"] == 1, 40, kiosk, service)
    answer(kiosk, clerk)


def test_a_clerk_who_vanishes_before_sending_anything_leaves_the_customer_waiting_for_another(kiosk, clerk, service):
    wait_for_clerk(kiosk, clerk)
    seated, _ = Account(service, "clerk-gone").login().take_seat(kiosk.room)
    assert seated["code"] == 0, seated
    kiosk.until_state("in_call")
    kiosk.until_state("waiting", 40)  # RoomService misses a member after 20 s, and looks every 5 s
    answer(kiosk, clerk)


def wait_for_clerk(kiosk, clerk):
    kiosk.press()
    kiosk.until_state("waiting")
    clerk.sees_waiting(kiosk.room)


def answer(kiosk, clerk):
    """One click, and they see and hear each other."""
    clerk.sees_waiting(kiosk.room, 20)
    clerk.answer_button(kiosk.room).click()
    clerk.watch()
    until_both_flow(kiosk, clerk)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False
