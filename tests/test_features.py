import numpy as np
import pytest

from corefuse.spectra.features import feature_energy, pre_edge_metrics

ENERGY = np.arange(520, 560, 0.2)


def gaussians(*peaks):
    return sum(h * np.exp(-(((ENERGY - e) / w) ** 2)) for e, h, w in peaks)


@pytest.mark.parametrize("pre_height", [0.4, 1.0, 1.7])
def test_pre_edge_and_main_band_whichever_is_higher(pre_height):
    found = pre_edge_metrics(ENERGY, gaussians((528.31, pre_height, 1.2), (540.07, 1.0, 4.0)))
    assert found.pre_edge_ev == pytest.approx(528.31, abs=0.05)
    assert found.main_ev == pytest.approx(540.07, abs=0.05)
    assert found.distance_ev == pytest.approx(found.main_ev - found.pre_edge_ev)
    assert found.intensity_ratio == pytest.approx(pre_height, rel=0.02)


def test_the_highest_of_several_pre_edge_peaks_counts():
    spectrum = gaussians((527, 0.4, 0.5), (529.5, 0.6, 0.8), (540, 1.0, 3.0))
    assert feature_energy(ENERGY, spectrum, "pre_edge_peak") == pytest.approx(529.5, abs=0.05)


def test_the_rise_of_the_main_band_is_no_pre_edge_peak():
    """The main band reaches above the pre-edge before the 7 eV from the onset are over."""
    spectrum = gaussians((528.0, 0.4, 1.0), (536.5, 1.0, 4.0))
    found = pre_edge_metrics(ENERGY, spectrum)
    assert found.pre_edge_ev == pytest.approx(528.0, abs=0.1)
    assert found.main_ev == pytest.approx(536.5, abs=0.1)


def test_a_spectrum_that_ends_before_the_main_band_is_refused():
    low = ENERGY < 533
    with pytest.raises(ValueError, match="ends at"):
        pre_edge_metrics(ENERGY[low], gaussians((528, 1, 1.0))[low])


def test_the_peak_is_found_between_the_points():
    spectrum = gaussians((541.37, 1.0, 2.0), (530, 0.5, 1.0))
    assert feature_energy(ENERGY, spectrum, "peak") == pytest.approx(541.37, abs=0.01)


def test_half_height_of_an_arctangent_step():
    step = np.arctan((ENERGY - 535.13) / 0.5) / np.pi + 0.5
    assert feature_energy(ENERGY, step / step.max(), "half_height") == pytest.approx(
        535.13, abs=0.05
    )


def test_a_spectrum_already_at_half_height_starts_there():
    assert feature_energy(ENERGY, np.ones(len(ENERGY)), "half_height") == ENERGY[0]


def test_a_maximum_at_the_border_stays_there():
    assert feature_energy(ENERGY, ENERGY - 500, "peak") == ENERGY[-1]
