"""What Snakemake and Slurm cost: planning 20 000 sites, and a batch that does nothing.

The Slurm is the tests' own (``tests/slurm/cluster.py``); where it can't run, its row is left out.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from corefuse import config
from corefuse.bench import BROKEN, ROOT, Row
from corefuse.plan import specs

BATCHES = 1000
DRY_RUN_LIMIT_S, DRY_RUN_LIMIT_MB = 6.0, 300
# In cells of 120 atoms: what takes time is the number of jobs, three or four a cell.
EDGES = ("O K", "Li K", "Mn K", "Co K", "Ni K")  # every atom absorbs at one of them
MANY = {
    "name": "many",
    "structures": {
        "formula_units": 30,
        "series": [
            {
                "grade": "NMC622",
                "decorations": 42,
                "defects": [
                    {},
                    {"antisite_pairs": 1},
                    {"oxygen_vacancies": 1},
                    {"oxygen_vacancies": 1, "antisite_pairs": 1},
                ],
            }
        ],
    },
    "simulation": {
        "edges": dict.fromkeys(EDGES, "gpaw"),
        "core_hole": dict.fromkeys(EDGES, "half"),
        "sites": {"select": "all"},
    },
    "spectra": {"techniques": {"XAS": {"gaussian_fwhm_ev": 0.3, "edges": ["O K", "Ni K"]}}},
}
TRIVIAL = """
rule all:
    input: [f"{{i}}.txt" for i in range({n})]
rule batch:
    output: "{{i}}.txt"
    shell: "touch {{output}}"
"""


def rows() -> Iterator[Row]:
    """The dry run, and batches on Slurm."""
    yield _dry_run()
    row = _batches(BATCHES)
    if row:
        yield row


def sites_asked() -> int:
    """Absorbing sites of ``MANY``."""
    elements = [edge.split()[0] for edge in EDGES]
    return sum(spec.count(e) for spec in _plan() for e in elements)


def _plan() -> list[specs.StructureSpec]:
    return specs.plan(config.Structures.model_validate(MANY["structures"]))


def _dry_run() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.yaml"
        path.write_text(yaml.safe_dump(MANY))
        seconds, peak_mb = snakemake(["-n", "-q", "all", "--configfile", str(path)], ROOT)
    return Row(
        "dry run",
        f"{sites_asked()} sites of {len(_plan())} cells",
        seconds,
        peak_memory_mb=peak_mb,
        limit_s=DRY_RUN_LIMIT_S,
        note=f"memory {'kept' if peak_mb <= DRY_RUN_LIMIT_MB else BROKEN}: {DRY_RUN_LIMIT_MB} MB",
    )


def _batches(n: int) -> Row | None:
    """Wall seconds, as most of it is waiting, of ``n`` jobs that only touch a file."""
    import time

    with tempfile.TemporaryDirectory(prefix="slurm-") as name, _slurm(Path(name)) as up:
        if not up:
            return None
        work = Path(name) / "work"
        shutil.copytree(ROOT / "slurm", work / "slurm")
        (work / "Snakefile").write_text(TRIVIAL.format(n=n))
        begin = time.perf_counter()
        snakemake(["--profile", "slurm", "--slurm-status-command", "squeue", "-q", "all"], work)
        seconds = time.perf_counter() - begin
    note = f"wall time; {seconds / n:.1f} s a batch, {os.cpu_count()} cores"
    return Row("batches that do nothing, Slurm", f"{n} batches", seconds, note=note)


@contextmanager
def _slurm(folder: Path) -> Iterator[bool]:
    path = ROOT / "tests" / "slurm" / "cluster.py"
    spec = importlib.util.spec_from_file_location("cluster", path)
    assert spec is not None and spec.loader is not None
    cluster: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cluster)
    folder.chmod(0o755)  # munge wants it
    try:
        with cluster.running(folder):
            yield True
    except cluster.NoSlurmError as why:
        print(f"[bench] no Slurm: {why}", file=sys.stderr)
        yield False


def snakemake(args: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a snakemake command.

    Raises RuntimeError where it fails.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *args],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    printed = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"snakemake {' '.join(args)}\n{printed}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
