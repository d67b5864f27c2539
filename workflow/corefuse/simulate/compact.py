"""Raw files made small for a library that is kept in a repository.

What is left out: bits below the noise of any measurement. Intensities keep 10 bits behind the
leading one (rounded by 1/2000 at most), densities of states 6 (1/100). A channel's density of
states is dropped where it is that of its atom, which is kept: :func:`corefuse.core.rawdata.of_edge`
gives it back. Energies, shifts, moments and attributes stay as they are.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

INTENSITY_BITS = 10
DENSITY_BITS = 6
BITS = {
    **{"intensity": INTENSITY_BITS, "l2_intensity": INTENSITY_BITS},
    **{"dos": DENSITY_BITS, "atom_dos": DENSITY_BITS},
}
MANTISSA_BITS = 23  # of a float32


def compact(raw: xr.Dataset) -> xr.Dataset:
    """The raw dataset with rounded arrays; what has been compacted stays as it is."""
    if "dos" in raw and "atom_dos" in raw:
        of_atom = raw["atom_dos"].values[raw["site"].values]
        if np.array_equal(raw["dos"].values, of_atom):
            raw = raw.drop_vars("dos")
    kept = {
        name: raw[name].copy(data=rounded(raw[name].values, bits))
        for name, bits in BITS.items()
        if name in raw
    }
    return raw.assign(kept)


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """float32 values with that many bits of mantissa, rounded to nearest: the rest are zeros."""
    dropped = MANTISSA_BITS - bits
    pattern = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    half = np.uint32(1 << (dropped - 1))
    return (((pattern + half) >> dropped) << dropped).view(np.float32)
