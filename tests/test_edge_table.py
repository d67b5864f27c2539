import ast

import numpy as np
import pandas as pd
import pytest
import xraydb
import yaml

from corefuse.config import MeasuredSpectrum
from corefuse.core import edge_table
from corefuse.core.edges import EDGES
from corefuse.core.errors import InputError
from corefuse.read.measured import prepare, read
from corefuse.spectra.features import feature_energy


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


def test_every_edge_has_an_axis_a_window_and_a_source(table):
    assert list(table) == [edge for edge in EDGES if edge in table]
    assert len(table) >= 8
    for entry in table.values():
        assert 100 <= len(entry.grid.energies_ev) <= 170
        assert sum(entry.reference.compound.values()) == pytest.approx(1, abs=1e-3)
        assert len(entry.reference.source) > 60


def test_the_tabulated_thresholds_lie_on_the_axes(table):
    for name, entry in table.items():
        element, levels = EDGES[name].element, EDGES[name].levels
        if element == "O":
            continue  # 543.1 eV is the free atom; oxides start 13 eV lower
        for level in levels:
            tabulated = xraydb.xray_edge(element, level, energy_only=True)
            assert entry.grid.start_ev < tabulated < entry.grid.stop_ev


@pytest.mark.parametrize("edge, splitting", [("Mn L2,3", 11.2), ("Co L2,3", 15.1), ("O K", 0)])
def test_spin_orbit_splitting(edge, splitting):
    assert edge_table.spin_orbit_splitting_ev(edge) == pytest.approx(splitting, abs=0.01)


def test_l3_has_twice_the_share_of_l2_which_is_broader():
    l3, l2 = edge_table.lines("Ni L2,3", 0.4)
    assert l3.share / l2.share == pytest.approx(2)
    assert (l3.offset_ev, l3.core_hole_fwhm_ev) == (0, pytest.approx(0.48))
    assert l2.core_hole_fwhm_ev == pytest.approx(0.52 + 0.4)


def test_the_coster_kronig_width_is_for_l2_only():
    assert edge_table.lines("O K", 0.4) == edge_table.lines("O K", 0.0)
    assert edge_table.lines("O K", 0.4)[0].share == 1


def broken(root, change):
    data = yaml.safe_load((root / "resources" / "edges.yaml").read_text())
    change(data)
    return data


@pytest.mark.parametrize(
    "change, key",
    [
        (lambda d: d.update({"Xe K": d["Mn K"]}), "Xe K"),
        (lambda d: d["O K"].update(windw_ev=[525, 549]), "O K.windw_ev"),
        (lambda d: d["O K"].pop("window_ev"), "O K.window_ev"),
        (lambda d: d["O K"].update(window_ev=[525, 570]), "O K"),
        (lambda d: d["O K"].update(window_ev=[535, 549]), "O K"),
        (lambda d: d["O K"]["grid"].update(step_ev=0.7), "O K.grid"),
        (lambda d: d["O K"]["reference"].update(feature="knee"), "O K.reference.feature"),
        (lambda d: d["O K"]["reference"].update(compound={"Xe": 1}), "O K.reference.compound.Xe"),
    ],
)
def test_a_fault_in_the_table_names_file_and_key(root, tmp_path, change, key):
    file = tmp_path / "edges.yaml"
    file.write_text(yaml.safe_dump(broken(root, change)))
    with pytest.raises(InputError) as caught:
        edge_table.load(file)
    assert caught.value.file == str(file)
    assert caught.value.key.startswith(key)
    assert caught.value.fix


CORRECTED = {"energy_scale": 1.029, "energy_offset_ev": -5.2}


@pytest.mark.parametrize(
    "edge, file, axis",
    [
        ("Co L2,3", "eels_si_doped_nmc/TM_Ni_edge.msa", CORRECTED),
        ("Ni L2,3", "eels_si_doped_nmc/TM_Co_edge.msa", CORRECTED),
        ("Mn K", "tm_k_references/MnO2_rt_01.xdi", {}),
        ("Ni K", "rfxas/experiment.csv", {}),
    ],
)
def test_the_measured_references_are_read_from_the_files_they_name(
    shared, tmp_path, table, edge, file, axis
):
    path = shared / "experimental" / file
    if path.parent.name == "rfxas":  # a table of compounds, each spectrum in one of its cells
        rows = pd.read_csv(path).set_index(["absorbing_species", "formula"])
        row = rows.loc[("Ni", "LiNiO2")]
        spectrum = [ast.literal_eval(row[c]) for c in ("x_axis_energy", "interp_spectrum")]
        path = tmp_path / "spectrum.csv"
        np.savetxt(path, np.transpose(spectrum), delimiter=",")
    measured = MeasuredSpectrum(edge=edge, technique="EELS", file=str(path), **axis)
    spectrum = prepare(read(measured, table), table[edge])
    reference = table[edge].reference
    found = feature_energy(table[edge].grid.energies_ev, spectrum, reference.feature)
    assert found == pytest.approx(reference.energy_ev, abs=0.08)


def test_the_manganese_reference_is_the_mean_of_two_measured_peaks(shared, table):
    folder = shared / "experimental" / "mn_l23_references"
    peaks = []
    for name in ("Data2_SrMnO3.csv", "Data3_MnO2.csv"):
        energy, intensity = np.loadtxt(folder / name, delimiter=",", skiprows=1).T
        peaks.append(energy[np.argmax(intensity)])
    assert table["Mn L2,3"].reference.energy_ev == pytest.approx(np.mean(peaks), abs=0.02)
