"""FDMNES: finite differences or multiple scattering around one absorber, with the user's binary.

The raw axis counts from the Fermi level, below which FDMNES's raw spectrum also has the occupied
states: they are cut off here, as its own convolution does. What puts sites on one axis is the
Kohn-Sham energy of their core level (``Epsii``), which FDMNES adds between sites too; its photon
energies refer to a tabulated edge, the same for all, so one constant per edge is left to calibrate.
Y. Joly, Phys. Rev. B 63, 125120 (2001); FDMNES User's Guide (2023), chapters C and D.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, pi
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pymatgen.core import Element, Lattice, Structure

from corefuse.config.command import deciding
from corefuse.core import files, rawdata
from corefuse.core.edges import EDGES, Edge
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.engines import Absorber, Job, ProgramEngine
from corefuse.plan.specs import Spec
from corefuse.simulate import programs
from corefuse.structures import build

KEY = "simulation.fdmnes.command"
FIX = (
    "install FDMNES (fdmnes.neel.cnrs.fr) and put its program on PATH, or give its path, module "
    "or image here"
)
GRID_STEP_ANGSTROM = 0.25
ATOMS_PER_ANGSTROM3 = 0.12  # LiCoO2: 12 atoms in 97 cubic angstrom
GREEN_L_MAX = 5
DENSE_MATRICES = 4
COMPLEX_MB = 16 / 2**20
PROGRAM_MB = 1000  # potentials, wave functions of the atoms; Snakemake, which runs in the job too
SAFETY_MEMORY = 1.5
NAME = "site"  # of input and output files
ERRORS = "fdmnes_error.txt"
CONVERGED = "Converged !"
FAREWELL = "Have a beautiful day !"
_CYCLE = re.compile(r"Cycle\s+(\d+),\s+Fermi energy =\s*(\S+) eV")
_DELTA = re.compile(r"Delta energy =\s*(\S+)\s*>\s*(\S+) eV")
_FERMI = re.compile(r"E_Fermi =\s*(\S+) eV")
_SET = re.compile(r"ipr =\s*(\d+), Z =\s*(\d+), natomsym =\s*\d+\s+igr.*\n((?:\s*\d.*\n)+)")
_UNKNOWN = re.compile(r"following line is not understood\s*:\s*\n\s*(\S+)")


class FdmnesEngine(ProgramEngine):
    """See the module; follows :class:`corefuse.engines.ProgramEngine`."""

    name = "fdmnes"
    revision = 2
    edges = tuple(EDGES)
    reach = "the end of simulation.fdmnes.range_ev"

    def version(self) -> str:
        """The binary is the user's: each raw file names its own (``binary_version``)."""
        return "the user's FDMNES"

    def check(self, settings: Mapping[str, Any], folder: Path) -> str:
        """Run NiO in seconds; FDMNES's version line."""
        small = dict(settings) | {
            "range_ev": [-2.0, 0.5, 30.0],
            "radius_angstrom": {"O K": 2.5},
            "green": True,
            "scf": False,
            "absorbers": "site",
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
        """Of the radii and the excited edges, those of this edge."""
        return deciding(settings) | {
            "radius_angstrom": settings["radius_angstrom"][edge],
            "excited": is_excited(edge, settings),
        }

    def works_by_site(self, settings: Mapping[str, Any]) -> bool:
        """Unless one run does all absorbers of an edge (``Z_absorber``)."""
        return bool(settings["absorbers"] == "site")

    def longest_run_hours(self, edges: Sequence[str], settings: Mapping[str, Any]) -> float:
        """The limit, for each edge where a run does the structure."""
        runs = 1 if self.works_by_site(settings) else len(edges)
        return float(runs * settings["time_limit_hours"])

    def memory_mb(self, spec: Spec, settings: Mapping[str, Any]) -> int:
        """Of the largest cluster (:func:`cluster_memory_mb`)."""
        return cluster_memory_mb(max(settings["radius_angstrom"].values()), settings["green"])

    def prepare(self, job: Job, folder: Path) -> None:
        """Write ``structure.json``, ``job.json`` and, in a folder for each edge, FDMNES's input."""
        programs.empty(folder)
        elements = {atom.specie.symbol for atom in job.structure}
        edges = [edge for edge in job.edges if EDGES[edge].element in elements]
        site = job.absorber.site if job.absorber else None
        for edge in edges:
            run = folder / EDGES[edge].id
            run.mkdir()
            (run / f"{NAME}_in.txt").write_text(input_text(job.structure, edge, job.settings, site))
            (run / "fdmfile.txt").write_text(f"1\n{NAME}_in.txt\n")
        build.write(folder / "structure.json", job.structure)
        files.write_json(
            folder / "job.json",
            {
                "edges": edges,
                "site": site,
                "settings": dict(job.settings),
                "launcher": job.launcher,
            },
        )

    def run(self, folder: Path) -> None:
        """Run FDMNES for each edge; its error file becomes our error."""
        job = files.read_json(folder / "job.json")
        for edge in job["edges"]:
            _run(folder / EDGES[edge].id, job["settings"], job["launcher"])

    def parse(self, folder: Path) -> xr.Dataset:
        """Raw spectra, ``_conv.txt`` and ``_bav.txt`` as a raw dataset, a channel an absorber.

        FDMNES adds up the atoms that it finds equivalent; here each spectrum is that of one atom.
        """
        job = files.read_json(folder / "job.json")
        structure, settings = build.read(folder / "structure.json"), job["settings"]
        runs = [
            read_run(folder / EDGES[edge].id, edge, job["site"], settings) for edge in job["edges"]
        ]
        found = [absorption for run in runs for absorption in run.absorptions]
        axis = rawdata.energy_axis(settings["range_ev"][-1])
        raw = rawdata.build([a.channel(structure, axis) for a in found], axis)
        raw["intensity"].attrs = {"units": "Mbarn", "long_name": "absorption cross section"}
        raw["fermi_level_ev"] = "channel", [a.fermi_level_ev for a in found]
        raw["edge_energy_ev"] = "channel", [a.spectrum.edge_energy_ev for a in found]
        raw["equivalent_atoms"] = "channel", [a.equivalent_atoms for a in found]
        if settings["convolution"] and job["site"] is not None:
            raw["intensity_of_the_code"] = (
                ("channel", "energy"),
                found[0].convoluted(folder / EDGES[job["edges"][0]].id, axis)[None],
                {"units": "Mbarn", "long_name": "as FDMNES broadens it, L3 and L2 together"},
            )
        return raw.assign_attrs(
            converged=1,
            scf_iterations=max((run.log.cycles for run in runs), default=0),
            binary_version=runs[0].log.version if runs else "",
        )

    def read_log(self, folder: Path) -> str:
        """What FDMNES printed, edge by edge."""
        logs = sorted(folder.glob(f"*/{programs.OUTPUT}"))
        return "\n".join(log.read_text(errors="replace") for log in logs)


ENGINE = FdmnesEngine()


def cluster_memory_mb(radius_angstrom: float, green: bool) -> int:
    """Memory (MB) of a run, from above: nothing is taken off for symmetry.

    Finite differences: N points of a grid of 0.25 angstrom (the default of `Adimp`) in the sphere,
    a band matrix of complex numbers as wide as the points of its equator. Multiple scattering: some
    dense matrices of (l + 1)^2 functions at each atom, l up to 5 at the end of the axis.
    """
    if green:
        functions = ATOMS_PER_ANGSTROM3 * 4 / 3 * pi * radius_angstrom**3 * (GREEN_L_MAX + 1) ** 2
        numbers = DENSE_MATRICES * functions**2
    else:
        reach = radius_angstrom / GRID_STEP_ANGSTROM
        numbers = 4 / 3 * pi * reach**3 * pi * reach**2
    return ceil(PROGRAM_MB + SAFETY_MEMORY * numbers * COMPLEX_MB)


def input_text(
    structure: Structure, edge: str, settings: Mapping[str, Any], site: int | None
) -> str:
    """FDMNES's input for one site, or for all atoms of the edge's element where it is None.

    Lengths in angstrom, angles in degrees, fractional positions.
    """
    level = {"1s": "K", "2p": "L23"}[EDGES[edge].core_orbital]
    excited = is_excited(edge, settings)
    number = Element(EDGES[edge].element).Z
    switches = {
        "Energpho": settings["energpho"],
        "Quadrupole": settings["quadrupole"],
        "Memory_save": settings["memory_save"],
        "Relativism": settings["relativism"],
        "PBE": settings["pbe"],
        "Excited": excited,
        "Nonexc": level == "K" and not excited,  # newer releases excite K by default
        "SCFexc": excited and settings["scf"],
        "SCF": settings["scf"] and not excited,
        "Green": settings["green"],
    }
    cell = " ".join(f"{x:.6f}" for x in structure.lattice.parameters)
    atoms = [f"  {s.specie.Z} " + " ".join(f"{x:.8f}" for x in s.frac_coords) for s in structure]
    blocks = [
        ["Filout", f"  {NAME}"],
        ["Range", "  " + " ".join(f"{x:g}" for x in settings["range_ev"])],
        *([name] for name, on in switches.items() if on),
        ["Radius", f"  {settings['radius_angstrom'][edge]:g}"],
        ["Crystal", f"  {cell}", *atoms],
        ["Z_absorber", f"  {number}"] if site is None else ["Absorber", f"  {site + 1}"],
        ["Edge", f"  {level}"],
        *([["Convolution"]] if settings["convolution"] else []),
        ["End"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def is_excited(edge: str, settings: Mapping[str, Any]) -> bool:
    """Whether the absorber has a core hole at this edge, e.g. ``Ni L2,3``."""
    return edge.split()[1] in settings["excited"]


def _run(folder: Path, settings: Mapping[str, Any], launcher: Sequence[str]) -> None:
    stopped, hours = None, settings["time_limit_hours"]
    try:
        programs.run(settings["command"], folder, hours, KEY, FIX, launcher)
    except NotConvergedError as err:
        stopped = err
    if (folder / ERRORS).exists():
        refuse((folder / ERRORS).read_text(errors="replace"))
    if stopped:
        raise stopped
    programs.check_written(folder, f"{NAME}_bav.txt", settings["command"]["run"][0], KEY)


def refuse(error: str) -> None:
    """Raise what ``fdmnes_error.txt`` says.

    Raises
    ------
    InputError
        FDMNES does not know a keyword: no site would run.
    NotConvergedError
        Anything else.
    """
    unknown = _UNKNOWN.search(error)
    if unknown and unknown[1].upper() == "PBE":
        raise InputError(
            "config",
            "simulation.fdmnes.pbe",
            "this release of FDMNES does not know the keyword PBE",
            "set pbe: false (Hedin-Lundqvist), or take a newer release",
        )
    if unknown:
        raise InputError(
            "config",
            "simulation.fdmnes",
            f"FDMNES does not understand the line {unknown[1]!r} of its input",
            "switch that keyword off, or take another release",
        )
    said = [line.strip() for line in error.splitlines()[3:] if line.strip()]
    raise NotConvergedError(f"FDMNES: {' | '.join(said[:6])}")


@dataclass(frozen=True)
class Log:
    """What ``_bav.txt`` says of a run.

    ``cycles`` of its longest SCF (0 without), Fermi levels of the absorbers one after the other,
    and the sets of equivalent atoms: number -> atomic number, atoms of the cell from 0.
    """

    version: str
    cycles: int
    fermi_levels_ev: list[float]
    sets: dict[int, tuple[int, list[int]]]

    def fermi_level_ev(self, place: int) -> float:
        """That of an absorber; one SCF for all absorbers has one."""
        levels = self.fermi_levels_ev
        return levels[min(place, len(levels) - 1)] if levels else np.nan

    def atoms(self, element: str, site: int | None, number: int | None) -> list[int]:
        """The set of that site, or the one with that number; without both, the element's only one.

        Raises
        ------
        NotConvergedError
            There is no such set, or it is not clear which.
        """
        of_element = {n: atoms for n, (z, atoms) in self.sets.items() if z == Element(element).Z}
        if site is not None:
            found = [atoms for atoms in of_element.values() if site in atoms]
        else:
            found = [atoms for n, atoms in of_element.items() if number in (None, n)]
        if len(found) != 1:
            raise NotConvergedError(f"{NAME}_bav.txt does not tell which atoms are equivalent")
        return found[0]


def read_log(path: Path, scf: bool) -> Log:
    """Read ``_bav.txt``.

    Raises
    ------
    NotConvergedError
        The run has not come to its end, or its SCF has not converged.
    """
    text = path.read_text(errors="replace")
    cycles = _CYCLE.findall(text)
    begun = [number for number, _ in cycles].count("1")  # one SCF, or one for each absorber
    if scf and text.count(CONVERGED) < max(begun, 1):
        if not cycles:
            raise NotConvergedError("FDMNES stopped before its SCF")
        last = _DELTA.findall(text)
        far = f", energy changes by {last[-1][0]} eV, more than {last[-1][1]}" if last else ""
        ending = "" if FAREWELL in text else ", where it stopped"
        raise NotConvergedError(f"SCF not converged in {cycles[-1][0]} cycles{far}{ending}")
    if FAREWELL not in text:
        raise NotConvergedError(f"FDMNES stopped early: {programs.last_lines(text, 1)}")
    return Log(
        version=text.splitlines()[0].strip(),
        cycles=max((int(number) for number, _ in cycles), default=0),
        fermi_levels_ev=[float(level) for level in _FERMI.findall(text)],
        sets=sets_of_atoms(text),
    )


def sets_of_atoms(text: str) -> dict[int, tuple[int, list[int]]]:
    """Of ``_bav.txt``: number of each set of equivalent atoms -> atomic number, atoms from 0."""
    return {int(n): (int(z), _atoms(rows)) for n, z, rows in _SET.findall(text)}


def _atoms(rows: str) -> list[int]:
    """Atoms of a set: absorbers have a line each, with their place; others only their numbers."""
    lines = [row.split() for row in rows.splitlines()]
    words = [w for line in lines for w in (line[:1] if "." in " ".join(line) else line)]
    return [int(word) - 1 for word in words]


@dataclass(frozen=True)
class Spectrum:
    """FDMNES's raw file: ``cross_section_mbarn`` (level, energy) and ``core_energy_ev`` (level,).

    Levels come lowest energy first: K, or L3 and L2, each on its own axis from ``edge_energy_ev``
    on. Below ``cut_ev``, which counts from there, states are occupied. The cross section is that of
    ``equivalent_atoms`` together (None: an older release, which does not say).
    """

    energy_ev: np.ndarray
    cross_section_mbarn: np.ndarray
    edge_energy_ev: float
    cut_ev: float
    core_energy_ev: np.ndarray
    equivalent_atoms: int | None


def spectrum_files(folder: Path) -> list[tuple[int | None, Path]]:
    """Raw files with the number of their set of atoms, which is left out where there is one set.

    Raises
    ------
    NotConvergedError
        There is none.
    """
    matches = [
        (re.fullmatch(rf"{NAME}(?:_(\d+))?\.txt", p.name), p) for p in folder.glob(f"{NAME}*.txt")
    ]
    found = [(int(m[1]) if m[1] else None, path) for m, path in matches if m]
    if not found:
        raise NotConvergedError("FDMNES wrote no spectrum")
    return sorted(found, key=lambda pair: pair[0] or 0)


def read_spectrum(path: Path, levels: tuple[str, ...]) -> Spectrum:
    """Read a raw file with the ``levels`` of its edge (as in :class:`corefuse.core.edges.Edge`).

    The first line holds E_edge, Z, n, j, the absorption before the edge, the interstitial
    potential, E_cut, two counts of core states, their energies and what its end names. Of an energy
    that occurs twice the last row counts.

    Raises
    ------
    NotConvergedError
        The file is cut short or holds NaN.
    """
    head, names, *rows = _lines(path, 2)
    try:
        header = [programs.fortran_float(word) for word in head.split("=")[0].split()]
    except ValueError:
        header = []
    if len(header) < 10:
        raise NotConvergedError(f"{path.name} does not begin as FDMNES's raw spectra do")
    columns = names.split()[1:]
    wanted = ["<xanes>"] if len(levels) == 1 else [f"<xanes>_{level}" for level in levels]
    if any(name not in columns for name in wanted):
        raise NotConvergedError(f"{path.name} has {' '.join(columns)}, not {' '.join(wanted)}")
    table = programs.table(rows, len(columns) + 1, path.name)
    table = table[programs.last_of_each(table[:, 0])]
    return Spectrum(
        energy_ev=table[:, 0],
        cross_section_mbarn=np.array([table[:, 1 + columns.index(name)] for name in wanted]),
        edge_energy_ev=header[0],
        cut_ev=header[6],
        core_energy_ev=np.sort(header[9 : 9 + int(header[7])]),
        equivalent_atoms=_equivalent_atoms(head),
    )


@dataclass(frozen=True)
class Absorption:
    """The spectrum of one ``site``, which represents ``multiplicity`` of them.

    ``zero_ev`` is E_F on the spectrum's axis, ``equivalent_atoms`` how many atoms FDMNES has added
    up: what is made of it here is that of one.
    """

    edge: Edge
    site: int
    multiplicity: float
    spectrum: Spectrum
    zero_ev: float
    equivalent_atoms: int
    fermi_level_ev: float

    def channel(self, structure: Structure, axis_ev: np.ndarray) -> rawdata.Channel:
        """It as a channel of the raw dataset."""
        spectrum, properties = self.spectrum, structure[self.site].properties
        levels = [
            unoccupied(spectrum.energy_ev - self.zero_ev, mbarn, spectrum.cut_ev, axis_ev)
            for mbarn in spectrum.cross_section_mbarn / self.equivalent_atoms
        ]
        return rawdata.Channel(
            edge=self.edge.name,
            site=self.site,
            element=self.edge.element,
            role=properties.get("role") or "",
            intensity=levels[0],
            dos=np.zeros((3, len(axis_ev))),  # FDMNES is not asked for it
            core_level_shift_ev=spectrum.core_energy_ev[0],
            moment_mub=float(properties.get("magmom") or 0.0),
            multiplicity=self.multiplicity,
            resolved=rawdata.Resolved(
                l2_intensity=levels[1] if len(levels) > 1 else np.zeros(len(axis_ev)),
                l2_offset_ev=float(np.ptp(spectrum.core_energy_ev)),
                core_hole_fwhm_ev=0.0,
                l2_core_hole_fwhm_ev=0.0,
                final_state_width=False,
            ),
        )

    def convoluted(self, folder: Path, axis_ev: np.ndarray) -> np.ndarray:
        """``_conv.txt`` (energy,), FDMNES's own broadening of this spectrum alone."""
        energy, mbarn = read_convoluted(folder / f"{NAME}_conv.txt")
        own = np.interp(axis_ev, energy - self.zero_ev, mbarn / self.equivalent_atoms)
        return own.astype("f4")


@dataclass(frozen=True)
class Run:
    """One run of FDMNES."""

    log: Log
    absorptions: list[Absorption]


def read_run(folder: Path, edge: str, site: int | None, settings: Mapping[str, Any]) -> Run:
    """What FDMNES made of a site, or of one of each set of equivalent atoms where it is None.

    Raises
    ------
    NotConvergedError
        A file is missing, cut short or holds NaN, or the SCF has not converged.
    """
    log = read_log(folder / f"{NAME}_bav.txt", settings["scf"])
    found = []
    for place, (number, path) in enumerate(spectrum_files(folder)[: None if site is None else 1]):
        spectrum = read_spectrum(path, EDGES[edge].levels)
        zero_ev = spectrum.edge_energy_ev if settings["energpho"] else 0.0
        _check_reach(spectrum.energy_ev[-1] - zero_ev, settings["range_ev"])
        together = spectrum.equivalent_atoms
        atoms = (
            [] if site is not None and together else log.atoms(EDGES[edge].element, site, number)
        )
        found.append(
            Absorption(
                edge=EDGES[edge],
                site=atoms[0] if site is None else site,
                multiplicity=float(len(atoms)) if site is None else 1.0,
                spectrum=spectrum,
                zero_ev=zero_ev,
                equivalent_atoms=together or len(atoms),
                fermi_level_ev=log.fermi_level_ev(place),
            )
        )
    return Run(log, found)


def _equivalent_atoms(head: str) -> int | None:
    """From the first line, whose names are behind its numbers; the last ones are one each."""
    numbers, _, names = head.partition("=")
    behind = [name.strip() for name in names.split(",")]
    if "natomsym_f" not in behind:
        return None
    return int(programs.fortran_float(numbers.split()[behind.index("natomsym_f") - len(behind)]))


def read_convoluted(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies and cross section (Mbarn) of ``_conv.txt``, FDMNES's own broadening.

    Where L3 and L2 grids meet, an energy may occur twice: the last row counts.

    Raises
    ------
    NotConvergedError
        The file is missing, cut short or holds NaN.
    """
    if not path.is_file():
        raise NotConvergedError(f"FDMNES wrote no {path.name}")
    table = programs.table(_lines(path, 1)[1:], 2, path.name)
    table = table[programs.last_of_each(table[:, 0])]
    return table[:, 0], table[:, 1]


def unoccupied(
    energy_ev: np.ndarray, cross_section: np.ndarray, cut_ev: float, axis_ev: np.ndarray
) -> np.ndarray:
    """A raw spectrum on ``axis_ev`` with nothing below the cut, to half a step of the axis."""
    share = np.clip((axis_ev - cut_ev) / rawdata.STEP_EV + 0.5, 0.0, 1.0)
    return share * np.interp(axis_ev, energy_ev, cross_section, left=0.0)


def _lines(path: Path, least: int) -> list[str]:
    lines = path.read_text(errors="replace").rstrip("\n").split("\n")
    if len(lines) <= least:
        raise NotConvergedError(f"{path.name} is cut short: it holds no spectrum")
    return lines


def _check_reach(last_ev: float, range_ev: list[float]) -> None:
    if last_ev < range_ev[-1] - 1.5 * range_ev[-2]:
        raise NotConvergedError(
            f"the spectrum is cut short at {last_ev:g} eV above E_F, {range_ev[-1]:g} eV are asked"
        )
