"""How often a ground state misses a lower one with other moments, on a sample of stored cells.

``python -m corefuse.bench.moments config/reference.yaml results/moments.csv ID ...`` starts the SCF
of stored cells from a second set of moments and puts its energy beside the stored one, which
started from CHGNet's moments, all parallel. The second set has the same sizes and, on the metals,
signs drawn by a seed from the cell's name. A cell that the file has is not computed again.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corefuse import config as cfg
from corefuse.core import files
from corefuse.core.vocabulary import METALS
from corefuse.engines import gpaw
from corefuse.structures import build, layered


def measure(config: cfg.Config, structure_id: str, folder: Path) -> dict[str, Any]:
    """Energies (eV a cell) and total moments (Bohr magnetons) of both starts of a stored cell."""
    kept = Path(str(config.simulation.stored))
    raw = files.read_netcdf(kept / f"raw/gpaw/{structure_id}.nc")
    atoms = gpaw.to_atoms(build.read(kept / f"structures/{structure_id}.json"))
    metal = np.isin(atoms.get_chemical_symbols(), METALS)
    rng = np.random.RandomState(layered.stream_seed("moments", structure_id))
    signs = np.where(metal, rng.choice([-1, 1], len(atoms)), 1)
    atoms.set_initial_magnetic_moments(atoms.get_initial_magnetic_moments() * signs)
    edges, settings = config.simulation.engines()["gpaw"], config.simulation.settings("gpaw")
    gpaw.use_datasets(folder / "datasets")
    for symbol in set(atoms.get_chemical_symbols()):
        gpaw.ensure_dataset(gpaw.ground_state_edge(symbol, edges), folder / "datasets")
    before = time.process_time()
    calc = gpaw.ground_state(atoms, edges, settings, folder)
    first, second = raw["atom_moment_mub"].values, calc.get_magnetic_moments()
    return {
        "structure_id": structure_id,
        "atoms": len(atoms),
        "energy_ev": raw.attrs["total_energy_ev"],
        "other_energy_ev": float(calc.get_potential_energy()),
        "moment_mub": first.sum(),
        "other_moment_mub": second.sum(),
        "largest_change_of_size_mub": np.abs(np.abs(first) - np.abs(second))[metal].max(),
        "other_cpu_seconds": time.process_time() - before,
    }


def main(config_file: str, table_file: str, *structure_ids: str) -> None:
    """Add a row for each structure to the table."""
    config = cfg.read(config_file)
    rows = pd.read_csv(table_file).to_dict("records") if Path(table_file).exists() else []
    for structure_id in structure_ids:
        if structure_id in [row["structure_id"] for row in rows]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(config, structure_id, Path(folder)))
        files.write_csv(table_file, pd.DataFrame(rows))
        print(rows[-1], file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
