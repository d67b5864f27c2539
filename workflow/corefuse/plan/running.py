"""One run of a config at a time, and what to do after one that was killed.

Snakemake's own lock outlives a kill, and its advice then (``--unlock``, ``--cleanup-metadata``)
puts two runs on one folder where the first goes on. ``make run`` needs neither.
"""

from __future__ import annotations

import fcntl
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from corefuse.core.errors import InputError
from corefuse.core.files import WITHOUT_LOCKS

FOLDER = Path(".snakemake")
# Modes of Snakemake that compute nothing.
NO_RUN = (
    *("dryrun", "unlock", "lint", "cleanup_metadata", "touch", "print_compilation", "archive"),
    *("list_rules", "list_target_rules", "list_conda_envs", "list_untracked", "list_changes"),
    *("list_input_changes", "list_params_changes", "summary", "detailed_summary", "report"),
    *("dag", "rulegraph", "filegraph", "d3dag", "containerize", "export_cwl", "cleanup_shadow"),
    *("generate_unit_tests", "delete_all_output", "delete_temp_output", "conda_cleanup_envs"),
    *("conda_create_envs_only", "container_cleanup_images"),
)
_held: list[TextIO] = []  # until this process ends


def hold(name: str, config_file: str, arguments: Sequence[str] | None = None) -> None:
    """Hold the run ``results/<name>`` until this process ends, however it ends.

    ``arguments`` are those of Snakemake; those of this process by default.

    Raises
    ------
    InputError
        Another process runs it, or one that was killed has left Snakemake's lock.
    """
    asked = _asked(sys.argv if arguments is None else ["snakemake", *arguments])
    if asked is None or any(getattr(asked, mode, None) for mode in NO_RUN):
        return
    file = Path(config_file)
    file = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    again = f"`make run CONFIG={file} [PROFILE=..]`"
    FOLDER.mkdir(exist_ok=True)
    lock = (FOLDER / f"run-{name}.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        if fault.errno in WITHOUT_LOCKS:
            return
        lock.seek(0)
        problem = f"another run goes on in it (process {lock.read().strip() or 'unknown'})"
        fix = f"wait for its end; {again} waits for runs that were started like that"
        raise InputError(f"results/{name}", "run", problem, fix) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    _held.append(lock)
    if not asked.nolock and _left_by_snakemake(name):
        problem = "a run of it was killed, and its jobs may go on"
        fix = f"{again}: it waits for them, goes on where they end, and needs no --unlock"
        raise InputError(f"results/{name}", "run", problem, fix)


def _asked(argv: Sequence[str]) -> Namespace | None:
    """Snakemake's arguments as it parses them; None where another program calls it."""
    from snakemake.cli import get_argument_parser

    if Path(argv[0]).name not in ("snakemake", "__main__.py"):
        return None
    return get_argument_parser().parse_known_args([*argv[1:]])[0]


def _left_by_snakemake(name: str) -> bool:
    """Whether Snakemake's locks, one path a line, name files of this run."""
    locks = (FOLDER / "locks").glob("*.lock")
    return any(f"results/{name}/" in lock.read_text() for lock in locks)
