"""GPAW in the initial-state approximation: one ground state gives every site of every edge.

Each atom carries a PAW dataset with its core orbital but no hole, so the dipole elements between
any core level and any band follow from the projections of one plane-wave ground state
(J. Enkovaara et al., J. Phys.: Condens. Matter 22 (2010) 253202, sec. on XAS). Sites are put on
one axis by the electrostatic potential that their core orbital feels.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from math import ceil, pi, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase
import numpy as np
import xarray as xr
from ase.units import Hartree
from pymatgen.core import Structure
from scipy.special import expit

from corefuse.core import files, rawdata
from corefuse.core.edges import EDGES, Edge
from corefuse.core.elements import ELEMENTS
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.engines import Job, ProgramEngine
from corefuse.plan import demands
from corefuse.plan.specs import Spec
from corefuse.simulate import mpi
from corefuse.structures import build

if TYPE_CHECKING:
    from ase import Atoms
    from gpaw.old.calculator import GPAW

# Gentler and gentler density mixing (beta, history, damping of long waves); GPAW's default first.
MIXERS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"backend": "pulay", "method": "sum", "beta": 0.05, "nmaxold": 5, "weight": 50},
    {"backend": "pulay", "method": "difference", "beta": 0.02, "nmaxold": 8, "weight": 100},
)
EIGENSTATE_TOLERANCE_EV2 = 1e-4  # per electron, of the SCF; the final bands are exact
SCF_SPARE_BANDS = 0.15  # empty bands of the SCF, share of the occupied ones


class GpawEngine(ProgramEngine):
    """See the module; follows :class:`corefuse.engines.ProgramEngine`."""

    name = "gpaw"
    revision = 4
    edges = tuple(EDGES)
    environment = "gpaw"
    reach = "simulation.gpaw.spectrum_max_ev"

    def memory_mb(self, spec: Spec, settings: Mapping[str, Any]) -> int:
        """By the plane waves of the cell (:mod:`corefuse.plan.demands`)."""
        return demands.memory_mb(spec, settings)

    def minutes(
        self, spec: Spec, edges: Sequence[str], settings: Mapping[str, Any], runs: int
    ) -> int:
        """By the plane waves of the cell (:mod:`corefuse.plan.demands`)."""
        return demands.minutes(spec, settings, runs)

    def version(self) -> str:
        """GPAW's version; it is not imported here, as an MPI build could not be forked then."""
        return version("gpaw")

    def check(self, settings: Mapping[str, Any], folder: Path) -> str:
        """Make the dataset of Li K; the version."""
        ensure_dataset(EDGES["Li K"], folder)
        return f"GPAW {self.version()} makes its datasets"

    def prepare(self, job: Job, folder: Path) -> None:
        """Write ``structure.json`` and ``job.json``; generate missing core-level datasets."""
        for edge in job.edges:
            ensure_dataset(EDGES[edge], job.shared)
        for element in {s.specie.symbol for s in job.structure}:
            ensure_dataset(ground_state_edge(element, job.edges), job.shared)
        build.write(folder / "structure.json", job.structure)
        files.write_json(
            folder / "job.json",
            {
                "edges": list(job.edges),
                "settings": dict(job.settings),
                "datasets": str(job.shared.resolve()),
                "launcher": mpi.at_most(job.launcher, _kpoints(job)),
            },
        )

    def run(self, folder: Path) -> None:
        """Ground state, then the bands above it, then ``channels.npz``."""
        call("corefuse.engines.gpaw:compute", folder)

    def parse(self, folder: Path) -> xr.Dataset:
        """``outcome.json`` and ``channels.npz`` as a raw dataset."""
        structure = build.read(folder / "structure.json")
        outcome = files.read_json(folder / "outcome.json")
        with np.load(folder / "channels.npz") as arrays:
            energy, intensity, dos = arrays["energy"], arrays["intensity"], arrays["dos"]
            atom_dos = arrays.get("atom_dos")
        roles = structure.site_properties.get("role") or [""] * len(structure)
        channels = [
            rawdata.Channel(
                edge=edge,
                site=site,
                element=EDGES[edge].element,
                role=roles[site],
                intensity=intensity[i],
                dos=dos[i],
                core_level_shift_ev=outcome["shifts"][i],
                moment_mub=outcome["moments"][site],
            )
            for i, (edge, site) in enumerate(outcome["sites"])
        ]
        raw = rawdata.with_atoms(
            rawdata.build(channels, energy), outcome["moments"], outcome["atom_shifts"], atom_dos
        ).assign_attrs(total_energy_ev=outcome["total_energy_ev"])
        if files.read_json(folder / "job.json")["launcher"]:
            # srun's processes live for this run only, and are no children of the one that waits
            raw = raw.assign_attrs(cpu_seconds=round(outcome["process_seconds"], 2))
        return raw.assign_attrs(
            scf_facts(files.read_json(folder / "scf.json")),
            converged=1,
            fermi_level_ev=outcome["fermi_level_ev"],
            fermi_level_on_axis_ev=0.0,
            bands=outcome["bands"],
            kpoints=outcome["kpoints"],
            peak_memory_mb=outcome["peak_memory_mb"],
        )

    def read_log(self, folder: Path) -> str:
        """GPAW's text output, one part a step."""
        return "\n".join(p.read_text() for p in sorted(folder.glob("*.txt")))


ENGINE = GpawEngine()


def compute(folder: Path) -> None:
    """What :meth:`GpawEngine.run` does, in every process of a parallel run."""
    job, atoms = read_job(folder)
    calc = ground_state(atoms, job["edges"], job["settings"], folder)
    write_channels(calc, atoms, job, folder)


def write_channels(calc: GPAW, atoms: Atoms, job: Mapping[str, Any], folder: Path) -> None:
    """Outcome and channels of every site of the job's edges, from a converged ground state."""
    settings = job["settings"]
    sites = [
        (edge, site)
        for edge in job["edges"]
        for site in range(len(atoms))
        if atoms[site].symbol == EDGES[edge].element
    ]
    smooth_potentials = calc.get_atomic_electrostatic_potentials()
    fermi_ev = calc.get_fermi_level()
    total_energy_ev = float(calc.get_potential_energy())  # of the SCF, before more bands are added

    @cache  # an atom's own core level is also that of its first edge
    def core_shift(edge: Edge, site: int) -> float:
        return fermi_ev - smooth_potentials[site] - onsite_core_potential(calc, edge, site)

    shifts = [core_shift(EDGES[edge], site) for edge, site in sites]
    atom_shifts = [
        core_shift(ground_state_edge(atom.symbol, job["edges"]), site)
        for site, atom in enumerate(atoms)
    ]
    add_unoccupied_bands(calc, settings["spectrum_max_ev"])
    energy = rawdata.energy_axis(settings["spectrum_max_ev"])
    spectra = [
        site_spectrum(calc, EDGES[edge], site, settings["smearing_ev"], energy, fermi_ev)
        for edge, site in sites
    ]
    atom_dos = [
        projected_dos(calc, site, settings["smearing_ev"], energy, fermi_ev)
        for site in range(len(atoms))
    ]
    write_outcome(
        calc,
        folder,
        {
            "sites": sites,
            "shifts": shifts,
            "atom_shifts": atom_shifts,
            "fermi_level_ev": fermi_ev,
            "moments": list(calc.get_magnetic_moments()),
            # extrapolated to no smearing; its zero is that of the datasets' isolated atoms
            "total_energy_ev": total_energy_ev,
        },
        energy,
        spectra,
        atom_dos=np.array(atom_dos),
    )


def read_job(folder: Path) -> tuple[dict[str, Any], Atoms]:
    """What ``prepare`` wrote; GPAW knows its datasets then.

    Raises
    ------
    InputError
        The job is to run in parallel and this GPAW can't: every process would do all the work.
    """
    import gpaw.cgpaw

    job = files.read_json(folder / "job.json")
    if job["launcher"] and not gpaw.cgpaw.have_mpi:
        raise InputError(
            "the profile",
            "set-resources.mpi",
            "this GPAW has no MPI",
            "use the conda environment (--sdm conda) or drop mpi",
        )
    use_datasets(Path(job["datasets"]))
    return job, to_atoms(build.read(folder / "structure.json"))


def write_outcome(
    calc: GPAW,
    folder: Path,
    outcome: dict[str, Any],
    energy_ev: np.ndarray,
    spectra: Sequence[tuple[np.ndarray, np.ndarray]],
    **arrays: np.ndarray,
) -> None:
    """``outcome.json`` with what every run has, and ``channels.npz``; one process writes.

    ``arrays`` go to ``channels.npz`` too.
    """
    common = {
        "bands": int(calc.get_number_of_bands()),
        "kpoints": len(calc.get_ibz_k_points()),
        "peak_memory_mb": round(calc.world.sum_scalar(_peak_memory_mb())),
        "process_seconds": calc.world.sum_scalar(time.process_time()),
    }
    if calc.world.rank:
        return
    files.write_json(folder / "outcome.json", outcome | common)
    with files.atomic(folder / "channels.npz") as partial, partial.open("wb") as out:
        np.savez(
            out,
            energy=energy_ev,
            intensity=np.array([s[0] for s in spectra]),
            dos=np.array([s[1] for s in spectra]),
            **arrays,
        )


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def call(function: str, folder: Path) -> None:
    """:func:`corefuse.simulate.mpi.call` with the launcher that ``prepare`` wrote."""
    mpi.call(files.read_json(folder / "job.json")["launcher"], function, folder)


def scf_facts(scf: Mapping[str, Any]) -> dict[str, str | int]:
    """What ``scf.json`` holds, as attributes of a raw file."""
    return {
        "attempts": files.dumps(scf["attempts"]),
        "method": files.dumps(scf["method"]),
        "scf_iterations": scf["attempts"][-1]["iterations"],
    }


def dataset_name(edge: Edge, hole: float = 0.0) -> str:
    """Name of the PAW dataset that carries the edge's core orbital, e.g. ``gs2p``.

    ``gs``: no hole in it, ``hch``: half a core hole, ``fch``: a full one.
    """
    return f"{ {0.0: 'gs', 0.5: 'hch', 1.0: 'fch'}[hole] }{edge.core_orbital}"


def ground_state_edge(element: str, edges: tuple[str, ...] | list[str]) -> Edge:
    """The edge whose dataset the element has in the ground state: its first in ``edges``.

    Valence partial waves don't depend on which core orbital a dataset carries, so one ground
    state also serves an element's other edges. An element without a requested edge gets the
    first it has, so that all structures of a run are computed alike.
    """
    of_element = [e for e in (*edges, *EDGES) if EDGES[e].element == element]
    return EDGES[of_element[0]]


def ensure_dataset(edge: Edge, folder: Path, hole: float = 0.0) -> Path:
    """Generate the PAW dataset with the core orbital and that share of a hole, if it is missing.

    Safe between processes: each writes in a folder of its own and renames the finished file.
    """
    path = folder / f"{edge.element}.{dataset_name(edge, hole)}.PBE"
    if path.exists():
        return path
    scratch = folder / f".making-{path.name}-{os.getpid()}"
    scratch.mkdir(parents=True, exist_ok=True)
    command = [
        str(Path(sys.executable).with_name("gpaw-setup")),
        *(edge.element, "-f", "PBE", "--name", dataset_name(edge, hole)),
        *("--core-hole", f"{edge.core_orbital},{hole}"),
    ]
    subprocess.run(command, cwd=scratch, check=True, capture_output=True)
    (scratch / path.name).replace(path)
    shutil.rmtree(scratch)
    return path


def to_atoms(structure: Structure) -> Atoms:
    """ASE atoms with the structure's ``magmom`` as initial moments (bohr magnetons)."""
    from pymatgen.io.ase import AseAtomsAdaptor  # half a second, which planning need not pay

    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.set_initial_magnetic_moments(structure.site_properties.get("magmom"))
    return atoms


def kpoint_mesh(atoms: Atoms, spacing_per_angstrom: float) -> tuple[int, int, int]:
    """Divisions that keep k points at most ``spacing`` apart (2 pi included)."""
    lengths = 2 * pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    first, second, third = (max(1, ceil(b / spacing_per_angstrom)) for b in lengths)
    return first, second, third


def irreducible_kpoints(mesh: Sequence[int]) -> int:
    """k points of a Monkhorst-Pack mesh of which time reversal relates no two.

    Only Gamma is its own partner, and it is in meshes of odd divisions alone.
    """
    return (prod(mesh) + all(n % 2 for n in mesh)) // 2


def _kpoints(job: Job) -> int:
    """As many processes as a job has work for: this GPAW gives each k points, with both spins."""
    spacing = job.settings["kpoint_spacing_per_angstrom"]
    return irreducible_kpoints(kpoint_mesh(to_atoms(job.structure), spacing))


def use_datasets(folder: Path) -> None:
    """Let GPAW find the PAW datasets in ``folder``."""
    import gpaw

    if str(folder) not in map(str, gpaw.setup_paths):
        gpaw.setup_paths.insert(0, str(folder))


def datasets(
    elements: set[str], edges: Sequence[str], hubbard_u_ev: Mapping[str, float]
) -> dict[str | int, str]:
    """Element -> its dataset without a core hole, with Hubbard U where there is one."""
    names = {e: dataset_name(ground_state_edge(e, edges)) for e in elements}
    return {e: with_hubbard_u(n, e, hubbard_u_ev) for e, n in names.items()}


def with_hubbard_u(dataset: str, element: str, hubbard_u_ev: Mapping[str, float]) -> str:
    """GPAW's name of a dataset with U on the d shell: that of the settings, else of the table."""
    known = ELEMENTS.get(element)
    u_ev = hubbard_u_ev.get(element, known and known.hubbard_u_ev)
    return f"{dataset}:d,{u_ev}" if u_ev else dataset


def calculator(
    atoms: Atoms,
    setups: Mapping[str | int, str],
    settings: Mapping[str, Any],
    mixer: dict[str, Any] | None,
    **more: Any,
) -> GPAW:
    """A GPAW calculator with the run's parameters, not started; ``more`` is GPAW's own."""
    import gpaw

    parameters: dict[str, Any] = {
        "mode": gpaw.PW(settings["plane_wave_cutoff_ev"], force_complex_dtype=True),
        "xc": "PBE",
        "kpts": {
            "size": kpoint_mesh(atoms, settings["kpoint_spacing_per_angstrom"]),
            "gamma": False,
        },
        "symmetry": {"point_group": False},  # the spectrum of every site, not of its orbit
        "setups": dict(setups),
        "occupations": gpaw.FermiDirac(settings["smearing_ev"]),
        "nbands": f"{round(100 * (1 + SCF_SPARE_BANDS))}%",
        "spinpol": True,
        "convergence": {
            "density": settings["density_tolerance"],
            "energy": 1e-4,
            "eigenstates": EIGENSTATE_TOLERANCE_EV2,
            "bands": "occupied",
        },
        "maxiter": settings["max_scf_steps"],
        "parallel": {"domain": 1, "band": 1},  # over k points and spins: every site everywhere
        "legacy_gpaw": True,  # gpaw's core-level code needs it
        **({"mixer": mixer} if mixer else {}),
    }
    return gpaw.GPAW(**parameters | more)


def ground_state(atoms: Atoms, edges: list[str], settings: dict[str, Any], folder: Path) -> GPAW:
    """Converged calculator without a core hole; see :func:`first_converged`."""
    setups = datasets(set(atoms.get_chemical_symbols()), edges, settings["hubbard_u_ev"])

    def attempt(number: int, mixer: dict[str, Any] | None, txt: str) -> GPAW:
        return calculator(atoms, setups, settings, mixer, txt=txt)

    return first_converged(attempt, atoms, settings, folder)


def first_converged(
    attempt: Callable[[int, dict[str, Any] | None, str], GPAW],
    atoms: Atoms,
    settings: Mapping[str, Any],
    folder: Path,
) -> GPAW:
    """The calculator that converges first, each mixing its density more gently than the last.

    ``attempt(number, mixer, text_file)`` gives it, set up or not. ``scf.json`` tells what was
    computed how, and what each attempt came to.

    Raises
    ------
    NotConvergedError
        None of the mixings converged.
    """
    import gpaw

    records: list[dict[str, Any]] = []
    for number, mixer in enumerate(MIXERS):
        calc = attempt(number, mixer, str(folder / f"1-scf-{number + 1}.txt"))
        try:
            calc.calculate(atoms.copy(), system_changes=[])
            reason = ""
        except gpaw.KohnShamConvergenceError as why:
            reason = str(why).split("!")[0]
        records.append(_attempt_record(calc, settings, reason))
        scf = {"attempts": records, "method": method(calc)}
        if calc.world.rank == 0:
            files.write_json(folder / "scf.json", scf)
        if not reason:
            return calc
    raise NotConvergedError(
        f"SCF not converged in {settings['max_scf_steps']} steps with any of "
        f"{len(MIXERS)} mixings, each gentler than the last",
        scf_facts(scf),
    )


def _attempt_record(calc: GPAW, settings: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """What one SCF came to; changes are those of its last step, per valence electron."""
    electrons = calc.wfs.nvalence
    density = float(calc.density.error) / electrons
    eigenstates_ev2 = float(calc.wfs.eigensolver.error) * Hartree**2 / electrons
    if reason:
        reason += (
            f": the density changed by {density:.1e} (asked {settings['density_tolerance']:.0e}), "
            f"the eigenstates by {eigenstates_ev2:.1e} eV^2 (asked {EIGENSTATE_TOLERANCE_EV2:.0e})"
        )
    return {
        "mixing": " ".join(str(calc.density.mixer).split()),
        "converged": not reason,
        "reason": reason,
        "iterations": min(int(calc.scf.niter), calc.scf.maxiter),
        "density_change": density,
        "eigenstate_change_ev2": eigenstates_ev2,
    }


def method(calc: GPAW) -> dict[str, Any]:
    """What decides the result beside the config: what GPAW was given, and what it made of it.

    The datasets are made here by gpaw-setup, so their hash says more than a version of gpaw-data.
    """
    import gpaw.cgpaw

    given = {k: v for k, v in calc.parameters.items() if v is not None}
    used = {f"{s.symbol}.{s.data.setupname}": s.data for s in calc.wfs.setups}
    return given | {
        "mode": calc.parameters["mode"].todict(),
        "setups": {str(key): name for key, name in given["setups"].items()},
        "dataset_md5": {name: data.fingerprint for name, data in sorted(used.items())},
        "kpoint_mesh": calc.wfs.kd.N_c.tolist(),
        "kpoint_offset": calc.wfs.kd.offset_c.tolist(),
        "scf_bands": int(calc.get_number_of_bands()),
        "versions": {"ase": ase.__version__, "libxc": gpaw.cgpaw.libxc_version},
    }


def all_electron_energy_ev(calc: GPAW) -> float:
    """Energy of the converged cell, extrapolated to zero smearing, with that of its atoms.

    GPAW counts from the atoms of its datasets, of which one with a core hole is an excited one:
    their own energies (scalar-relativistic, of all electrons) are added, so that cells with and
    without a hole share one zero. Call it before :func:`add_unoccupied_bands`.
    """
    return float(calc.results["energy"] + calc.get_reference_energy())


def add_unoccupied_bands(calc: GPAW, energy_ev: float) -> None:
    """Give ``calc`` all bands up to ``energy_ev`` above E_F, at its converged density.

    Plain diagonalisation in the plane-wave basis: exact, without a tolerance of its own, and
    cheaper than iteration (16 atoms, 4 k points, 300 eV: 26 s of CPU for 124 bands against 106 s
    for 132).
    """
    n_bands = ceil(demands.bands_up_to(calc.atoms.get_volume(), energy_ev))
    while True:
        calc.diagonalize_full_hamiltonian(nbands=n_bands, expert=True)
        here = min(float(k.eps_n[-1]) for k in calc.wfs.kpt_u)
        highest_ev = calc.wfs.kd.comm.min_scalar(here) * Hartree
        if highest_ev - calc.get_fermi_level() >= energy_ev:
            return
        n_bands = ceil(1.1 * n_bands)


def core_setup(edge: Edge, calc: GPAW, site: int) -> Any:
    """The site's PAW setup, or its twin that carries the edge's core orbital."""
    from gpaw.setup import create_setup

    setup = calc.wfs.setups[site]
    wanted = int(edge.core_orbital[0]), "sp".index(edge.core_orbital[1])
    if (setup.data.ncorehole, setup.data.lcorehole) == wanted:
        return setup
    return create_setup(edge.element, "PBE", setup.lmax, dataset_name(edge))


def onsite_core_potential(calc: GPAW, edge: Edge, site: int) -> float:
    """What the valence electrons inside the sphere add to the smooth potential (eV).

    GPAW's atomic electrostatic potential is the smooth Hartree potential averaged over the
    compensation charge g. Inside the sphere, smooth and true potential differ by on-site terms
    only, so the true one, averaged over the core orbital, is that plus
    <v[n]>_core - <v[n~ + Q g]>_g with the radial on-site densities n and n~ of the density matrix
    (P. E. Bloechl, PRB 50 (1994) 17953, eqs. 20-26). Terms of the frozen core are the same for
    all atoms of an element and are left out.
    """
    setup = calc.wfs.setups[site]
    local, grid = setup.local_corr, setup.local_corr.rgd2
    pairs = local.T_Lqp[0] @ calc.density.D_asp[site].sum(0)
    compensation = setup.g_lg[0]
    true_density = pairs @ local.n_qg
    smooth_density = pairs @ local.nt_qg + (local.Delta_lq[0] @ pairs) * compensation

    def averaged(density: np.ndarray, weight: np.ndarray) -> float:
        # grid.poisson gives r v(r); density and potential are coefficients of Y_00
        return grid.integrate(grid.poisson(density, 0) * weight, n=-1) / (4 * pi) ** 1.5

    core = core_setup(edge, calc, site).phicorehole_g ** 2
    return Hartree * (averaged(true_density, core) - averaged(smooth_density, compensation))


def site_spectrum(
    calc: GPAW, edge: Edge, site: int, smearing_ev: float, energy_ev: np.ndarray, fermi_ev: float
) -> tuple[np.ndarray, np.ndarray]:
    """Isotropic dipole density (energy,) and projected DOS (3, energy) of the empty states.

    The zero of ``energy_ev`` is ``fermi_ev``, up to which states count as filled. Every band counts
    with its empty share 1 - f, so metals and smearing need no special case; the three
    polarisations are averaged.
    """
    from gpaw.xas import dipole_matrix_elements

    dipole = dipole_matrix_elements(core_setup(edge, calc, site))  # bohr
    intensity = np.zeros_like(energy_ev)
    for positions, empty, projections in _empty_states(calc, site, smearing_ev, fermi_ev):
        amplitude = np.einsum("cmi,ni->cmn", dipole, projections)
        strength = (abs(amplitude) ** 2).sum((0, 1)) / 3
        intensity += rawdata.sticks_to_density(positions, empty * strength, energy_ev)
    calc.wfs.kd.comm.sum(intensity)
    return intensity, projected_dos(calc, site, smearing_ev, energy_ev, fermi_ev)


def projected_dos(
    calc: GPAW, site: int, smearing_ev: float, energy_ev: np.ndarray, fermi_ev: float
) -> np.ndarray:
    """s, p and d density of the empty states inside a site's sphere (3, energy), states/eV."""
    overlaps = _sphere_overlaps(calc.wfs.setups[site])
    dos = np.zeros((3, len(energy_ev)))
    for positions, empty, projections in _empty_states(calc, site, smearing_ev, fermi_ev):
        for l, overlap in enumerate(overlaps):
            weight = ((projections.conj() @ overlap) * projections).sum(1).real
            dos[l] += rawdata.sticks_to_density(positions, empty * weight, energy_ev)
    calc.wfs.kd.comm.sum(dos)
    return dos


def _empty_states(
    calc: GPAW, site: int, smearing_ev: float, fermi_ev: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each k point and spin here: band energies (n,), empty shares (n,), projections (n, i)."""
    for kpt in calc.wfs.kpt_u:
        positions = kpt.eps_n * Hartree - fermi_ev
        share = kpt.weight * calc.wfs.nspins / 2 * expit(positions / smearing_ev)  # 1 - Fermi-Dirac
        yield positions, share, kpt.P_ani[site]


def _sphere_overlaps(setup: Any) -> list[np.ndarray]:
    """Overlaps of the partial waves inside the augmentation sphere, one matrix each for s, p, d.

    Projectors count as (j, m); only equal l and m overlap.
    """
    blocks = [(j, l, m) for j, l in enumerate(setup.l_j) for m in range(2 * l + 1)]
    radial = _radial_overlaps(setup)
    out = []
    for wanted in range(3):
        overlap = np.zeros((len(blocks), len(blocks)))
        for a, (j1, l1, m1) in enumerate(blocks):
            for b, (j2, l2, m2) in enumerate(blocks):
                if l1 == l2 == wanted and m1 == m2:
                    overlap[a, b] = radial[j1, j2]
        out.append(overlap)
    return out


def _radial_overlaps(setup: Any) -> np.ndarray:
    """(j, j) matrix from GPAW's packed upper triangle."""
    n = len(setup.l_j)
    radial = np.zeros((n, n))
    radial[np.triu_indices(n)] = setup.N0_q
    return radial + np.triu(radial, 1).T
