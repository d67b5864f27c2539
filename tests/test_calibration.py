import pandas as pd
import pytest
import rawdata

from corefuse.config import Spectra
from corefuse.core import edge_table
from corefuse.spectra.calibration import (
    calibrate,
    from_json,
    mean_valences,
    reference_structures,
    to_json,
)

L_EDGE = "Co L2,3"


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


@pytest.fixture
def settings():
    return Spectra(
        techniques={
            "XAS": {"gaussian_fwhm_ev": 0.4, "edges": ["O K", "Li K", L_EDGE, "Ni K"]},
            "EELS": {"gaussian_fwhm_ev": 1.5, "edges": ["O K"]},
        }
    )


def index(*rows):
    names = ("structure_id", "x_li", "x_ni", "x_mn", "x_co", "defect_class")
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])


def chosen(frame, edge, table):
    return reference_structures(frame, [edge], table).get(edge)


def test_pristine_comes_first_then_li_then_composition_then_id(table):
    frame = index(
        ("lco-vo", 1.0, 0.0, 0.0, 1.0, "vacancy"),
        ("lco-half", 0.5, 0.0, 0.0, 1.0, "pristine"),
        ("nmc622", 1.0, 0.6, 0.2, 0.2, "pristine"),
        ("nmc111-b", 1.0, 1 / 3, 1 / 3, 1 / 3, "pristine"),
        ("nmc111-a", 1.0, 1 / 3, 1 / 3, 1 / 3, "pristine"),
    )
    assert (
        chosen(frame, "O K", table) == "nmc111-a"
    )  # the LiCoO2 cells are defective or delithiated
    assert chosen(frame[~frame.structure_id.str.startswith("nmc111")], "O K", table) == "nmc622"
    assert chosen(frame, "Ni K", table) == "nmc622"
    assert chosen(frame[frame.structure_id.str.startswith("lco")], "O K", table) == "lco-half"


def test_the_reference_holds_the_element_and_absence_gives_no_entry(table):
    frame = index(
        ("lno", 1.0, 1.0, 0.0, 0.0, "pristine"),
        ("nmc-vo", 0.0, 0.5, 0.3, 0.2, "vacancy"),
    )
    assert chosen(frame, "Mn L2,3", table) == "nmc-vo"
    only_ni = frame[frame.structure_id == "lno"]
    assert reference_structures(only_ni, ["O K", "Mn L2,3", "Ni K"], table).keys() == {
        "O K",
        "Ni K",
    }


def test_the_constant_takes_the_peak_to_the_reference(table, settings):
    raw = rawdata.dataset([rawdata.channel(L_EDGE, {3.0: 1.0}, shift_ev=100.0)], "lco")
    found = calibrate(raw, L_EDGE, settings, table[L_EDGE])
    assert found.feature_on_common_axis_ev == pytest.approx(103.0, abs=0.02)
    assert found.constant_ev == pytest.approx(780.7 - 103.0, abs=0.02)
    assert found.threshold_ev == pytest.approx(780.7 - 3.0, abs=0.02)
    assert (found.structure_id, found.feature) == ("lco", "peak")
    assert found.source == table[L_EDGE].reference.source


def test_every_site_has_its_say(table, settings):
    sites = [rawdata.channel(L_EDGE, {3.0: 1.0}, i, shift_ev=s) for i, s in enumerate((0.0, 0.2))]
    found = calibrate(rawdata.dataset(sites), L_EDGE, settings, table[L_EDGE])
    assert found.feature_on_common_axis_ev == pytest.approx(3.1, abs=0.02)
    assert found.threshold_ev - found.constant_ev == pytest.approx(0.1)


def test_the_pre_edge_calibrates_even_below_a_higher_main_band(table, settings):
    raw = rawdata.dataset([rawdata.channel("O K", {1.5: 0.3, 12.0: 3.0, 14.0: 3.0})])
    found = calibrate(raw, "O K", settings, table["O K"])
    assert found.feature_on_common_axis_ev == pytest.approx(1.5, abs=0.05)


def test_an_edge_without_spectra_cannot_calibrate(table, settings):
    raw = rawdata.dataset([rawdata.channel("O K", {1.5: 1.0})])
    with pytest.raises(ValueError, match="synthetic has no Ni K spectrum"):
        calibrate(raw, "Ni K", settings, table["Ni K"])


def test_json_round_trip(table, settings):
    raw = rawdata.dataset([rawdata.channel(L_EDGE, {3.0: 1.0})])
    calibration = {L_EDGE: calibrate(raw, L_EDGE, settings, table[L_EDGE])}
    stored = to_json(calibration)
    assert from_json(stored) == calibration
    assert {"constant_ev", "structure_id", "feature", "reference_energy_ev", "source"} <= (
        stored[L_EDGE].keys()
    )


def test_another_family_finds_its_own_reference_and_no_valence_of_layered_oxides(table):
    layered = {"structure_id": "nmc", "defect_class": "pristine", "x_li": 1.0, "x_ni": 1.0}
    olivine = {"structure_id": "lfp", "defect_class": "", "x_li": 1.0, "x_fe": 1.0, "x_p": 1.0}
    index = pd.DataFrame([layered, olivine]).assign(x_mn=0.0, x_co=0.0, v_o_fraction=0.0)
    index["x_ni"] = index.x_ni.fillna(0.0)
    chosen = reference_structures(index, ["Fe L2,3", "Ni L2,3"], table)
    assert chosen == {"Fe L2,3": "lfp", "Ni L2,3": "nmc"}
    assert mean_valences(index) == {"nmc": 3.0, "lfp": None}
