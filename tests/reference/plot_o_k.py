"""O K pre-edges of LiNiO2 and LiCoO2 as lithium leaves -> docs/o_k_lithium.png.

PYTHONPATH=workflow python tests/reference/plot_o_k.py docs/o_k_lithium.png
from tests/reference/o_k_lithium/*.nc (the cells without a hole of `make_total_energies.py`).
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from corefuse.config import Spectra
from corefuse.core import edge_table, files
from corefuse.spectra import calibration, process

EDGE, M = "O K", "O_K-XAS"
STORED = Path("tests/reference/o_k_lithium")
SETTINGS = Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 0.8, "edges": [EDGE]}})
VALENCE = {  # of Ni alone, as calibration.mean_valences counts
    "LiNiO2": {"li100": 3.0, "li050": 3.5, "li000": 4.0},
    "LiCoO2": {"li100": 3.0, "li000": 3.0},
}
SHIFTED, AS_SIMULATED = "corrected by published shifts", "initial state as simulated"


def spectra(compound: str, shifts: str):
    """Li content -> spectrum of a compound on an axis on which its lithiated one is at 530 eV."""
    table = edge_table.load("resources/edges.yaml")
    entry = table[EDGE]
    if shifts == AS_SIMULATED:
        entry = entry.model_copy(update={"chemical_shift": None})
    valence = VALENCE[compound]
    raw = {name: files.read_netcdf(STORED / f"{compound}-{name}.nc") for name in valence}
    known = {EDGE: calibration.calibrate(raw["li100"], EDGE, SETTINGS, entry, valence["li100"])}
    return {
        name: process.process({"gpaw": run}, SETTINGS, {EDGE: entry}, known, valence[name])[M]
        for name, run in raw.items()
    }


def main(target: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(8, 6), sharex=True, layout="constrained")
    for row, compound in zip(axes, ("LiNiO2", "LiCoO2"), strict=True):
        for ax, shifts in zip(row, (AS_SIMULATED, SHIFTED), strict=True):
            for name, y in spectra(compound, shifts).items():
                ax.plot(y[y.dims[0]], y, label=f"x = {int(name[2:]) / 100:g}")
            ax.set(title=f"{compound.replace('Li', 'Li$_x$')}, {shifts}", yticks=[])
            ax.legend(frameon=False)
    for ax in axes[-1]:
        ax.set(xlabel="energy (eV)", xlim=(525, 548))
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
