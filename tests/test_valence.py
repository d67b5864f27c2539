"""Valence and spin state from moments; doubts about crossings."""

import numpy as np
import pytest

from corefuse import files, ions, rawdata, relax, valence

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


def test_chgnet_valences_are_those_of_the_structures():
    """One rule in two places: the structure stage writes states with its own cuts."""
    elements = ["Li", "Ni", "Ni", "Ni", "Mn", "Mn", "Mn", "Co", "Co", *["O"] * 16]
    moments = [0.0, 0.1, 0.8, 1.6, 2.8, 3.7, 4.5, 0.05, 0.7, *[0.0] * 16]
    for n_li in (1, 12):
        cell = [*["Li"] * (n_li - 1), *elements]
        values = [*[0.0] * (n_li - 1), *moments]
        states = relax.oxidation_states(cell, values)
        found = valence.of_sites(cell, values, "chgnet", SPINS)
        assert [s for s, i in zip(states, found, strict=True) if i] == [
            i.valence for i in found if i
        ]


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
