"""Spectra that look like some and are none, or were measured at a detector's limits."""

import numpy as np
import pytest

from corefuse.config import MeasuredSpectrum
from corefuse.core import edge_table
from corefuse.core.errors import InputError
from corefuse.read.measured import load

E = np.r_[np.arange(8150, 8310, 5.0), np.arange(8310, 8380, 0.5), np.arange(8380, 8800, 5.0)]
RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.001, E.size)
LOSS = np.arange(420.0, 700.0, 0.5)


def mu(energy, edge_ev=8344.0):
    step = np.arctan((energy - edge_ev) / 1.5) / np.pi + 0.5
    return step + 0.5 * np.exp(-(((energy - edge_ev - 6) / 3) ** 2))


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


@pytest.fixture
def nickel(tmp_path, table):
    def load_one(columns, names="energy i0 itrans", edge="Ni K", technique="XAS", **keys):
        file = tmp_path / "a.dat"
        np.savetxt(file, np.column_stack(columns), header=names, fmt="%.8g")
        asked = MeasuredSpectrum(edge=edge, technique=technique, file=str(file), **keys)
        return load(asked, table)

    return load_one


def transmitted(thickness, leak=0.0):
    """Counts in front of and behind a sample of that edge step; ``leak`` is not absorbed."""
    share = (1 - leak) * np.exp(-thickness * (mu(E) + 0.6 + NOISE)) + leak
    return np.full(E.size, 2e5), 2e5 * share


@pytest.mark.parametrize(
    ("thickness", "leak", "doubted"),
    [(0.8, 0, False), (1.5, 0, False), (3.2, 0, True), (6, 0.01, True), (4, 0.01, True)],
)
def test_an_edge_step_that_does_not_transmit_is_doubted(nickel, thickness, leak, doubted):
    found = nickel((E, *transmitted(thickness, leak)))
    assert (
        any("harmonics and dark counts" in d or "dark level" in d for d in found.doubts) == doubted
    )


def test_a_step_in_arbitrary_units_says_nothing_of_the_thickness(nickel):
    assert not nickel((E, 40 * (mu(E) + NOISE)), "energy spectrum").doubts


def test_runs_of_odd_points_are_no_glitches(nickel):
    spoilt = mu(E) + NOISE
    places = np.flatnonzero((E > 8348) & (E < 8356))[::4]
    spoilt[places] += 0.5
    found = nickel((E, spoilt), "energy mu")
    assert "too close together for Bragg glitches" in found.doubts[0]
    assert not any("interpolated" in note for note in found.notes)
    single = mu(E) + NOISE
    single[places[0]] += 0.5
    found = nickel((E, single), "energy mu")
    assert not found.doubts
    assert any("glitches interpolated" in note for note in found.notes)


def test_a_hole_in_the_window_is_doubted_and_one_elsewhere_is_not(nickel):
    there = (E < 8347) | (E > 8352)
    found = nickel((E[there], (mu(E) + NOISE)[there]), "energy mu")
    assert "no points from 8347.0 to 8352.0 eV" in found.doubts[0] or "8346.5" in found.doubts[0]
    far = (E < 8500) | (E > 8600)
    assert not nickel((E[far], (mu(E) + NOISE)[far]), "energy mu").doubts


@pytest.mark.parametrize("place", [8160.0, 8700.0])
def test_a_bad_point_far_from_the_edge_refuses_no_file(nickel, place):
    spoilt, energy = mu(E) + NOISE, E.copy()
    spoilt[np.searchsorted(E, place)] = np.nan
    energy[-3] = energy[-4] - 0.04
    found = nickel((energy, spoilt), "energy mu")
    clean = nickel((E, mu(E) + NOISE), "energy mu")
    near = (E > 8330) & (E < 8370)
    again = np.interp(E[near], found.spectrum.energy_ev, found.spectrum.intensity)
    assert again == pytest.approx(
        np.interp(E[near], clean.spectrum.energy_ev, clean.spectrum.intensity), abs=0.01
    )


def test_noise_where_an_element_is_absent_is_no_edge_nor_an_axis_that_is_off(nickel):
    """Wherever the highest point of the noise stands."""
    for seed in range(6):
        counts = 1e4 * (LOSS / 500) ** -3
        noisy = np.random.default_rng(seed).poisson(counts)
        with pytest.raises(InputError, match="no O K is visible") as caught:
            nickel((LOSS, noisy), "energy counts", "O K", "EELS", background="power_law")
        assert "may not contain it" in caught.value.fix


def test_counts_behind_the_sample_are_told_from_an_axis_that_is_off(nickel):
    with pytest.raises(InputError, match=r"it falls at \d+ eV, where Ni K should rise.*ln\(i0"):
        nickel((E, transmitted(1.0)[1]), "energy counts")
    with pytest.raises(InputError, match=r"an edge is at 83\d\d eV, -\d+ eV.*energy_offset_ev"):
        nickel((E, mu(E, 8319.0) + NOISE), "energy mu")


@pytest.mark.parametrize("off_ev", [-40.0, -25.0, 22.0])
def test_an_axis_that_is_off_is_found_and_named(nickel, off_ev):
    """Also where the edge lies in the window in which the background is fitted."""
    with pytest.raises(InputError, match=r"an edge is at|its maximum is at") as caught:
        nickel((E + off_ev, mu(E) + NOISE + 2 - 1e-3 * (E - 8300)), "energy mu")
    assert "axis" in caught.value.fix


def test_energy_loss_counts_that_are_cut_off_at_zero_are_doubted(nickel):
    edge = 300 * (np.arctan((LOSS - 532) / 1.0) / np.pi + 0.5)
    counts = RNG.poisson(60 * (LOSS / 500) ** -3 + edge) - 62.0
    cut = np.clip(counts, 0, None)
    found = nickel((LOSS, cut), "energy counts", "O K", "EELS", background="power_law")
    assert "exactly 0" in found.doubts[0]
    whole = nickel((LOSS, counts + 62), "energy counts", "O K", "EELS", background="power_law")
    assert not whole.doubts


def test_a_pre_edge_that_is_missing_gives_no_nan_in_a_note(nickel):
    energy = E[E > 8310]
    found = nickel((energy, mu(energy)), "energy mu", background="line")
    assert not any("nan" in note for note in found.notes)


def test_a_fault_of_the_low_loss_is_told_under_its_own_file(tmp_path, nickel):
    edge = 300 * (np.arctan((LOSS - 532) / 1.0) / np.pi + 0.5)
    counts = RNG.poisson(600 * (LOSS / 500) ** -3 + edge)
    low = tmp_path / "low.csv"
    np.savetxt(low, np.column_stack([np.arange(-20, 80, 0.5), np.full(200, 100.0)]), delimiter=",")
    with pytest.raises(InputError, match="no zero-loss peak") as caught:
        nickel(
            (LOSS, counts),
            "energy counts",
            "O K",
            "EELS",
            background="power_law",
            low_loss=str(low),
        )
    assert caught.value.file == str(low)
    assert caught.value.key == "O_K-EELS.low_loss"
