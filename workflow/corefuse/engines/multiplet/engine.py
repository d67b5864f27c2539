"""Multiplets: L2,3 edges of Mn, Co and Ni by exact diagonalisation, site by site.

The moment of a site gives its valence and spin state (:mod:`corefuse.structures.valence`), the
vectors to its oxygen neighbours its ligand field (:mod:`corefuse.engines.multiplet.ligand_field`),
the ion the rest of the Hamiltonian (:mod:`corefuse.engines.multiplet.ions`);
:mod:`corefuse.engines.multiplet.solver` solves it. Sites with the same ion and the same
surroundings, however turned or mirrored, are solved once, in this structure and in all others of
the run.

The raw axis is absolute: its zero, plus ``core_level_shift_ev``, is the measured L3 maximum of the
ion's reference compound, and the model puts the L3 maximum of the ion in a regular octahedron
there. The electrostatic shift of a site's core level is left out: the electron goes to the 3d shell
of the same atom, which the same potential moves along. In the demo's GPAW runs (45 metal sites that
share their ion with another of their structure) the core level varies by 0.14 eV within an ion
(root mean square; 0.50 beside a vacancy), the centroid of the empty 3d states follows it with slope
-0.8, and their distance varies by 0.06 eV.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pymatgen.core import Structure

from corefuse.core import files, rawdata
from corefuse.core.edges import EDGES
from corefuse.core.elements import ELEMENTS
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.engines import Engine, Job
from corefuse.engines.multiplet import ions, ligand_field
from corefuse.engines.multiplet import solver as multiplet
from corefuse.structures import valence

AXIS_EV = np.arange(-240, 601) * rawdata.STEP_EV  # -12 to 30 eV about the L3 maximum
# Lorentzian in the raw spectrum, which says so: below every core hole's, no sharper than Lanczos.
RAW_FWHM_EV = 0.2
PEAK_FWHM_EV = 0.8  # the L3 maximum of a measured reference is that of an edge about so wide
SEARCH_EV = (-60.0, 60.0)  # where the model's own L3 maximum is looked for
GEOMETRY_DIGITS = 3  # 0.001 angstrom moves a spectrum by 1 % at most (relative L2)
ALL_HOLES = 10
LOG = "log.txt"
L2_PART = 0.75  # L2 stands 3/2 zeta_2p above L3; half way between them L2 begins


@dataclass(frozen=True)
class Site:
    """One absorber: which ion, and the vectors (n, 3) to its ligands in angstrom."""

    index: int
    ion: valence.SiteIon
    vectors: np.ndarray


class MultipletEngine(Engine):
    """See the module; follows :class:`corefuse.engines.Engine`."""

    name = "multiplet"
    revision = 4
    edges = tuple(
        e.name for e in EDGES.values() if e.core_orbital == "2p" and ELEMENTS[e.element].ions
    )
    reads = ("gpaw", "gpaw_core_hole")
    resources = ("resources/multiplet.yaml",)

    def version(self) -> str:
        """Revision of the engine: it is part of corefuse."""
        return f"corefuse-{self.revision}"

    def check(self, settings: Mapping[str, Any], folder: Path) -> str:
        """Solve Ni2+ in its regular octahedron, in the crystal field; which ions there are."""
        chosen = dict(settings) | {"charge_transfer": False}
        table = _table(chosen)
        ion = valence.SiteIon("Ni", 2, 1.0, 2.0)
        l3_origin_ev(ion, table.ions[ion.name], table.geometry, chosen, folder)
        return f"solves {', '.join(table.ions)}"

    def compute(self, job: Job, folder: Path) -> xr.Dataset:
        """Solve every site; a line of ``log.txt`` each."""
        table, cache = _table(job.settings), (job.shared / "solved").resolve()
        source, moments = _moments(job)
        sites, warnings = _sites(job, table, source, moments)
        channels, hits = [], 0
        with (folder / LOG).open("w", buffering=1) as log:
            for doubt in warnings:
                print(f"WARNING {doubt}", file=log)
            for site in sites:
                solved, hit = _solve(site, table, job.settings, cache)
                hits += hit
                channels.append(_channel(site, solved, table, job.structure))
                print(_said(site, solved, hit), file=log)
                for doubt in valence.doubts(site.ion, solved["levels_ev"], solved["spin"]):
                    warnings.append(f"site {site.index} {doubt}")
                    print(f"WARNING {warnings[-1]}", file=log)
        raw = rawdata.build(channels, AXIS_EV)
        raw["intensity"].attrs = {
            "units": "1/eV",
            "long_name": "isotropic dipole density, radial integral 1",
        }
        return raw.assign_attrs(
            converged=1,
            moments_from=source,
            ions=files.dumps({str(site.index): site.ion.name for site in sites}),
            warnings="\n".join(warnings),
            overridden=files.dumps(job.settings["ions"]),
            cache_hits=hits,
        )

    def read_log(self, folder: Path) -> str:
        """One line per site, and the doubts about its spin state."""
        log = folder / LOG
        return log.read_text() if log.exists() else ""


ENGINE = MultipletEngine()


def _sites(
    job: Job, table: ions.Table, source: valence.Source, moments: Sequence[float]
) -> tuple[list[Site], list[str]]:
    """The absorbers of the job's edges, and what is doubtful about the charges of all sites."""
    spins = {name: ion.spins for name, ion in table.ions.items()}
    elements = [site.specie.symbol for site in job.structure]
    found = valence.of_sites(elements, moments, source, spins)
    doubt = valence.charge_doubt(elements, found)
    absorbing = {EDGES[edge].element for edge in job.edges}
    sites = [
        Site(index, ion, _surroundings(job, index))
        for index, ion in enumerate(found)
        if ion and ion.element in absorbing
    ]
    return sites, [doubt] if doubt else []


def _solve(
    site: Site, table: ions.Table, settings: Mapping[str, Any], cache: Path
) -> tuple[dict[str, np.ndarray], bool]:
    """What :func:`solve_cached` finds for a site, on the axis of its ion.

    Raises
    ------
    NotConvergedError
        It has no oxygen neighbour.
    """
    if not len(site.vectors):
        raise NotConvergedError(
            f"{site.ion.name} at site {site.index} has no oxygen within "
            f"{settings['bond_cutoff_angstrom']:g} angstrom"
        )
    ion = table.ions[site.ion.name]
    origin_ev = l3_origin_ev(site.ion, ion, table.geometry, settings, cache)
    problem = problem_of(site.ion.name, ion, table.geometry, site.vectors, settings)
    return solve_cached(site.ion, problem, AXIS_EV + origin_ev, RAW_FWHM_EV, settings, cache)


def _said(site: Site, solved: Mapping[str, np.ndarray], hit: bool) -> str:
    """The line of the log about a site."""
    return (
        f"site {site.index} {site.ion.name} S={site.ion.spin:g} from moment "
        f"{site.ion.moment_mub:.2f}, {len(site.vectors)} O, "
        f"{10 - float(solved['d_holes']):.2f} 3d electrons{', from the cache' * hit}"
    )


def _channel(
    site: Site, solved: Mapping[str, np.ndarray], table: ions.Table, structure: Structure
) -> rawdata.Channel:
    """A site as a channel.

    The projected DOS of a multiplet edge is the 3d hole that its L3 intensity counts: L3 scaled to
    the number of 3d holes, zero for s and p.
    """
    ion = table.ions[site.ion.name]
    l2_start_ev = L2_PART * ion.zeta_2p_ev
    return rawdata.Channel(
        edge=f"{site.ion.element} L2,3",
        site=site.index,
        element=site.ion.element,
        role=structure[site.index].properties.get("role") or "",
        intensity=solved["intensity"],
        dos=_holes(solved["intensity"], float(solved["d_holes"]), l2_start_ev),
        core_level_shift_ev=ion.l3_maximum_ev,
        moment_mub=site.ion.moment_mub,
        levels=rawdata.Levels(
            l2_start_ev,
            RAW_FWHM_EV,
            f"{site.ion.name} L3 maximum {ion.l3_maximum_ev:g} eV: "
            f"{table.source(site.ion.name, 'l3_maximum_ev')}",
        ),
    )


def oxygen_vectors(structure: Structure, index: int, cutoff_angstrom: float) -> np.ndarray:
    """Vectors (n, 3) from a site to its oxygen neighbours in angstrom."""
    site = structure[index]
    near = structure.get_neighbors(site, cutoff_angstrom)
    return np.reshape([n.coords - site.coords for n in near if n.specie.symbol == "O"], (-1, 3))


def _surroundings(job: Job, index: int) -> np.ndarray:
    """The oxygen vectors of a site, the same for all sites of the same surroundings."""
    vectors = oxygen_vectors(job.structure, index, job.settings["bond_cutoff_angstrom"])
    return ligand_field.canonical(vectors, GEOMETRY_DIGITS) if len(vectors) else vectors


def l3_origin_ev(
    site_ion: valence.SiteIon,
    ion: ions.Ion,
    geometry: ions.Geometry,
    settings: dict[str, Any],
    folder: Path,
) -> float:
    """Where the model has the L3 maximum of the ion in its regular octahedron (eV)."""
    vectors = ligand_field.octahedron(ion.bond_angstrom)
    problem = problem_of(site_ion.name, ion, geometry, vectors, settings)
    axis = np.arange(*SEARCH_EV, rawdata.STEP_EV)
    solved, _ = solve_cached(site_ion, problem, axis, PEAK_FWHM_EV, settings, folder)
    return float(axis[np.argmax(solved["intensity"])])


def solve_cached(
    site_ion: valence.SiteIon,
    problem: multiplet.Problem,
    energy_ev: np.ndarray,
    fwhm_ev: float,
    settings: dict[str, Any],
    folder: Path,
) -> tuple[dict[str, np.ndarray], bool]:
    """Solution of a problem, and whether it was there already.

    The name of the file is a hash of everything that the result depends on; safe between
    processes, which at worst solve the same problem twice.
    """
    solver = {k: settings[k] for k in ("temperature_k", "lanczos_steps")} | {"spin": site_ion.spin}
    content = [_solver_code(), files.dumps(solver), repr(fwhm_ev), _described(problem)]
    digest = hashlib.sha256("\n".join(content).encode() + energy_ev.round(6).tobytes()).hexdigest()
    path = folder / f"{digest[:32]}.npz"
    if path.exists():
        with np.load(path) as arrays:
            return dict(arrays), True
    try:
        found = multiplet.solve(problem, energy_ev, fwhm_ev / 2, **solver)
    except ValueError as fault:
        raise NotConvergedError(f"{site_ion.name}: {fault}") from fault
    solved = {
        "intensity": found.intensity,
        "levels_ev": found.levels_ev,
        "spin": found.spin,
        "d_holes": np.array(found.d_holes),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".making-{os.getpid()}-{path.name}")
    np.savez(partial, **solved)
    partial.replace(path)
    return solved, False


@cache
def _solver_code() -> str:
    """Hash of the solver: what an older one has left is not used."""
    folder = Path(multiplet.__file__).parent
    code = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return hashlib.sha256(code).hexdigest()


def _described(problem: multiplet.Problem) -> str:
    """A text that is the same for equal problems only."""
    with np.printoptions(precision=9, floatmode="fixed", suppress=True, threshold=10**6):
        return repr(problem)


def problem_of(
    name: str,
    ion: ions.Ion,
    geometry: ions.Geometry,
    vectors: np.ndarray,
    settings: Mapping[str, Any],
) -> multiplet.Problem:
    """An ion with ligands at ``vectors`` (n, 3), its charge transfer as the settings have it."""
    holes = settings["ligand_holes"].get(name, ALL_HOLES)
    return ions.problem(ion, geometry, vectors, settings["charge_transfer"], holes)


def _table(settings: dict[str, Any]) -> ions.Table:
    return ions.overridden(ions.load(), settings["ions"])


def _moments(job: Job) -> tuple[valence.Source, list[float]]:
    """Moments of all atoms: of GPAW's ground state where it ran well, else CHGNet's.

    Core-hole runs keep those of the ground state without a hole. A failed run has no moments.
    """
    for name in ENGINE.reads:
        raw = job.raw.get(name)
        if raw is not None and "atom_moment_mub" in raw:
            return "gpaw", raw["atom_moment_mub"].values.tolist()
    moments = job.structure.site_properties.get("magmom")
    if moments is None:
        raise InputError(
            job.structure_id, "magmom", "the structure has no magnetic moments", "relax it first"
        )
    return "chgnet", [float(m) for m in moments]


def _holes(intensity: np.ndarray, holes: float, l2_start_ev: float) -> np.ndarray:
    """(3, energy): L3 scaled to the number of 3d holes in the d channel."""
    l3 = intensity * (l2_start_ev > AXIS_EV)
    out = np.zeros((3, len(AXIS_EV)))
    out[2] = holes * l3 / (l3.sum() * rawdata.STEP_EV)
    return out
