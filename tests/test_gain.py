"""An axis off by its gain is told from all edges of a specimen together."""

import numpy as np
import pandas as pd
import pytest

from corefuse.config import Image, Sample
from corefuse.core import edge_table
from corefuse.core.errors import InputError
from corefuse.core.spectrum import Spectrum, SpectrumError
from corefuse.read import gain, image
from corefuse.read.measured import check_files
from corefuse.read.reading import with_axis_hint

TABLE = edge_table.load("resources/edges.yaml")
EDGES = ["O K", "Mn L2,3", "Co L2,3", "Ni L2,3"]
FILES = {
    "O K": "TM_oxygen_edge.msa",
    "Mn L2,3": "TM_Mn_edge.msa",
    "Co L2,3": "TM_Ni_edge.msa",  # the names of these two are swapped
    "Ni L2,3": "TM_Co_edge.msa",
}
ENERGY = np.arange(440, 1040, 0.5)


def spectra(scale=1.0, offset=0.0, moved=None):
    """All edges in one spectrum whose true energies are ``scale`` * energy + ``offset``."""
    places = {e: TABLE[e].reference.energy_ev + (moved or {}).get(e, 0) for e in EDGES}
    lines = sum(np.exp(-((((scale * ENERGY + offset) - p) / 1.5) ** 2)) for p in places.values())
    return dict.fromkeys(EDGES, Spectrum(ENERGY, lines))


@pytest.mark.parametrize("scale, offset", [(1.029, -5.2), (0.97, 20.0)])
def test_a_gain_is_named_with_its_cure(scale, offset):
    with pytest.raises(SpectrumError, match="off by its gain") as caught:
        gain.check(spectra(scale, offset), TABLE, ())
    told = dict(part.split(": ") for part in caught.value.fix[4:].split(" for")[0].split(", "))
    assert float(told["energy_scale"]) == pytest.approx(scale, abs=0.002)
    assert float(told["energy_offset_ev"]) == pytest.approx(offset, abs=1.5)


@pytest.mark.parametrize(
    "found",
    [
        spectra(),
        spectra(offset=4.0),
        spectra(moved={"Mn L2,3": -3.2, "O K": -2.0}),
        dict(list(spectra(1.029, -5.2).items())[:2]),
    ],
    ids=["right", "offset only", "Mn2+", "two edges"],
)
def test_neither_offset_nor_chemistry_is_taken_for_a_gain(found):
    gain.check(found, TABLE, ())


def test_a_background_is_no_edge():
    found = spectra(1.029, -5.2)
    falling = 1e3 * (ENERGY / 440) ** -3
    raw = {e: Spectrum(ENERGY, s.intensity + falling) for e, s in found.items()}
    with pytest.raises(SpectrumError, match="off by its gain"):
        gain.check(raw, TABLE, EDGES)


def measured_sample(shared, **axis):
    folder = shared / "experimental/eels_si_doped_nmc"
    listed = [{"edge": e, "technique": "EELS", "file": str(folder / FILES[e])} for e in EDGES]
    return Sample(name="si", spectra=[one | axis for one in listed])


def test_the_measured_edges_tell_the_gain_of_their_axis(shared):
    with pytest.raises(InputError, match=r"O K \+12 eV.*Ni L2,3 \+19 eV.*energy_scale: 1.02") as e:
        check_files([measured_sample(shared)], TABLE)
    assert e.value.key == "infer.samples.si"
    check_files([measured_sample(shared, energy_scale=1.029, energy_offset_ev=-5.2)], TABLE)


def test_an_image_tells_the_gain_of_its_axis_too(shared):
    file = str(shared / "experimental/eels_si_doped_nmc/TM_TM+O_EELS_Spectrum_Image.dm3")
    with pytest.raises(InputError, match=r"infer.images.i.*energy_scale: 1.02"):
        image.read(Image(name="i", file=file, edges=EDGES), TABLE)


def test_fitted_shifts_that_grow_with_the_energy_are_noted():
    modalities = ["O_K-EELS", "Mn_L23-EELS", "Ni_L23-EELS"]

    def notes(shifts):
        rows = pd.DataFrame({"sample": "s", "modality": modalities, "fitted_shift_ev": shifts})
        return set(with_axis_hint(rows.assign(notes=""), TABLE).notes)

    (told,) = notes([-1.5, -0.4, 1.7])
    assert "off by its gain (energy_scale: 1.0100" in told
    assert notes([1.0, 1.0, 1.0]) == {""}
    assert notes([0.0, 2.5, 0.5]) == {""}
