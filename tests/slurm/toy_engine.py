"""Stands in for the core-hole engine in a copy of the project: its sites do as they are told.

``behaviour.json`` in the run's folder: structure -> site -> memory to take (MB), seconds to wait,
whether to break. A run appends ``start <structure> <site>`` and ``end ...`` to ``journal.txt``.
"""

import time
from pathlib import Path

import numpy as np

from corefuse.core import files, rawdata
from corefuse.engines import ProgramEngine

EDGE = "O K"
JOURNAL = Path("journal.txt")


class ToyEngine(ProgramEngine):
    """See the module."""

    name = "gpaw_core_hole"
    revision = 1
    edges = (EDGE,)
    per_site = True

    def version(self):
        return "toy"

    def check(self, settings, folder):
        return "does as it is told"

    def prepare(self, job, folder):
        told = files.read_json("behaviour.json").get(job.structure_id, {})
        site = job.absorber.site
        files.write_json(
            folder / "job.json", {"site": site, "id": job.structure_id} | told.get(str(site), {})
        )

    def run(self, folder):
        job = files.read_json(folder / "job.json")
        note("start", job)
        (folder / "out.txt").write_text("what the engine printed\n")
        taken = take(job.get("memory_mb", 0))
        time.sleep(job.get("wait_s", 0.0))
        if job.get("breaks"):
            raise OSError("broken on purpose")
        assert all(part.all() for part in taken)
        note("end", job)

    def parse(self, folder):
        site = files.read_json(folder / "job.json")["site"]
        line = np.eye(100)[site]
        channel = rawdata.Channel(EDGE, site, "O", "", line, np.zeros((3, 100)), 0.0, 0.0)
        return rawdata.build([channel], np.arange(100) * rawdata.STEP_EV)

    def read_log(self, folder):
        out = folder / "out.txt"
        return out.read_text() if out.exists() else ""


def take(megabytes):
    """More than half at once, the rest as slowly as real calculations grow."""
    parts = [np.ones(int(0.6 * megabytes) << 17)]
    while sum(part.nbytes for part in parts) >> 20 < megabytes:
        parts.append(np.ones(50 << 17))
        time.sleep(0.4)
    return parts


def note(word, job):
    with JOURNAL.open("a") as journal:
        journal.write(f"{word} {job['id']} {job['site']}\n")


ENGINE = ToyEngine()
