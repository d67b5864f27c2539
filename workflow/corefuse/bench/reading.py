"""What reading measured spectra costs: a series of treated spectra, all targets of the demo.

The same code reads spectrum images (``bench.images``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from corefuse.bench import Row, stages, timed
from corefuse.config import Sample
from corefuse.read import place, reading
from corefuse.read.infer import Library
from corefuse.read.simulated import Simulated, load
from corefuse.read.treated import Treated

SPECTRA = 2000
LIMIT_PER_S = 2000
MODALITY = "O_K-XAS"


def rows() -> Iterator[Row]:
    """One row: aligned and predicted, the files read before."""
    models = stages.DEMO / "models"
    library, simulated = Library.of_folder(models), load(models / "simulated.nc")
    yield row(library, simulated, MODALITY, stages.demo_config().infer.confidence)


def row(library: Library, simulated: Simulated, modality: str, confidence: float) -> Row:
    """A series of noisy simulated spectra, the first of known composition."""
    treated, samples = series(simulated, modality)

    def read() -> int:
        placed = {modality: place.place(treated, samples, simulated)}
        names = list(treated.samples)
        answers = reading.predict(
            names, {modality: treated}, placed, simulated, library, confidence
        )
        return answers.target.nunique()

    seconds, targets = timed(read)
    return Row(
        "read a series",
        f"{SPECTRA} spectra, {targets} targets",
        seconds,
        SPECTRA,
        limit_s=SPECTRA / LIMIT_PER_S,
        note=f"{SPECTRA / seconds:.0f} spectra a second",
    )


def series(simulated: Simulated, modality: str) -> tuple[Treated, dict[str, Sample]]:
    """Treated spectra and the samples that they belong to."""
    ensemble, entry = simulated.ensemble(modality), simulated.entry(modality)
    rng = np.random.default_rng(0)
    spectra = ensemble[rng.integers(len(ensemble), size=SPECTRA)]
    spectra = spectra + 0.002 * spectra.max() * rng.standard_normal(spectra.shape)
    names = tuple(f"s-{i:04d}" for i in range(SPECTRA))
    energy_ev = entry.grid.energies_ev
    treated = Treated(
        modality,
        names,
        energy_ev,
        spectra,
        np.zeros_like(spectra),
        np.full(SPECTRA, np.nan),
        ("",) * SPECTRA,
        np.tile([energy_ev[0], energy_ev[-1]], (SPECTRA, 1)),
        ((),) * SPECTRA,
        ((),) * SPECTRA,
    )
    edge, technique = modality.rsplit("-", 1)
    spectrum = {"edge": edge.replace("_", " "), "technique": technique, "file": "f"}
    known = {"composition": {"Li": 1.0}}
    return treated, {
        name: Sample(
            name=name,
            spectra=[spectrum],
            series="s",
            aligned_with=names[0],
            **(known if name == names[0] else {}),
        )
        for name in names
    }
