"""Engines: codes that turn a structure into unbroadened site spectra.

An engine is one module of this package with one class that follows :class:`Engine`. It is found
by its name: ``simulation.edges`` in the config says ``O K: gpaw``, and ``engines/gpaw.py`` holds
``ENGINE``. Adding one means writing that file, with the ``Settings`` of its section in the config.

Most engines start a program and follow :class:`ProgramEngine` (``prepare``, ``run``, ``parse``,
which talk through files); one that computes in its own process has :meth:`Engine.compute` alone.
Memory, time, environment and threads of its jobs are the engine's own, too: no rule knows a name.

An engine either does a structure in one run (initial-state GPAW, multiplets) or one absorbing site
in one run (``per_site``: core holes, FDMNES, FEFF). The workflow batches site runs, keeps each as
it finishes and puts them together (:mod:`corefuse.simulate.sites`); the engine sees one job at
a time.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import xarray as xr
from pymatgen.core import Structure

from corefuse.config.command import deciding
from corefuse.core import files, rawdata
from corefuse.core.edges import TECHNIQUES
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.plan.specs import Spec
from corefuse.simulate.limits import SHARE

USUAL_MEMORY_MB = 2000  # of a job whose engine does not know better
USUAL_MINUTES = 240  # of a job whose engine has no time limit of its own
SPARE_MINUTES = 10
NOT_BEGUN = "corefuse: no start: "


@dataclass(frozen=True)
class Absorber:
    """One site at one edge: ``site`` counts the atoms of the structure from 0."""

    edge: str
    site: int


@dataclass(frozen=True)
class Job:
    """One structure for one engine.

    ``settings`` is the engine's own config section as plain data; ``shared`` is a folder that all
    jobs of a run may fill and read (datasets, compiled tables), safely and at the same time.
    ``raw`` holds what the first of ``Engine.reads`` that runs made of the same structure; none
    may. A job of a ``per_site`` engine has the ``absorber`` it is for, the only edge in
    ``edges``, and ``start``, the file that ``Engine.begin`` made of the structure. ``launcher``
    starts a program in parallel (``srun -n 8``); empty: one process.
    """

    structure_id: str
    structure: Structure
    edges: tuple[str, ...]
    settings: Mapping[str, Any]
    shared: Path
    raw: Mapping[str, xr.Dataset] = field(default_factory=dict)
    absorber: Absorber | None = None
    start: Path | None = None
    launcher: tuple[str, ...] = ()


class Engine(ABC):
    """What every engine can do, and what most have in common."""

    name: str
    revision: int  # bump when the same input gives another result: old raw files are then redone
    edges: tuple[str, ...]  # those it can compute
    reads: tuple[str, ...] = ()  # it uses the structure's raw file of the first of these that runs
    resources: tuple[str, ...] = ()  # files of the project that its results depend on
    per_site: bool = False  # one run per absorbing site, not one per structure: see works_by_site
    environment: str = "analysis"  # its jobs run in envs/<environment>.yaml
    threads: int = 1  # of a job; processes of an MPI run are the profile's (Job.launcher)
    reach: str = "the reach of the engine"  # config key that extends its energy axis, for messages

    @abstractmethod
    def version(self) -> str:
        """Version of the code behind the engine, for provenance."""
        ...

    @abstractmethod
    def check(self, settings: Mapping[str, Any], folder: Path) -> str:
        """Do something real in seconds, in an empty ``folder``; what works, on one line.

        Raises :class:`InputError` with the fix, or :class:`NotConvergedError`.
        """
        ...

    def binaries(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Attributes that name the user's programs it runs; none unless an engine has some."""
        return {}

    def settings_for(self, edge: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """What of the settings decides the result of a site at this edge.

        Everything but :data:`corefuse.config.HOW_IT_RUNS`, unless an engine has settings per edge:
        a site is computed again only when what this returns for its own edge has changed.
        """
        return deciding(settings)

    def techniques(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Techniques that its spectra are of; in the dipole limit XAS and EELS are the same."""
        return TECHNIQUES

    def works_by_site(self, settings: Mapping[str, Any]) -> bool:
        """Whether a run does one site with these settings; ``per_site`` unless they decide it."""
        return self.per_site

    def longest_run_hours(self, edges: Sequence[str], settings: Mapping[str, Any]) -> float:
        """When one run is ended by its settings; 0 where they do not say."""
        return 0.0

    def begin(self, job: Job, folder: Path, start: Path) -> None:
        """Of a ``per_site`` engine: make the file that all runs of a structure start from.

        It is empty unless an engine has something to share. Raises :class:`NotConvergedError` where
        the structure can't be done.
        """
        start.touch()

    def memory_mb(self, spec: Spec, settings: Mapping[str, Any]) -> int:
        """Memory (MB) that a job needs, before there is a structure; ``memory_mb`` overrides it."""
        return USUAL_MEMORY_MB

    def minutes(
        self, spec: Spec, edges: Sequence[str], settings: Mapping[str, Any], runs: int
    ) -> int:
        """Time (minutes) that a job of so many runs needs, so that no cluster cuts one off."""
        hours = runs * self.longest_run_hours(edges, settings)
        return ceil(60 * hours / SHARE) + SPARE_MINUTES if hours else USUAL_MINUTES

    @abstractmethod
    def compute(self, job: Job, folder: Path) -> xr.Dataset:
        """The raw dataset (:mod:`corefuse.core.rawdata`) of a job; one of a ``per_site`` engine has
        one channel.

        ``folder`` is there, for whatever the engine writes. Raises :class:`NotConvergedError` with
        the reason where there is no result.
        """
        ...

    def read_log(self, folder: Path) -> str:
        """What the code printed in ``folder``, for the user; nothing, unless an engine knows."""
        return ""


class ProgramEngine(Engine):
    """An engine whose work goes through files in a folder, such as one that runs a program."""

    def compute(self, job: Job, folder: Path) -> xr.Dataset:
        """Prepare, run and parse."""
        self.prepare(job, folder)
        self.run(folder)
        return self.parse(folder)

    @abstractmethod
    def prepare(self, job: Job, folder: Path) -> None:
        """Write everything :meth:`run` needs into ``folder``."""
        ...

    @abstractmethod
    def run(self, folder: Path) -> None:
        """Compute. Raises :class:`NotConvergedError` with the reason where there is no result."""
        ...

    @abstractmethod
    def parse(self, folder: Path) -> xr.Dataset:
        """Read the result of :meth:`run` as a raw dataset (:mod:`corefuse.core.rawdata`)."""
        ...


def get(name: str) -> Engine:
    """The engine of that name."""
    return importlib.import_module(f"corefuse.engines.{name}").ENGINE


def check_edges(engine: str, edges: list[str], config_file: str) -> None:
    """Raise InputError where the engine can't compute an edge that is asked of it."""
    able = get(engine).edges
    for edge in edges:
        if edge not in able:
            raise InputError(
                config_file,
                f"simulation.edges.{edge}",
                f"{engine} can't compute {edge}",
                f"{engine} does {', '.join(able)}",
            )


def begin(engine: Engine, job: Job, folder: Path, start: Path) -> None:
    """Make the file that a structure's site runs start from; where it can't be, one that says why.

    Written atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with files.atomic(start) as partial:
        try:
            _check_structure(job)
            engine.begin(job, folder, partial)
        except NotConvergedError as why:
            _write_reason(partial, why)


def set_aside(start: Path, why: NotConvergedError) -> None:
    """Make a start file that is none and says why, atomically."""
    with files.atomic(start) as partial:
        _write_reason(partial, why)


def _write_reason(start: Path, why: NotConvergedError) -> None:
    start.write_text(NOT_BEGUN + files.dumps([str(why), why.facts]))


def why_not_begun(start: Path | None) -> NotConvergedError | None:
    """The reason in a start file that is none; nothing where it is one."""
    if start is None:
        return None
    with start.open("rb") as file:
        if file.read(len(NOT_BEGUN)) != NOT_BEGUN.encode():
            return None
    return NotConvergedError(*json.loads(start.read_text().removeprefix(NOT_BEGUN)))


def simulate(engine: Engine, job: Job, folder: Path) -> xr.Dataset:
    """Compute; a failed run becomes a failed dataset that says why.

    A structure that failed itself is not run.

    Only :class:`NotConvergedError` is a result ("this structure failed"); any other exception is a
    fault and is raised.
    """
    start = time.perf_counter(), cpu_seconds()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _check_structure(job)
        raw = engine.compute(job, folder)
    except NotConvergedError as err:
        raw = rawdata.failed(str(err)).assign_attrs(err.facts)
    ours = cpu_seconds() - start[1]
    return raw.assign_attrs(
        provenance(engine, job),
        wall_seconds=round(time.perf_counter() - start[0], 2),
        # an engine counts itself where its processes are no children of this one
        cpu_seconds=round(max(ours, raw.attrs.get("cpu_seconds", 0.0)), 2),
    )


def _check_structure(job: Job) -> None:
    if reason := job.structure.properties.get("failed"):
        raise NotConvergedError(reason)


def failed(engine: Engine, job: Job, why: NotConvergedError) -> xr.Dataset:
    """The raw dataset of a run without a result, with what is known of it."""
    return rawdata.failed(str(why)).assign_attrs(provenance(engine, job) | why.facts)


def provenance(engine: Engine, job: Job) -> dict[str, str | int]:
    """Attributes of a raw dataset that say what was asked of which code."""
    return {
        "structure_id": job.structure_id,
        "engine": engine.name,
        "engine_version": engine.version(),
        "engine_revision": engine.revision,
        "reach": engine.reach,
        "parameters": files.dumps(dict(job.settings)),
        **engine.binaries(job.settings),
    }


def cpu_seconds() -> float:
    """CPU time of this process and of the programs it has run to their end."""
    return sum(os.times()[:4])
