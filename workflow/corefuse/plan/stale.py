"""Results of samples that are no longer asked for: they would be taken for this run's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def remove(
    folder: Path, samples: Collection[str], series: Collection[str], images: Collection[str]
) -> list[Path]:
    """Remove the results of samples and images of other names below a run's folder.

    ``samples`` are all that have a file of their own, series and held-out structures too. Returns
    what was removed.
    """
    cards = {f"inference_{name}" for name in samples} | {f"image_{name}" for name in images}
    drawn = tuple(f"measured_{name}-" for name in samples)
    expected = {
        "inference/*.csv": lambda stem: stem in samples,
        "measured/*.*": lambda stem: stem in samples,
        "images/*.nc": lambda stem: stem in images,
        "figures/inference_*": lambda stem: stem in cards,
        "figures/image_*": lambda stem: stem in cards,
        "figures/measured_*": lambda stem: stem.startswith(drawn),
        "figures/series.*": lambda stem: bool(series),
        "tables/series.html": lambda stem: bool(series),
    }
    gone = [p for pattern, of in expected.items() for p in folder.glob(pattern) if not of(p.stem)]
    for path in gone:
        path.unlink()
    return gone
