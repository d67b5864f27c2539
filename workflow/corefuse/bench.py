"""What each stage costs on this machine (``make bench``): one run, one table, ratios.

GPAW runs one structure of 16, 32 and 40 atoms with the demo's settings, each in a process of its
own so that its peak memory is its own. The later stages run on the demo's results.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from corefuse import (
    attributions,
    calibration,
    config,
    dataset,
    domain,
    edge_table,
    engines,
    files,
    infer,
    plan,
    rawdata,
    spectra,
    structures,
    train,
)

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "results" / "demo"
SIZES: dict[int, dict[str, Any]] = {  # formula units: a series that fits
    4: {"grade": "NMC211", "stoichiometry": {"Ni": 0.5, "Mn": 0.25, "Co": 0.25}},
    8: {"grade": "NMC211", "stoichiometry": {"Ni": 0.5, "Mn": 0.25, "Co": 0.25}},
    10: {"grade": "NMC622"},
}
TARGET = "x_li"


def simulate(formula_units: int, folder: Path) -> dict[str, Any]:
    """One pristine cell, unrelaxed, through GPAW: its cost."""
    demo = _demo_config()
    section = config.Structures.model_validate(
        {"formula_units": formula_units, "series": [SIZES[formula_units]]}
    )
    structure = structures.build(plan.plan(section)[0])
    moments = {"Ni": 1.0, "Mn": 3.0}
    structure.add_site_property("magmom", [moments.get(s.specie.symbol, 0.0) for s in structure])
    job = engines.Job(
        f"{formula_units}fu",
        structure,
        tuple(demo.simulation.edges),
        demo.simulation.gpaw.model_dump(),
        folder / "shared",
    )
    raw = engines.simulate(engines.get("gpaw"), job, folder / job.structure_id)
    return rawdata.summary(raw) | {"atoms": len(structure), "site_spectra": raw.sizes["channel"]}


def later_stages() -> Iterator[dict[str, Any]]:
    """CPU and wall seconds of every stage after the simulations, on the demo's files."""
    demo = _demo_config()
    table = edge_table.load(ROOT / "resources" / "edges.yaml")
    index = pd.read_csv(DEMO / "structures" / "index.csv")
    raw_files = sorted((DEMO / "raw").glob("*/*.nc"))
    of_structure: dict[str, list[Path]] = {}
    for path in raw_files:
        of_structure.setdefault(path.stem, []).append(path)
    modalities, subsets = demo.spectra.modalities(), config.resolve_subsets(demo)
    windows = {edge: entry.window_ev for edge, entry in table.items()}
    constants, row = _timed(
        "calibrate", lambda: calibration.calibrate_all(raw_files, index, demo.spectra, table)
    )
    yield row
    processed, row = _timed(
        "spectra",
        lambda: {
            name: spectra.process(
                {p.parent.name: files.read_netcdf(p) for p in paths},
                demo.spectra,
                table,
                constants,
            )
            for name, paths in of_structure.items()
        },
    )
    yield row
    made, row = _timed(
        "dataset",
        lambda: dataset.assemble(processed, index, demo.dataset, modalities, windows),
    )
    yield row
    result, row = _timed(
        f"train {TARGET}, {len(subsets)} subsets",
        lambda: train.train_target(made.dataset, TARGET, subsets, demo.train),
    )
    yield row
    domains, row = _timed(
        "domain", lambda: domain.fit_domains(made.dataset, subsets, demo.train.seed)
    )
    yield row
    library = infer.Library({TARGET: result.models}, domains)
    sample = infer.of_structure(processed[made.dataset["structure_id"].values[0]])
    _, row = _timed("infer one sample", lambda: infer.infer(sample, library, 0.8))
    yield row
    whole = max(result.models.values(), key=lambda m: m.card.n_features)
    _, row = _timed("attributions", lambda: attributions.attributions(whole, made.dataset))
    yield row


def main() -> None:
    """Print both tables; with a number of formula units, only that cell's cost as JSON."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(simulate(int(sys.argv[1]), Path(folder))))
        return
    if not (DEMO / "metrics.csv").exists():
        sys.exit(
            "corefuse: results/demo: no finished demo to time the later stages on. Fix: make demo"
        )
    print("GPAW, initial-state core levels, one core; ratios are to 16 atoms")
    rows = []
    for formula_units in SIZES:
        print(f"  running {4 * formula_units} atoms ...", file=sys.stderr, flush=True)
        rows.append(_in_own_process(formula_units))
    print(_simulation_table(pd.DataFrame(rows)).to_string(index=False))
    print("\nLater stages on the demo's results, one core")
    later = pd.DataFrame(later_stages())
    reference = float(rows[0]["cpu_seconds"])
    later["share_of_one_16_atom_run"] = (later.cpu_seconds / reference).round(3)
    print(later.to_string(index=False))


def _in_own_process(formula_units: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "corefuse.bench", str(formula_units)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def _simulation_table(runs: pd.DataFrame) -> pd.DataFrame:
    wanted = ["atoms", "kpoints", "bands", "scf_iterations", "cpu_seconds", "peak_memory_mb"]
    table = runs[[*wanted, "site_spectra"]].copy()
    table["cpu_s_per_site_spectrum"] = (runs.cpu_seconds / runs.site_spectra).round(2)
    for name in ("cpu_seconds", "peak_memory_mb", "cpu_s_per_site_spectrum"):
        table[f"{name}_ratio"] = (table[name] / table[name].iloc[0]).round(2)
    return table


def _timed(stage: str, work: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    row = {
        "stage": stage,
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "wall_seconds": round(time.perf_counter() - wall, 2),
    }
    return result, row


def _demo_config() -> config.Config:
    path = ROOT / "config" / "config.yaml"
    return config.load(yaml.safe_load(path.read_text()), path)


if __name__ == "__main__":
    main()
