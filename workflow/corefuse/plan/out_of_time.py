"""Time limits at which runs were ended: a higher limit tries those again, and no others.

A time limit decides no result but that of a run that reaches it. So it is no param of the rules;
where a run was ended, a small file says at which limit, and that is a param once the config allows
more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corefuse.core import files


def marker(folder: str | Path, structure_id: str) -> Path:
    """The file for runs of a structure whose results lie in ``folder``."""
    return Path(folder) / ".out_of_time" / f"{structure_id}.json"


def add(path: Path, limit_hours: float) -> None:
    """Note one more limit at which a run was ended."""
    files.write_json(path, sorted({*_read(path), limit_hours}))


def to_try_again(path: Path, settings: Mapping[str, Any]) -> str:
    """The highest limit (hours) below that of the settings at which a run was ended; ``""``: none.

    It stays the same when the run has succeeded, or was ended again, at the limit of the settings.
    """
    limit = settings.get("time_limit_hours", -math.inf)
    return str(max((past for past in _read(path) if past < limit), default=""))


def _read(path: Path) -> list[float]:
    return list(map(float, files.read_json(path))) if path.exists() else []
