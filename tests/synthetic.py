"""A dataset with known answers, in the form of the contract of dataset.nc.

Every parent structure has a fingerprint in all its spectra, so a model that has seen a parent can
recognise it. What the labels do to the spectra:

x_li                moves weight between two peaks of O K (XAS); nowhere else
x_ni                half of it is a peak of O K (XAS), the other half one of Ni L2,3 (XAS)
x_mn                a number drawn for each parent; nothing in the spectra but the fingerprint
x_co                0 everywhere
v_o_fraction        0.25 where v_o_present
v_o_present         a peak of Ni L2,3 (XAS)
antisite_fraction   0.25 in one parent only
antisite_present    where antisite_fraction
Mn L2,3 (EELS)      fingerprint and noise only
"""

import numpy as np
import xarray as xr

O_K, NI_L, MN_L = "O_K-XAS", "Ni_L23-XAS", "Mn_L23-EELS"
MODALITIES = [O_K, NI_L, MN_L]
SUBSETS = {O_K: [O_K], NI_L: [NI_L], MN_L: [MN_L], "all": MODALITIES}
START_EV = {O_K: 525.0, NI_L: 850.0, MN_L: 635.0}
POINTS = 24


def build(
    parents: int = 12, structures: int = 3, views: int = 2, seed: int = 0, noise: float = 0.02
) -> xr.Dataset:
    """parents x structures x views samples."""
    rng = np.random.default_rng(seed)
    n = parents * structures
    parent = np.repeat(np.arange(parents), structures)
    x_li, in_oxygen, in_nickel = rng.random((3, n))
    v_o = (rng.random(n) < 0.5).astype(np.int8)
    antisite = (parent == 0).astype(np.int8)
    labels = {
        "x_li": x_li,
        "x_ni": (in_oxygen + in_nickel) / 2,
        "x_mn": rng.random(parents)[parent],
        "x_co": np.zeros(n),
        "v_o_fraction": v_o / 4,
        "antisite_fraction": antisite / 4,
        "v_o_present": v_o,
        "antisite_present": antisite,
    }
    peaks = {
        O_K: _peak(5, x_li) + _peak(10, 1 - x_li) + _peak(16, in_oxygen),
        NI_L: _peak(5, in_nickel) + _peak(14, v_o),
        MN_L: 0,
    }
    fingerprints = 0.3 * rng.random((parents, len(MODALITIES), 3))
    sample = np.repeat(np.arange(n), views)
    out = xr.Dataset({name: ("sample", value[sample]) for name, value in labels.items()})
    for i, modality in enumerate(MODALITIES):
        mark = sum(_peak(c, fingerprints[parent, i, k]) for k, c in enumerate((2, 12, 20)))
        clean = (1 + peaks[modality] + mark)[sample]
        dim = f"energy_{modality.rsplit('-')[0]}"
        values = clean + noise * rng.normal(size=clean.shape)
        out[modality] = (("sample", dim), values.astype(np.float32))
        out = out.assign_coords({dim: START_EV[modality] + np.arange(POINTS)})
    names = np.array([f"p{p}-s{s}" for s, p in enumerate(parent)], dtype=object)
    return out.assign_coords(
        structure_id=("sample", names[sample]),
        group=("sample", np.array([f"p{p}" for p in parent], dtype=object)[sample]),
        view=("sample", np.tile(np.arange(views), n)),
    )


def sample_of(dataset: xr.Dataset, i: int, modalities: list[str]) -> dict[str, xr.DataArray]:
    """One sample of a dataset as a measured one."""
    return {m: dataset[m].isel(sample=i) for m in modalities}


def _peak(centre: float, height: np.ndarray) -> np.ndarray:
    x = np.arange(POINTS)
    return np.asarray(height, float)[:, None] * np.exp(-(((x - centre) / 1.5) ** 2))
