"""GPAW with half or all of an electron taken from the absorber's core, one run per site.

Half a hole is Slater's transition state between the initial and the final one (J. C. Slater & K. H.
Johnson, Phys. Rev. B 5, 844 (1972); for XAS L. Triguero et al., Phys. Rev. B 58, 8097 (1998)), a
full one the final state. What the core lost is put into the valence: the cell stays neutral. All
sites of a structure start from the wave functions of one ground state without a hole. No energy is
corrected for the images of the hole: the excited cell has no charge and, beyond a few angstrom, no
dipole, so what is left falls off fast (tests: two supercells of an insulator and of a metal).

A full hole puts its site on an axis of total energies (delta SCF; R. O. Jones & O. Gunnarsson, Rev.
Mod. Phys. 61, 689 (1989)): E(hole, one electron more) - E(ground state) is the energy of the first
excitation, in which the electron sits on the lowest empty level, and a final state higher by x has
x more. The energies of the atoms of which the datasets count are in it, so it needs no zero of a
potential, no Fermi level in a gap, and compares between sites, cells and compounds. Half a hole
keeps its Fermi level above the core level, which is a total energy difference itself in Slater's
sense, up to the self-interaction of the core and, from cell to cell, the zero of the potential.

States count as filled up to the level that the electrons of the ground state reach in the potential
of the hole: the added charge is the excited electron's own, and blocks none of its final states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.optimize import brentq
from scipy.special import expit

from corefuse.config.command import deciding
from corefuse.core import files, rawdata
from corefuse.core.edges import EDGES
from corefuse.engines import Job, ProgramEngine
from corefuse.engines import gpaw as initial
from corefuse.plan.specs import Spec

if TYPE_CHECKING:
    from gpaw.old.calculator import GPAW

HOLES = {"half": 0.5, "full": 1.0}
ENERGIES = ("excitation_ev", "excited_level_ev", "core_potential_shift_ev")


class GpawCoreHoleEngine(ProgramEngine):
    """See the module; follows :class:`corefuse.engines.ProgramEngine`."""

    name = "gpaw_core_hole"
    revision = 3
    edges = tuple(EDGES)
    per_site = True
    environment = initial.ENGINE.environment
    reach = initial.ENGINE.reach

    def memory_mb(self, spec: Spec, settings: Mapping[str, Any]) -> int:
        """As GPAW without a hole."""
        return initial.ENGINE.memory_mb(spec, settings)

    def minutes(
        self, spec: Spec, edges: Sequence[str], settings: Mapping[str, Any], runs: int
    ) -> int:
        """As GPAW without a hole, for each site."""
        return initial.ENGINE.minutes(spec, edges, settings, runs)

    def version(self) -> str:
        """GPAW's version."""
        return initial.ENGINE.version()

    def check(self, settings: Mapping[str, Any], folder: Path) -> str:
        """As GPAW without a hole."""
        return initial.ENGINE.check(settings, folder)

    def settings_for(self, edge: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of the holes, that of this edge."""
        return deciding(settings) | {"core_hole": settings["core_hole"][edge]}

    def begin(self, job: Job, folder: Path, start: Path) -> None:
        """The ground state without a hole, with its wave functions, as GPAW's ``.gpw``."""
        initial.ENGINE.prepare(job, folder)
        initial.call("corefuse.engines.gpaw_core_hole:begin", folder)
        (folder / "ground_state.gpw").replace(start)

    def prepare(self, job: Job, folder: Path) -> None:
        """Write ``structure.json`` and ``job.json``; generate missing core-level datasets."""
        assert job.absorber is not None and job.start is not None
        edge = EDGES[job.absorber.edge]
        initial.ENGINE.prepare(job, folder)
        initial.ensure_dataset(edge, job.shared, HOLES[job.settings["core_hole"][edge.name]])
        record = files.read_json(folder / "job.json")
        files.write_json(
            folder / "job.json",
            record | {"site": job.absorber.site, "start": str(job.start.resolve())},
        )

    def run(self, folder: Path) -> None:
        """Ground state with the hole, then the bands above it, then ``channels.npz``."""
        initial.call("corefuse.engines.gpaw_core_hole:compute", folder)

    def parse(self, folder: Path) -> xr.Dataset:
        """``outcome.json`` and ``channels.npz`` as a raw dataset of one channel.

        Beside what GPAW without a hole has, of each channel in eV: ``excitation_ev``, the total
        energy with the hole less that of the ground state; ``excited_level_ev``, where on the raw
        axis its electron sits; ``core_potential_shift_ev``, E_F above the core level's potential.
        """
        hole = files.read_json(folder / "job.json")["settings"]["core_hole"]
        outcome = files.read_json(folder / "outcome.json")
        raw = initial.ENGINE.parse(folder)
        edge = str(raw["edge"].values[0])
        energies = {name: ("channel", [outcome[name]], {"units": "eV"}) for name in ENERGIES}
        return raw.assign(energies).assign_attrs(core_hole=hole[edge])

    def read_log(self, folder: Path) -> str:
        """GPAW's text output."""
        return initial.ENGINE.read_log(folder)


ENGINE = GpawCoreHoleEngine()


def begin(folder: Path) -> None:
    """What :meth:`GpawCoreHoleEngine.begin` does, in every process of a parallel run."""
    job, atoms = initial.read_job(folder)
    calc = initial.ground_state(atoms, job["edges"], job["settings"], folder)
    calc.write(str(folder / "ground_state.gpw"), mode="all")


def compute(folder: Path) -> None:
    """What :meth:`GpawCoreHoleEngine.run` does, in every process of a parallel run."""
    job, atoms = initial.read_job(folder)
    settings, site, edge = job["settings"], job["site"], EDGES[job["edges"][0]]
    hole = HOLES[settings["core_hole"][edge.name]]
    calc, start = with_hole(atoms, edge, site, hole, job, folder)
    smooth_potentials = start.get_atomic_electrostatic_potentials()
    ground_fermi_ev = start.get_fermi_level()
    atom_shifts = [
        ground_fermi_ev
        - smooth_potentials[i]
        - initial.onsite_core_potential(start, _ground_edge(atom.symbol, job), i)
        for i, atom in enumerate(atoms)
    ]
    core_ev = calc.get_atomic_electrostatic_potentials()[site]
    core_ev += initial.onsite_core_potential(calc, edge, site)
    total_energy_ev = float(calc.get_potential_energy())
    excitation_ev = initial.all_electron_energy_ev(calc) - initial.all_electron_energy_ev(start)
    bands = levels(calc)
    fermi_ev = level_of(bands, calc.wfs.nvalence - hole, settings["smearing_ev"])
    excited_ev = excited_level(bands, calc.wfs.nvalence, hole, settings["smearing_ev"]) - fermi_ev
    initial.add_unoccupied_bands(calc, settings["spectrum_max_ev"])
    energy_ev = rawdata.energy_axis(settings["spectrum_max_ev"])
    spectrum = initial.site_spectrum(calc, edge, site, settings["smearing_ev"], energy_ev, fermi_ev)
    outcome = {
        "sites": [[edge.name, site]],
        "shifts": [excitation_ev - excited_ev if hole == 1 else fermi_ev - core_ev],
        "excitation_ev": excitation_ev,
        "excited_level_ev": excited_ev,
        "core_potential_shift_ev": fermi_ev - core_ev,
        "atom_shifts": atom_shifts,
        "fermi_level_ev": fermi_ev,
        "moments": list(start.get_magnetic_moments()),
        "total_energy_ev": total_energy_ev,
    }
    initial.write_outcome(calc, folder, outcome, energy_ev, [spectrum])


def levels(calc: GPAW) -> list[tuple[float, np.ndarray]]:
    """Of each k point and spin the electrons that one level holds, and its levels (n,) in eV."""
    spins, weights = range(calc.get_number_of_spins()), calc.get_k_point_weights()
    return [
        (weight * 2 / len(spins), calc.get_eigenvalues(kpt=k, spin=spin))
        for k, weight in enumerate(weights)
        for spin in spins
    ]


def level_of(
    bands: Sequence[tuple[float, np.ndarray]], electrons: float, smearing_ev: float
) -> float:
    """Level (eV) up to which that many electrons fill the :func:`levels` of a calculator."""

    def excess(level_ev: float) -> float:
        filled = (w * expit((level_ev - eps) / smearing_ev).sum() for w, eps in bands)
        return float(sum(filled)) - electrons

    lowest = min(float(eps[0]) for _, eps in bands) - 10 * smearing_ev
    highest = max(float(eps[-1]) for _, eps in bands) + 10 * smearing_ev
    return float(brentq(excess, lowest, highest))


def excited_level(
    bands: Sequence[tuple[float, np.ndarray]], electrons: float, added: float, smearing_ev: float
) -> float:
    """Mean energy (eV) of what the last ``added`` of the electrons occupy.

    In a metal that is E_F, as it is without any added; in an insulator the bottom of the empty
    bands in the hole's potential.
    """
    before_ev = level_of(bands, electrons - added, smearing_ev)
    after_ev = level_of(bands, electrons, smearing_ev)
    if not added:
        return after_ev
    moved = [
        (w * eps, expit((after_ev - eps) / smearing_ev) - expit((before_ev - eps) / smearing_ev))
        for w, eps in bands
    ]
    return float(sum(energy @ share for energy, share in moved)) / added


def with_hole(
    atoms: Any, edge: Any, site: int, hole: float, job: dict[str, Any], folder: Path
) -> tuple[GPAW, GPAW]:
    """Converged calculator with the hole, and the one it started from.

    The first attempt starts from the ground state's wave functions, a gentler one from the atoms.
    """
    import gpaw
    from ase.io.ulm import Reader

    settings = job["settings"]
    start = gpaw.GPAW(job["start"], txt=None, parallel={"domain": 1, "band": 1}, legacy_gpaw=True)
    dataset = initial.with_hubbard_u(
        initial.dataset_name(edge, hole), edge.element, settings["hubbard_u_ev"]
    )
    setups = start.parameters.setups | {site: dataset}
    more = {"charge": -hole, "nbands": start.get_number_of_bands()}

    def attempt(number: int, mixer: dict[str, Any] | None, txt: str) -> GPAW:
        calc = initial.calculator(atoms, setups, settings, mixer, txt=txt, **more)
        if number == 0:
            calc.initialize(atoms.copy())
            calc.wfs.read(Reader(job["start"]))
        return calc

    return initial.first_converged(attempt, atoms, settings, folder), start


def _ground_edge(element: str, job: dict[str, Any]) -> Any:
    return initial.ground_state_edge(element, job["edges"])
