"""Chromium: the clerk at the page, and a bare member of a room."""

import pathlib
import time
import urllib.parse

from service import SDK_APP_ID
from wait import until

HERE = pathlib.Path(__file__).parent
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--no-first-run",
    # Nothing but loopback is used.
    "--allow-loopback-in-peer-connection",
    # The test's own certificate authority; told to the browser as a whole, so that it holds while a page is being closed.
    "--ignore-certificate-errors",
    # Several pages in one browser: those behind are not to be slowed down.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
]
FAKE_DEVICES = ["--use-fake-device-for-media-stream=fps=30", "--use-fake-ui-for-media-stream"]


class Page:
    """A page in a context of its own, with its console kept."""

    def __init__(self, browser, service, user, **context):
        self.service = service
        self.user = user
        self.console = []
        self.context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800}, **context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))

    def marks(self):
        """Marks read from the picture since they were last forgotten."""
        return self.page.evaluate("rtcroomTest.seen()")["marks"]

    def forget_marks(self):
        self.page.evaluate("rtcroomTest.forget()")

    def watch(self, seconds=15):
        """Starts reading the remote picture."""
        self.page.evaluate((HERE / "marks.js").read_text())
        until(f"{self.user}'s page to have a remote picture", lambda: self.page.evaluate("rtcroomTest.start()"), seconds, self)

    def tone(self):
        return self.page.evaluate("rtcroomTest.tone()")

    def hears(self, hz):
        tone = self.tone()
        return abs(tone["hz"] - hz) < 12 and tone["dbfs"] > -45 and tone

    def close(self):
        self.context.close()

    def report(self):
        try:
            screen = self.page.evaluate("`${document.body.dataset.screen}: ${document.body.innerText.replace(/\\s+/g, ' ').slice(0, 600)}`")
        except Exception as error:  # noqa: BLE001 a report must come whatever is wrong
            screen = error
        return "\n".join([f"{self.user}'s page shows {screen}", "--- console", *self.console[-15:]])


class Clerk(Page):
    """A clerk at the page."""

    def sign_in(self):
        """Signs in with the form."""
        self.page.goto(self.service.address)
        self.page.fill("#user-id", self.user)
        self.page.fill("#user-sig", self.service.ticket(self.user))
        self.page.click("#login")
        return self.until_screen("lobby")

    def hand_over(self, **more):
        """Signs in as a portal does, by the address."""
        self.page.goto(f"{self.service.address}#{urllib.parse.urlencode({'userID': self.user, 'userSig': self.service.ticket(self.user), **more})}")
        return self.until_screen("lobby")

    def until_screen(self, name, seconds=15):
        until(f"{self.user}'s page to show the {name} screen", lambda: self.screen == name, seconds, self, self.service)
        return self

    @property
    def screen(self):
        return self.page.evaluate("document.body.dataset.screen")

    def answer_button(self, room):
        return self.page.locator(f'[data-room-id="{room}"] [data-answer]')

    def sees_waiting(self, room, seconds=15):
        until(f"{self.user} to see {room} waiting", lambda: self.answer_button(room).count() == 1, seconds, self, self.service)
        return self

    def answer(self, room):
        self.sees_waiting(room)
        self.answer_button(room).click()
        return self.until_screen("call")

    def hang_up(self):
        self.page.click("#hangup")
        return self.until_screen("lobby")

    def send(self, text):
        self.page.fill("#message-text", text)
        self.page.click("#message-send")

    @property
    def notice(self):
        return self.page.inner_text("#notice")

    def until_decodes(self, frames=10, seconds=20, *witnesses):
        """Waits for so many marked frames, counted from now."""
        self.forget_marks()
        until(f"{self.user} to decode {frames} marked frames", lambda: len(self.marks()) >= frames, seconds, self, *witnesses)

    def until_hears(self, hz, seconds=20, *witnesses):
        until(f"{self.user} to hear {hz} Hz", lambda: self.hears(hz), seconds, self, *witnesses)


class Member(Page):
    """A member on rtcroom.js without the clerk's screens; stands for a kiosk where none is needed."""

    def enter(self, room, info="", kind="double_room", hz=440):
        self.page.goto(self.service.address)
        self.page.mouse.click(3, 300)  # a browser makes sound only after a gesture
        self.page.evaluate((HERE / "member.js").read_text())
        self.page.evaluate("(data) => rtcroomMember.enter(data)", {
            "kind": kind, "userID": self.user, "userSig": self.service.ticket(self.user), "sdkAppID": SDK_APP_ID,
            "roomID": room, "roomInfo": info, "hz": hz,
        })
        return self

    def leave(self):
        self.page.evaluate("rtcroomMember.leave()")

    def events(self, name):
        return [event["detail"] for event in self.page.evaluate("rtcroomMember.events") if event["name"] == name]

    def until_event(self, name, check=bool, seconds=10):
        return until(f"{self.user} to be told '{name}'", lambda: next((e for e in self.events(name) if check(e)), None), seconds, self, self.service)

    def frames(self):
        """How many frames the remote video element has shown."""
        return self.page.evaluate("document.querySelector('#remote-video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0")


def hold(seconds):
    """Lets a call go on for a while: media is what is being measured, so time must pass."""
    time.sleep(seconds)
