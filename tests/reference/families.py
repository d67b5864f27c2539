"""Figure of docs/own_structures.md: families beyond NMC, from their stored simulations.

``make run CONFIG=config/own_structures.yaml TARGETS=spectra``, then
``PYTHONPATH=workflow python tests/reference/families.py docs/families.png``.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from corefuse.core import files

FOLDER = Path("results/own_structures/spectra")
PANELS = {
    "O_K-XAS": ("NiO", "MnO", "LiMn2O4", "Li2MnO3", "LiFePO4", "FePO4"),
    "Mn_L23-XAS": ("MnO", "LiMn2O4", "Li2MnO3"),
    "Fe_L23-XAS": ("LiFePO4", "FePO4"),
}


def main(target: str) -> None:
    """Draw the site averages, one panel per edge, offset by structure."""
    made, axes = plt.subplots(1, len(PANELS), figsize=(11, 4), layout="constrained")
    for ax, (modality, names) in zip(axes, PANELS.items(), strict=True):
        axis = f"energy_{modality.removesuffix('-XAS')}"
        for number, name in enumerate(names):
            found = files.read_netcdf(FOLDER / f"{name}.nc")
            curve = found[modality] / found[modality].max()
            ax.plot(found[axis], curve - number, label=name, color=f"C{number}")
            ax.annotate(name, (float(found[axis][-1]), 0.25 - number), ha="right", fontsize=8)
        ax.set(title=modality, xlabel="energy (eV)", yticks=[])
    axes[0].set_ylabel("intensity, highest point 1")
    made.savefig(target, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1])
