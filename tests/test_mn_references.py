"""Multiplets and one-electron edges beside measured Mn L2,3 of four oxides."""

import mn_references
import numpy as np
import pytest

from corefuse import config

GRID = mn_references.GRID.energies_ev


@pytest.fixture(scope="module")
def measured(shared):
    return mn_references.measured_edges(shared / "experimental" / "mn_l23_references")


@pytest.fixture(scope="module")
def gpaw(root):
    return mn_references.stored(root / "tests" / "reference" / "mn")


@pytest.fixture(scope="module")
def simulated(gpaw, measured):
    raw = mn_references.multiplet_raw(gpaw, config.Multiplet())
    return {
        name: mn_references.edges(r, measured) for name, r in (("multiplet", raw), ("gpaw", gpaw))
    }


@pytest.fixture(scope="module")
def table(measured, simulated):
    return mn_references.compare(measured, simulated)


def test_the_crystals_are_what_they_are_called():
    for name, compound in mn_references.compounds().items():
        assert compound.crystal.composition.reduced_formula == name
        moments = [m for m in compound.crystal.site_properties["magmom"] if m]
        assert {abs(m) for m in moments} == {7.0 - compound.valence}


def test_stored_runs_carry_their_provenance(gpaw):
    for raw in gpaw.values():
        assert (raw.attrs["status"], raw.attrs["engine"]) == ("ok", "gpaw")
        assert raw.attrs["engine_version"]
        assert "plane_wave_cutoff_ev" in raw.attrs["parameters"]
        assert raw.attrs["note"]


def test_the_files_name_their_compounds(measured):
    assert len(measured) == 6
    assert {mn_references.compound_of(f) for f in measured} == set(mn_references.compounds())


def test_measured_l3_goes_up_and_its_share_down_with_valence(measured):
    found = {name: mn_references.features(edge) for name, edge in measured.items()}
    order = ("Data2_MnO", "Data2_LaMnO3", "Data2_SrMnO3")
    assert np.all(np.diff([found[n].l3_ev for n in order]) > 0.5)
    assert np.all(np.diff([found[n].l3_share for n in order]) < 0)


def test_overlap_finds_a_shift():
    edge = np.exp(-((GRID - 642) ** 2)) + 0.4 * np.exp(-((GRID - 653) ** 2))
    moved = np.interp(GRID, GRID + 0.7, edge)
    cosine, shift = mn_references.overlap(edge, moved)
    assert cosine == pytest.approx(1, abs=1e-3)
    assert shift == pytest.approx(-0.7, abs=0.05)


def test_the_continuum_goes_from_measured_and_simulated_edges_alike(measured, simulated):
    """One electron has a continuum, multiplets have none: past L2 both end at zero."""
    past_l2 = (GRID >= 658) & (GRID <= 660)
    for edge in [*measured.values(), *simulated["gpaw"].values(), *simulated["multiplet"].values()]:
        assert abs(edge[past_l2].mean()) < 1e-3 * edge.max()


def test_multiplets_win_the_branching_that_tells_the_valence(table):
    """Only comparisons: the size of a difference was seen on these files."""
    found = mn_references.summary(table).set_index("spectrum")
    multiplet, gpaw = found.loc["multiplet"], found.loc["gpaw"]
    assert multiplet.l3_share_error < gpaw.l3_share_error, found
    assert multiplet.l2_minus_l3_error_ev < gpaw.l2_minus_l3_error_ev, found
    assert multiplet.l3_share_correlation > gpaw.l3_share_correlation, found


def test_multiplets_win_the_overlap_of_every_file(table):
    by_engine = table.pivot(index="file", columns="spectrum", values="overlap")
    gain = by_engine["multiplet"] - by_engine["gpaw"]
    assert gain.min() > 0, by_engine
    sharp = gain.index.str.endswith("_MnO")
    assert gain[sharp].min() > gain[~sharp].max(), by_engine


def test_a_high_overlap_proves_little(table):
    """Two humps without structure do well for broad edges, and less so for MnO's sharp one."""
    control = table[table.spectrum == mn_references.HUMPS].set_index("file").overlap
    sharp = control.index.str.endswith("_MnO")
    assert control[~sharp].min() > control[sharp].max()


def test_multiplet_l3_shares_follow_the_measured_order(simulated):
    found = {n: mn_references.features(e).l3_share for n, e in simulated["multiplet"].items()}
    assert found["MnO"] > found["LaMnO3"] > found["SrMnO3"]


def test_the_figure_has_a_panel_a_file(measured, simulated, table):
    made = mn_references.figure(measured, simulated, table)
    assert [a.get_title() for a in made.axes if a.get_title()] == list(measured)
