"""FEFF 10 on one oxygen of the 16-atom cell, where the package feff10-rs is installed.

Without SCF, so that it takes seconds; with it, some twelve times as long (docs/engines.md).
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from corefuse import config, engines
from corefuse.bench import GPAW_16, Row, gpaw_cells
from corefuse.engines import feff

PROGRAM = "import feff10; feff10.run('feff.inp', '.')"
FORMULA_UNITS = 4


def rows() -> Iterator[Row]:
    """One row, its ratio to GPAW's 16 atoms with all their sites; none without the package."""
    if not importlib.util.find_spec("feff10"):
        return
    structure = gpaw_cells.cell(FORMULA_UNITS)
    site = next(i for i, atom in enumerate(structure) if atom.specie.symbol == "O")
    command = config.Command(run=[shlex.join([sys.executable, "-c", PROGRAM])])
    section = config.Feff(command=command, scf_radius_angstrom=None)
    settings = section.model_dump(mode="json")
    with tempfile.TemporaryDirectory() as folder:
        absorber = engines.Absorber("O K", site)
        job = engines.Job("o", structure, ("O K",), settings, Path(folder), absorber=absorber)
        raw = engines.simulate(feff.ENGINE, job, Path(folder) / "run")
    if raw.attrs["status"] != "ok":
        raise RuntimeError(f"FEFF: {raw.attrs['reason']}")
    atoms = len(feff.cluster(structure, site, settings["fms_radius_angstrom"]))
    yield Row(
        "FEFF 10, O K without SCF",
        f"{atoms} atoms",
        float(raw.attrs["cpu_seconds"]),
        spectra=1,
        reference=GPAW_16,
        note=str(raw.attrs["binary_version"]),
    )
