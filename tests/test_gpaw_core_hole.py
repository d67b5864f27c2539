"""The core-hole engine on real DFT of 16 atoms, in which a hole is two cells from its image."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_gpaw import licoo2

from corefuse import config, engines
from corefuse.core import rawdata
from corefuse.engines import gpaw, gpaw_core_hole

SITE = 8
# Two SCFs that end at the default 1e-3 electrons can differ by 0.02 eV in their core levels.
COARSE = config.Gpaw(
    plane_wave_cutoff_ev=220,
    kpoint_spacing_per_angstrom=2.0,
    spectrum_max_ev=30,
    density_tolerance=1e-4,
).model_dump()
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def initial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("initial")
    job = engines.Job("licoo2", licoo2() * (2, 2, 1), ("O K",), COARSE, folder / "shared")
    return engines.simulate(gpaw.ENGINE, job, folder / "job")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The job of one site, with its ground state."""
    folder = tmp_path_factory.mktemp("hole")
    settings = COARSE | {"core_hole": {"O K": "half"}}
    job = engines.Job("licoo2", licoo2() * (2, 2, 1), ("O K",), settings, folder / "shared")
    start = folder / "start.gpw"
    engines.begin(gpaw_core_hole.ENGINE, job, folder / "begin", start)
    assert engines.why_not_begun(start) is None
    return replace(job, absorber=engines.Absorber("O K", SITE), start=start)


def spectrum(raw):
    (place,) = np.flatnonzero(raw["site"].values == SITE)
    return raw["intensity"].values[place]


def centroid_ev(raw):
    energy = raw["energy_ev"].values
    inside = (energy > -1) & (energy < 25)
    return energy[inside] @ spectrum(raw)[inside] / spectrum(raw)[inside].sum()


def test_half_a_hole_is_neutral_and_pulls_the_empty_states_down(initial, begun, tmp_path):
    """By 0.2 eV here, a full one by 0.4 eV (at other settings: tests/test_core_hole.py)."""
    raw = engines.simulate(gpaw_core_hole.ENGINE, begun, tmp_path)
    assert raw.attrs["status"] == "ok"
    assert raw.attrs["core_hole"] == "half"
    method = json.loads(raw.attrs["method"])
    assert method["charge"] == -0.5  # what the core lost is in the valence
    assert method["setups"][str(SITE)] == "hch1s"
    assert method["setups"]["O"] == "gs1s"
    assert 0.1 < centroid_ev(initial) - centroid_ev(raw) < 0.4


def test_a_hole_of_nothing_changes_nothing(initial, begun, tmp_path, monkeypatch):
    """By the road of core holes, restart included, comes what the initial-state engine gives.

    Up to what two SCFs differ by: 0.06 % of the area and 0.0006 eV were seen.
    """
    monkeypatch.setitem(gpaw_core_hole.HOLES, "half", 0.0)
    raw = engines.simulate(gpaw_core_hole.ENGINE, begun, tmp_path)
    change = np.abs(np.cumsum(spectrum(raw) - spectrum(initial))) * rawdata.STEP_EV
    assert change.max() < 5e-3 * spectrum(initial).sum() * rawdata.STEP_EV
    shifts = raw["core_level_shift_ev"].values[0], initial["core_level_shift_ev"].values[0]
    assert shifts[0] == pytest.approx(shifts[1], abs=0.005)


def test_a_full_hole_stands_on_its_total_energy(begun, tmp_path):
    """A state stands as high above the excitation as above the level of the excited electron."""
    settings = begun.settings | {"core_hole": {"O K": "full"}}
    raw = engines.simulate(gpaw_core_hole.ENGINE, replace(begun, settings=settings), tmp_path)
    excitation_ev, level_ev, shift_ev = (
        float(raw[name].values[0])
        for name in ("excitation_ev", "excited_level_ev", "core_level_shift_ev")
    )
    assert shift_ev + level_ev == pytest.approx(excitation_ev, abs=1e-6)
    # Measured at 530 eV. PBE at light settings leaves some 3 %, a constant per edge that the
    # calibration takes out: the test only tells an excitation from another quantity.
    assert excitation_ev == pytest.approx(530, rel=0.05)
    assert raw["core_potential_shift_ev"].values[0] != shift_ev
