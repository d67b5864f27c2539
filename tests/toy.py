"""A copy of the workflow whose scripts only write their outputs: real rules, params and inputs.

A job appends ``start <rule> <wildcards>`` and ``end ...`` to ``journal.txt``. Where ``TOY_HANG``
is set, the second simulation that starts never ends.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

HELD_OUT = "NM11-2fu-d0"
CONFIG: dict[str, Any] = {
    "name": "toy",
    "structures": {
        "formula_units": 2,
        "series": [
            {"grade": "LiNiO2"},
            {"grade": "LiCoO2"},
            {"grade": "NC11", "stoichiometry": {"Ni": 0.5, "Co": 0.5}},
            {"grade": "NM11", "stoichiometry": {"Ni": 0.5, "Mn": 0.5}},
        ],
    },
    "simulation": {"edges": {"O K": "gpaw", "Ni L2,3": "gpaw"}},
    "spectra": {
        "techniques": {
            "XAS": {"gaussian_fwhm_ev": 0.3, "edges": ["O K"]},
            "EELS": {"gaussian_fwhm_ev": 0.8, "edges": ["O K", "Ni L2,3"]},
        }
    },
    "dataset": {"holdout_parents": [HELD_OUT]},
    "train": {"outer_folds": 3, "inner_folds": 2, "targets": ["x_li", "v_o_present"]},
    "infer": {
        "samples": [
            {
                "name": "mine",
                "spectra": [{"edge": "O K", "technique": "EELS", "file": "mine.csv"}],
            }
        ]
    },
}
COPIED = (
    *("Snakefile", "workflow", "scripts", "config", "resources", "envs", "slurm", "profiles"),
    "tools",
)
STAND_IN = """
import hashlib, os, time
from pathlib import Path

job = " ".join([snakemake.rule, *snakemake.wildcards])

def note(word):
    with open("journal.txt", "a") as journal:
        journal.write(f"{word} {job}\\n")

note("start")
if os.environ.get("TOY_HANG") and Path("journal.txt").read_text().count("start simulate") == 2:
    time.sleep(600)
read = [str(list(snakemake.params)).encode(), *(Path(p).read_bytes() for p in snakemake.input)]
for output in snakemake.output:
    Path(output).write_text(hashlib.sha256(b"".join(read)).hexdigest())
note("end")
"""
O_K = "\n".join(f"{500 + i / 4},{1 + (i > 120)}" for i in range(400))


def edited(path: str, value: Any, base: dict[str, Any] = CONFIG) -> dict[str, Any]:
    """A copy of a config with one dotted key set, e.g. ``structures.series.0.grade``."""
    out = deepcopy(base)
    *folders, last = path.split(".")
    inner: Any = out
    for part in folders:
        inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
    inner[int(last) if isinstance(inner, list) else last] = value
    return out


def with_imports_of(script: str, stand_in: str) -> str:
    """A stand-in that depends on the same modules, so that their edits make it stale, too."""
    found = [n for n in ast.parse(script).body if isinstance(n, ast.Import | ast.ImportFrom)]
    lines = "".join(f"    {ast.unparse(node)}\n" for node in found)
    return f"def never_called():\n    pass\n{lines}\n{stand_in}"


class Toy:
    """One copy in ``folder``; the stand-ins leave out the script that writes the config."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (root / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(root / name, folder / name, ignore=ignored)
            else:
                shutil.copy(root / name, folder / name)
        for script in (folder / "scripts").glob("*.py"):
            if script.stem != "resolved_config":
                script.write_text(with_imports_of(script.read_text(), STAND_IN))
        (folder / "mine.csv").write_text(O_K)

    def write(self, name: str, config: dict[str, Any]) -> str:
        """Write a config; returns its file name."""
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return f"{name}.yaml"

    def command(self, *args: str) -> list[str]:
        """A snakemake command line for this copy."""
        return [sys.executable, "-m", "snakemake", *args]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run snakemake to its end; stdout and stderr together."""
        return subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def journal(self) -> list[str]:
        """What the jobs noted so far."""
        file = self.folder / "journal.txt"
        return file.read_text().splitlines() if file.exists() else []


def environment(**more: str) -> dict[str, str]:
    """The environment without what pytest or the checkout's own make put there."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SNAKEMAKE_PROFILE")}
    return clean | {"OMP_NUM_THREADS": "1"} | more


def planned(done: subprocess.CompletedProcess[str]) -> Counter[str]:
    """The job table of a dry run: rule -> number of jobs, empty where nothing is to be done."""
    assert done.returncode == 0, done.stdout
    if "Nothing to be done" in done.stdout:
        return Counter()
    table = done.stdout.split("Job stats:")[1].split("\n\n")[0]
    rows = re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)
    return Counter({rule: int(n) for rule, n in rows if rule != "total"})
