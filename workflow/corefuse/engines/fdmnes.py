"""FDMNES: finite differences or multiple scattering around one absorber, with the user's binary.

The raw axis counts from the Fermi level, below which FDMNES's raw spectrum also has the occupied
states: they are cut off here, as its own convolution does. What puts sites on one axis is the
Kohn-Sham energy of their core level (``Epsii``), which FDMNES adds between sites too; its photon
energies hang on a tabulated edge, the same for all, so one constant an edge is left to calibrate.
Y. Joly, Phys. Rev. B 63, 125120 (2001); FDMNES User's Guide (2023), chapters C and D.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pymatgen.core import Element, Lattice, Structure

from corefuse import external, files, rawdata
from corefuse.edges import EDGES
from corefuse.engines import Absorber, Engine, Job
from corefuse.errors import InputError, NotConvergedError

KEY = "simulation.fdmnes.command"
FIX = (
    "install FDMNES (fdmnes.neel.cnrs.fr) and put its program on PATH, or give its path, module "
    "or image here"
)
NAME = "site"  # of input and output files
ERRORS = "fdmnes_error.txt"
CONVERGED = "Converged !"
FAREWELL = "Have a beautiful day !"
_CYCLE = re.compile(r"Cycle\s+(\d+),\s+Fermi energy =\s*(\S+) eV")
_DELTA = re.compile(r"Delta energy =\s*(\S+)\s*>\s*(\S+) eV")
_UNKNOWN = re.compile(r"following line is not understood\s*:\s*\n\s*(\S+)")


class FdmnesEngine(Engine):
    """See the module; follows :class:`corefuse.engines.Engine`."""

    name = "fdmnes"
    revision = 1
    edges = tuple(EDGES)
    per_site = True

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

    def settings_for(self, edge: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the radii and the excited edges, those of this edge."""
        return external.deciding(settings) | {
            "radius_angstrom": settings["radius_angstrom"][edge],
            "excited": is_excited(edge, settings),
        }

    def prepare(self, job: Job, folder: Path) -> None:
        """Write ``fdmfile.txt``, ``site_in.txt`` and ``job.json``."""
        external.empty(folder)
        edge, site = job.absorber.edge, job.absorber.site
        text = input_text(job.structure, edge, job.settings, site)
        (folder / f"{NAME}_in.txt").write_text(text)
        (folder / "fdmfile.txt").write_text(f"1\n{NAME}_in.txt\n")
        properties = job.structure[site].properties
        files.write_json(
            folder / "job.json",
            {
                "edge": edge,
                "site": site,
                "role": properties.get("role") or "",
                "moment_mub": float(properties.get("magmom") or 0.0),
                "settings": dict(job.settings),
            },
        )

    def run(self, folder: Path) -> None:
        """Run FDMNES; its error file becomes our error."""
        settings = files.read_json(folder / "job.json")["settings"]
        program = settings["command"]["run"][0]
        stopped = None
        try:
            external.run(settings["command"], folder, settings["time_limit_hours"], KEY, FIX)
        except NotConvergedError as err:
            stopped = err
        if (folder / ERRORS).exists():
            refuse((folder / ERRORS).read_text(errors="replace"))
        if stopped:
            raise stopped
        external.check_written(folder, f"{NAME}_bav.txt", program, KEY)

    def parse(self, folder: Path) -> xr.Dataset:
        """Raw spectrum, ``_conv.txt`` and ``_bav.txt`` as a raw dataset with one channel."""
        job = files.read_json(folder / "job.json")
        settings, edge = job["settings"], EDGES[job["edge"]]
        log = read_log(folder / f"{NAME}_bav.txt", settings["scf"])
        spectrum = read_spectrum(spectrum_file(folder), edge.levels)
        zero_ev = spectrum.edge_energy_ev if settings["energpho"] else 0.0
        _check_reach(spectrum.energy_ev[-1] - zero_ev, settings["range_ev"])
        axis = rawdata.energy_axis(settings["range_ev"][-1])
        levels = [
            unoccupied(spectrum.energy_ev - zero_ev, mbarn, spectrum.cut_ev, axis)
            for mbarn in spectrum.cross_section_mbarn
        ]
        has_l2 = len(levels) > 1
        channel = rawdata.Channel(
            edge=edge.name,
            site=job["site"],
            element=edge.element,
            role=job["role"],
            intensity=levels[0],
            dos=np.zeros((3, len(axis))),  # FDMNES is not asked for it
            core_level_shift_ev=spectrum.core_energy_ev[0],
            moment_mub=job["moment_mub"],
            resolved=rawdata.Resolved(
                l2_intensity=levels[1] if has_l2 else np.zeros(len(axis)),
                l2_offset_ev=float(np.ptp(spectrum.core_energy_ev)),
                core_hole_fwhm_ev=0.0,
                l2_core_hole_fwhm_ev=0.0,
                final_state_width=False,
            ),
        )
        raw = rawdata.build([channel], axis)
        raw["intensity"].attrs = {"units": "Mbarn", "long_name": "absorption cross section"}
        if settings["convolution"]:
            energy, own = read_convoluted(folder / f"{NAME}_conv.txt")
            raw["intensity_of_the_code"] = (
                ("channel", "energy"),
                np.interp(axis, energy - zero_ev, own)[None].astype("f4"),
                {"units": "Mbarn", "long_name": "as FDMNES broadens it, L3 and L2 together"},
            )
        raw["fermi_level_ev"] = "channel", [log.fermi_level_ev]
        raw["edge_energy_ev"] = "channel", [spectrum.edge_energy_ev]
        return raw.assign_attrs(
            converged=1,
            scf_iterations=log.cycles,
            binary_version=log.version,
            **external.provenance(settings["command"], KEY),
        )

    def read_log(self, folder: Path) -> str:
        """What FDMNES printed."""
        log = folder / external.OUTPUT
        return log.read_text(errors="replace") if log.exists() else ""


ENGINE = FdmnesEngine()


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
    """What ``_bav.txt`` says of a run; zero cycles without SCF."""

    version: str
    cycles: int
    fermi_level_ev: float


def read_log(path: Path, scf: bool) -> Log:
    """Read ``_bav.txt``.

    Raises
    ------
    NotConvergedError
        The run has not come to its end, or its SCF has not converged.
    """
    text = path.read_text(errors="replace")
    cycles = _CYCLE.findall(text)
    if scf and CONVERGED not in text:
        if not cycles:
            raise NotConvergedError("FDMNES stopped before its SCF")
        last = _DELTA.findall(text)
        far = f", energy changes by {last[-1][0]} eV, more than {last[-1][1]}" if last else ""
        ending = "" if FAREWELL in text else ", where it stopped"
        raise NotConvergedError(f"SCF not converged in {cycles[-1][0]} cycles{far}{ending}")
    if FAREWELL not in text:
        raise NotConvergedError(f"FDMNES stopped early: {external.last_lines(text, 1)}")
    at_e_f = re.search(r"E_Fermi =\s*(\S+) eV", text)
    return Log(
        version=text.splitlines()[0].strip(),
        cycles=int(cycles[-1][0]) if cycles else 0,
        fermi_level_ev=float(at_e_f[1]) if at_e_f else np.nan,
    )


@dataclass(frozen=True)
class Spectrum:
    """FDMNES's raw file: ``cross_section_mbarn`` (level, energy) and ``core_energy_ev`` (level,).

    Levels come lowest energy first: K, or L3 and L2, each on its own axis from ``edge_energy_ev``
    on. Below ``cut_ev``, which counts from there, states are occupied.
    """

    energy_ev: np.ndarray
    cross_section_mbarn: np.ndarray
    edge_energy_ev: float
    cut_ev: float
    core_energy_ev: np.ndarray


def spectrum_file(folder: Path) -> Path:
    """The raw file, which some releases number by its absorber.

    Raises
    ------
    NotConvergedError
        There is none.
    """
    name = re.compile(rf"{NAME}(_\d+)?\.txt")
    found = sorted(path for path in folder.glob(f"{NAME}*.txt") if name.fullmatch(path.name))
    if not found:
        raise NotConvergedError("FDMNES wrote no spectrum")
    return found[0]


def read_spectrum(path: Path, levels: tuple[str, ...]) -> Spectrum:
    """Read a raw file with the ``levels`` of its edge (as in :class:`corefuse.edges.Edge`).

    The first line holds E_edge, Z, n, j, the absorption before the edge, the interstitial
    potential, E_cut, two counts of core states and their energies. Of an energy that stands there
    twice the last row counts.

    Raises
    ------
    NotConvergedError
        The file is cut short or holds NaN.
    """
    head, names, *rows = _lines(path, 2)
    try:
        header = [external.fortran_float(word) for word in head.split("=")[0].split()]
    except ValueError:
        header = []
    if len(header) < 10:
        raise NotConvergedError(f"{path.name} does not begin as FDMNES's raw spectra do")
    columns = names.split()[1:]
    wanted = ["<xanes>"] if len(levels) == 1 else [f"<xanes>_{level}" for level in levels]
    if any(name not in columns for name in wanted):
        raise NotConvergedError(f"{path.name} has {' '.join(columns)}, not {' '.join(wanted)}")
    table = external.table(rows, len(columns) + 1, path.name)
    table = table[external.last_of_each(table[:, 0])]
    return Spectrum(
        energy_ev=table[:, 0],
        cross_section_mbarn=np.array([table[:, 1 + columns.index(name)] for name in wanted]),
        edge_energy_ev=header[0],
        cut_ev=header[6],
        core_energy_ev=np.sort(header[9 : 9 + int(header[7])]),
    )


def read_convoluted(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies and cross section (Mbarn) of ``_conv.txt``, FDMNES's own broadening.

    Where L3 and L2 grids meet, an energy may stand there twice: the last row counts.

    Raises
    ------
    NotConvergedError
        The file is missing, cut short or holds NaN.
    """
    if not path.is_file():
        raise NotConvergedError(f"FDMNES wrote no {path.name}")
    table = external.table(_lines(path, 1)[1:], 2, path.name)
    table = table[external.last_of_each(table[:, 0])]
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
