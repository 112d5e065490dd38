"""Runs the kiosk and Chromium in turn against the same waiting member, and prints medians and ratios.

Called by kiosk-vs-chromium.sh. Times are CLOCK_MONOTONIC, which all processes of one machine share. The first frame at
the other side and the age of frames are read from pixels behind the other side's decoder.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = Path(os.environ["RTCROOM_BIN"])
SIZE = (1280, 720)
SETTLE_SECONDS = 6
MEASURE_SECONDS = 20
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", "--no-first-run", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=30",
    "--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required", "--window-position=0,0",
    f"--window-size={SIZE[0]},{SIZE[1]}",
]


def wait(seconds, what, probe):
    """The first true value of `probe`, asked every 20 ms; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.02)
    raise SystemExit(f"bench: waited {seconds} s for {what}")


class Kiosk:
    """A kioskd with its worker."""

    def __init__(self, work, name, server, room, output, extra="", env=None):
        self.dir = work / name
        config = work / f"{name}.toml"
        config.write_text(f"""board = "simulator"
language = "en"
[server]
url = "{server}weapp/double_room"
[room]
id = "{room}"
[user]
id = "{name}"
name = "{name}"
sdk_app_id = 1400000001
dev_ticket = true
[screen]
output = "{output}"
width = {SIZE[0]}
height = {SIZE[1]}
{extra}""")
        self.log = open(work / f"{name}.log", "a")
        self.process = subprocess.Popen(
            [BIN / "kioskd", "run", "--config", config, "--runtime-dir", self.dir, "--boards-dir", ROOT / "boards"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})

    def tell(self, *words):
        return subprocess.run([BIN / "kioskd", *words, "--runtime-dir", self.dir], capture_output=True, text=True)

    def status(self):
        answer = self.tell("status", "--json")
        return json.loads(answer.stdout) if answer.returncode == 0 else {"state": "gone"}

    def until(self, state, seconds=30):
        return wait(seconds, f"{self.dir.name} to be {state}", lambda: self.status()["state"] == state)

    def pids(self):
        return tree(self.process.pid)

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


def tree(pid):
    """The process and all its descendants."""
    pids = [pid]
    for one in pids:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                pids += [int(child) for child in Path(f"/proc/{one}/task/{task}/children").read_text().split()]
        except OSError:
            pass
    return pids


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def pss_mib(pids):
    total = 0
    for pid in pids:
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total / 1024


def player(status):
    stats = (status.get("call") or {}).get("stats") or {}
    return next((one for one in stats.get("players", []) if one.get("mark")), {})


def measure(pids):
    begin_cpu, begin = cpu_seconds(pids), time.monotonic()
    time.sleep(MEASURE_SECONDS)
    spent = (cpu_seconds(pids) - begin_cpu) / (time.monotonic() - begin) * 60
    return {"cpu_s_per_minute": spent, "pss_mib": pss_mib(pids)}


def peer(work, server, room, env):
    """The other side: waits in the room and publishes already."""
    one = Kiosk(work, f"peer-{room}", server, room, "none", "[call]\nearly_media = true\nwaiting_secs = 600\n", env)
    one.until("idle")
    one.tell("press")
    one.until("waiting")
    wait(20, "the other side to publish", lambda: (one.status()["call"].get("stats") or {}).get("frames_sent", 0) > 30)
    return one


def run_kiosk(work, server, room, env):
    other = peer(work, server, room, env)
    ours = Kiosk(work, f"kiosk-{room}", server, room, "window", '[sound]\nsink = "fake"\necho_cancel = true\n', env)
    ours.until("idle")
    time.sleep(3)
    idle = pss_mib(ours.pids())
    ours.tell("press")
    ours.until("in_call")
    time.sleep(SETTLE_SECONDS)
    result = measure(ours.pids())
    here, there = ours.status(), other.status()
    call = here["call"]
    result |= {
        "idle_pss_mib": idle,
        "press_to_first_remote_frame_ms": call["first_remote_frame_ms"],
        "press_to_first_frame_at_peer_ms": player(there)["mark"]["first_at_ms"] - call["pressed_at_ms"],
        "glass_to_glass_in_ms": player(here)["mark"]["age_p50_ms"],
        "glass_to_glass_out_ms": player(there)["mark"]["age_p50_ms"],
        "stages": {name: call[name] for name in call if name.endswith("_ms") and name != "pressed_at_ms" and call[name] is not None},
    }
    ours.tell("press")
    ours.until("idle")
    ours.end()
    other.end()
    return result


def login_info(server, user):
    return json.load(urllib.request.urlopen(f"{server}weapp/utils/get_login_info?userID={user}", timeout=5))


def run_chromium(playwright, work, server, room, env, marked):
    other = peer(work, server, room, env)
    profile = tempfile.mkdtemp(dir=work)
    context = playwright.chromium.launch_persistent_context(
        profile, executable_path="/usr/bin/chromium", headless=False, args=CHROMIUM_FLAGS, no_viewport=True, env={**os.environ, **env})
    browser = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if is_browser(pid, profile)][0]
    page = context.pages[0]
    page.add_init_script(path=HERE / "stages.js")
    if marked:
        page.add_init_script(path=HERE / "marked_camera.js")
    info = login_info(server, f"page-{room}")
    page.goto(f"{server}#userID={info['userID']}&userSig={info['userSig']}&lang=en")
    button = page.locator(f'[data-room-id="{room}"] [data-answer]')
    button.wait_for(timeout=15000)
    offset = clock_offset(page)
    page.evaluate("offset => { window.__monotonicOffset = offset; window.__readMarks = %s; }" % str(marked).lower(), offset)
    time.sleep(3)
    button.click()
    wait(30, "the first frame in Chromium", lambda: page.evaluate("window.__stages.first_frame"))
    time.sleep(SETTLE_SECONDS)
    stages = page.evaluate("window.__stages")
    result = {}
    if marked:
        there = player(other.status())
        result = {
            "press_to_first_remote_frame_ms": stages["first_frame"] - stages["click"],
            "press_to_first_frame_at_peer_ms": there["mark"]["first_at_ms"] - (stages["click"] + offset),
            "glass_to_glass_in_ms": statistics.median(page.evaluate("window.__ages")),
            "glass_to_glass_out_ms": there["mark"]["age_p50_ms"],
            "stages": {name: at - stages["click"] for name, at in stages.items() if name != "click"},
        }
    else:
        result = measure(tree(browser))
    page.locator("#hangup").click()
    time.sleep(1)
    context.close()
    other.end()
    return result


def clock_offset(page):
    """CLOCK_MONOTONIC minus the page's performance.now(), ms, from the quickest of 30 questions, half its time each way."""
    best = (float("inf"), 0.0)
    for _ in range(30):
        before = time.monotonic() * 1000
        there = page.evaluate("performance.now()")
        after = time.monotonic() * 1000
        best = min(best, (after - before, (before + after) / 2 - there))
    return best[1]


def is_browser(pid, profile):
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return profile in command and "--type=" not in command


def medians(runs):
    names = sorted({name for run in runs for name in run if name != "stages"})
    return {name: statistics.median(run[name] for run in runs if name in run) for name in names}


def stage_table(title, runs):
    print(f"\n{title}, ms after the press (medians)")
    names = {name for run in runs for name in run.get("stages", {})}
    rows = [(statistics.median(run["stages"][name] for run in runs if name in run.get("stages", {})), name) for name in names]
    for at, name in sorted(rows):
        print(f"  {name:32} {at:8.0f}")


def main():
    runs = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="rtcroom-bench.") as name, sync_playwright() as playwright:
        work = Path(name)
        log = open(work / "service.log", "w")
        xvfb = subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"],
                                stdout=subprocess.PIPE, stderr=log, text=True)
        env = {"DISPLAY": ":" + xvfb.stdout.readline().strip()}
        service = subprocess.Popen([BIN / "roomservice", "serve", "--dev", "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=log, text=True)
        server = service.stdout.readline().strip()
        ours, theirs = [], []
        try:
            for turn in range(runs):
                print(f"run {turn + 1} of {runs}", file=sys.stderr, flush=True)
                ours.append(run_kiosk(work, server, f"k{turn}", env))
                theirs.append(run_chromium(playwright, work, server, f"c{turn}", env, marked=True)
                              | run_chromium(playwright, work, server, f"p{turn}", env, marked=False))
                print(json.dumps({"kiosk": ours[-1], "chromium": theirs[-1]}), file=sys.stderr, flush=True)
        except BaseException:
            for file in sorted(work.glob("*.log")):
                print(f"--- {file.name}", *file.read_text().splitlines()[-15:], sep="\n", file=sys.stderr)
            raise
        finally:
            service.terminate()
            xvfb.terminate()
        for run in ours + theirs:
            # An error in the page's clock offset moves age from one way to the other; the sum is free of it.
            run["glass_to_glass_both_ways_ms"] = run["glass_to_glass_in_ms"] + run["glass_to_glass_out_ms"]
        a, b = medians(ours), medians(theirs)
        print(f"\nmedians of {runs} runs{'':21} {'kiosk':>9} {'chromium':>9} {'ratio':>6}")
        for name in a:
            if name in b:
                print(f"  {name:34} {a[name]:9.1f} {b[name]:9.1f} {a[name] / b[name]:6.2f}")
            else:
                print(f"  {name:34} {a[name]:9.1f}")
        stage_table("kiosk", ours)
        stage_table("chromium", theirs)


if __name__ == "__main__":
    main()
