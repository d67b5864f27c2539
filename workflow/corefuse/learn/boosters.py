"""Boosters of others: a malformed ``.ubj`` can end the process that loads it.

XGBoost takes the lengths and node numbers in a file on trust, and a wrong one is a segmentation
fault. So a booster is first loaded in a process of its own, with limited memory, where all of its
trees are walked and used. That takes a second or two, so the SHA-256 of what has passed, or was
made here, is remembered in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import xgboost as xgb

from corefuse.core.errors import InputError

LIMIT_S = 120
MOST_MEMORY = 4 * 2**30  # bytes of address space
_CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import numpy as np, xgboost as xgb
xgb.set_config(verbosity=0)
booster = xgb.Booster(params={{"nthread": 1}})
booster.load_model(sys.argv[1])
booster.get_dump(dump_format="json", with_stats=True)
columns = booster.num_features()
assert 0 < columns < 1_000_000
rng = np.random.default_rng(0)
rows = np.vstack([np.zeros(columns), np.full(columns, np.nan), rng.normal(size=(62, columns))])
for scale in (1.0, 1e3, 1e30):
    found = booster.inplace_predict((scale * rows).astype(np.float32), predict_type="margin")
    assert found.shape == (64,) and np.isfinite(found).all()
"""


def check(path: Path, content: str) -> None:
    """Raise InputError where a booster, whose SHA-256 is ``content``, cannot be loaded and used."""
    if (mark := _mark(content)) and mark.exists():
        return
    code = _CHILD.format(memory=MOST_MEMORY)
    alone = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path.absolute())],
            capture_output=True,
            timeout=LIMIT_S,
            env=alone,
            check=False,
        )
        fault = done.returncode
    except subprocess.TimeoutExpired:
        fault = "time limit"
    if fault:
        said = f"XGBoost cannot load and use it ({fault})"
        raise InputError(path, "booster", said, "get the file again, or train again")
    trust(content)


def trust(content: str) -> None:
    """Remember a booster that was made here, or has passed; where nothing can be written, don't."""
    if mark := _mark(content):
        with contextlib.suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _mark(content: str) -> Path | None:
    """The file whose being there says that a booster is sound for this version of XGBoost."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home
        return None
    return cache / "corefuse" / f"boosters-{xgb.__version__}" / content
