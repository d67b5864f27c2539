"""Progress of the long stage, printed by Snakemake's main process: done, left, time to go."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

INTERVAL_S = 20.0
Job = TypeVar("Job")


def describe(done: int, total: int, there: int, sites: int, elapsed_s: float) -> str:
    """One line on the jobs that this run has to do; ``there`` others were there already.

    ``sites`` were computed one by one in jobs, finished or not.
    """
    before = f" ({there} there already)" if there else ""
    before += f", {sites} sites" if sites else ""
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
    raw: Path,
    write: Callable[[str], object] = sys.stderr.write,
) -> None:
    """Start a daemon thread that prints a line whenever one more job, or site, is finished.

    ``jobs`` are those that this run has to do. Whether one is done is asked of who runs it: a file
    of an earlier config, which stays until its job starts, is no finished job. Sites have files of
    their own below ``raw``. Returns at once; nothing is printed where there is nothing to do.
    """
    if jobs:
        arguments = (jobs, finished, there, raw, write)
        threading.Thread(target=_loop, args=arguments, daemon=True).start()


def _loop(
    jobs: Sequence[Job],
    finished: Callable[[Job], bool],
    there: int,
    raw: Path,
    write: Callable[[str], object],
) -> None:
    start, sites_before, last = time.monotonic(), _sites(raw), (-1, 0)
    while last[0] < len(jobs):
        now = sum(map(finished, jobs)), _sites(raw) - sites_before
        if now != last:
            elapsed_s = time.monotonic() - start
            write(f"[corefuse] {describe(now[0], len(jobs), there, now[1], elapsed_s)}\n")
            last = now
        time.sleep(INTERVAL_S)


def _sites(raw: Path) -> int:
    return sum(1 for _ in raw.glob("*/sites/*/*.nc"))
