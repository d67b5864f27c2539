"""Progress of the long stage, printed by Snakemake's main process: done, left, time to go."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

INTERVAL_S = 20.0


def describe(done: int, done_at_start: int, total: int, elapsed_s: float) -> str:
    """One line; the time to go is extrapolated from what this run has finished itself."""
    left = total - done
    if left == 0:
        return f"simulate: all {total} jobs done"
    line = f"simulate: {done} of {total} jobs done, {left} left"
    fresh = done - done_at_start
    if fresh == 0:
        return f"{line}, time to go known after the first"
    minutes = elapsed_s / fresh * left / 60
    return f"{line}, about {minutes:.0f} min to go" if minutes >= 1 else f"{line}, < 1 min to go"


def count_done(files: list[str]) -> int:
    """How many of the files exist."""
    return sum(Path(f).exists() for f in files)


def watch(files: list[str], write: Callable[[str], object] = sys.stderr.write) -> None:
    """Start a daemon thread that prints a line whenever the count of finished files changes.

    Returns at once; nothing is printed where everything is done already.
    """
    done_at_start = count_done(files)
    if done_at_start < len(files):
        threading.Thread(target=_loop, args=(files, done_at_start, write), daemon=True).start()


def _loop(files: list[str], done_at_start: int, write: Callable[[str], object]) -> None:
    start, last = time.monotonic(), -1
    while last < len(files):
        done = count_done(files)
        if done != last:
            elapsed = time.monotonic() - start
            write(f"[corefuse] {describe(done, done_at_start, len(files), elapsed)}\n")
            last = done
        time.sleep(INTERVAL_S)
