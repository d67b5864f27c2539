"""O K with and without a core hole, from stored runs (tests/reference/make_core_hole.py)."""

import json

import numpy as np
import pytest

from corefuse import config
from corefuse.core import files, rawdata

HOLES = ("none", "half", "full")


@pytest.fixture(scope="module")
def stored(root):
    folder = root / "tests" / "reference" / "core_hole"
    return {p.stem: files.read_netcdf(p) for p in folder.glob("*.nc")}


@pytest.mark.parametrize("cell", ["LiCoO2", "NMC211"])
def test_results_carry_their_provenance_and_stand_for_all_sites(stored, cell):
    for hole in HOLES:
        raw = stored[f"{cell}-{hole}"]
        assert raw.attrs["status"] == "ok"
        assert raw.attrs["engine_version"]
        assert rawdata.multiplicities(raw).sum() == 8
        assert raw.attrs["engine"] == ("gpaw" if hole == "none" else "gpaw_core_hole")


def test_the_pre_edge_of_licoo2_is_one_to_two_ev_above_the_fermi_level(stored):
    """Single and sharp as measured; counted from the Fermi level that the file holds."""
    raw = stored["LiCoO2-none"]
    above_ev = raw["energy_ev"].values - raw.attrs["fermi_level_on_axis_ev"]
    mean = rawdata.site_mean(raw["intensity"].values, raw)
    occupied = above_ev < -5 * json.loads(raw.attrs["parameters"])["smearing_ev"]
    assert mean[occupied].sum() < 1e-3 * mean.sum()  # filled states take no electron
    broadened = np.exp(-4 * np.log(2) * ((above_ev[:, None] - above_ev) / 0.8) ** 2) @ mean
    pre_edge = above_ev < 4
    assert 1.0 <= above_ev[pre_edge][broadened[pre_edge].argmax()] <= 2.0


def centroid_ev(raw, below_ev):
    mean = rawdata.site_mean(raw["intensity"].values, raw)
    energy = raw["energy_ev"].values
    inside = (energy > 0) & (energy < below_ev)
    return float(energy[inside] @ mean[inside] / mean[inside].sum())


@pytest.mark.parametrize("cell", ["LiCoO2", "NMC211"])
def test_a_hole_pulls_the_empty_states_down(stored, cell):
    """The attraction of the core hole moves weight to lower energy, a full one more than half."""
    centroids = [centroid_ev(stored[f"{cell}-{hole}"], 25.0) for hole in HOLES]
    assert centroids[0] > centroids[1] > centroids[2]


@pytest.mark.parametrize("cell", ["LiCoO2", "NMC211"])
def test_the_ground_state_without_a_hole_is_the_same_in_both_engines(stored, cell):
    """The ground state that core holes start from has the moments of the initial-state run."""
    alone, kept = stored[f"{cell}-none"], stored[f"{cell}-half"]
    difference = alone["atom_moment_mub"].values - kept["atom_moment_mub"].values
    assert np.abs(difference).max() < 0.05


@pytest.fixture(scope="module")
def beside_the_measurement(root, shared):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(root / "tests" / "reference")
        monkeypatch.chdir(root)
        import compare_core_hole

        found = compare_core_hole.compare(shared / "experimental")
    return found.set_index(["gaussian_fwhm_ev", "cell", "core hole"])["overlap"].sort_index()


def test_a_full_hole_helps_the_narrow_pre_edge_of_licoo2(beside_the_measurement):
    """docs/core_holes.md: at high resolution, and hardly when all is broad."""
    narrow, broad = (beside_the_measurement[fwhm, "LiCoO2"] for fwhm in (0.8, 2.35))
    assert narrow["full"] > narrow["half"] > narrow["none"]
    assert (broad > narrow).all()
    assert broad.max() - broad.min() < narrow.max() - narrow.min()


def test_no_hole_is_the_nearest_to_an_nmc_and_the_default(beside_the_measurement):
    for gaussian_fwhm_ev in (0.8, 2.35):
        nmc = beside_the_measurement[gaussian_fwhm_ev, "NMC211"]
        assert nmc["none"] > nmc["half"] > nmc["full"]
    assert config.Simulation(edges={"O K": "gpaw"}).engines() == {"gpaw": ["O K"]}
