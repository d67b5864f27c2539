import numpy as np
import pytest
import rawdata
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import voigt_profile

from corefuse.config import Spectra
from corefuse.core.edge_table import Line
from corefuse.core.rawdata import energy_axis, of_edge
from corefuse.core.spectrum import EnergyGrid, trapezoid_weights
from corefuse.spectra.broadening import (
    FWHM_PER_SIGMA,
    REACH_FWHM,
    broadened,
    edge_kernel,
    kernel_matrix,
    sharpest_technique,
    technique_kernel,
)

WIDE = EnergyGrid(start_ev=-80, stop_ev=80, step_ev=0.2)


def one(centre, energy, lorentz, gauss):
    return kernel_matrix(np.array([centre]), energy, np.array([lorentz]), gauss)[0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    lorentz=st.floats(0, 1.5),
    gauss=st.floats(0.02, 2),
    centre=st.floats(-3, 3),
)
def test_area_and_first_moment_are_kept_on_any_axis(seed, lorentz, gauss, centre):
    gaps = np.random.default_rng(seed).uniform(0.02, 1.5, 300)
    energy = np.cumsum(gaps) - gaps.sum() / 2
    reach = REACH_FWHM * (lorentz + gauss)
    energy = np.concatenate([[-3.5 - reach], energy[np.abs(energy) < 3.4 + reach], [3.5 + reach]])
    weights = trapezoid_weights(energy)
    density = one(centre, energy, lorentz, gauss)
    assert weights @ density == pytest.approx(1, abs=1e-9)
    assert weights @ (density * energy) == pytest.approx(centre, abs=1e-7)
    assert density.min() > -1e-9


@pytest.mark.parametrize("lorentz, gauss", [(0.0, 0.5), (0.3, 0.4), (1.0, 0.2), (3.0, 1.5)])
def test_the_profile_is_a_voigt_profile(lorentz, gauss):
    energy = np.arange(-10, 10.001, 0.01)
    exact = voigt_profile(energy, gauss / FWHM_PER_SIGMA, lorentz / 2)
    assert np.abs(one(0.0, energy, lorentz, gauss) - exact).max() < 0.025 * exact.max()


def test_the_profile_is_symmetric_where_the_axis_is():
    energy = np.sinh(np.linspace(-4, 4, 401))
    density = one(0.0, energy, 0.4, 0.5)
    assert density == pytest.approx(density[::-1], abs=1e-12)


def test_a_coarse_axis_keeps_a_line_much_narrower_than_its_step():
    energy = np.array([0.0, 1.0, 2.0, 4.0, 8.0])
    density = one(2.5, energy, 0.0, 1e-4)
    assert density * trapezoid_weights(energy) == pytest.approx([0, 0, 0.75, 0.25, 0])


def test_what_lies_outside_the_axis_is_lost_and_not_folded_back():
    energy = np.arange(0, 30.01, 0.1)
    weights = trapezoid_weights(energy)
    assert weights @ one(0.0, energy, 0.3, 0.4) == pytest.approx(0.5, abs=1e-6)
    assert weights @ one(-30.0, energy, 0.3, 0.4) == pytest.approx(0, abs=1e-12)


def test_the_lifetime_grows_above_the_threshold_only():
    kernel = edge_kernel((Line(0, 1, 0.2),), WIDE, 0.0, 0.4, 0.1)

    def height(energy_ev):
        return kernel.matrix[np.argmin(np.abs(kernel.fine_ev - energy_ev))].max()

    assert height(-20) == pytest.approx(height(-5)) == pytest.approx(height(0))
    assert height(0) > height(5) > height(20)
    # 20 eV above, 2.2 eV of Lorentzian FWHM dominate: height 2 / (pi FWHM), cut tails given back
    assert height(20) == pytest.approx(2 / np.pi / 2.2, rel=0.08)


def test_a_level_is_a_moved_copy_with_its_share():
    sharp = (Line(0, 2 / 3, 1e-3), Line(12, 1 / 3, 1e-3))
    kernel = edge_kernel(sharp, WIDE, 0.0, 0.3, 0.0)
    row = kernel.matrix[np.argmin(np.abs(kernel.fine_ev))]
    energy, weights = WIDE.energies_ev, trapezoid_weights(WIDE.energies_ev)
    below = energy < 6
    assert (row * weights)[below].sum() == pytest.approx(2 / 3, abs=1e-3)
    assert (row * weights)[~below].sum() == pytest.approx(1 / 3, abs=1e-3)
    moved = row[energy > 11].argmax()
    assert energy[energy > 11][moved] == pytest.approx(12)


def test_apply_keeps_area_and_moment_of_shifted_sites():
    energy = energy_axis(35.0)
    rng = np.random.default_rng(0)
    density = rng.uniform(size=(3, len(energy))) * ((energy > 0) & (energy < 20))
    shifts = np.array([-3.0, 0.123, 4.56])
    kernel = edge_kernel((Line(0, 1, 0.2),), WIDE, 0.0, 0.5, 0.05)
    out = kernel.apply(energy, shifts, density)
    area = np.trapezoid(density, energy)
    weights = trapezoid_weights(WIDE.energies_ev)
    assert out @ weights == pytest.approx(area, rel=1e-6)
    moment = np.trapezoid(density * energy, energy) / area + shifts
    assert out @ (weights * WIDE.energies_ev) / area == pytest.approx(moment, abs=1e-4)


def test_eels_is_broader_than_xas_and_xas_is_the_sharpest():
    spectra = Spectra(
        techniques={
            "EELS": {"gaussian_fwhm_ev": 1.5, "edges": ["O K", "Li K"]},
            "XAS": {"gaussian_fwhm_ev": 0.4, "edges": ["O K"]},
        }
    )
    assert sharpest_technique("O K", spectra) == "XAS"
    assert sharpest_technique("Li K", spectra) == "EELS"
    xas, eels = (technique_kernel("O K", t, spectra, WIDE, 0.0) for t in ("XAS", "EELS"))
    assert xas.matrix.max() > 1.5 * eels.matrix.max()


def test_unbound_states_go_on_where_the_simulation_ends():
    """A flat density stays flat up to its end and beyond: no fall for lack of states."""
    flat = 2.0 * (rawdata.ENERGY_EV[None] > 0)
    raw = rawdata.dataset([rawdata.channel("O K", {1.0: 1.0})])
    raw["intensity"][:] = flat
    chosen = Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 0.5, "edges": ["O K"]}})
    end_ev = rawdata.ENERGY_EV[-1]
    grid = EnergyGrid(start_ev=-10, stop_ev=end_ev + 3, step_ev=0.2)
    (out,) = broadened(of_edge(raw, "O K"), "O K", "XAS", chosen, grid, 0.0, 0.0)
    high = grid.energies_ev > end_ev - 5
    assert out[high] == pytest.approx(2.0, rel=0.06)  # widths grow with the energy
