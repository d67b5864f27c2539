import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse.config import Dataset
from corefuse.core.edge_table import EdgeEntry
from corefuse.core.spectrum import SpectrumError, window_area
from corefuse.learn.augment import noisy_views, view_rng

WINDOW = (525.0, 555.0)
ENTRY = EdgeEntry(
    grid={"start_ev": 520, "stop_ev": 560, "step_ev": 0.2},
    window_ev=WINDOW,
    reference={
        "compound": {"Ni": 1},
        "feature": "peak",
        "energy_ev": 540,
        "source": "made up for a test",
    },
)
ENERGY = ENTRY.grid.energies_ev
SIGMA = 1.0
PEAK = np.exp(-0.5 * ((ENERGY - 540) / SIGMA) ** 2)
NOISELESS = {
    "signal_to_noise": 1e6,
    "shift_ev": 0.0,
    "broadening_jitter_ev": 0.0,
    "background": 0.0,
    "axis_gain": 0.0,
    "continuum": 0.0,
    "distortion_per_ev": 0.0,
}


def views(n=300, intensity=PEAK, **settings):
    rngs = [view_rng(1, "s", v, "O_K-XAS") for v in range(n)]
    return noisy_views(intensity, ENTRY, Dataset(**(NOISELESS | settings)), rngs)


def moments(spectra):
    weights = spectra.astype(float) / spectra.sum(axis=1, dtype=float)[:, None]
    mean = weights @ ENERGY
    return mean, (weights * (ENERGY - mean[:, None]) ** 2).sum(axis=1)


def test_without_any_effect_a_view_is_the_normalised_spectrum():
    expected = PEAK / np.trapezoid(PEAK, ENERGY)
    assert views(1)[0] == pytest.approx(expected, abs=1e-5)


@given(
    st.floats(5, 500), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2), st.integers(0, 10**6)
)
def test_every_view_has_unit_area_in_the_window_and_no_pre_edge(snr, shift, jitter, line, seed):
    settings = Dataset(
        signal_to_noise=snr, shift_ev=shift, broadening_jitter_ev=jitter, background=line
    )
    view = noisy_views(PEAK, ENTRY, settings, [view_rng(seed, "s", 0, "O_K-XAS")])[0]
    assert window_area(ENERGY, view, WINDOW) == pytest.approx(1, abs=1e-5)
    assert view[WINDOW[0] > ENERGY].mean() == pytest.approx(0, abs=1e-6)


def test_shift_moves_the_centre_by_the_stated_spread_and_keeps_the_shape():
    centre, variance = moments(views(shift_ev=0.5))
    assert centre.std() == pytest.approx(0.5, rel=0.15)
    assert centre.mean() == pytest.approx(540, abs=0.1)
    assert variance == pytest.approx(SIGMA**2, rel=0.01)


def test_broadening_adds_a_gaussian_up_to_the_stated_width_and_moves_nothing():
    centre, variance = moments(views(broadening_jitter_ev=1.0))
    fwhm = np.sqrt(8 * np.log(2) * np.clip(variance - SIGMA**2, 0, None))
    assert centre == pytest.approx(540, abs=1e-3)
    assert 0.9 < fwhm.max() <= 1.0 + 0.02
    assert np.median(fwhm) == pytest.approx(0.5, abs=0.1)


def test_noise_has_the_stated_ratio_at_the_maximum_and_grows_as_the_root():
    spectra = views(2000, signal_to_noise=20)
    mean, spread = spectra.mean(axis=0), spectra.std(axis=0)
    top, half = PEAK.argmax(), np.abs(PEAK - 0.5).argmin()
    assert mean[top] / spread[top] == pytest.approx(20, rel=0.1)
    assert spread[half] / spread[top] == pytest.approx(np.sqrt(PEAK[half]), rel=0.1)


def test_background_is_a_line_within_its_share_of_the_mean_intensity():
    step = 7.0 * (ENERGY > 530)
    spectra = views(intensity=step, background=0.1) * (WINDOW[1] - 530)
    above = spectra[:, ENERGY > 531]
    assert np.abs(np.diff(above, n=2)).max() < 1e-4
    slopes = above[:, -1] - above[:, 0]
    assert 0.05 < np.abs(slopes).max() < 0.22  # from one end to the other, of a mean of 0.75


def test_an_axis_gain_stretches_about_the_middle_of_the_window():
    two = np.exp(-0.5 * (ENERGY - 530) ** 2) + np.exp(-0.5 * (ENERGY - 550) ** 2)
    spectra = views(intensity=two, axis_gain=0.02)
    left = spectra[:, ENERGY < 540]
    low = ENERGY[left.argmax(axis=1)]
    high = ENERGY[ENERGY >= 540][spectra[:, ENERGY >= 540].argmax(axis=1)]
    assert (low + high) / 2 == pytest.approx(540, abs=0.2)
    assert (high - low).std() == pytest.approx(0.02 * 20, rel=0.2)


def test_a_distortion_is_smooth_and_spreads_with_the_distance_from_the_edge():
    """Of a plateau behind an edge at 530 eV, on the scale of its first eV."""
    plateau = 0.5 + np.arctan((ENERGY - 530) / 0.2) / np.pi
    behind = ENERGY > 530.2
    changed = (views(1000, plateau, distortion_per_ev=0.01) / views(1, plateau))[:, behind]
    away = ENERGY[behind] - 530
    factor = np.log(changed / changed[:, away < 1.2].mean(axis=1, keepdims=True))
    spread = [factor[:, np.argmin(abs(away - ev))].std() for ev in (5, 10, 20, 25)]
    assert spread == pytest.approx([0.05, 0.10, 0.20, 0.25], rel=0.25)
    assert np.diff(factor, axis=1).std() < 0.02  # 0.2 eV apart; noise of that size: 0.2


def test_a_residual_continuum_is_a_step_of_its_share_within_the_window():
    spectra = views(continuum=0.2, intensity=PEAK)
    clean = views(1)[0]
    scale = spectra[:, PEAK.argmax()] / clean[PEAK.argmax()]
    residual = spectra / scale[:, None] - clean
    heights = residual[:, -1] - residual[:, 0]
    largest = 0.2 * clean.mean()
    assert 0.7 * largest < np.abs(heights).max() < 1.4 * largest
    assert heights.min() < 0 < heights.max()
    half_way = (residual - residual[:, :1]) / heights[:, None] > 0.5
    rises = ENERGY[half_way.argmax(axis=1)][np.abs(heights) > largest / 2]
    assert rises.min() > WINDOW[0] - 1
    assert rises.max() < WINDOW[1] + 1
    assert rises.std() > 5


def test_a_background_taken_too_far_does_not_bend_the_edge():
    """Counting what is below zero as nothing would lift the foot of the peak."""
    sunk = views(intensity=PEAK - 0.1 * (ENERGY > 530), signal_to_noise=1e4)
    foot = np.abs(ENERGY - 536).argmin()
    assert sunk[:, foot].mean() < -0.5 * 0.1 * sunk[:, PEAK.argmax()].mean()


def test_an_absent_element_stays_zero():
    assert not views(3, intensity=np.zeros_like(ENERGY), signal_to_noise=5, background=0.1).any()


def test_each_stream_depends_on_every_part_of_its_name_only():
    first = view_rng(1, "s", 0, "O_K-XAS").random()
    assert view_rng(1, "s", 0, "O_K-XAS").random() == first
    others = [(2, "s", 0, "O_K-XAS"), (1, "t", 0, "O_K-XAS"), (1, "s", 1, "O_K-XAS"),
              (1, "s", 0, "O_K-EELS")]  # fmt: skip
    assert all(view_rng(*name).random() != first for name in others)


def test_a_spectrum_that_only_falls_is_refused():
    rngs = [view_rng(1, "s", 0, "O_K-XAS")]
    with pytest.raises(SpectrumError, match="area"):
        noisy_views(np.exp((520 - ENERGY) / 10), ENTRY, Dataset(**NOISELESS), rngs)


def test_a_white_line_is_raised_up_to_its_share_and_only_there():
    edge = 1 / (1 + np.exp(-(ENERGY - 535))) + np.exp(-(((ENERGY - 538) / 3) ** 2))
    spectra, clean = views(intensity=edge, white_line=0.3), views(1, intensity=edge)[0]
    far = np.abs(ENERGY - 553).argmin()
    raised = (spectra[:, edge.argmax()] / spectra[:, far]) / (clean[edge.argmax()] / clean[far])
    assert raised.min() == pytest.approx(1, abs=0.02)
    assert raised.max() == pytest.approx(1.3, abs=0.03)
    assert np.median(raised) == pytest.approx(1.15, abs=0.03)
