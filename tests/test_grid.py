import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from corefuse.core.spectrum import (
    EnergyGrid,
    Spectrum,
    SpectrumError,
    normalise,
    trapezoid_weights,
    window_area,
)


def test_a_grid_holds_both_its_ends():
    axis = EnergyGrid(start_ev=524, stop_ev=556, step_ev=0.2).energies_ev
    assert len(axis) == 161
    assert (axis[0], axis[-1]) == (524, 556)
    assert np.diff(axis) == pytest.approx(0.2)


@pytest.mark.parametrize("stop, step", [(10.05, 0.2), (9.0, 0.2), (10.0, 0.2), (11.0, 0.0)])
def test_a_grid_without_whole_steps_is_refused(stop, step):
    with pytest.raises(ValidationError):
        EnergyGrid(start_ev=10, stop_ev=stop, step_ev=step)


@pytest.mark.parametrize(
    "energy, intensity, says",
    [
        ([], [], "holds 0 points"),
        ([1], [1], "holds 1 points"),
        ([1, 2, 3], [1, 2], "3 energies but 2 intensities"),
        ([1, 2, np.nan], [1, 2, 3], "energy is nan at point 3 of 3"),
        ([1, 2, 3], [1, np.inf, 3], "intensity is inf at point 2 of 3"),
        ([1, 2, 2, 3], [1, 2, 3, 4], "from 2 to 2 at point 3"),
        ([1, 3, 2], [1, 2, 3], "from 3 to 2 at point 3"),
    ],
)
def test_a_malformed_spectrum_is_refused_with_the_place(energy, intensity, says):
    with pytest.raises(SpectrumError, match=says):
        Spectrum(np.array(energy, float), np.array(intensity, float))


@given(st.lists(st.floats(0.01, 3), min_size=2, max_size=30), st.floats(-2, 2), st.floats(-5, 5))
def test_trapezoid_weights_integrate_straight_lines_exactly(gaps, slope, level):
    x = np.cumsum(gaps)
    exact = slope * (x[-1] ** 2 - x[0] ** 2) / 2 + level * (x[-1] - x[0])
    assert trapezoid_weights(x) @ (slope * x + level) == pytest.approx(exact, abs=1e-8)


def test_the_window_counts_its_borders_in_spite_of_rounding():
    axis = EnergyGrid(start_ev=0, stop_ev=1, step_ev=0.1).energies_ev
    assert window_area(axis, np.ones(11), (0.3, 0.7)) == pytest.approx(0.4)


def test_normalised_area_is_one_and_what_is_outside_the_window_does_not_matter():
    axis = np.linspace(0, 10, 101)
    spectrum = np.exp(-((axis - 5) ** 2))
    spectrum[axis > 9] = np.nan
    out = normalise(axis, spectrum, (2, 8))
    assert window_area(axis, out, (2, 8)) == pytest.approx(1)
    assert np.isnan(out[-1])
    assert normalise(axis, 7 * spectrum, (2, 8)) == pytest.approx(out, nan_ok=True)


@pytest.mark.parametrize("level", [0.0, -1.0, np.nan])
def test_no_positive_area_is_an_error(level):
    with pytest.raises(SpectrumError, match="not positive"):
        normalise(np.linspace(0, 10, 101), np.full(101, level), (2, 8))
