"""Call a function here, or under MPI where the job was given a launcher such as ``srun -n 8``."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from corefuse.core import files
from corefuse.core.errors import InputError, NotConvergedError

NOT_CONVERGED = 3  # exit code
WHY = "not_converged.json"


def call(launcher: Sequence[str], function: str, folder: Path) -> None:
    """Run ``module:function`` of the package on a folder, in all processes of the launcher.

    Without a launcher it is called in this process.

    Raises
    ------
    NotConvergedError
        The function raised it.
    InputError
        The launcher can't be started.
    RuntimeError
        The processes ended otherwise; their output is in the message.
    """
    if not launcher:
        _resolve(function)(folder)
        return
    command = [*launcher, sys.executable, "-m", "corefuse.simulate.mpi", function, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise InputError(
            "the profile", "set-resources.mpi", f"no program {launcher[0]!r}", "drop it or load MPI"
        ) from None
    why = folder / WHY
    if done.returncode and why.exists():
        raise NotConvergedError(*files.read_json(why))
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}".strip())


def launcher(resources: Any) -> tuple[str, ...]:
    """How a job starts a parallel program, from its Snakemake resources ``mpi`` and ``tasks``.

    The profile sets them (``set-resources: {sites: {mpi: srun, tasks: 8}}``); without ``mpi`` the
    job is one process.
    """
    mpi = getattr(resources, "mpi", "")
    return (*mpi.split(), "-n", str(getattr(resources, "tasks", 1))) if mpi else ()


def at_most(launcher: Sequence[str], processes: int) -> tuple[str, ...]:
    """The launcher with no more processes than that."""
    if not launcher:
        return ()
    *program, asked = launcher
    return (*program, str(min(int(asked), processes)))


def _resolve(function: str) -> Callable[[Path], None]:
    module, name = function.split(":")
    return getattr(importlib.import_module(module), name)


def main(function: str, folder: Path) -> int:
    """One process of an MPI run."""
    try:
        _resolve(function)(folder)
    except NotConvergedError as why:  # raised alike in all processes
        files.write_json(folder / WHY, [str(why), why.facts])
        return NOT_CONVERGED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
