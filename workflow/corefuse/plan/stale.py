"""Results of samples that are no longer asked for: they would be taken for this run's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# Where every file is of one sample, series, image or held-out structure.
OF_ONE_SAMPLE = (
    *("inference/*.csv", "measured/*.csv", "measured/*.nc", "images/*.nc"),
    *("figures/inference_*", "figures/measured_*", "figures/image_*", "figures/series.*"),
    "tables/series.html",
)


def remove(folder: Path, asked_for: Iterable[Path]) -> list[Path]:
    """Remove the results of one sample below a run's folder that no job of the run makes.

    ``asked_for`` are the outputs of all jobs. Returns what was removed.
    """
    kept = {path.resolve() for path in asked_for}
    found = {path for pattern in OF_ONE_SAMPLE for path in folder.glob(pattern)}
    gone = sorted(path for path in found if path.resolve() not in kept)
    for path in gone:
        path.unlink()
    return gone
