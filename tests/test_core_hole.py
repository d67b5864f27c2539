"""O K with and without a core hole, from stored runs (tests/reference/make_core_hole.py)."""

import sys

import numpy as np
import pytest

from corefuse import config, files, rawdata

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
def test_no_hole_is_the_same_by_either_road(stored, cell):
    """The ground state that core holes start from has the moments of the initial-state run."""
    alone, kept = stored[f"{cell}-none"], stored[f"{cell}-half"]
    difference = alone["atom_moment_mub"].values - kept["atom_moment_mub"].values
    assert np.abs(difference).max() < 0.05


def test_the_default_is_as_near_to_the_measured_edge_of_an_nmc_as_a_hole(root, shared, monkeypatch):
    """A hole takes a run for each site and is no nearer on the NMC cell: no default."""
    monkeypatch.syspath_prepend(root / "tests" / "reference")
    monkeypatch.chdir(root)
    sys.modules.pop("compare_core_hole", None)
    import compare_core_hole

    table = compare_core_hole.compare(shared / "experimental")
    nmc = table[table["cell"] == "NMC211"].set_index("core hole")["overlap"]
    assert nmc["none"] > nmc["half"]
    assert nmc["full"] - nmc["none"] < 0.01
    assert nmc["none"] > 0.93
    assert config.Simulation(edges={"O K": "gpaw"}).engines() == {"gpaw": ["O K"]}
