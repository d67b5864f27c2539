"""What is made of a finished demo: matches, scores, figures, tables and the report.

All files are read before the clock starts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from corefuse import config
from corefuse.bench import GPAW_16, ROOT, Row, cluster, stages, timed
from corefuse.core import edge_table, files
from corefuse.learn import scores
from corefuse.read import align
from corefuse.report import figures, tables
from corefuse.spectra import process

MATCHED = "O_K-EELS"
BOUND_EV = 3.0  # of shift and extra width, as a measured edge gets


def rows() -> Iterator[Row]:
    """One row a product; ratios are to GPAW's run of 16 atoms."""
    demo, folder = stages.demo_config(), stages.DEMO
    simulated = process.read_usable(sorted(folder.glob("spectra/*.nc")))
    predictions = pd.concat(map(pd.read_csv, sorted(folder.glob("models/*/predictions.csv"))))
    with tempfile.TemporaryDirectory() as scratch:
        yield _match(simulated)
        yield _metrics(predictions, demo)
        yield _figures(_drawings(simulated, predictions, demo), Path(scratch))
        yield _tables(Path(scratch))
        yield _report(Path(scratch))


def _match(simulated: dict) -> Row:
    """Fit shift and width of one edge, taken from the simulated ones, to all of them."""
    entry = edge_table.load(ROOT / "resources" / "edges.yaml")["O K"]
    ensemble = process.ensemble(simulated.values(), MATCHED).values
    at_ev = entry.grid.energies_ev
    seconds, _ = timed(
        lambda: align.profile(
            at_ev, ensemble[:1], ensemble, entry, align.steps(BOUND_EV), align.widths(BOUND_EV)
        )
    )
    return _row("match", f"one edge, {len(ensemble)} simulated", seconds, 1)


def _metrics(predictions: pd.DataFrame, demo: config.Config) -> Row:
    """Score one model of one target, bootstrap included."""
    of_one = predictions.groupby(["target", "modalities", "model"])
    (target, *_), one = next(iter(of_one))
    settings = demo.train
    seconds, _ = timed(
        lambda: scores.score(
            *(one[name] for name in ("truth", "prediction", "group", "fold")),
            scores.kind_of(target),
            *(settings.bootstrap, settings.confidence, settings.seed),
        )
    )
    return _row("metrics", f"one of {len(of_one)} models, {settings.bootstrap} resamples", seconds)


def _drawings(
    simulated: dict, predictions: pd.DataFrame, demo: config.Config
) -> list[Callable[[], Figure]]:
    """What draws one figure of each kind."""
    index = pd.read_csv(stages.DEMO / "structures" / "index.csv")
    metrics = pd.read_csv(stages.DEMO / "metrics.csv")
    data = files.read_netcdf(stages.DEMO / "dataset.nc")
    shap = pd.read_csv(stages.DEMO / "shap" / f"{stages.TARGET}.csv")
    card = pd.read_csv(min(stages.DEMO.glob("inference/*.csv")))
    modalities, subsets = demo.spectra.modalities(), config.resolve_subsets(demo)
    whole = max(subsets, key=lambda s: len(subsets[s]))
    kinds = {target: scores.kind_of(target) for target in demo.train.targets}
    return [
        lambda: figures.spectra_by_lithium(simulated, index, modalities),
        lambda: figures.spectra_by_defect(simulated, index, modalities),
        lambda: figures.parity(predictions, whole),
        lambda: figures.scores(metrics, kinds, list(subsets)),
        lambda: figures.attribution(
            shap, data, process.mean_dos(simulated.values()), stages.TARGET
        ),
        lambda: figures.inference_card(card, "sample", {}),
    ]


def _figures(drawings: list[Callable[[], Figure]], scratch: Path) -> Row:
    def draw() -> None:
        for number, drawn in enumerate(drawings):
            figures.save(drawn(), [scratch / f"{number}.{kind}" for kind in ("svg", "png")], 150)

    seconds, _ = timed(draw)
    return _row("figures", f"{len(drawings)}, each as SVG and PNG", seconds)


def _tables(scratch: Path) -> Row:
    folder = stages.DEMO
    names = ("structures/index.csv", "failed.csv", "metrics.csv", "dataset.csv")
    contents = {name: pd.read_csv(folder / name) for name in names}

    def write() -> None:
        for number, (name, table) in enumerate(contents.items()):
            tables.write(scratch / f"{number}.html", table, name)

    seconds, _ = timed(write)
    return _row("tables", f"{sum(map(len, contents.values()))} rows", seconds)


def _report(scratch: Path) -> Row:
    """Snakemake's report of the demo; it runs as a program of its own."""
    command = [
        *("results", "--cores", "1", "--nolock"),
        *("--configfile", str(stages.DEMO / "config.yaml")),
        *("--report", str(scratch / "report.html")),
    ]
    seconds, _ = cluster.snakemake(command, ROOT)
    size = (scratch / "report.html").stat().st_size / 1e6
    return _row("report", f"one page of {size:.1f} MB", seconds)


def _row(what: str, of: str, seconds: float, n_spectra: int | None = None) -> Row:
    return Row(what, of, seconds, n_spectra, reference=GPAW_16)
