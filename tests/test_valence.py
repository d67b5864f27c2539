"""Valence and spin state from moments; doubts about crossings."""

import mn_references
import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from pymatgen.core import Lattice, Structure

from corefuse.core import files, rawdata
from corefuse.engines.multiplet import ions
from corefuse.structures import build, relax, valence

SPINS = {name: ion.spins for name, ion in ions.load().ions.items()}


def name_of(element, moment, source="chgnet", oxidised=False):
    ion = valence.of_site(element, moment, source, oxidised, SPINS)
    return ion.name, ion.spin


@pytest.mark.parametrize(
    ("element", "moment", "expected"),
    [
        ("Ni", 1.6, ("Ni2+", 1.0)),
        ("Ni", 0.8, ("Ni3+", 0.5)),
        ("Ni", 0.1, ("Ni4+", 0.0)),
        ("Mn", 4.5, ("Mn2+", 2.5)),
        ("Mn", 3.7, ("Mn3+", 2.0)),
        ("Mn", -2.8, ("Mn4+", 1.5)),
        ("Co", 0.05, ("Co3+", 0.0)),
        ("Co", 2.7, ("Co2+", 1.5)),
        ("Co", 3.1, ("Co3+", 2.0)),
    ],
)
def test_moments_of_chgnet(element, moment, expected):
    assert name_of(element, moment) == expected


def test_one_unpaired_electron_on_cobalt_is_four_plus_only_where_electrons_lack():
    assert name_of("Co", 0.7, oxidised=True) == ("Co4+", 0.5)
    assert name_of("Co", 0.7, oxidised=False) == ("Co2+", 0.5)


def test_the_same_moment_can_mean_another_ion_in_gpaw():
    assert name_of("Ni", 1.2, "gpaw") == ("Ni3+", 0.5)
    assert name_of("Ni", 1.2, "chgnet") == ("Ni2+", 1.0)


def rock_salt(metal, lattice_angstrom):
    places = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(lattice_angstrom), [metal, "O"], places
    ).get_primitive_structure()


def layered(metal, a_angstrom, c_angstrom, z_oxygen):
    places = [[0, 0, 0.5], [0, 0, 0], [0, 0, z_oxygen]]
    return Structure.from_spacegroup(
        "R-3m", Lattice.hexagonal(a_angstrom, c_angstrom), ["Li", metal, "O"], places
    ).get_primitive_structure()


# Measured cells. LiNiO2 without its Jahn-Teller distortion, which the average of diffraction lacks.
OXIDES = {
    "Mn2+": mn_references.compounds()["MnO"].crystal,
    "Mn3+": mn_references.compounds()["LaMnO3"].crystal,
    "Mn4+": mn_references.compounds()["MnO2"].crystal,
    "Co2+": rock_salt("Co", 4.26),
    "Co3+": layered("Co", 2.816, 14.05, 0.2605),
    "Ni2+": rock_salt("Ni", 4.177),
}
REGULAR_LINIO2 = layered("Ni", 2.878, 14.19, 0.2583)


def of_chgnet(crystal):
    atoms = Atoms(
        crystal.atomic_numbers, cell=crystal.lattice.matrix, scaled_positions=crystal.frac_coords
    )
    atoms.calc = relax.FrozenCHGNet()
    elements = [site.specie.symbol for site in crystal]
    moments = atoms.calc.get_property("magmoms", atoms)
    return elements, valence.of_sites(elements, moments.tolist(), "chgnet", SPINS)


@pytest.mark.parametrize("expected", OXIDES)
def test_chgnet_moments_of_known_oxides(expected):
    elements, found = of_chgnet(OXIDES[expected])
    assert {ion.name for ion in found if ion} == {expected}
    assert valence.charge_doubt(elements, found) == ""


def test_a_wrong_valence_is_told_by_the_charge_of_the_cell():
    """Regular octahedra of LiNiO2: CHGNet's 1.14 lies past its cut and reads Ni2+."""
    doubt = valence.charge_doubt(*of_chgnet(REGULAR_LINIO2))
    assert doubt == "valences from moments leave -1.00 charges per metal: doubtful"


def charge_a_metal(elements, moments):
    found = valence.of_sites(elements, moments, "gpaw", SPINS)
    of_metals = sum(ion.valence for ion in found if ion)
    rest = elements.count("Li") - 2 * elements.count("O")
    return (of_metals + rest) / sum(ion is not None for ion in found)


def stored_cells(root):
    """Elements and GPAW moments of 64 layered cells; in small ones Mn tells by its moment."""
    for name in ("nmc40", "pristine", "antisite", "vacancy"):
        raw = files.read_netcdf(root / "tests" / "reference" / f"{name}.nc")
        yield raw["element"].values.tolist(), raw["moment_mub"].values.tolist()
    folder = root / "resources" / "ni_k"
    for row in pd.read_csv(folder / "structures" / "index.csv").itertuples():
        raw = files.read_netcdf(folder / "raw" / "gpaw" / f"{row.structure_id}.nc")
        moments = raw["atom_moment_mub"].values.tolist()
        nickel, lithium = set(raw["site"].values.tolist()), round(row.x_li * row.formula_units)
        metals = [
            "Ni" if i in nickel else "Mn" if abs(moments[i]) > 2 else "Co"
            for i in range(lithium, lithium + row.formula_units)
        ]
        yield ["Li"] * lithium + metals + ["O"] * (2 * row.formula_units), moments


def test_gpaw_moments_make_the_stored_layered_cells_neutral(root):
    charges = np.abs([charge_a_metal(*cell) for cell in stored_cells(root)])
    assert len(charges) == 64
    assert (charges <= 0.01).sum() >= 60
    # In two cells of two and three formula units the charge is shared between valences.
    assert (charges > valence.MOST_RESIDUAL).sum() <= 2


def test_charges_are_not_counted_where_other_elements_are_there():
    found = [valence.SiteIon("Ni", 4, 0.0, 0.0), None, None]
    assert valence.charge_doubt(["Ni", "O", "Li"], found) != ""
    assert valence.charge_doubt(["Ni", "O", "Sr"], found) == ""
    assert valence.charge_doubt(["Li", "O"], [None, None]) == ""


@pytest.mark.parametrize("n_li", [1, 12])
def test_states_of_structures_are_the_ions_of_the_multiplets(n_li):
    """One rule: also for high-spin cobalt, in oxidised cells and in others."""
    elements = ["Li", "Ni", "Ni", "Ni", "Mn", "Mn", "Mn", "Co", "Co", "Co", "Co", *["O"] * 18]
    moments = [0.0, 0.1, 0.8, 1.6, 2.8, 3.7, 4.5, 0.05, 0.7, 2.7, 3.1, *[0.0] * 18]
    cell = [*["Li"] * (n_li - 1), *elements]
    values = [*[0.0] * (n_li - 1), *moments]
    states = valence.oxidation_states(cell, values, "chgnet")
    found = valence.of_sites(cell, values, "chgnet", SPINS)
    assert [s for s, i in zip(states, found, strict=True) if i] == [i.valence for i in found if i]
    assert states[-20:-18] == [2, 3]


@pytest.mark.parametrize(
    "element, moment, state",
    [
        ("Ni", 0.1, 4),
        ("Ni", 0.8, 3),
        ("Ni", 1.6, 2),
        ("Mn", 2.8, 4),
        ("Mn", 3.7, 3),
        ("Mn", 4.5, 2),
        ("Co", 0.05, 3),
        ("Li", 0.0, 1),
        ("O", 0.1, -2),
    ],
)
def test_states_follow_the_moments(element, moment, state):
    assert valence.oxidation_states([element], [moment], "chgnet") == [state]


def test_one_unpaired_electron_on_co_is_read_with_the_cell():
    delithiated = ["Co", "Co", "O", "O", "O", "O", "Li"]
    reduced = ["Co", "Co", "O", "O", "O", "Li", "Li"]
    moments = [0.7, *[0.0] * 6]
    assert valence.oxidation_states(delithiated, moments, "chgnet")[:2] == [4, 3]
    assert valence.oxidation_states(reduced, moments, "chgnet")[:2] == [2, 3]
    assert valence.oxidation_states(delithiated, [2.6, *moments[1:]], "chgnet")[0] == 2


def test_charge_residual_is_per_transition_metal():
    assert valence.charge_residual(["Li", "Co", "O", "O"], [1, 3, -2, -2]) == 0
    assert valence.charge_residual(["Ni", "Ni", "O", "O", "O"], [4, 3, -2, -2, -2]) == 0.5


def test_stored_structures_hold_the_states_of_this_rule(root):
    """So that no structure is relaxed again, ``plan.specs.REVISION`` is what it was."""
    cells = [build.read(p) for p in (root / "resources/ni_k/structures").glob("*.json")]
    assert len(cells) == 60
    for cell in cells:
        elements = [site.specie.symbol for site in cell]
        states = valence.oxidation_states(elements, cell.site_properties["magmom"], "chgnet")
        assert cell.site_properties["oxidation_state"] == states


@pytest.mark.parametrize(
    ("name", "expected"),
    [("MnO", "Mn2+"), ("LaMnO3", "Mn3+"), ("SrMnO3", "Mn4+"), ("MnO2", "Mn4+")],
)
def test_gpaw_moments_of_the_manganese_oxides(root, name, expected):
    raw = files.read_netcdf(root / "tests" / "reference" / "mn" / f"{name}.nc")
    moments = rawdata.of_edge(raw, "Mn L2,3")["moment_mub"].values
    assert {name_of("Mn", m, "gpaw")[0] for m in moments} == {expected}


def test_gpaw_moments_of_the_stored_nmc_cells(root):
    for cell in ("pristine", "vacancy"):
        raw = files.read_netcdf(root / "tests" / "reference" / f"{cell}.nc")
        found = {
            edge: {
                name_of(edge[:2], m, "gpaw")[0]
                for m in rawdata.of_edge(raw, edge)["moment_mub"].values
            }
            for edge in ("Mn L2,3", "Co L2,3", "Ni L2,3")
        }
        assert found == {
            "Mn L2,3": {"Mn4+"},
            "Co L2,3": {"Co3+"},
            "Ni L2,3": {"Ni2+", "Ni3+"},
        }


LOW_SPIN = valence.SiteIon("Co", 3, 0.0, 0.05)


def doubts(levels, spins):
    return valence.doubts(LOW_SPIN, np.array(levels), np.array(spins))


def test_a_spin_state_far_below_the_others_raises_no_doubt():
    assert doubts([0.0, 0.4, 0.41], [0.02, 1.9, 2.0]) == []


def test_two_spin_states_within_a_tenth_of_an_ev_are_warned_of():
    for levels, spins in (([0.0, 0.08], [0.0, 2.0]), ([0.0, 0.06], [2.0, 0.0])):
        (warning,) = doubts(levels, spins)
        assert "within" in warning
        assert "Co3+" in warning


def test_a_model_that_crosses_over_is_told():
    (warning,) = doubts([0.0, 0.3, 0.9], [2.0, 2.0, 0.1])
    assert "ground state has S = 2.0" in warning
    assert "0.90 eV below" in warning


def test_a_spin_state_that_is_not_there_is_told():
    (warning,) = doubts([0.0, 0.3], [2.0, 2.0])
    assert "no level with S = 0" in warning
