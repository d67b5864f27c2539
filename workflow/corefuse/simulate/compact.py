"""Raw files made small for a library that is kept in a repository.

Left out is what lies below the noise of any measurement, or can be had from what is kept:

- intensities keep 9 bits behind the leading one (rounded by 1/1000 at most), densities of states
  4 (by 1/32; the means over sites and widths that are shown average it out);
- values below 1e-6 of an array's maximum are zero;
- the density of states of a channel is dropped where it is that of its atom, which is kept
  (:func:`corefuse.core.rawdata.of_edge` gives it back), or of a multiplet, which is its L3;
- O and Li keep s and p states only.

Energies, shifts, moments and attributes stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

from corefuse.core import files, rawdata

INTENSITY_BITS = 9
DENSITY_BITS = 4
BITS = {
    **{"intensity": INTENSITY_BITS, "l2_intensity": INTENSITY_BITS},
    **{"dos": DENSITY_BITS, "atom_dos": DENSITY_BITS},
}
MANTISSA_BITS = 23  # of a float32
SMALLEST = 1e-6
WITHOUT_D = ("O", "Li")


def compact(raw: xr.Dataset) -> xr.Dataset:
    """The raw dataset with rounded arrays; what has been compacted stays as it is."""
    if "dos" in raw and (rawdata.holds_all_levels(raw) or _is_of_atoms(raw)):
        raw = raw.drop_vars("dos")
    kept = {
        name: raw[name].copy(data=rounded(raw[name].values, bits))
        for name, bits in BITS.items()
        if name in raw
    }
    if "atom_dos" in kept and "site" in raw.coords:
        light = raw["site"].values[np.isin(raw["element"].values, WITHOUT_D)]
        kept["atom_dos"][light, 2] = 0.0
    return raw.assign(kept)


def write(path: str | Path, raw: xr.Dataset) -> None:
    """Write a compact dataset."""
    files.write_netcdf(path, compact(raw), level=9)


def write_json(source: str | Path, target: str | Path) -> None:
    """The same data on one line."""
    with files.atomic(target) as partial:
        text = json.dumps(files.read_json(source), separators=(",", ":"))
        partial.write_text(text + "\n")


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """float32 values with that many bits of mantissa, rounded to nearest: the rest are zeros."""
    dropped = MANTISSA_BITS - bits
    large = np.abs(values) >= SMALLEST * np.abs(values).max(initial=0.0)
    pattern = np.where(large, values, 0.0).astype(np.float32).view(np.uint32)
    half = np.uint32(1 << (dropped - 1))
    return (((pattern + half) >> dropped) << dropped).view(np.float32)


def _is_of_atoms(raw: xr.Dataset) -> bool:
    if "atom_dos" not in raw:
        return False
    return np.array_equal(raw["dos"].values, raw["atom_dos"].values[raw["site"].values])
