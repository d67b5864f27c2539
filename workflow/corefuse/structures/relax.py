"""CHGNet relaxation of cell and ions, and the oxidation states that follow from its moments.

CHGNet: Deng et al., Nature Machine Intelligence 5, 1031 (2023), with the weights trained on r2SCAN,
which hold the volumes and oxidation states of layered oxides better than the default ones.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import FrechetCellFilter
from ase.optimize import LBFGS
from ase.stress import full_3x3_to_voigt_6_stress
from ase.units import GPa
from chgnet.model import CHGNet
from numpy.typing import NDArray
from pymatgen.core import Structure

from corefuse.config import Relaxation
from corefuse.core.errors import NotConvergedError
from corefuse.structures import valence

MODEL = "r2scan"
PACKAGES = ("chgnet", "torch", "ase", "pymatgen", "numpy")


@dataclass(frozen=True)
class RelaxationRecord:
    """How a relaxation ended; ``relaxed`` is False where the steps ran out first.

    ``charge_residual`` is the sum of the oxidation states per transition metal: 0 where the
    oxidation states derived from the moments make the cell neutral.
    """

    energy_ev_per_atom: float
    fmax_ev_per_angstrom: float
    max_stress_gpa: float
    steps: int
    relaxed: bool
    rattle_seed: int
    charge_residual: float
    model: str
    versions: dict[str, str]


class FrozenCHGNet(Calculator):
    """CHGNet for ASE at half the cost of its own calculator.

    Weights are frozen and one backward pass to the cell and the fractional coordinates gives
    forces and stress together; nothing is kept for a second derivative.
    """

    implemented_properties = ("energy", "forces", "stress", "magmoms")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results``: eV, eV/Angstrom, eV/Angstrom^3 (Voigt), Bohr magnetons (unsigned)."""
        super().calculate(atoms, properties, system_changes)
        cell = self.atoms.cell.array
        crystal = Structure(cell, self.atoms.numbers, self.atoms.get_scaled_positions(wrap=False))
        graph = _model().graph_converter(crystal)
        with warnings.catch_warnings():  # CHGNet reads the volume off a tensor with a gradient
            warnings.simplefilter("ignore", UserWarning)
            out = _model()([graph], task="em")
        energy = out["e"].sum() * len(crystal)
        if not torch.isfinite(energy):
            raise NotConvergedError("CHGNet gives no finite energy: the structure is unphysical")
        to_positions, to_cell = torch.autograd.grad(energy, (graph.atom_frac_coord, graph.lattice))
        stress = cell.T @ to_cell.double().numpy() / crystal.volume
        self.results = {
            "energy": energy.item(),
            "forces": -to_positions.double().numpy() @ np.linalg.inv(cell).T,
            "stress": full_3x3_to_voigt_6_stress(stress),
            "magmoms": out["m"][0].detach().double().numpy(),
        }
        for name in ("forces", "stress", "magmoms"):
            if not np.isfinite(self.results[name]).all():
                raise NotConvergedError(f"CHGNet gives {name} that are not finite")


@cache
def _model() -> CHGNet:
    torch.set_num_threads(1)  # two threads are 2-3 times slower on cells of this size
    with contextlib.redirect_stdout(io.StringIO()):
        model = CHGNet.load(model_name=MODEL, use_device="cpu", verbose=False)
    return model.requires_grad_(False).eval()


def energy_ev(structure: Structure) -> float:
    """CHGNet energy of a structure as it is."""
    return float(_atoms(structure).get_potential_energy())


def moments_mub(structure: Structure) -> list[float]:
    """CHGNet's unsigned moments (n,) of a structure as it is, in Bohr magnetons."""
    return [float(m) for m in _atoms(structure).get_magnetic_moments()]


def relax(
    structure: Structure, settings: Relaxation, seed: int, with_cell: bool = True
) -> tuple[Structure, RelaxationRecord]:
    """Relax the ions, and by default the cell, with LBFGS after a seeded rattle.

    The rattle breaks the symmetry that would hide Jahn-Teller and charge order; which order is
    found depends on its seed. Site properties are kept; ``magmom`` (Bohr magnetons, unsigned) and
    ``oxidation_state`` are added.

    Raises
    ------
    NotConvergedError
        Energy, forces, stress or moments are not finite.
    """
    assert np.linalg.det(structure.lattice.matrix) > 0, "left-handed cell"
    atoms = _atoms(structure)
    atoms.rattle(settings.rattle_angstrom, seed=seed)
    free = FrechetCellFilter(atoms) if with_cell else atoms
    with LBFGS(free, logfile=None) as optimiser, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "logm result", RuntimeWarning)  # errors of 1e-13
        reached = optimiser.run(fmax=settings.fmax_ev_per_angstrom, steps=settings.max_steps)
    forces, moments = atoms.get_forces(), atoms.get_magnetic_moments()
    relaxed = _moved(structure, atoms, moments)
    states = relaxed.site_properties["oxidation_state"]
    record = RelaxationRecord(
        energy_ev_per_atom=float(atoms.get_potential_energy()) / len(atoms),
        fmax_ev_per_angstrom=float(np.linalg.norm(forces, axis=1).max()),
        max_stress_gpa=float(np.abs(atoms.get_stress()).max() / GPa),
        steps=int(optimiser.nsteps),
        relaxed=bool(reached),
        rattle_seed=seed,
        charge_residual=valence.charge_residual([s.specie.symbol for s in relaxed], states),
        model=f"CHGNet {MODEL}",
        versions={package: version(package) for package in PACKAGES},
    )
    return relaxed, record


def _atoms(structure: Structure) -> Atoms:
    return Atoms(
        numbers=structure.atomic_numbers,
        cell=structure.lattice.matrix,
        scaled_positions=structure.frac_coords,
        pbc=True,
        calculator=FrozenCHGNet(),
    )


def _moved(structure: Structure, atoms: Atoms, moments: NDArray[np.float64]) -> Structure:
    elements = [site.specie.symbol for site in structure]
    return Structure(
        atoms.cell.array,
        elements,
        atoms.get_scaled_positions(),
        site_properties=structure.site_properties
        | {
            "magmom": [float(m) for m in moments],
            "oxidation_state": valence.oxidation_states(elements, moments, "chgnet"),
        },
        properties=dict(structure.properties),
    )
