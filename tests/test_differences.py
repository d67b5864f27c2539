"""A series is read by its difference from its pristine spectrum."""

from types import SimpleNamespace

import numpy as np
import pytest

from corefuse.config import Sample
from corefuse.read import reading

ENERGY = np.linspace(0, 30, 121)
MODALITY = "Ni_K-XAS"
TOLD = {"Li": 1.0, "Ni": 1.0}


def edge(at_ev):
    return 0.5 + np.arctan((ENERGY - at_ev) / 1.5) / np.pi


def sample(name, **about):
    spectrum = {"edge": "Ni K", "technique": "XAS", "file": f"{name}.csv"}
    return Sample(name=name, spectra=[spectrum], aligned_with="pristine", **about)


@pytest.fixture
def series():
    """Two spectra with a bump and a wider rise that no simulated one has; the second is moved."""
    unlike = 0.3 * np.exp(-((ENERGY - 15) ** 2) / 8)
    values = np.array([[edge(10) + unlike], [edge(11) + unlike]], np.float32)
    samples = {
        "pristine": sample("pristine", series="one", composition=TOLD),
        "charged": sample("charged", series="one"),
    }
    treated = SimpleNamespace(samples=tuple(samples), modality=MODALITY)
    placed = SimpleNamespace(aligned_with=("pristine", "pristine"))
    simulated = SimpleNamespace(of_composition=lambda told, modality: (edge(10), 0.0))
    return values, treated, placed, simulated, samples


def test_what_simulated_and_measured_shapes_differ_by_cancels(series):
    found = reading.differences(*series)
    assert found[0, 0] == pytest.approx(edge(10), abs=1e-6)
    assert found[1, 0] == pytest.approx(edge(11), abs=1e-6)


@pytest.mark.parametrize("update", [{"series": None}, {"composition": {}}])
def test_without_a_series_or_a_composition_spectra_are_read_as_they_are(series, update):
    values, treated, placed, simulated, samples = series
    samples = {name: one.model_copy(update=update) for name, one in samples.items()}
    found = reading.differences(values, treated, placed, simulated, samples)
    assert np.array_equal(found, values)
