"""Site by site: which absorbers of a structure are computed, in which batch, and what is kept.

A batch is one job on the cluster. Each site's result is written as it finishes, under a name that
hashes everything it depends on, so a batch that dies resumes at the next site and a site that is
there is never computed again.
"""

from __future__ import annotations

import hashlib
import shutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import spglib
import xarray as xr
from pymatgen.core import Structure

from corefuse import engines, files
from corefuse.config import Sites
from corefuse.edges import EDGES
from corefuse.errors import InputError, NotConvergedError

DEATHS = 2  # a site at which the job died so often is set aside: the rest gets done


@dataclass(frozen=True)
class Pick:
    """An absorber that is computed and the number of sites it stands for."""

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


def run_batch(
    engine: engines.Engine,
    job: engines.Job,
    picks: Sequence[Pick],
    folder: Path,
    logs: Path,
    say: Callable[[str], object],
) -> list[str]:
    """Compute the sites that are not there yet; names of all their files in ``folder``.

    ``job`` is the structure's; ``logs`` gets the engine's output of each site. A site at which the
    job was killed or broke ``DEATHS`` times becomes a failed one that says so.

    Raises
    ------
    RuntimeError
        A site broke and may be tried again; all others are done by then.
    InputError
        The engine can't run at all, as without its program.
    """
    names, broken = [], []
    for number, pick in enumerate(picks, 1):
        edge, site = pick.absorber.edge, pick.absorber.site
        of_site = replace(job, edges=(edge,), absorber=pick.absorber)
        name = f"{EDGES[edge].id}-{site}-{digest(engine, of_site)}.nc"
        names.append(name)
        label = f"site {number} of {len(picks)}: {edge} {site}"
        log = logs / f"{EDGES[edge].id}-{site}.log"
        try:
            with files.alone(folder / name, name):
                said = _finish(engine, of_site, pick.multiplicity, folder / name, log)
        except InputError:
            raise  # every site would say the same
        except Exception as fault:  # one site must not stop thousands; it is raised below
            said = f"{type(fault).__name__}: {fault}"
            broken.append(f"{label}: {fault}; see {log}")
        say(f"{label}: {said}")
    if broken:
        raise RuntimeError("\n".join(broken))
    return names


def _finish(
    engine: engines.Engine, job: engines.Job, multiplicity: float, path: Path, log: Path
) -> str:
    """Compute one site into ``path`` unless it is there; what came of it."""
    if path.exists():
        return "there already"
    raw, absorber = _attempt(engine, job, path, log), job.absorber
    assert absorber is not None
    ended_well = raw.attrs["status"] == "ok"
    if ended_well:
        raw = raw.assign_coords(multiplicity=("channel", [multiplicity]))
    about = {"edge": absorber.edge, "site": absorber.site, "log": str(log)}
    files.write_netcdf(path, raw.assign_attrs(about))
    if ended_well:
        _deaths_file(path).unlink(missing_ok=True)
    return f"{raw.attrs['status']} {raw.attrs['reason']} {_seconds(raw)}".strip()


def digest(engine: engines.Engine, job: engines.Job) -> str:
    """Hash of what a site's result depends on: structure, absorber, its settings, engine."""
    assert job.absorber is not None
    content = (
        job.structure.to_json(),
        files.dumps(dict(engine.settings_for(job.absorber.edge, job.settings))),
        repr(job.absorber),
        f"{engine.name} {engine.revision}",
    )
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]


def _attempt(engine: engines.Engine, job: engines.Job, path: Path, log: Path) -> xr.Dataset:
    """Run a site, unless its structure has no start or the job died at it too often already."""
    scratch, deaths = path.with_suffix(".scratch"), _deaths_file(path)
    died = int(deaths.read_text()) if deaths.exists() else 0
    for parent in (log.parent, path.parent):
        parent.mkdir(parents=True, exist_ok=True)
    if why := engines.why_not_begun(job.start):
        return _failed(engine, job, why)
    if died >= DEATHS:
        if not log.exists():  # it was killed, and only the engine could say anything
            log.write_text(engine.read_log(scratch))
        why = NotConvergedError(
            f"the job died {died} times at this site: killed for memory or time, or broken; "
            f"to try again delete {path}"
        )
        return _failed(engine, job, why)
    log.unlink(missing_ok=True)
    deaths.write_text(str(died + 1))  # stays if the process is killed
    try:
        raw = engines.simulate(engine, job, scratch)
    except (KeyboardInterrupt, InputError):
        deaths.write_text(str(died))  # not the site's fault
        raise
    except Exception:
        log.write_text(f"{engine.read_log(scratch)}\n{traceback.format_exc()}")
        raise
    log.write_text(engine.read_log(scratch))
    shutil.rmtree(scratch)
    return raw


def _failed(engine: engines.Engine, job: engines.Job, why: NotConvergedError) -> xr.Dataset:
    return engines.failed(why).assign_attrs(engines.provenance(engine, job))


def _deaths_file(path: Path) -> Path:
    return path.with_suffix(".deaths")


def _seconds(raw: xr.Dataset) -> str:
    return f"{raw.attrs['wall_seconds']:.0f} s" if "wall_seconds" in raw.attrs else ""


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
    """The nearest atoms to each defect, and a sample that stands for all the others."""
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
