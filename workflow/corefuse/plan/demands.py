"""What a GPAW job asks of a cluster, before there is a structure: from its plan and settings.

Plane waves decide. Full diagonalisation holds some dense matrices of them, and takes their cube in
time. The constants are fitted to stored runs on one core (16 atoms, 270 eV: 0.46 to 0.54 GB, 27 to
44 CPU s; 40 atoms, 300 eV: 1.57 to 1.66 GB, 280 to 305 CPU s).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import ceil, pi
from typing import Any

from ase.units import Bohr, Hartree

from corefuse.plan.specs import Spec

BAND_BOTTOM_EV = 24.0  # depth below E_F of the free-electron-like band bottom (O 2s)
COMPLEX_MB = 16 / 2**20
PROGRAM_MB = 350.0
DENSE_MATRICES = 5.5
SECONDS_PER_PLANE_WAVE3 = 2.8e-9  # and k point, both spins, some 20 SCF steps
SAFETY_MEMORY = 1.5
SAFETY_TIME = 2.0  # a node that is slow
WORST_RUN = 8.0  # more for one run of a job: SCF that takes three attempts
SPARE_MB, SPARE_MINUTES = 500, 15  # Snakemake, which runs in the job too; imports, datasets


def plane_waves(volume_angstrom3: float, cutoff_ev: float) -> float:
    """Plane waves up to a cutoff: N = V k^3 / (6 pi^2), k = sqrt(2 E) in atomic units."""
    return volume_angstrom3 / Bohr**3 * (2 * cutoff_ev / Hartree) ** 1.5 / (6 * pi**2)


def bands_up_to(volume_angstrom3: float, energy_ev: float) -> float:
    """Bands below ``energy_ev`` above E_F, counted as for free electrons in the cell.

    On 16-atom NMC cells the count reaches the energy with a few per cent to spare.
    """
    return plane_waves(volume_angstrom3, energy_ev + BAND_BOTTOM_EV)


def memory_mb(spec: Spec, settings: Mapping[str, Any]) -> int:
    """Memory (MB) of a job that is one process."""
    waves, kpoints = _size(spec, settings)
    bands = bands_up_to(spec.volume_angstrom3, settings["spectrum_max_ev"])
    arrays = DENSE_MATRICES * waves**2 + 2 * kpoints * bands * waves
    return ceil(SAFETY_MEMORY * (PROGRAM_MB + arrays * COMPLEX_MB)) + SPARE_MB


def minutes(spec: Spec, settings: Mapping[str, Any], runs: int = 1) -> int:
    """Time (minutes) of a job that is one process and does ``runs`` of them."""
    waves, kpoints = _size(spec, settings)
    seconds = SECONDS_PER_PLANE_WAVE3 * kpoints * waves**3
    return ceil((SAFETY_TIME * runs + WORST_RUN) * seconds / 60) + SPARE_MINUTES


@lru_cache
def _cell(volume: float, cutoff_ev: float, spacing_per_angstrom: float) -> tuple[float, float]:
    divisions = ceil(2 * pi / volume ** (1 / 3) / spacing_per_angstrom)
    return plane_waves(volume, cutoff_ev), max(1.0, divisions**3 / 2)  # time reversal


def _size(spec: Spec, settings: Mapping[str, Any]) -> tuple[float, float]:
    """Plane waves and k points, as in a cell as long as it is wide."""
    return _cell(
        spec.volume_angstrom3,
        settings["plane_wave_cutoff_ev"],
        settings["kpoint_spacing_per_angstrom"],
    )
