"""The standard form: what a simulation lacks and a measurement has is in neither."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse.config import MeasuredSpectrum
from corefuse.core import edge_table
from corefuse.core.spectrum import Spectrum, SpectrumError, window_area
from corefuse.read import measured
from corefuse.spectra import standard

TABLE = edge_table.load("resources/edges.yaml")
L_EDGES = ["Mn L2,3", "Co L2,3", "Ni L2,3"]


def white_lines(edge, width_ev=1.0):
    """Two Lorentzian lines, as bound states give them."""
    entry = TABLE[edge]
    energy = entry.grid.energies_ev
    known = entry.continuum
    lines = ((known.l3_ev, 2), (known.l2_ev, 1))
    return sum(h / (1 + ((energy - e) / width_ev) ** 2) for e, h in lines)


@pytest.mark.parametrize("edge", L_EDGES)
def test_bound_states_and_the_same_above_their_continuum_agree(edge):
    entry = TABLE[edge]
    bound = white_lines(edge)
    whole = 5 * (bound + 0.4 * standard.continuum(entry)) + 2
    assert standard.form(whole, entry) == pytest.approx(standard.form(bound, entry), abs=1e-9)


@given(st.sampled_from(sorted(TABLE)), st.floats(1e-3, 1e6), st.floats(-10, 10), st.integers(0, 99))
def test_neither_scale_nor_a_constant_matters_and_once_is_enough(edge, scale, offset, seed):
    entry = TABLE[edge]
    energy = entry.grid.energies_ev
    noise = np.random.default_rng(seed).normal(0, 0.01, energy.size)
    middle = np.mean(entry.window_ev)
    y = np.exp(-(((energy - middle) / 3) ** 2)) + noise
    once = standard.form(y, entry)
    assert standard.form(scale * (y + offset), entry) == pytest.approx(once, abs=1e-8)
    assert standard.form(once, entry) == pytest.approx(once, abs=1e-12)
    assert window_area(energy, once, entry.window_ev) == pytest.approx(1)


@pytest.mark.parametrize("edge", L_EDGES)
def test_a_continuum_rises_by_two_thirds_at_l3_and_one_third_at_l2(edge):
    entry = TABLE[edge]
    energy, step, known = entry.grid.energies_ev, standard.continuum(entry), entry.continuum
    between = step[np.abs(energy - (known.l3_ev + known.l2_ev) / 2).argmin()]
    assert between == pytest.approx(2 / 3, abs=0.05)
    assert 0 < step[0] < 0.1
    assert 0.9 < step[-1] < 1


def test_a_k_edge_keeps_what_is_above_it():
    entry = TABLE["O K"]
    step = standard.rise(entry, 535, 1.0)
    assert standard.form(step, entry)[-1] > 0.9 * standard.form(step, entry).max()


def test_pixels_are_flattened_together_as_alone():
    entry = TABLE["Co L2,3"]
    cube = np.random.default_rng(0).random((2, 3, entry.grid.energies_ev.size))
    together = standard.flattened(cube, entry)
    assert together[1, 2] == pytest.approx(standard.flattened(cube[1, 2], entry))


def test_what_is_no_edge_has_no_standard_form():
    entry = TABLE["Ni L2,3"]
    for intensity in (-white_lines("Ni L2,3"), np.ones(entry.grid.energies_ev.size)):
        with pytest.raises(SpectrumError, match="not positive"):
            standard.form(intensity, entry)


@pytest.mark.parametrize("edge, file", [("Co L2,3", "TM_Ni_edge"), ("Ni L2,3", "TM_Co_edge")])
def test_a_measured_edge_comes_down_to_nothing_behind_its_lines(shared, edge, file):
    """The extracted files keep their continuum: a fifth of the maximum or more."""
    asked = MeasuredSpectrum(
        edge=edge,
        technique="EELS",
        file=str(shared / f"experimental/eels_si_doped_nmc/{file}.msa"),
        energy_scale=1.029,
        energy_offset_ev=-5.2,
    )
    entry = TABLE[edge]
    spectrum = measured.read(asked, TABLE)
    away = entry.window_ev[1] - entry.grid.energies_ev
    last = (away > -1e-6) & (away < standard.CONTINUUM_READ_EV)
    raw = np.interp(entry.grid.energies_ev, spectrum.energy_ev, spectrum.intensity)
    assert raw[last].mean() > 0.15 * raw.max()
    prepared = measured.prepare(Spectrum(spectrum.energy_ev, spectrum.intensity), entry)
    assert abs(prepared[last].mean()) < 0.02 * prepared.max()
