"""Progress of the long stage, printed by Snakemake's main process: done, left, time to go."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

INTERVAL_S = 20.0
Job = TypeVar("Job")


def describe(done: int, total: int, there: int, elapsed_s: float) -> str:
    """One line on the jobs that this run has to do; ``there`` others were there already."""
    before = f" ({there} there already)" if there else ""
    left = total - done
    if left == 0:
        return f"simulate: all {total} jobs done{before}"
    line = f"simulate: {done} of {total} jobs done{before}, {left} left"
    if done == 0:
        return f"{line}, time to go known after the first"
    minutes = elapsed_s / done * left / 60
    return f"{line}, about {minutes:.0f} min to go" if minutes >= 1 else f"{line}, < 1 min to go"


def watch(
    jobs: Sequence[Job],
    finished: Callable[[Job], bool],
    there: int,
    write: Callable[[str], object] = sys.stderr.write,
) -> None:
    """Start a daemon thread that prints a line whenever the count of finished jobs changes.

    ``jobs`` are those that this run has to do. Whether one is done is asked of who runs it: a file
    of an earlier config, which stays until its job starts, is no finished job. Returns at once;
    nothing is printed where there is nothing to do.
    """
    if jobs:
        threading.Thread(target=_loop, args=(jobs, finished, there, write), daemon=True).start()


def _loop(
    jobs: Sequence[Job],
    finished: Callable[[Job], bool],
    there: int,
    write: Callable[[str], object],
) -> None:
    start, last = time.monotonic(), -1
    while last < len(jobs):
        done = sum(map(finished, jobs))
        if done != last:
            elapsed = time.monotonic() - start
            write(f"[corefuse] {describe(done, len(jobs), there, elapsed)}\n")
            last = done
        time.sleep(INTERVAL_S)
