import json

import numpy as np
import pytest
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator
from pymatgen.core import Lattice, Structure

from corefuse.config import Relaxation
from corefuse.core.errors import NotConvergedError
from corefuse.structures import layered, relax, valence

QUICK = Relaxation(fmax_ev_per_angstrom=0.05, max_steps=60)


@pytest.fixture(scope="module")
def licoo2():
    return next(layered.hosts(1))


@pytest.fixture(scope="module")
def distorted():
    """Eight atoms off their places in a sheared cell: forces and stress of every kind."""
    host = next(layered.hosts(2))
    strain = np.array([[1.02, 0.01, 0], [0, 0.99, 0.02], [0.01, 0, 1.01]])
    shifts = np.random.RandomState(0).uniform(-0.03, 0.03, host.frac_coords.shape)
    return Structure(
        host.lattice.matrix @ strain, ["Li", "Li", "Ni", "Mn", *"OOOO"], host.frac_coords + shifts
    )


@pytest.fixture(scope="module")
def relaxed_licoo2(licoo2):
    return relax.relax(licoo2, QUICK, seed=3)


def test_one_backward_pass_gives_the_forces_and_stress_of_stock_chgnet(distorted):
    ours = relax._atoms(distorted)
    stock = relax._atoms(distorted)
    stock.calc = CHGNetCalculator(CHGNet.load(model_name="r2scan", verbose=False), use_device="cpu")
    assert np.abs(stock.get_forces()).max() > 0.3 and np.abs(stock.get_stress()).max() > 0.01
    assert ours.get_potential_energy() == pytest.approx(stock.get_potential_energy(), abs=1e-4)
    assert np.allclose(ours.get_forces(), stock.get_forces(), atol=5e-5)
    full, stock_full = ours.get_stress(voigt=False), stock.get_stress(voigt=False)
    assert np.allclose(full, (stock_full + stock_full.T) / 2, atol=5e-6)
    assert np.allclose(ours.get_magnetic_moments(), stock.get_magnetic_moments(), atol=1e-5)


def test_stress_is_the_strain_derivative_of_the_energy(distorted):
    def energy(strain):
        lattice = distorted.lattice.matrix @ (np.eye(3) + strain)
        return relax.energy_ev(Structure(lattice, distorted.species, distorted.frac_coords))

    stress = relax._atoms(distorted).get_stress(voigt=False)
    for i, j in [(0, 0), (1, 2), (2, 2)]:
        strain = np.zeros((3, 3))
        strain[i, j] += 1e-3
        strain[j, i] += 1e-3
        numeric = (energy(strain) - energy(-strain)) / 4e-3 / distorted.volume
        assert numeric == pytest.approx(stress[i, j], abs=1e-4)
    assert np.abs(stress).max() > 0.01


def test_weights_are_frozen_and_one_thread_is_used(distorted):
    relax.energy_ev(distorted)
    assert not any(p.requires_grad for p in relax._model().parameters())
    assert relax.torch.get_num_threads() == 1


def test_licoo2_has_the_measured_cell_and_no_moment(relaxed_licoo2):
    # Akimoto, Gotoh & Oosawa, J. Solid State Chem. 141, 298 (1998): a 2.8161, c 14.0536 Angstrom
    structure, record = relaxed_licoo2
    a, c = 2.8161, 14.0536
    assert record.relaxed and record.fmax_ev_per_angstrom <= 0.05
    assert structure.volume == pytest.approx(np.sqrt(3) / 2 * a**2 * c / 3, rel=0.02)
    edges = sorted(
        float(np.linalg.norm(v @ structure.lattice.matrix)) for v in np.ndindex(2, 2, 2) if any(v)
    )
    assert edges[0] == pytest.approx(a, rel=0.02)
    layers = structure.volume / (np.sqrt(3) / 2 * edges[0] ** 2)
    assert 3 * layers == pytest.approx(c, rel=0.02)
    assert max(structure.site_properties["magmom"]) < 0.1
    assert structure.site_properties["oxidation_state"] == [1, 3, -2, -2]
    assert record.charge_residual == 0


def test_relaxing_lowers_the_energy_and_keeps_what_the_sites_are(licoo2, relaxed_licoo2):
    structure, record = relaxed_licoo2
    assert record.energy_ev_per_atom * 4 < relax.energy_ev(licoo2) - 0.01
    assert record.energy_ev_per_atom * 4 == pytest.approx(relax.energy_ev(structure), abs=1e-5)
    assert structure.species == licoo2.species
    assert structure.site_properties["sublattice"] == licoo2.site_properties["sublattice"]
    assert licoo2 == next(layered.hosts(1))


def test_the_seed_of_the_rattle_fixes_the_result(licoo2, relaxed_licoo2):
    again, _ = relax.relax(licoo2, QUICK, seed=3)
    other, _ = relax.relax(licoo2, QUICK, seed=4)
    assert np.allclose(again.cart_coords, relaxed_licoo2[0].cart_coords, atol=1e-4)
    assert not np.allclose(other.lattice.matrix, again.lattice.matrix, atol=1e-6)


def test_rotating_the_cell_changes_nothing(licoo2):
    still = Relaxation(rattle_angstrom=0, max_steps=60, fmax_ev_per_angstrom=0.02)
    angle = 0.7
    rotation = np.array(
        [
            [np.cos(angle), 0, -np.sin(angle)],
            [0, 1, 0],
            [np.sin(angle), 0, np.cos(angle)],
        ]
    )
    turned = Structure(
        Lattice(licoo2.lattice.matrix @ rotation),
        licoo2.species,
        licoo2.frac_coords,
        site_properties=licoo2.site_properties,
    )
    first, record = relax.relax(licoo2, still, seed=1)
    second, turned_record = relax.relax(turned, still, seed=1)
    assert turned_record.energy_ev_per_atom == pytest.approx(record.energy_ev_per_atom, abs=1e-4)
    assert second.volume == pytest.approx(first.volume, rel=1e-3)
    assert np.allclose(second.lattice.abc, first.lattice.abc, atol=0.01)


def test_steps_that_run_out_are_reported(licoo2):
    short = Relaxation(max_steps=2, fmax_ev_per_angstrom=1e-4)
    _, record = relax.relax(licoo2, short, seed=1)
    assert not record.relaxed
    assert record.steps == 2
    assert record.fmax_ev_per_angstrom > 1e-4


def test_a_left_handed_cell_is_refused(licoo2):
    mirrored = Structure(licoo2.lattice.matrix * [1, 1, -1], licoo2.species, licoo2.frac_coords)
    with pytest.raises(AssertionError, match="left-handed"):
        relax.relax(mirrored, QUICK, seed=1)


def test_an_energy_that_is_no_number_stops_the_relaxation(licoo2, monkeypatch):
    def broken(graphs, task):
        return {"e": relax.torch.tensor([float("nan")])}

    broken.graph_converter = relax._model().graph_converter
    monkeypatch.setattr(relax, "_model", lambda: broken)
    with pytest.raises(NotConvergedError, match="no finite energy"):
        relax.relax(licoo2, QUICK, seed=1)


def test_the_record_names_model_and_versions(relaxed_licoo2):
    record = relaxed_licoo2[1]
    assert record.model == "CHGNet r2scan"
    assert record.versions["chgnet"] == "0.4.2"
    assert record.rattle_seed == 3
    assert 0 < record.max_stress_gpa < 2


@pytest.mark.parametrize("kind", ["x1.0_pristine", "x1.0_niexcess", "x0.5_vacancy"])
def test_reference_structures_have_their_energy_and_balanced_charges(shared, kind):
    file = shared / "reference/structures" / f"r2scan_NMC622_{kind}.json"
    stored = json.loads(file.read_text())
    structure = Structure.from_dict(stored["structure"])
    assert relax.energy_ev(structure) == pytest.approx(stored["meta"]["e"], abs=1e-3)
    elements = [s.specie.symbol for s in structure]
    states = valence.oxidation_states(elements, structure.site_properties["magmom"], "chgnet")
    assert abs(valence.charge_residual(elements, states)) < 0.25
    in_li_layer = [
        q
        for s, q in zip(structure, states, strict=True)
        if s.specie.symbol == "Ni" and s.properties["sub"] == "Li"
    ]
    assert set(in_li_layer) <= {2} and len(in_li_layer) == (kind == "x1.0_niexcess")
