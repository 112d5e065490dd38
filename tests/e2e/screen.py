"""A kiosk's screen: an X server of its own, looked at as a camera would."""

import os
import subprocess

from PIL import Image, ImageChops

from wait import tail, until

LIGHT = 190


class Screen:
    """Xvfb on a free display number."""

    def __init__(self, directory, size=(1280, 720)):
        self.directory = directory
        self.log = directory / "xvfb.log"
        self.shots = 0
        read, write = os.pipe()
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen(
                ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size[0]}x{size[1]}x24", "-nolisten", "tcp"],
                pass_fds=[write], stdout=sink, stderr=sink,
            )
        os.close(write)
        with os.fdopen(read) as number:
            self.display = f":{number.readline().strip()}"
        assert self.display != ":", f"Xvfb did not start\n{self.report()}"

    def picture(self):
        """What is on the screen now."""
        self.shots += 1
        path = self.directory / f"screen-{self.shots}.png"
        subprocess.run(["import", "-silent", "-window", "root", str(path)], check=True, timeout=20, env={**os.environ, "DISPLAY": self.display})
        return Image.open(path).convert("RGB")

    def words(self):
        """What can be read on the screen now, as a person would: from its pixels. All words are light on dark."""
        picture = self.picture().convert("L").point(lambda light: 0 if light > LIGHT else 255)
        path = self.directory / f"words-{self.shots}.png"
        picture.resize((picture.width * 2, picture.height * 2)).save(path)
        return subprocess.run(["tesseract", str(path), "-", "--psm", "11"], check=True, capture_output=True, text=True, timeout=60).stdout

    def until_reads(self, words, seconds=30, *witnesses):
        until(f"the screen to show {words!r}", lambda: words.lower() in " ".join(self.words().split()).lower(), seconds, self, *witnesses, every=0.3)

    def report(self):
        return tail(self.log)

    def close(self):
        self.process.terminate()
        self.process.wait(5)


def changed_share(before, after, box):
    """The share of pixels in `box` that differ clearly."""
    difference = ImageChops.difference(before.crop(box), after.crop(box)).convert("L")
    return sum(difference.histogram()[41:]) / (difference.width * difference.height)
