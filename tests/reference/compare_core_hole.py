"""O K without, with half and with a full core hole against the measured O K EELS: a table.

    PYTHONPATH=workflow python tests/reference/compare_core_hole.py ../shared/experimental

With a file name after it, also the figure.

The cells are those of make_core_hole.py; the specimen is an NMC (about 60 % Ni, Si-doped), so the
NMC cell should come nearest. Each simulated edge is calibrated on its own pre-edge, then moved as a
whole to its best overlap with the measured one.
"""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from corefuse import calibration, config, edge_table, features, files, measured, spectra
from corefuse.grid import EnergyGrid

EDGE, MODALITY = "O K", "O_K-EELS"
HERE = Path(__file__).parent / "core_hole"
SETTINGS = config.Spectra.model_validate(
    {"techniques": {"EELS": {"gaussian_fwhm_ev": 0.8, "edges": [EDGE]}}}
)
# axis corrected as in ../shared/notes/experiments.md
FILE = "eels_si_doped_nmc/TM_oxygen_edge.msa"
CORRECTION = {"energy_scale": 1.029, "energy_offset_ev": -5.2}
CELLS, HOLES = ("LiCoO2", "NMC211"), ("none", "half", "full")
COMPARED_EV = (525.0, 550.0)
GRID = EnergyGrid(start_ev=515, stop_ev=553, step_ev=0.2)  # room for the shifts
SHIFTS_EV = np.arange(-8.0, 8.01, 0.05)


def curves(folder: Path) -> tuple[np.ndarray, np.ndarray, dict[tuple[str, str], np.ndarray]]:
    """Axis (eV), the measured edge on it, and (cell, core hole) -> the simulated one."""
    table = edge_table.load("resources/edges.yaml")
    entry = table[EDGE].model_copy(update={"grid": GRID})
    table = table | {EDGE: entry}
    energy_ev = entry.grid.energies_ev
    asked = config.MeasuredSpectrum(
        edge=EDGE, technique="EELS", file=str(folder / FILE), **CORRECTION
    )
    seen = measured.prepare(measured.read(asked, table), entry)
    found = {}
    for cell in CELLS:
        for hole in HOLES:
            raw = files.read_netcdf(HERE / f"{cell}-{hole}.nc")
            known = {EDGE: calibration.calibrate(raw, EDGE, SETTINGS, entry)}
            made = spectra.process({"gpaw": raw}, SETTINGS, table, known)
            found[cell, hole] = made[MODALITY].values
    return energy_ev, seen, found


def compare(folder: Path) -> pd.DataFrame:
    """One row a cell and core hole, and one for the measurement."""
    energy_ev, seen, found = curves(folder)
    rows = [_row("measured", "", energy_ev, seen, seen)]
    rows += [_row(*name, energy_ev, curve, seen) for name, curve in found.items()]
    return pd.DataFrame(rows)


def draw(folder: Path, path: Path) -> None:
    """One panel a cell: the measured edge and the simulated ones, each at its best shift."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    energy_ev, seen, found = curves(folder)
    figure, axes = plt.subplots(1, len(CELLS), figsize=(9, 3.6), sharey=True)
    for axis, cell in zip(axes, CELLS, strict=True):
        axis.plot(energy_ev, seen, "k", lw=1, label="measured, Si-doped NMC")
        for hole in HOLES:
            shift_ev, overlap, _ = best_overlap(energy_ev, found[cell, hole], seen)
            label = f"{hole}: overlap {overlap:.2f}"
            axis.plot(energy_ev + shift_ev, found[cell, hole], label=label)
        axis.set(title=cell, xlabel="energy (eV)", xlim=COMPARED_EV)
        axis.legend(fontsize=8, frameon=False)
    axes[0].set_ylabel("O K EELS, area 1 (1/eV)")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def _row(
    cell: str, hole: str, energy_ev: np.ndarray, curve: np.ndarray, seen: np.ndarray
) -> dict[str, object]:
    shift_ev, overlap, residual = best_overlap(energy_ev, curve, seen)
    found = asdict(features.pre_edge_metrics(energy_ev, np.nan_to_num(curve)))
    return {
        "cell": cell,
        "core hole": hole,
        **found,
        "shift_ev": shift_ev,
        "overlap": overlap,
        "relative L2": residual,
    }


def best_overlap(
    energy_ev: np.ndarray, curve: np.ndarray, seen: np.ndarray
) -> tuple[float, float, float]:
    """Shift (eV), cosine and relative L2 distance at the best shift, both of area one."""
    inside = (energy_ev >= COMPARED_EV[0]) & (energy_ev <= COMPARED_EV[1]) & np.isfinite(seen)
    target = seen[inside] / seen[inside].sum()
    best = (0.0, -1.0, np.inf)
    for shift in SHIFTS_EV:
        moved = np.interp(energy_ev[inside], energy_ev + shift, np.nan_to_num(curve))
        moved = moved / moved.sum()
        cosine = moved @ target / np.linalg.norm(moved) / np.linalg.norm(target)
        if cosine > best[1]:
            distance = np.linalg.norm(moved - target) / np.linalg.norm(target)
            best = (float(shift), float(cosine), float(distance))
    return best


if __name__ == "__main__":
    print(compare(Path(sys.argv[1])).round(3).to_string(index=False))
    if len(sys.argv) > 2:
        draw(Path(sys.argv[1]), Path(sys.argv[2]))
