"""A core hole on one site against the one ground state that serves all sites and edges.

Each cell runs in a process of its own (``python -m corefuse.bench.core_hole 4``).
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corefuse import config, engines
from corefuse.bench import GPAW, Row, gpaw_cells
from corefuse.core import rawdata

EDGE = "O K"
FORMULA_UNITS = (4, 8, 12)
START = "GPAW ground state kept for core holes"
SITE = f"GPAW half core hole, one {EDGE} site"


def rows() -> Iterator[Row]:
    """Ground state and one site of each cell; a site's ratio is to a site spectrum without hole."""
    for formula_units in FORMULA_UNITS:
        command = [sys.executable, "-W", "ignore", "-m", "corefuse.bench.core_hole"]
        done = subprocess.run(
            [*command, str(formula_units)], check=True, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        atoms = f"{found['atoms']} atoms"
        yield Row(
            START,
            atoms,
            found["start_s"],
            peak_memory_mb=found["start_peak_mb"],
            note=f"file of {found['start_mb']:.0f} MB",
        )
        yield Row(
            SITE,
            atoms,
            found["cpu_seconds"],
            1,
            found["peak_memory_mb"],
            reference=f"{GPAW}, {atoms}",
            note=f"{found['kpoints']} k points, {found['bands']} bands, "
            f"{found['scf_iterations']} SCF steps",
        )


def measure(formula_units: int, folder: Path) -> dict[str, Any]:
    """One ground state and one site with half a core hole, settings as in ``gpaw_cells``."""
    import time

    structure = gpaw_cells.cell(formula_units)
    site = next(i for i, s in enumerate(structure) if s.specie.symbol == "O")
    simulation = config.Simulation(
        edges={EDGE: "gpaw"}, core_hole={EDGE: "half"}, gpaw=gpaw_cells.settings()
    )
    (name,) = simulation.engines()
    engine, settings, start = engines.get(name), simulation.settings(name), folder / "start.gpw"
    job = engines.Job(f"{formula_units}fu", structure, (EDGE,), settings, folder / "shared")
    begin = time.process_time()
    engines.begin(engine, job, folder / "begin", start)
    start_s = time.process_time() - begin
    start_peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    of_site = engines.Job(**vars(job) | {"absorber": engines.Absorber(EDGE, site), "start": start})
    raw = engines.simulate(engine, of_site, folder / "site")
    if raw.attrs["status"] != "ok":
        raise RuntimeError(f"{len(structure)} atoms: {raw.attrs['reason']}")
    size_mb = start.stat().st_size / 1e6
    return rawdata.summary(raw) | {
        "atoms": len(structure),
        "start_s": start_s,
        "start_mb": size_mb,
        "start_peak_mb": start_peak_mb,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(int(sys.argv[1]), Path(scratch))))
