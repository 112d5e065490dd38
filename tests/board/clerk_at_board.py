"""The clerk who answers the board: the page in Chromium, with a camera and a tone that an emulated board can decode."""

import pathlib

from clerk import Clerk

HERE = pathlib.Path(__file__).resolve().parent


class BoardClerk(Clerk):
    """A clerk whose page also looks for the picture of vivid, the kernel's simulated camera."""

    def __init__(self, browser, service, user="clerk-anna", **context):
        super().__init__(browser, service, user, **context)
        self.page.add_init_script((HERE / "clerk_devices.js").read_text())

    def watch(self, seconds=60):
        super().watch(seconds)
        self.page.evaluate((HERE / "vivid.js").read_text())

    @property
    def seen(self):
        """Frames of vivid's picture, and how many of them were new."""
        return self.page.evaluate("vividTest.seen()")

    def forget(self):
        self.page.evaluate("vividTest.forget()")

    def report(self):
        try:
            looked = self.page.evaluate("JSON.stringify([window.vividTest?.seen(), window.rtcroomTest?.tone()])")
        except Exception as error:  # noqa: BLE001 a report must come whatever is wrong
            looked = error
        return f"{super().report()}\n--- the page sees and hears {looked}"
