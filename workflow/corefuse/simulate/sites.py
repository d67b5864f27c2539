"""Site by site: which absorbers of a structure are computed, in which batch, and what is kept.

A batch is one job on the cluster. Each site runs in a process of its own that is ended before it
takes the job's memory or time from the others. Its result is written as it finishes, under a name
that hashes everything it depends on, so a batch that dies resumes at the next site and a site that
is there is never computed again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import spglib
from pymatgen.core import Structure

from corefuse import engines
from corefuse.config import Sites
from corefuse.core import files
from corefuse.core.edges import EDGES
from corefuse.simulate import limits as watch
from corefuse.simulate import retries


@dataclass(frozen=True)
class Pick:
    """An absorber that is computed and the number of sites it represents."""

    absorber: engines.Absorber
    multiplicity: float


def select(structure: Structure, edges: Sequence[str], settings: Sites) -> list[Pick]:
    """Absorbers of every edge, in the order of ``edges`` and of the atoms.

    The multiplicities of an edge add up to its number of atoms.
    """
    choose = {"all": _each, "inequivalent": _inequivalent, "near_defects": _near_defects}
    picks = []
    for edge in edges:
        atoms = [i for i, s in enumerate(structure) if s.specie.symbol == EDGES[edge].element]
        if atoms:
            chosen = choose[settings.select](structure, atoms, settings)
            picks += [Pick(engines.Absorber(edge, i), m) for i, m in sorted(chosen.items())]
    return picks


def batch(picks: Sequence[Pick], number: int, settings: Sites) -> Sequence[Pick]:
    """The picks of one batch, counted from 0: full ones come first, symmetry may leave none."""
    first = number * settings.sites_per_job
    return picks[first : first + settings.sites_per_job]


def run_batch(
    engine: engines.Engine,
    job: engines.Job,
    picks: Sequence[Pick],
    folder: Path,
    logs: Path,
    limits: watch.Limits,
    say: Callable[[str], object],
) -> list[dict[str, str | float]]:
    """Compute the sites that are not there yet; file (in ``folder``) and multiplicity of each site.

    ``job`` is the structure's; ``logs`` gets the engine's output of each site. ``limits`` are those
    of the whole batch: every site gets an even share of the time that is left. A site that fails in
    all :data:`corefuse.simulate.retries.ATTEMPTS` becomes a failed one that says why.

    Raises
    ------
    RuntimeError
        A site broke and may be tried again; all others are done by then.
    InputError
        The engine can't run at all, as without its program.
    """
    sites = {_file_name(engine, job, pick): pick for pick in picks}
    # what has failed before comes last, as it may take the whole job with it
    order = sorted(sites, key=lambda name: retries.made(folder / name, name))
    broken = []
    for number, name in enumerate(order):
        absorber = sites[name].absorber
        label = f"site {number + 1} of {len(picks)}: {absorber.edge} {absorber.site}"
        log = logs / f"{EDGES[absorber.edge].id}-{absorber.site}.log"
        share = limits.share(sum(not (folder / left).exists() for left in order[number:]) or 1)
        try:
            with files.alone(folder / name, name):
                of_site = replace(job, edges=(absorber.edge,), absorber=absorber)
                said = _finish(engine, of_site, folder / name, log, share)
        except watch.StoppedError as fault:  # one site must not stop thousands
            said = f"{fault}, to be tried again"
            broken.append(f"{label}: {fault}; see {log}")
        say(f"{label}: {said}")
    if broken:
        raise RuntimeError("\n".join(broken))
    return [{"file": name, "multiplicity": pick.multiplicity} for name, pick in sites.items()]


def _finish(
    engine: engines.Engine, job: engines.Job, path: Path, log: Path, limits: watch.Limits
) -> str:
    """Compute one site into ``path`` unless it is there; what came of it."""
    if _is_done(path, job):
        return "there already"
    absorber = job.absorber
    assert absorber is not None
    about = {"edge": absorber.edge, "site": absorber.site, "log": str(log)}
    raw = retries.simulate(engine, job, path, path.name, limits, log, about)
    seconds = raw.attrs.get("wall_seconds", 0)
    return f"{raw.attrs['status']} {raw.attrs['reason']} {seconds:.0f} s"


def all_done(engine: engines.Engine, job: engines.Job, settings: Sites, folder: Path) -> bool:
    """Whether ``folder`` has every site of a structure, so that none needs the start file."""
    picks = select(job.structure, job.edges, settings)
    return all(_is_done(folder / _file_name(engine, job, pick), job) for pick in picks)


def _is_done(path: Path, job: engines.Job) -> bool:
    return path.exists() and not _had_less_time(path, job)


def _had_less_time(path: Path, job: engines.Job) -> bool:
    """Whether it failed at a time limit that the settings have raised since."""
    limit = files.read_netcdf(path).attrs.get("time_limit_hours", math.inf)
    return bool(limit < job.settings.get("time_limit_hours", 0.0))


def _file_name(engine: engines.Engine, job: engines.Job, pick: Pick) -> str:
    edge, site = pick.absorber.edge, pick.absorber.site
    of_site = replace(job, edges=(edge,), absorber=pick.absorber)
    return f"{EDGES[edge].id}-{site}-{digest(engine, of_site)}.nc"


def digest(engine: engines.Engine, job: engines.Job) -> str:
    """Hash of what a site's result depends on: structure, absorber, its settings, engine."""
    assert job.absorber is not None
    content = (
        job.structure.to_json(),
        files.dumps(dict(engine.settings_for(job.absorber.edge, job.settings))),
        repr(job.absorber),
        f"{engine.name} {engine.revision}",
    )
    return files.digest(content)


def _each(structure: Structure, atoms: list[int], settings: Sites) -> dict[int, float]:
    return dict.fromkeys(atoms, 1.0)


def _inequivalent(structure: Structure, atoms: list[int], settings: Sites) -> dict[int, float]:
    """The first atom of every orbit of the space group, which respects elements and moments."""
    moments = structure.site_properties.get("magmom") or [0.0] * len(structure)
    kinds = [(s.specie.Z, round(abs(m), 1)) for s, m in zip(structure, moments, strict=True)]
    numbers = [sorted(set(kinds)).index(kind) for kind in kinds]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=settings.symmetry_tolerance_angstrom)
    orbit = range(len(structure)) if found is None else found.equivalent_atoms.tolist()
    chosen: dict[int, float] = {}
    for atom in atoms:
        chosen[orbit[atom]] = chosen.get(orbit[atom], 0.0) + 1.0
    return chosen


def _near_defects(structure: Structure, atoms: list[int], settings: Sites) -> dict[int, float]:
    """The nearest atoms to each defect, and a sample that represents all the others."""
    defects = structure.properties.get("defects", [])
    places = [d["frac_coords"] for d in defects]
    near: set[int] = set()
    if places:
        distances = structure.lattice.get_all_distances(places, structure.frac_coords[atoms])
        for row in distances:
            nearest = np.argsort(row.round(3), kind="stable")[: settings.nearest]
            near |= {atoms[i] for i in nearest}
    rest = [a for a in atoms if a not in near]
    rng = np.random.default_rng([settings.seed, len(structure)])
    sample = rng.permutation(rest)[: settings.sample].tolist()
    chosen = dict.fromkeys(near, 1.0)
    return chosen | {int(a): len(rest) / len(sample) for a in sample}
