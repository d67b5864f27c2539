import numpy as np
import pandas as pd
import pytest
import xarray as xr

from corefuse.config import Infer, Sample
from corefuse.core import edge_table
from corefuse.core.spectrum import Spectrum, SpectrumError, blurred, normalise
from corefuse.read import match

WIDE = np.arange(500, 580, 0.2)


def shape(energy, shift=0.0, width=1.2):
    energy = energy - shift
    step = np.arctan((energy - 537) / 0.8) / np.pi + 0.5
    return step + 0.6 * np.exp(-(((energy - 530) / width) ** 2))


@pytest.fixture(scope="module")
def entry(root):
    return edge_table.load(root / "resources" / "edges.yaml")["O K"]


@pytest.fixture(scope="module")
def ensemble(entry):
    energy = entry.grid.energies_ev
    kinds = [shape(energy), shape(energy, width=2.5), 1 + 0 * energy]
    return np.array([normalise(energy, k, entry.window_ev) for k in kinds])


@pytest.mark.parametrize("shift", [-2.3, -0.4, 0.0, 1.7])
def test_the_shift_of_a_measured_edge_is_found(entry, ensemble, shift):
    found = match.fit(Spectrum(WIDE, 7 * shape(WIDE, shift) + 3), ensemble, entry, 3.0, 0.0)
    assert found.shift_ev == pytest.approx(-shift, abs=0.06)
    assert found.residual < 0.05
    assert not found.at_bound


@pytest.mark.parametrize("width", [-1.5, 0.0, 1.5])
def test_the_width_is_found_whichever_of_the_two_is_sharper(entry, ensemble, width):
    measured = blurred(shape(WIDE), 0.2, max(width, 0))
    simulated = blurred(ensemble[:1], 0.2, max(-width, 0))
    found = match.fit(Spectrum(WIDE, measured), simulated, entry, 1.0, 3.0)
    assert found.extra_fwhm_ev == pytest.approx(width, abs=0.35)


def test_a_fit_at_its_bound_says_so_and_an_unlike_edge_names_its_energies(entry, ensemble):
    spectrum = Spectrum(WIDE, shape(WIDE, 2.5) + 0.8 * np.exp(-(((WIDE - 548) / 0.7) ** 2)))
    bounded = match.fit(spectrum, ensemble[:1], entry, 1.0, 0.0)
    assert bounded.at_bound
    sample = Sample(
        name="s", spectra=[{"edge": "O K", "technique": "XAS", "file": "s.csv"}], aligned_with="t"
    )
    own = match.fit(Spectrum(WIDE, shape(WIDE)), ensemble[:1], entry, 1.0, 0.0)
    taken = match.table([sample], {"s": {"O_K-XAS": own}, "t": {"O_K-XAS": bounded}}, {}, {})
    assert "ended at a bound (shift -1.0 eV)" in match.ill_fitted(taken)["O_K-XAS"]
    alone = sample.model_copy(update={"aligned_with": None})
    assert not match.ill_fitted(match.table([alone], {"s": {"O_K-XAS": own}}, {}, {}))
    free = match.fit(spectrum, ensemble[:1], entry, 3.0, 0.0)
    assert not free.at_bound
    assert free.disagreement()[0][0] == pytest.approx(545.5, abs=0.5)
    assert free.disagreement()[0][1] > 0.2


def test_what_is_no_edge_at_any_shift_is_refused(entry, ensemble):
    with pytest.raises(SpectrumError, match="no shift within 1 eV"):
        match.fit(Spectrum(WIDE, -shape(WIDE)), ensemble, entry, 1.0, 0.0)


def test_a_series_takes_the_shift_of_its_pristine_sample(entry, root, tmp_path):
    energy = entry.grid.energies_ev
    simulated = {
        name: xr.Dataset({"O_K-XAS": ("energy_O_K", normalise(energy, y, entry.window_ev))})
        for name, y in (("full", shape(energy)), ("empty", shape(energy, 1.5)))
    }
    rows = {"structure_id": ["full", "empty"], "x_li": [1.0, 0.0], "x_ni": 1.0}
    rows["defect_class"] = "pristine"
    index = pd.DataFrame(rows)
    samples = []
    for name, shift in (("pristine", 0.8), ("charged", 0.8 + 1.5)):
        np.savetxt(tmp_path / f"{name}.csv", np.c_[WIDE, shape(WIDE, shift)], delimiter=",")
        spectrum = {"edge": "O K", "technique": "XAS", "file": str(tmp_path / f"{name}.csv")}
        known = {"composition": {"Li": 1, "Ni": 1}} if name == "pristine" else {}
        known |= {} if name == "pristine" else {"aligned_with": "pristine"}
        samples.append(Sample(name=name, spectra=[spectrum], **known))
    settings = Infer(samples=samples, max_shift_ev=3.0)
    table = edge_table.load(root / "resources" / "edges.yaml")
    matches = {s.name: match.fit_sample(s, table, simulated, index, settings) for s in samples}
    found = match.table(samples, matches, {"charged/O_K-XAS": "a note"}, table).set_index("sample")
    assert found.shift_ev.to_numpy() == pytest.approx([-0.8, -0.8], abs=0.1)
    assert found.notes["charged"] == "a note"


def test_a_composition_between_the_cells_is_mixed_with_the_weight_of_its_absorbers():
    index = pd.DataFrame(
        {
            "structure_id": ["nickel", "half", "defective"],
            "x_li": 1.0,
            "x_ni": [1.0, 0.5, 0.8],
            "x_mn": [0.0, 0.5, 0.2],
            "defect_class": ["pristine", "pristine", "vacancy"],
        }
    )
    spectra = {"nickel": np.array([1.0, 0, 0]), "half": np.array([0, 1.0, 0]), "defective": None}
    wanted = {"Li": 1.0, "Ni": 0.8, "Mn": 0.2}  # 0.6 of the one and 0.4 of the other
    of_ni = match.of_composition(wanted, "Ni", index, spectra)
    assert of_ni == pytest.approx([0.75, 0.25, 0], abs=0.01)
    of_o = match.of_composition(wanted, "O", index, spectra)
    assert of_o == pytest.approx([0.6, 0.4, 0], abs=0.01)
    of_mn = match.of_composition(wanted, "Mn", index, spectra)
    assert of_mn == pytest.approx([0, 1, 0], abs=0.01)
