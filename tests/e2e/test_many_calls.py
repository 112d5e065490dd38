"""Two hundred calls in a row: kioskd holds as much at the end as at the beginning."""

import os

import pytest

from kiosk import Kiosk
from program import resources, settled
from service import NOTHING
from wait import until

CALLS = int(os.environ.get("RTCROOM_CALLS") or 200)
# Pools, caches and the allocator's arenas fill in the first calls.
WARM = 20
MEMORY_KB = 2048


@pytest.fixture
def other(tmp_path, service):
    """Whoever answers: a simulated clerk, for a browser would need an hour for so many calls."""
    made = Kiosk(tmp_path, service, 7, user="clerk-sim", config="[sound]\ntone_hz = 660\n")
    yield made.start()
    made.close()


@pytest.mark.skipif(not os.environ.get("RTCROOM_ALL"), reason="takes ten minutes: tests/run.sh --all, or RTCROOM_ALL=1")
def test_two_hundred_calls_leave_kioskd_as_it_was(kiosk, other, service):
    def one_call():
        kiosk.press()
        kiosk.until_state("waiting")
        other.press()
        until("both to be in the call", lambda: kiosk.state == other.state == "in_call", 15, kiosk, other, service)
        until("frames at the kiosk", lambda: (kiosk.player or {}).get("frames_changed", 0) >= 3, 15, kiosk, other, service, every=0.05)
        # Not by the button, which counts a second press within half a second as the same one.
        kiosk.hang_up()
        kiosk.until_state("idle")
        other.hang_up()
        other.until_state("idle")
        until("warm workers", lambda: kiosk.status["worker"]["warm"] and other.status["worker"]["warm"], 30, kiosk, other, every=0.05)

    def held():
        return {name: settled(lambda pid=pid: {**resources(pid), **memory(pid)}, 3)
                for name, pid in (("kioskd", kiosk.program.pid), ("roomservice", service.program.pid))}

    readings = {}
    for call in range(1, CALLS + 1):
        one_call()
        if call in (WARM, CALLS // 2, CALLS):
            readings[call] = held()
            print(f"\n  after {call} calls: {readings[call]}", flush=True)
    until("nothing to be in use", lambda: service.in_use() == NOTHING, 10, service)
    assert kiosk.status["worker"]["restarts"] == 0
    first, last = readings[WARM], readings[CALLS]
    for program in ("kioskd", "roomservice"):
        for what in ("fds", "threads"):
            assert last[program][what] <= first[program][what] + 1, f"{program}: {what} from {first[program]} to {last[program]}"
        assert last[program]["pss_kb"] <= first[program]["pss_kb"] + MEMORY_KB, f"{program}: memory from {first[program]} to {last[program]}"


def memory(pid):
    """What a process holds, in KiB: resident, and its fair share of what it shares."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        sizes = dict(line.split(":", 1) for line in rollup if ":" in line and line.startswith(("Rss", "Pss:")))
    return {f"{name.lower()}_kb": int(size.split()[0]) for name, size in sizes.items()}
