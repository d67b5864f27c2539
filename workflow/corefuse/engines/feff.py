"""FEFF 9 or 10: real-space multiple scattering around one absorber, with the user's binary.

FEFF puts the core hole's width into its spectrum, and with a lossy potential (``exchange`` 0, 3, 5)
the lifetime of the photoelectron: the raw dataset says so, and only what is missing is added later.
L3 and L2 are two runs. The raw axis counts from FEFF's Fermi level; with the edge energy added,
``core_level_shift_ev``, it is the absolute axis that FEFF gives.
J. J. Rehr et al., Phys. Chem. Chem. Phys. 12, 5503 (2010); FEFF 9.6 User's Guide (the cards).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, pi
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pymatgen.core import Element, Lattice, Structure

from corefuse.config.command import deciding
from corefuse.core import files, rawdata
from corefuse.core.edges import EDGES
from corefuse.core.errors import NotConvergedError
from corefuse.engines import Absorber, Job, ProgramEngine
from corefuse.plan.specs import Spec
from corefuse.simulate import programs

KEY = "simulation.feff.command"
FIX = (
    "install FEFF (github.com/times-software/feff10) and put its script feff on PATH, or give its "
    "path, module or image here"
)
ATOMS_PER_ANGSTROM3 = 0.12  # LiCoO2: 12 atoms in 97 cubic angstrom
DENSE_MATRICES = 4
COMPLEX_MB = 8 / 2**20
PROGRAM_MB = 1500  # FEFF; Snakemake, which runs in the job too
SAFETY_MEMORY = 2.0
LOSSY = (0, 3, 5)  # exchange potentials with the photoelectron's lifetime in their imaginary part
ABSORBER_STOICHIOMETRY = 0.001  # counts for nothing: the other atoms of its element count for it
MBARN_PER_SQUARE_ANGSTROM = 100.0
MBARN_PER_SQUARE_BOHR = 28.002852  # bohr^2 in Mbarn (CODATA 2018)
EV_SQUARE_ANGSTROM = 3.809982  # hbar^2 / 2 m, E = 3.81 k^2 (CODATA 2018)
_CONVERGED = re.compile(r"Convergence reached\D*(\d+)?")  # FEFF 9 may not say after how many
_ITERATION = re.compile(r"SCF ITERATION NUMBER")
_CHARGES = re.compile(r"New Fermi level:.*Charge distance=\s*(\S+)")


class FeffEngine(ProgramEngine):
    """See the module; follows :class:`corefuse.engines.ProgramEngine`."""

    name = "feff"
    revision = 1
    edges = tuple(EDGES)
    per_site = True
    reach = "simulation.feff.k_max_per_angstrom"

    def version(self) -> str:
        """The binary is the user's: each raw file names its own (``binary_version``)."""
        return "the user's FEFF"

    def check(self, settings: Mapping[str, Any], folder: Path) -> str:
        """Run NiO in seconds; FEFF's version."""
        small = dict(settings) | {
            "cluster_radius_angstrom": 3.0,
            "fms_radius_angstrom": 2.5,
            "scf_radius_angstrom": None,
            "elnes": None,
            "time_limit_hours": 1 / 60,
        }
        nickel_oxide = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        site = len(nickel_oxide) - 1
        job = Job("check", nickel_oxide, ("O K",), small, folder, absorber=Absorber("O K", site))
        self.prepare(job, folder)
        self.run(folder)
        return str(self.parse(folder).attrs["binary_version"])

    def binaries(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Path and hash of the program, its module and image."""
        return programs.provenance(settings["command"], KEY)

    def settings_for(self, edge: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """The physics, the same for all edges."""
        return deciding(settings)

    def techniques(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """EELS alone where ELNES takes the place of XANES."""
        return ("EELS",) if settings["elnes"] else super().techniques(settings)

    def longest_run_hours(self, edges: Sequence[str], settings: Mapping[str, Any]) -> float:
        """The limit, for each level of the site."""
        levels = max(len(EDGES[edge].levels) for edge in edges)
        return float(levels * settings["time_limit_hours"])

    def memory_mb(self, spec: Spec, settings: Mapping[str, Any]) -> int:
        """Of the cluster of full multiple scattering (:func:`cluster_memory_mb`)."""
        radius = max(settings["fms_radius_angstrom"], settings["scf_radius_angstrom"] or 0.0)
        return cluster_memory_mb(radius, settings["angular_momentum_max"])

    def prepare(self, job: Job, folder: Path) -> None:
        """Write ``job.json`` and, in a folder for each level, ``feff.inp``."""
        programs.empty(folder)
        edge, site = EDGES[job.absorber.edge], job.absorber.site
        for level in edge.levels:
            (folder / level).mkdir()
            text = input_text(job.structure, site, level, job.settings)
            (folder / level / "feff.inp").write_text(text)
        properties = job.structure[site].properties
        files.write_json(
            folder / "job.json",
            {
                "edge": edge.name,
                "site": site,
                "role": properties.get("role") or "",
                "moment_mub": float(properties.get("magmom") or 0.0),
                "settings": dict(job.settings),
                "launcher": job.launcher,
            },
        )

    def run(self, folder: Path) -> None:
        """Run FEFF for each level."""
        job = files.read_json(folder / "job.json")
        settings = job["settings"]
        for level in EDGES[job["edge"]].levels:
            hours = settings["time_limit_hours"]
            programs.run(settings["command"], folder / level, hours, KEY, FIX, job["launcher"])
            for name in (_absorption_file(settings), *(["eels.dat"] if settings["elnes"] else [])):
                programs.check_written(folder / level, name, settings["command"]["run"][-1], KEY)

    def parse(self, folder: Path) -> xr.Dataset:
        """``xmu.dat`` (``eels.dat``) and ``log1.dat`` of each level as one channel."""
        job = files.read_json(folder / "job.json")
        settings, edge = job["settings"], EDGES[job["edge"]]
        iterations = [
            read_convergence(folder / level / "log1.dat", settings["scf_radius_angstrom"])
            for level in edge.levels
        ]
        levels = [read_level(folder / level, settings) for level in edge.levels]
        axis = rawdata.energy_axis(last_energy_ev(settings))
        intensities = [
            np.interp(axis, level.energy_ev, level.cross_section_mbarn, left=0.0)
            for level in levels
        ]
        low, high = levels[0], levels[-1]
        channel = rawdata.Channel(
            edge=edge.name,
            site=job["site"],
            element=edge.element,
            role=job["role"],
            intensity=intensities[0],
            dos=np.zeros((3, len(axis))),  # FEFF is not asked for it
            core_level_shift_ev=low.edge_energy_ev,
            moment_mub=job["moment_mub"],
            resolved=rawdata.Resolved(
                l2_intensity=intensities[1] if len(levels) > 1 else np.zeros(len(axis)),
                l2_offset_ev=high.edge_energy_ev - low.edge_energy_ev,
                core_hole_fwhm_ev=low.core_hole_fwhm_ev,
                l2_core_hole_fwhm_ev=high.core_hole_fwhm_ev,
                final_state_width=settings["exchange"] in LOSSY,
            ),
        )
        raw = rawdata.build([channel], axis)
        raw["intensity"].attrs = {
            "units": "Mbarn/eV" if settings["elnes"] else "Mbarn",
            "long_name": "energy-loss" * bool(settings["elnes"]) or "absorption cross section",
        }
        raw["fermi_level_ev"] = "channel", [low.fermi_level_ev]
        raw["edge_energy_ev"] = "channel", [low.edge_energy_ev]
        return raw.assign_attrs(
            converged=int(settings["scf_radius_angstrom"] is not None),
            scf_iterations=max(iterations),
            binary_version=low.version,
        )

    def read_log(self, folder: Path) -> str:
        """What FEFF printed, level by level."""
        logs = sorted(folder.glob(f"*/{programs.OUTPUT}"))
        return "\n".join(log.read_text(errors="replace") for log in logs)


ENGINE = FeffEngine()


def cluster_memory_mb(radius_angstrom: float, angular_momentum_max: int) -> int:
    """Memory (MB) of a run: dense matrices of (l + 1)^2 functions at each atom within the radius.

    FEFF solves them in single precision. FEFF 10.0.0 itself takes 150 MB.
    """
    atoms = ATOMS_PER_ANGSTROM3 * 4 / 3 * pi * radius_angstrom**3
    functions = atoms * (angular_momentum_max + 1) ** 2
    return ceil(PROGRAM_MB + SAFETY_MEMORY * DENSE_MATRICES * functions**2 * COMPLEX_MB)


def input_text(structure: Structure, site: int, level: str, settings: Mapping[str, Any]) -> str:
    """``feff.inp`` of one level of one site.

    pymatgen.io.feff counts the stoichiometry in the cluster, which is not neutral; here it is that
    of the cell, of which the absorber takes no part unless it is the only atom of its element.
    """
    atoms = cluster(structure, site, settings["cluster_radius_angstrom"])
    absorber = structure[site].specie.symbol
    counts = Counter(s.specie.symbol for s in structure)
    others = sorted({a.symbol for a in atoms[1:]}, key=lambda s: (s != absorber, -Element(s).Z))
    potentials = {symbol: number for number, symbol in enumerate(others, start=1)}
    own_share = ABSORBER_STOICHIOMETRY if absorber in others else counts[absorber]
    lmax = settings["angular_momentum_max"]
    lines = [
        f"EDGE {level}",
        "S02 1.0",
        "CONTROL 1 1 1 1 1 1",
        "PRINT 1 0 0 0 0 0",
        f"EXCHANGE {settings['exchange']} 0 0",
        *_scf_card(settings),
        *_spectrum_card(settings),
        f"FMS {settings['fms_radius_angstrom']:g} 0",
        f"COREHOLE {settings['core_hole']}",
        "POTENTIALS",
        f"0 {Element(absorber).Z} {absorber} {lmax} {lmax} {own_share:g}",
        *(f"{n} {Element(s).Z} {s} {lmax} {lmax} {counts[s]}" for s, n in potentials.items()),
        "ATOMS",
        *(
            " ".join(f"{x:.6f}" for x in a.position)
            + f" {potentials[a.symbol] if number else 0} {a.symbol} {a.distance:.5f}"
            for number, a in enumerate(atoms)
        ),
        "END",
    ]
    return "\n".join(lines) + "\n"


def _scf_card(settings: Mapping[str, Any]) -> list[str]:
    if settings["scf_radius_angstrom"] is None:
        return []
    steps, mixing = settings["scf_max_steps"], settings["scf_mixing"]
    first = settings["scf_first_mixing_steps"]
    return [f"SCF {settings['scf_radius_angstrom']:g} 0 {steps} {mixing:g} {first}"]


def _spectrum_card(settings: Mapping[str, Any]) -> list[str]:
    """XANES, or ELNES with its lines: beam, semi-angles, mesh of momenta, detector."""
    grid = (
        f"{settings['k_max_per_angstrom']:g} {settings['k_step_per_angstrom']:g} "
        f"{settings['near_edge_step_ev']:g}"
    )
    elnes = settings["elnes"]
    if elnes is None:
        return [f"XANES {grid}"]
    return [
        f"ELNES {grid}",
        f"{elnes['beam_energy_kev']:g} 1 0 1",  # averaged, no cross terms, relativistic
        f"{elnes['collection_mrad']:g} {elnes['convergence_mrad']:g}",
        "5 3",
        "0.0 0.0",
    ]


@dataclass(frozen=True)
class Atom:
    """An atom of a cluster: its place from the absorber, in angstrom."""

    symbol: str
    position: tuple[float, ...]
    distance: float


def cluster(structure: Structure, site: int, radius_angstrom: float) -> list[Atom]:
    """The absorber and all atoms within the radius, nearest first."""
    centre = structure[site]
    near = [
        Atom(n.specie.symbol, tuple(n.coords - centre.coords), float(n.nn_distance))
        for n in structure.get_neighbors(centre, radius_angstrom)
    ]
    near.sort(key=lambda a: (round(a.distance, 5), a.symbol, np.round(a.position, 5).tolist()))
    return [Atom(centre.specie.symbol, (0.0, 0.0, 0.0), 0.0), *near]


def last_energy_ev(settings: Mapping[str, Any]) -> float:
    """Where every spectrum with these settings still has points, above E_F."""
    last = settings["k_max_per_angstrom"] - settings["k_step_per_angstrom"]
    return float(floor(EV_SQUARE_ANGSTROM * last**2))


def read_convergence(path: Path, scf_radius_angstrom: float | None) -> int:
    """Iterations of the SCF in ``log1.dat``; 0 without one.

    Raises
    ------
    NotConvergedError
        There is no such file, or no convergence.
    """
    if not path.is_file():
        raise NotConvergedError("FEFF wrote no log1.dat: its potentials are not done")
    text = path.read_text(errors="replace")
    if scf_radius_angstrom is None:
        return 0
    found, iterations = _CONVERGED.search(text), len(_ITERATION.findall(text))
    if not found:
        charges = _CHARGES.findall(text)
        last = f", charges still change by {charges[-1]}" if charges else ""
        raise NotConvergedError(f"SCF not converged in {iterations} iterations{last}")
    return int(found[1] or iterations)


@dataclass(frozen=True)
class Level:
    """One level's spectrum; ``energy_ev`` counts from the Fermi level.

    ``edge_energy_ev`` is the photon energy there, ``fermi_level_ev`` FEFF's ``Mu`` and
    ``core_hole_fwhm_ev`` its ``Gam_ch``, the width in the spectrum.
    """

    energy_ev: np.ndarray
    cross_section_mbarn: np.ndarray
    edge_energy_ev: float
    fermi_level_ev: float
    core_hole_fwhm_ev: float
    version: str


def read_level(folder: Path, settings: Mapping[str, Any]) -> Level:
    """Read ``xmu.dat``; where ELNES is asked for, energies there and the spectrum in ``eels.dat``.

    FEFF divides mu by the cross section 50 eV above the edge, in its header; the product is mu in
    square angstrom again, so that sites and levels compare.

    Raises
    ------
    NotConvergedError
        A file is cut short or holds NaN.
    """
    name = _absorption_file(settings)
    head, rows = _split(folder / name)
    table = programs.table(rows, 6, name)
    table = table[programs.last_of_each(table[:, 0])]
    photon_ev, wave_number, mu = table[:, 0], table[:, 2], table[:, 3]
    wanted = settings["k_max_per_angstrom"]
    if wave_number[-1] < wanted - 1.5 * settings["k_step_per_angstrom"]:
        raise NotConvergedError(
            f"{name} is cut short at {wave_number[-1]:g} 1/A, {wanted:g} are asked"
        )
    edge_ev = float(np.interp(0.0, wave_number, photon_ev))
    version = re.search(r"F[Ee][Ff][Ff]\s*\d[\w.]*", head)
    level = Level(
        energy_ev=photon_ev - edge_ev,
        cross_section_mbarn=mu * _number(head, "used to normalize mu") * MBARN_PER_SQUARE_ANGSTROM,
        edge_energy_ev=edge_ev,
        fermi_level_ev=_number(head, "Mu="),
        core_hole_fwhm_ev=_number(head, "Gam_ch="),
        version=version[0] if version else "FEFF of unknown version",
    )
    if settings["elnes"] is None:
        return level
    loss = programs.table(_split(folder / "eels.dat")[1], 2, "eels.dat")
    loss = loss[programs.last_of_each(loss[:, 0])]
    return replace(
        level,
        energy_ev=loss[:, 0] - edge_ev,
        cross_section_mbarn=loss[:, 1] * MBARN_PER_SQUARE_BOHR,
    )


def _absorption_file(settings: Mapping[str, Any]) -> str:
    """With ELNES averaged over orientations, FEFF numbers its file by the polarisations."""
    return "xmu10.dat" if settings["elnes"] else "xmu.dat"


def _split(path: Path) -> tuple[str, list[str]]:
    """Comment lines, and the rest."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    head = "\n".join(line for line in lines if line.lstrip().startswith("#"))
    return head, [line for line in lines if not line.lstrip().startswith("#")]


def _number(head: str, name: str) -> float:
    found = re.search(rf"{re.escape(name)}\s*([-+.\dEeDd]*\d)", head)
    if not found:
        raise NotConvergedError(f"FEFF's spectrum is cut short: its header lacks {name!r}")
    return programs.fortran_float(found[1])
