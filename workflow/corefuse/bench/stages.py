"""Every stage after the simulations, on the demo's files."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import xarray as xr
import yaml

from corefuse import config
from corefuse.bench import GPAW_16, ROOT, Row, timed
from corefuse.core import edge_table, files
from corefuse.learn import attributions, dataset, domain, train
from corefuse.read import infer
from corefuse.spectra import calibration, process

DEMO = ROOT / "results" / "demo"
TARGET = "x_li"


def rows() -> Iterator[Row]:
    """One row a stage; ratios are to GPAW's run of 16 atoms."""
    demo = demo_config()
    table = edge_table.load(ROOT / "resources" / "edges.yaml")
    index = pd.read_csv(DEMO / "structures" / "index.csv")
    raw_files = sorted((DEMO / "raw").glob("*/*.nc"))
    of_structure: dict[str, dict[str, xr.Dataset]] = {}
    for path in raw_files:
        of_structure.setdefault(path.stem, {})[path.parent.name] = files.read_netcdf(path)
    modalities, subsets = demo.spectra.modalities(), config.resolve_subsets(demo)
    all_structures = f"{len(of_structure)} structures"

    seconds, constants = timed(
        lambda: calibration.calibrate_all(raw_files, index, demo.spectra, table)
    )
    yield _row("calibrate", all_structures, seconds)
    seconds, processed = timed(
        lambda: {
            name: process.process(raw, demo.spectra, table, constants)
            for name, raw in of_structure.items()
        }
    )
    yield _row("spectra", all_structures, seconds, len(of_structure) * len(modalities))
    seconds, made = timed(
        lambda: dataset.assemble(processed, index, demo.dataset, modalities, table)
    )
    samples = made.dataset.sizes["sample"]
    yield _row("dataset", f"{samples} samples", seconds, samples * len(modalities))
    seconds, result = timed(lambda: train.train_target(made.dataset, TARGET, subsets, demo.train))
    yield _row("train", f"{TARGET}, {len(subsets)} subsets", seconds)
    seconds, domains = timed(lambda: domain.fit_domains(made.dataset, subsets, demo.train.seed))
    yield _row("domain", f"{len(subsets)} subsets", seconds)
    library = infer.Library({TARGET: result.models}, domains)
    sample = infer.of_structure(processed[made.dataset["structure_id"].values[0]])
    seconds, _ = timed(lambda: infer.infer(sample, library, demo.infer.confidence))
    yield _row("infer", f"one sample, {TARGET}", seconds, len(modalities))
    whole = max(result.models.values(), key=lambda m: len(m.card.modalities))
    seconds, _ = timed(lambda: attributions.attributions(whole, made.dataset))
    yield _row("attributions", f"{samples} samples, {TARGET}", seconds)


def demo_config() -> config.Config:
    """The demo's config."""
    path = ROOT / "config" / "config.yaml"
    return config.load(yaml.safe_load(path.read_text()), path)


def _row(what: str, of: str, seconds: float, n_spectra: int | None = None) -> Row:
    return Row(what, of, seconds, n_spectra, reference=GPAW_16)
