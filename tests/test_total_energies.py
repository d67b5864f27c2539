"""The axis of total energies: a full core hole against the ground state, on real DFT."""

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from corefuse import config, engines
from corefuse.core.edges import EDGES
from corefuse.engines import gpaw, gpaw_core_hole
from corefuse.engines.gpaw_core_hole import excited_level, level_of

pytestmark = pytest.mark.filterwarnings("ignore")


def threshold(divisions: int, folder) -> float:
    """Energy (eV) that takes a 1s electron of bcc Li to the Fermi level of the cell with the hole.

    That is the total energy with the hole less that of the ground state, less the height above that
    level at which the electron finds room in a small cell. Both supercells sample the k points of a
    6x6x6 mesh of the primitive cell; 120 eV are enough for lithium alone.
    """
    cell = Structure.from_spacegroup("Im-3m", Lattice.cubic(3.51), ["Li"], [[0, 0, 0]])
    cell = cell.get_primitive_structure() * divisions
    cell.add_site_property("magmom", [0.0] * len(cell))
    cell.add_site_property("role", [""] * len(cell))
    settings = config.Gpaw().model_dump() | {
        "plane_wave_cutoff_ev": 120,
        "kpoint_spacing_per_angstrom": 0.45,
        "core_hole": {"Li K": "full"},
    }
    job = engines.Job("cell", cell, ("Li K",), settings, folder / "shared")
    start = folder / "start.gpw"
    engines.begin(gpaw_core_hole.ENGINE, job, folder / "begin", start)
    job = replace(job, absorber=engines.Absorber("Li K", 0), start=start)
    (folder / "site").mkdir()
    gpaw_core_hole.ENGINE.prepare(job, folder / "site")
    written, atoms = gpaw.read_job(folder / "site")
    hole, ground = gpaw_core_hole.with_hole(atoms, EDGES["Li K"], 0, 1.0, written, folder / "site")
    bands, electrons = gpaw_core_hole.levels(hole), hole.wfs.nvalence
    fermi_ev = level_of(bands, electrons - 1, settings["smearing_ev"])
    above_ev = excited_level(bands, electrons, 1.0, settings["smearing_ev"]) - fermi_ev
    return gpaw.all_electron_energy_ev(hole) - gpaw.all_electron_energy_ev(ground) - above_ev


def test_two_supercells_of_a_metal_give_one_energy(tmp_path):
    small, large = (threshold(n, tmp_path / str(n)) for n in (2, 3))  # 8 and 27 atoms
    # The added charge of a neutral metal cell is spread over fewer atoms in the small one: 0.2 eV.
    assert small == pytest.approx(large, abs=0.25)
    # The tabulated threshold of Li is 54.7 eV (Elam, Ravel & Sieber 2002). Without the energies of
    # the atoms that the datasets count from it would be a few eV.
    assert large == pytest.approx(54.7, abs=0.5)


GAPPED = [(1.0, np.array([-5.0, -4.0, 2.0, 6.0])), (1.0, np.array([-5.0, -4.0, 3.0, 6.0]))]


def test_the_excited_electron_of_an_insulator_is_at_the_bottom_of_its_empty_bands():
    assert excited_level(GAPPED, 5.0, 1.0, 0.05) == pytest.approx(2.0, abs=0.01)
    assert -4 < level_of(GAPPED, 4.0, 0.05) < 2


def test_the_excited_electron_of_a_metal_is_at_its_fermi_level():
    band = [(0.01, np.array([e])) for e in np.linspace(-5, 5, 1001)]
    fermi_ev = level_of(band, 5.0, 0.1)
    assert excited_level(band, 5.0, 0.01, 0.1) == pytest.approx(fermi_ev, abs=0.01)
    # a whole electron fills a hundred of these levels, and is on their mean
    assert excited_level(band, 5.0, 1.0, 0.1) == pytest.approx(fermi_ev - 0.5, abs=0.02)
