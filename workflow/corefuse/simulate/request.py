"""What a rule asks of an engine: the job of ``simulate``, ``begin`` or ``sites``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corefuse import engines
from corefuse.core import files
from corefuse.simulate import mpi
from corefuse.structures import build


def job_of(rule: Any) -> engines.Job:
    """The job that a script's ``snakemake`` object represents.

    What decides no result, as the place of a program, is in the config's ``aside`` and no param
    (``workflow/rules/common.smk``).
    """
    name, aside, given = rule.wildcards.engine, rule.config["aside"], rule.input
    start = given.get("begin")
    return engines.Job(
        structure_id=rule.wildcards.structure_id,
        structure=build.read(given.structure),
        edges=tuple(aside["edges"][name]),
        settings=aside["settings"][name],
        shared=Path(rule.params.shared),
        raw={Path(path).parent.name: files.read_netcdf(path) for path in given.get("raw", ())},
        start=Path(start) if start else None,
        launcher=mpi.launcher(rule.resources),
    )
