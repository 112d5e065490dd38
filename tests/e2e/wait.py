"""Waiting with a limit, and saying what was waited for."""

import time


def until(what, check, seconds, *witnesses, every=0.1):
    """Gives the first true value of `check()`; after `seconds` fails with `what` and what the witnesses last saw.

    A witness has a `report()`. An exception of `check` counts as "not yet" and is named in the end.
    """
    limit = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = check()
            if last:
                return last
        except Exception as error:  # noqa: BLE001 a program that is just starting answers in many ways
            last = error
        if time.monotonic() >= limit:
            break
        time.sleep(every)
    reports = "\n".join(witness.report() for witness in witnesses)
    raise AssertionError(f"waited {seconds} s for {what}; last: {last!r}\n{reports}") from None


def tail(path, lines=25):
    """The end of a log."""
    try:
        text = path.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"--- {path.name}: {error}"
    return "\n".join([f"--- {path.name}, last {lines} of {len(text)} lines"] + text[-lines:])
