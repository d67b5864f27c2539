"""What a job may ask of a cluster: retries grow, but not beyond what the partition allows.

The limits are those of ``slurm/site.txt`` or the environment (``MAX_MEM_MB`` and ``MAX_RUNTIME``,
with ``COREFUSE_`` before them in the environment), or else what Slurm says of the partition.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from pathlib import Path

SITE = Path("slurm/site.txt")
# How sbatch says that a job asks for too much; a controller that does not answer says otherwise.
REFUSED = re.compile(r"not available|not be satisfied|limit|violates|exceed", re.IGNORECASE)
PATIENCE_S = 20.0  # for a command of Slurm's


@dataclass(frozen=True)
class Limits:
    """The most that a job may ask for: memory (MB) and time (minutes)."""

    memory_mb: float = inf
    minutes: float = inf


def asked(memory_mb: int, minutes: int, attempt: int, limits: Limits) -> tuple[int, int]:
    """Memory (MB) and time (minutes) of an attempt, counted from 1.

    Both grow with the attempt, up to the limits. Where Slurm would refuse that all the same, as for
    a limit of an account, the attempt asks for as much as an earlier one.
    """
    for scale in range(attempt, 0, -1):
        wanted = (
            int(min(memory_mb * scale, limits.memory_mb)),
            int(min(minutes * scale, limits.minutes)),
        )
        if attempt == 1 or accepted(*wanted):
            break
    return wanted


@lru_cache
def accepted(memory_mb: int, minutes: int) -> bool:
    """Whether Slurm would take such a job; yes where there is no Slurm, or inside of a job."""
    if not shutil.which("sbatch") or "SLURM_JOB_ID" in os.environ:
        return True
    here = _site()
    where = [
        f"--{key}={here[key.upper()]}" for key in ("partition", "account") if key.upper() in here
    ]
    size = [f"--mem={memory_mb}", f"--time={minutes}"]
    done = _call("sbatch", "--test-only", *where, *size, "--wrap", "true")
    return done is None or done.returncode == 0 or not REFUSED.search(done.stderr)


def limits(ask_slurm: bool) -> Limits:
    """The limits, and put into the environment, so that jobs find what this process was told."""
    here = _site()
    found = Limits()
    if ask_slurm and not {"MAX_MEM_MB", "MAX_RUNTIME"} <= here.keys():
        found = of_partition(here.get("PARTITION"))
    found = Limits(
        float(here.get("MAX_MEM_MB", found.memory_mb)),
        float(here.get("MAX_RUNTIME", found.minutes)),
    )
    os.environ["COREFUSE_MAX_MEM_MB"] = str(found.memory_mb)
    os.environ["COREFUSE_MAX_RUNTIME"] = str(found.minutes)
    return found


def of_partition(name: str | None) -> Limits:
    """What Slurm says of a partition, or of the default one; nothing where there is no Slurm."""
    if not shutil.which("sinfo"):
        return Limits()
    rows = [line.split("|") for line in _printed("sinfo", "-h", "-o", "%P|%l|%m").splitlines()]
    rows = [row for row in rows if row[0].rstrip("*") == name or (not name and row[0][-1:] == "*")]
    if not rows:
        return Limits()
    details = _printed("scontrol", "show", "partition", "-o", rows[0][0].rstrip("*"))
    most = re.search(r"MaxMemPerNode=(\d+)", details)
    memory_mb = max(float(row[2].rstrip("+")) for row in rows)
    return Limits(
        min(memory_mb, float(most[1]) if most else inf), max(minutes_of(row[1]) for row in rows)
    )


def minutes_of(time: str) -> float:
    """Minutes of a time as Slurm writes it: ``30``, ``30:00``, ``2:00:00``, ``1-12:00:00``."""
    if not re.fullmatch(r"[\d:-]+", time):
        return inf  # infinite, UNLIMITED, n/a
    days, _, clock = time.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:  # D-HH, D-HH:MM, D-HH:MM:SS
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:  # MM, MM:SS
        hours, (minutes, seconds) = 0, (*parts, 0)[:2]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _site() -> Mapping[str, str]:
    """``PARTITION``, ``ACCOUNT``, ``MAX_MEM_MB``, ``MAX_RUNTIME`` as far as they are given."""
    lines = SITE.read_text().split() if SITE.exists() else []
    here = dict(line.split("=", 1) for line in lines if "=" in line)
    prefix = "COREFUSE_"
    return here | {k.removeprefix(prefix): v for k, v in os.environ.items() if k.startswith(prefix)}


def _call(*command: str) -> subprocess.CompletedProcess[str] | None:
    """A command of Slurm's; None where it does not end."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _printed(*command: str) -> str:
    """What a command of Slurm's prints; nothing where it fails."""
    done = _call(*command)
    return done.stdout if done and done.returncode == 0 else ""
