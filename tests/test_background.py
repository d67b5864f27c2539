import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse.core.spectrum import SpectrumError
from corefuse.read.background import MIN_POINTS, edge_step, line, mean, power_law

ENERGY = np.arange(480.0, 600.0, 0.3)
WINDOW = (490.0, 520.0)


@given(st.floats(1.5, 5), st.floats(2, 6))
def test_a_power_law_is_found_exactly(exponent, decades):
    counts = 10**decades * (ENERGY / 500) ** -exponent
    fitted = power_law(ENERGY, counts, WINDOW)
    assert fitted.values == pytest.approx(counts, rel=1e-9)
    assert (fitted.std < 1e-6 * counts).all()


def test_all_pixels_at_once_are_what_each_is_alone():
    rng = np.random.default_rng(0)
    image = rng.poisson(1000 * (ENERGY / 500) ** -np.array([[2.0], [3.0], [4.0]])).astype(float)
    together = power_law(ENERGY, image, WINDOW)
    for i, pixel in enumerate(image):
        alone = power_law(ENERGY, pixel, WINDOW)
        assert together.values[i] == pytest.approx(alone.values)
        assert together.std[i] == pytest.approx(alone.std)


def test_the_uncertainty_is_that_of_repeated_measurements():
    """Counted again and again, the background 60 eV above the fit scatters by its std."""
    rng = np.random.default_rng(1)
    truth = 2000 * (ENERGY / 500) ** -3.0
    fitted = power_law(ENERGY, rng.poisson(truth, (2000, ENERGY.size)).astype(float), WINDOW)
    at = np.searchsorted(ENERGY, 580)
    assert fitted.std[:, at].mean() == pytest.approx(fitted.values[:, at].std(), rel=0.1)
    assert fitted.values[:, at].mean() == pytest.approx(truth[at], rel=0.01)
    assert (fitted.std[:, at] > fitted.std[:, np.searchsorted(ENERGY, 505)]).all()


def test_a_pre_edge_line_and_the_step_above_it():
    e0, slope = 540.0, 0.002
    mu = 3 - slope * ENERGY + 1.7 * (e0 <= ENERGY) * (1 - 1e-5 * (ENERGY - e0) ** 2)
    below = line(ENERGY, mu, WINDOW)
    assert below.values == pytest.approx(3 - slope * ENERGY)
    assert edge_step(ENERGY, mu - below.values, e0, (10, 55)) == pytest.approx(1.7)


def test_the_mean_is_taken_off_and_nothing_where_there_is_nothing():
    counts = np.full(ENERGY.size, 7.0)
    assert mean(ENERGY, counts, WINDOW).values == pytest.approx(counts)
    assert not mean(ENERGY, counts, (100, 200)).values.any()


@pytest.mark.parametrize("window", [(516, 520), (519, 519.5), (100, 200)])
@pytest.mark.parametrize("fit", [power_law, line])
def test_too_short_a_pre_edge_is_refused(fit, window):
    with pytest.raises(SpectrumError, match=f"at least {MIN_POINTS} points and 5 eV"):
        fit(ENERGY, ENERGY, window)


def test_an_empty_pixel_has_no_background_and_no_nan():
    fitted = power_law(ENERGY, np.zeros((2, ENERGY.size)), WINDOW)
    assert np.isfinite(fitted.values).all()
    assert fitted.values == pytest.approx(0, abs=1e-9)
