"""Makes the stored 40-atom results that tests read: too slow for CI, exact in provenance.

    python tests/reference/make.py ../shared/reference [name ...]

Li10Ni6Mn2Co2O20: pristine, with one O vacancy and with one Li/Ni antisite pair, all relaxed with
CHGNet r2SCAN, and `nmc40`, the cell of the stored GPAW run in ../shared/reference/gpaw. The
structures are given; the command names their folder. Writes <name>.nc beside this file: the raw
dataset of the GPAW engine with all its provenance, less the density of states.
"""

import sys
import tempfile
from pathlib import Path

from pymatgen.core import Structure

from corefuse import config, engines
from corefuse.core import files

EDGES = ("O K", "Li K", "Mn L2,3", "Co L2,3", "Ni L2,3")
SETTINGS = config.Gpaw(kpoint_spacing_per_angstrom=0.9, spectrum_max_ev=30)
HERE = Path(__file__).parent


NAMES = ("pristine", "vacancy", "antisite", "nmc40")


def structure_of(name: str, folder: Path) -> Structure:
    """The relaxed cell with CHGNet moments; for `nmc40` the moments its stored run began with."""
    if name != "nmc40":
        path = folder / "structures" / f"r2scan_NMC622_x1.0_{name}.json"
        return Structure.from_dict(files.read_json(path)["structure"])
    structure = Structure.from_file(folder / "gpaw" / "nmc40.vasp")
    moments = {"Ni": 1.0, "Mn": 3.0}
    structure.add_site_property("magmom", [moments.get(s.specie.symbol, 0.0) for s in structure])
    return structure


def main() -> None:
    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or NAMES:
        with tempfile.TemporaryDirectory() as scratch:
            job = engines.Job(
                f"NMC622-{name}",
                structure_of(name, folder),
                EDGES,
                SETTINGS.model_dump(),
                Path(tempfile.gettempdir()) / "corefuse-datasets",
            )
            raw = engines.simulate(engines.get("gpaw"), job, Path(scratch))
        files.write_netcdf(HERE / f"{name}.nc", raw.drop_vars("dos"))


if __name__ == "__main__":
    main()
