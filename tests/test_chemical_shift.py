"""What is left of simulated shifts: responses, gains and their spread, and where it ends up."""

import numpy as np
import pandas as pd
import pytest
import rawdata
import xarray as xr

from corefuse import config
from corefuse.core import edge_table
from corefuse.core.edge_table import ChemicalShift, MeasuredShift
from corefuse.core.edges import shift_std_name
from corefuse.learn import dataset
from corefuse.spectra import calibration, chemical_shift, features, process

EDGE = "Ni K"
SETTINGS = config.Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 1.2, "edges": [EDGE]}})
SOURCE = "made up for this test"


def measured(simulated_ev, measured_ev, std_ev=0.1, valence=1.0):
    return MeasuredShift(
        valence_change=valence,
        between=("one", "other"),
        measured_ev=measured_ev,
        measured_std_ev=std_ev,
        simulated_ev=simulated_ev,
        source=SOURCE,
    )


SHIFT = ChemicalShift(
    between="sites",
    response=0.8,
    response_std=0.0,
    correction="gain",
    references=[measured(2.0, 1.0), measured(4.0, 2.0)],
)


@pytest.fixture
def table(root):
    known = edge_table.load(root / "resources" / "edges.yaml")
    return known | {EDGE: known[EDGE].model_copy(update={"chemical_shift": SHIFT})}


def raw(*shifts_ev, **attrs):
    """Sites with one edge 10 eV above their zero, at these core-level shifts."""
    sticks = {10.0 + 0.5 * n: 1.0 + 4.0 * np.exp(-((n - 8.0) ** 2) / 20) for n in range(60)}
    sites = [
        rawdata.channel(EDGE, sticks, i, shift_ev=shift_ev) for i, shift_ev in enumerate(shifts_ev)
    ]
    return rawdata.dataset(sites, "cell").assign_attrs({"engine": "gpaw"} | attrs)


def place(channels):
    return chemical_shift.positions(channels, EDGE, SETTINGS, "half_height", "sites").mean()


def half_height(dataset_, table):
    energies = table[EDGE].grid.energies_ev
    return features.feature_energy(energies, dataset_["Ni_K-XAS"].values, "half_height")


def test_the_gain_is_that_of_the_references_and_no_surer_than_they_agree():
    found = chemical_shift.correction(SHIFT)
    assert found[:2] == pytest.approx((0.5, 0.1 / np.sqrt(20)))
    assert found.per_valence_ev == 0
    torn = SHIFT.model_copy(update={"references": [measured(2.0, 0.5), measured(2.0, 1.5)]})
    found = chemical_shift.correction(torn)
    assert found[:2] == pytest.approx((0.5, 0.25))  # half a unit apart, two of them


def test_a_shift_of_the_wrong_sign_is_corrected_by_the_valence():
    references = [measured(0.8, -0.4), measured(-2.0, -3.2), measured(1.6, -0.8, valence=2.0)]
    update = {"correction": "per_valence", "above_valence": 3.0, "references": references}
    shift = SHIFT.model_copy(update=update)
    found = chemical_shift.correction(shift)
    assert found.per_valence_ev == pytest.approx(-1.2)
    assert (found.gain, found.gain_std) == (1.0, 0.0)
    assert [r.left_over_ev for r in chemical_shift.left_over(shift)] == [0.0, 0.0, 0.0]
    counts = chemical_shift.response(raw(0.0), shift)
    pivot_ev, moves = place(raw(0.0)), {}
    for valence in (2.5, 3.0, 4.0):
        moved, std_ev = chemical_shift.placed(
            raw(0.0), EDGE, SETTINGS, "half_height", counts, pivot_ev, (valence, 3.0)
        )
        moves[valence] = float(moved["core_level_shift_ev"].values[0]), std_ev
    assert moves[2.5] == moves[3.0] == (0.0, 0.0)
    assert moves[4.0] == pytest.approx((-1.2, -found.per_valence_std_ev))


def test_what_the_gain_leaves_over_is_told(table):
    found = calibration.calibrate(raw(0.0), EDGE, SETTINGS, table[EDGE])
    assert found.gain == pytest.approx(0.5)
    assert [r.left_over_ev for r in found.references] == [0.0, 0.0]
    assert found.references[0].source == SOURCE
    assert calibration.from_json(calibration.to_json({EDGE: found})) == {EDGE: found}


def test_a_cell_stands_response_times_gain_as_far_from_the_reference(table):
    known = {EDGE: calibration.calibrate(raw(0.0), EDGE, SETTINGS, table[EDGE])}
    made = {
        shift: process.process({"gpaw": raw(shift)}, SETTINGS, table, known) for shift in (0.0, 3.0)
    }
    at = {shift: half_height(spectra, table) for shift, spectra in made.items()}
    # the lifetime of final states is counted from one threshold, which tells by some 0.03 eV
    assert at[0.0] == pytest.approx(table[EDGE].reference.energy_ev, abs=0.05)
    assert at[3.0] - at[0.0] == pytest.approx(0.8 * 0.5 * 3.0, abs=0.05)
    spread = float(made[3.0][shift_std_name("Ni_K-XAS")])
    assert spread == pytest.approx(known[EDGE].response_std * 3.0, rel=0.01)


def test_sites_come_nearer_to_each_other_by_as_much(table):
    counts = chemical_shift.response(raw(-1.0, 1.0), SHIFT)
    moved, std_ev = chemical_shift.placed(
        raw(-1.0, 1.0), EDGE, SETTINGS, "half_height", counts, place(raw(0.0))
    )
    assert np.diff(moved["core_level_shift_ev"]) == pytest.approx(2.0 * 0.8 * 0.5, abs=1e-6)
    assert std_ev == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("attrs", "value"),
    [
        ({}, 0.4),
        ({"engine": "gpaw_core_hole", "core_hole": "full"}, 0.5),
        ({"engine": "gpaw_core_hole", "core_hole": "half"}, 1.0),
        ({"engine": "fdmnes"}, 1.0),
    ],
)
def test_the_response_is_that_of_the_method(attrs, value):
    assert chemical_shift.response(raw(0.0, **attrs), SHIFT).value == pytest.approx(value)
    assert chemical_shift.response(raw(0.0, **attrs), None) == chemical_shift.AS_SIMULATED


def test_views_of_a_shifted_cell_spread_with_the_gain(table):
    """Those of the reference do not; techniques of one edge move together."""
    shift_std = dict.fromkeys(("Ni_K-XAS", "Ni_K-EELS"), 0.7)
    spectra = stored(shift_std)
    settings = config.Dataset(views=400)
    moves = {m: dataset.gain_moves_ev(spectra, "cell", m, settings) for m in shift_std}
    assert moves["Ni_K-XAS"] == moves["Ni_K-EELS"]
    assert np.std(moves["Ni_K-XAS"]) == pytest.approx(0.7, rel=0.1)
    still = dataset.gain_moves_ev(stored({"Ni_K-XAS": 0.0}), "cell", "Ni_K-XAS", settings)
    assert not np.any(still)


def stored(shift_std):
    return xr.Dataset({shift_std_name(m): v for m, v in shift_std.items()})


def test_nickel_has_the_charge_that_the_other_ions_leave_it():
    """LiNiO2, NMC211 at half charge (Ni3.5+ on half of the sites), NMC622 short of oxygen, CoO2."""
    index = pd.DataFrame(
        {
            "structure_id": ["full", "half", "vacancy", "cobalt", "own"],
            "x_li": [1.0, 0.5, 1.0, 0.0, 1.0],
            "x_ni": [1.0, 0.5, 0.6, 0.0, 0.0],
            "x_mn": [0.0, 0.25, 0.2, 0.0, 0.0],
            "x_co": [0.0, 0.25, 0.2, 1.0, 0.0],
            "v_o_fraction": [0.0, 0.0, 0.25, 0.0, np.nan],
        }
    )
    known = calibration.mean_valences(index)
    assert known.pop("own") is None
    assert known == pytest.approx({"full": 3.0, "half": 3.25, "vacancy": 3.0, "cobalt": 3.0})
