"""Energies of every site of `make_total_energies.py`, by each method -> site_energies.csv.

PYTHONPATH=workflow python tests/reference/site_table.py SCRATCH tests/reference/site_energies.csv
All in eV; those of the initial state from the sites of the cell without a hole.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from corefuse.config import Spectra
from corefuse.core import files, rawdata
from corefuse.core.spectrum import EnergyGrid
from corefuse.spectra.broadening import broadened
from corefuse.spectra.features import feature_energy
from corefuse.structures import build

FEATURES = {"O K": ("pre_edge_peak", "peak")}
METAL = ("half_height", "peak")


def settings(edge):
    """XAS as measured: 1.2 eV at metal K edges, 0.8 eV at O K."""
    width = 0.8 if edge == "O K" else 1.2
    return Spectra(techniques={"XAS": {"gaussian_fwhm_ev": width, "edges": [edge]}})


def features(channels, edge, shifts_ev):
    """Energies of the features of the mean of channels whose zeros are at ``shifts_ev``."""
    energy_ev, zero_ev = channels["energy_ev"].values, np.mean(shifts_ev)
    grid = EnergyGrid(start_ev=-6.0, stop_ev=round(float(energy_ev[-1])), step_ev=0.05)
    near = channels.assign(core_level_shift_ev=("channel", np.array(shifts_ev) - zero_ev))
    y = broadened(near, edge, "XAS", settings(edge), grid, 0.0, 0.0).mean(axis=0)
    names = FEATURES.get(edge, METAL)
    return {name: zero_ev + feature_energy(grid.energies_ev, y, name) for name in names}


def bonds(structure, site):
    """Mean distance (angstrom) to the nearest neighbours of the other kind, and their number."""
    oxygen = structure[site].specie.symbol == "O"
    near = [
        n.nn_distance
        for n in structure.get_neighbors(structure[site], 2.7)
        if (n.specie.symbol == "O") != oxygen
    ]
    return float(np.mean(near)), len(near)


def methods(initial, hole):
    """Method -> channels, and where its zeros are."""
    return {
        "initial": (initial, initial["core_level_shift_ev"].values),
        "total": (hole, hole["core_level_shift_ev"].values),
        "hole": (hole, hole["core_potential_shift_ev"].values),
    }


def rows(folder):
    none = files.read_netcdf(folder / "none.nc")
    structure = build.read(folder / "none" / "structure.json")
    n_metal = sum(s.specie.symbol in ("Ni", "Mn", "Co") for s in structure)
    holes = [files.read_netcdf(path) for path in sorted(folder.glob("*_K-*.nc"))]
    holes = [hole for hole in holes if hole.attrs["status"] == "ok"]
    for edge in sorted({str(hole["edge"].values[0]) for hole in holes}):
        of_edge = [hole for hole in holes if str(hole["edge"].values[0]) == edge]
        together = rawdata.join(of_edge)
        initial = rawdata.of_edge(none, edge)
        places = [
            int(np.flatnonzero(initial["site"].values == s)[0]) for s in together["site"].values
        ]
        initial = initial.isel(channel=places)
        of_cell = {
            f"cell_{method}_{name}": value
            for method, (channels, shifts_ev) in methods(initial, together).items()
            for name, value in features(channels, edge, shifts_ev).items()
        }
        for i, hole in enumerate(of_edge):
            own = initial.isel(channel=[i])
            site = int(hole["site"].values[0])
            yield {
                "cell": folder.name,
                "edge": edge,
                "site": site,
                "x_li": sum(s.specie.symbol == "Li" for s in structure) / n_metal,
                "moment_mub": float(own["moment_mub"].values[0]),
                "bond_angstrom": bonds(structure, site)[0],
                "excitation": float(hole["excitation_ev"].values[0]),
                "excited_level": float(hole["excited_level_ev"].values[0]),
                **{
                    f"{method}_{name}": value
                    for method, (channels, shifts_ev) in methods(own, hole).items()
                    for name, value in features(channels, edge, shifts_ev).items()
                },
                **of_cell,
                "cpu_seconds": hole.attrs["cpu_seconds"],
            }


def main(scratch, target):
    found = [r for f in sorted(scratch.iterdir()) if (f / "none.nc").exists() for r in rows(f)]
    pd.DataFrame(found).round(4).to_csv(target, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
