"""What a stored library holds and what it cost: ``python -m corefuse.report.library CONFIG``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from corefuse import config as cfg
from corefuse.core import files
from corefuse.core.errors import InputError
from corefuse.plan import specs
from corefuse.simulate import stored

CONTENTS = ("x_li", "x_ni", "x_mn", "x_co")


def cells(config: cfg.Config, file: str | Path) -> pd.DataFrame:
    """One row for each stored cell: its labels, the cost and the convergence of its simulations.

    Raises
    ------
    InputError
        As :func:`corefuse.simulate.stored.finished`, or no cell is finished.
    """
    there = stored.finished(config, file)
    folder = Path(str(config.simulation.stored))
    if not there:
        raise InputError(folder, "simulation.stored", "no cell is finished in it", "compute some")
    index = pd.read_csv(folder / "structures/index.csv")
    index = index[index.structure_id.isin(list(there))]
    rows = [_costs(folder, names) for names in map(there.__getitem__, index.structure_id)]
    return pd.concat([index.reset_index(drop=True), pd.DataFrame(rows)], axis=1)


def _costs(folder: Path, names: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"kilobytes": sum((folder / n).stat().st_size for n in names) / 1000}
    for name in (n for n in names if n.startswith("raw/")):
        attrs, engine = files.read_netcdf(folder / name).attrs, Path(name).parent.name
        row[f"{engine}_cpu_seconds"] = attrs["cpu_seconds"]
        if "scf_iterations" in attrs:
            row |= {"scf_iterations": attrs["scf_iterations"], "kpoints": attrs["kpoints"]}
        if attrs.get("warnings"):
            row[f"{engine}_warnings"] = len(attrs["warnings"].splitlines())
    return row


def lines(table: pd.DataFrame, planned: list[specs.StructureSpec], failed: int) -> Iterator[str]:
    """The facts as a Markdown table."""
    parents = len({spec.parent_id for spec in planned})
    yield "| | |"
    yield "|---|---|"
    yield f"| cells stored, of those planned | {len(table)} of {len(planned)} |"
    yield f"| parents | {table.parent_id.nunique()} of {parents} |"
    yield f"| grades | {table.grade.nunique()} |"
    yield f"| failed simulations | {failed} |"
    yield f"| atoms | {table.n_atoms.min()} to {table.n_atoms.max()} |"
    for name in CONTENTS:
        gap = np.diff(np.sort(table[name].unique())).max(initial=0)
        low, high = table[name].min(), table[name].max()
        yield f"| {name} | {low:.3g} to {high:.3g}, widest gap {gap:.3g} |"
    for kind, number in table.defect_class.value_counts().items():
        yield f"| {kind} | {number} |"
    yield f"| relaxed below the force asked for | {(table.relaxed.astype(str) == 'True').sum()} |"
    for name in (c for c in table if str(c).endswith("_cpu_seconds")):
        every = table[name].astype(float)
        engine = str(name).removesuffix("_cpu_seconds")
        median, total = every.median(), every.sum()
        yield f"| CPU s per cell, {engine} | {median:.0f} (median), {total:.0f} in all |"
    if "scf_iterations" in table:
        steps = table.scf_iterations.astype(int)
        yield f"| SCF steps | {steps.min()} to {steps.max()}, median {steps.median():.0f} |"
        yield f"| k points | {sorted(set(table.kpoints.astype(int)))} |"
    yield f"| size, MB | {table.kilobytes.sum() / 1000:.1f} |"


def main(config_file: str) -> int:
    """Print the table; 1 where there is no library."""
    try:
        config = cfg.read(config_file)
        table = cells(config, config_file)
    except InputError as err:
        print(f"corefuse: {err}", file=sys.stderr)
        return 1
    planned = list(specs.by_id(config.structures, config_file).values())
    path = Path(str(config.simulation.stored)) / stored.FAILED
    failed = list(csv.DictReader(path.open(newline=""))) if path.exists() else []
    print("\n".join(lines(table, planned, len(failed))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
