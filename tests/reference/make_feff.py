"""Makes tests/reference/feff with the FEFF 10 of the package feff10-rs (some CPU minutes).

    PYTHONPATH=workflow python tests/reference/make_feff.py

Small clusters of NiO: O K with and without SCF, Ni L3. Of each run the input and what is read of it
are kept. FEFF 10's licence (github.com/times-software/feff10) lets anybody use and pass on the code
with its notices; these files are its output, made by us.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pymatgen.core import Lattice, Structure

from corefuse import config
from corefuse.engines import feff

HERE = Path(__file__).parent / "feff"
SMALL = {"cluster_radius_angstrom": 4.0, "fms_radius_angstrom": 3.5}
RUNS = {
    "o_k": ("O", "K", {"scf_radius_angstrom": None}),
    "o_k_scf": ("O", "K", {"scf_radius_angstrom": 3.0}),
    "ni_l3": ("Ni", "L3", {"scf_radius_angstrom": None}),
}
KEPT = ("feff.inp", "xmu.dat", "log1.dat")


def nickel_oxide() -> Structure:
    """Rock salt, 4.18 angstrom."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], sites)


def settings(changes: dict) -> dict:
    """Of a run in ``RUNS``."""
    return config.Feff.model_validate(SMALL | changes).model_dump(mode="json")


def main() -> None:
    """Run FEFF for each, and keep its files."""
    crystal = nickel_oxide()
    for name, (element, level, changes) in RUNS.items():
        site = next(i for i, atom in enumerate(crystal) if atom.specie.symbol == element)
        with tempfile.TemporaryDirectory() as folder:
            text = feff.input_text(crystal, site, level, settings(changes))
            Path(folder, "feff.inp").write_text(text)
            program = "import feff10; feff10.run('feff.inp', '.')"
            subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
            (HERE / name).mkdir(parents=True, exist_ok=True)
            for kept in KEPT:
                shutil.copy(Path(folder, kept), HERE / name)


if __name__ == "__main__":
    main()
