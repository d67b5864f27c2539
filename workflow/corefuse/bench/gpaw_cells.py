"""GPAW in the initial-state approximation on pristine cells of three sizes.

Each cell runs in a process of its own (``python -m corefuse.bench.gpaw_cells 4``), so that its
peak memory is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from corefuse import config, engines
from corefuse.bench import GPAW, GPAW_16, Row, stages
from corefuse.core import rawdata
from corefuse.plan import specs
from corefuse.structures import build

NMC211 = {"grade": "NMC211", "stoichiometry": {"Ni": 0.5, "Mn": 0.25, "Co": 0.25}}
SERIES: dict[int, dict[str, Any]] = {  # that fit
    4: NMC211,
    8: NMC211,
    10: {"grade": "NMC622"},
    12: NMC211,
}
# Coarser than the demo's 0.75, which has four k points for 40 atoms and is too dear for a look.
KPOINT_SPACING_PER_ANGSTROM = 1.0
MOMENTS_MUB = {"Ni": 1.0, "Mn": 3.0}


def rows() -> Iterator[Row]:
    """One row a size; ratios are to 16 atoms."""
    for formula_units in SERIES:
        found = _in_own_process(formula_units)
        yield Row(
            GPAW,
            f"{found['atoms']} atoms",
            found["cpu_seconds"],
            found["site_spectra"],
            found["peak_memory_mb"],
            reference=GPAW_16,
            note=f"mesh {found['mesh']}, {found['kpoints']} k points, {found['bands']} bands, "
            f"{found['scf_iterations']} SCF steps",
        )


def simulate(formula_units: int, folder: Path) -> dict[str, Any]:
    """One pristine cell, unrelaxed, through GPAW with the demo's settings: its cost.

    Raises RuntimeError where GPAW does not converge.
    """
    from corefuse.engines import gpaw

    structure = cell(formula_units)
    job = engines.Job(
        f"{formula_units}fu",
        structure,
        tuple(stages.demo_config().simulation.edges),
        settings().model_dump(),
        folder / "shared",
    )
    raw = engines.simulate(engines.get("gpaw"), job, folder / job.structure_id)
    if raw.attrs["status"] != "ok":
        raise RuntimeError(f"{len(structure)} atoms: {raw.attrs['reason']}")
    mesh = gpaw.kpoint_mesh(gpaw.to_atoms(structure), KPOINT_SPACING_PER_ANGSTROM)
    return rawdata.summary(raw) | {
        "atoms": len(structure),
        "mesh": "x".join(map(str, mesh)),
        "site_spectra": raw.sizes["channel"],
    }


def cell(formula_units: int) -> Structure:
    """A pristine cell, unrelaxed, with moments to start from."""
    section = config.Structures.model_validate(
        {"formula_units": formula_units, "series": [SERIES[formula_units]]}
    )
    structure = build.build(specs.plan(section)[0])
    return structure.add_site_property(
        "magmom", [MOMENTS_MUB.get(s.specie.symbol, 0.0) for s in structure]
    )


def settings() -> config.Gpaw:
    """The demo's, with fewer k points."""
    return stages.demo_config().simulation.gpaw.model_copy(
        update={"kpoint_spacing_per_angstrom": KPOINT_SPACING_PER_ANGSTROM}
    )


def _in_own_process(formula_units: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "corefuse.bench.gpaw_cells"]
    done = subprocess.run(
        [*command, str(formula_units)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(simulate(int(sys.argv[1]), Path(scratch))))
