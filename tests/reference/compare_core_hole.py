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

from corefuse import config
from corefuse.core import edge_table, files, spectrum
from corefuse.read import measured
from corefuse.spectra import calibration, features, process

EDGE, MODALITY = "O K", "O_K-EELS"
HERE = Path(__file__).parent / "core_hole"
WIDTHS_EV = (0.8, 2.35)  # a nominal instrument, and the one at which no hole overlaps best
# axis corrected as in ../shared/notes/experiments.md
FILE = "eels_si_doped_nmc/TM_oxygen_edge.msa"
CORRECTION = {"energy_scale": 1.029, "energy_offset_ev": -5.2}
CELLS, HOLES = ("LiCoO2", "NMC211"), ("none", "half", "full")
# Raw spectra end 30 eV above E_F, those of a full hole at the lowest energy: what is compared ends
# where each of them, once moved, still has real states.
WIDE = spectrum.EnergyGrid(start_ev=515.0, stop_ev=553.0, step_ev=0.2)
COMPARED_EV = (525.0, 550.0)
SHIFTS_EV = np.arange(-8.0, 8.01, 0.05)


def curves(
    folder: Path, gaussian_fwhm_ev: float
) -> tuple[np.ndarray, np.ndarray, dict[tuple[str, str], np.ndarray]]:
    """Axis (eV), the measured edge on it, and (cell, core hole) -> the simulated one."""
    settings = config.Spectra.model_validate(
        {"techniques": {"EELS": {"gaussian_fwhm_ev": gaussian_fwhm_ev, "edges": [EDGE]}}}
    )
    table = edge_table.load("resources/edges.yaml")
    entry = table[EDGE].model_copy(update={"grid": WIDE, "window_ev": COMPARED_EV})
    energy_ev = entry.grid.energies_ev
    asked = config.MeasuredSpectrum(
        edge=EDGE, technique="EELS", file=str(folder / FILE), **CORRECTION
    )
    seen = measured.prepare(measured.read(asked, table), entry)
    found = {}
    for cell in CELLS:
        for hole in HOLES:
            raw = files.read_netcdf(HERE / f"{cell}-{hole}.nc")
            known = {EDGE: calibration.calibrate(raw, EDGE, settings, entry)}
            made = process.process({"gpaw": raw}, settings, {EDGE: entry}, known)
            found[cell, hole] = made[MODALITY].values
    return energy_ev, seen, found


def compare(folder: Path) -> pd.DataFrame:
    """One row a width, cell and core hole, and one for the measurement."""
    rows = []
    for width_ev in WIDTHS_EV:
        energy_ev, seen, found = curves(folder, width_ev)
        for (cell, hole), curve in {("measured", ""): seen, **found}.items():
            about = {"gaussian_fwhm_ev": width_ev, "cell": cell, "core hole": hole}
            rows.append(about | _row(energy_ev, curve, seen))
    return pd.DataFrame(rows)


def draw(folder: Path, path: Path) -> None:
    """One panel a cell and width: the measured edge and the simulated, each at its best shift."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shape = {"nrows": len(WIDTHS_EV), "ncols": len(CELLS)}
    figure, axes = plt.subplots(**shape, figsize=(9, 6.4), sharex=True, sharey="row")
    for row, width_ev in zip(axes, WIDTHS_EV, strict=True):
        energy_ev, seen, found = curves(folder, width_ev)
        for axis, cell in zip(row, CELLS, strict=True):
            axis.plot(energy_ev, seen, "k", lw=1, label="measured, Si-doped NMC")
            for hole in HOLES:
                shift_ev, overlap, _ = best_overlap(energy_ev, found[cell, hole], seen)
                label = f"{hole}: overlap {overlap:.3f}"
                axis.plot(energy_ev + shift_ev, found[cell, hole], label=label)
            axis.set(title=f"{cell}, {width_ev:g} eV", xlim=COMPARED_EV)
            axis.legend(fontsize=8, frameon=False)
        row[0].set_ylabel("O K EELS, area 1 (1/eV)")
    for axis in axes[-1]:
        axis.set_xlabel("energy (eV)")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def _row(energy_ev: np.ndarray, curve: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    shift_ev, overlap, residual = best_overlap(energy_ev, curve, seen)
    found = asdict(features.pre_edge_metrics(energy_ev, np.nan_to_num(curve)))
    return {**found, "shift_ev": shift_ev, "overlap": overlap, "relative L2": residual}


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
