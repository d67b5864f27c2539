"""Files as users have them, public bug reports among them: right values, or the right refusal."""

import numpy as np
import pytest

from corefuse.config import MeasuredSpectrum
from corefuse.core import edge_table
from corefuse.core.errors import InputError
from corefuse.read import files, measured
from corefuse.read.background import steepest_ev
from corefuse.read.files import Wanted, detectors


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


@pytest.fixture(scope="module")
def cases(shared):
    folder = shared / "experimental" / "field_reports"
    if not folder.exists():
        pytest.skip("no field reports beside the project")
    return folder


@pytest.fixture(scope="module")
def load(cases, table):
    def load_one(file, edge="Ni K", technique="XAS", **keys):
        if "low_loss" in keys:
            keys["low_loss"] = str(cases / keys["low_loss"])
        asked = MeasuredSpectrum(edge=edge, technique=technique, file=str(cases / file), **keys)
        return measured.load(asked, table)

    return load_one


@pytest.fixture(scope="module")
def nio(load, table):
    """The standard form of the NiO scan, as two columns that someone else made of it."""
    return measured.prepare(load("04-xdac-i0-it/nio_mu.csv").spectrum, table["Ni K"])


@pytest.mark.parametrize(
    ("file", "keys", "tolerance"),
    [
        ("04-xdac-i0-it/nio_xdac.000", {}, 1e-4),
        ("04-xdac-i0-it/nio_xdac.000", {"column": "ln(I0/It)"}, 1e-4),
        ("04-xdac-i0-it/nio_xdac.000", {"column": "ln($2/$3)"}, 1e-4),
        ("04-xdac-i0-it/nio_xdi_names.xdi", {}, 1e-4),
        ("04-xdac-i0-it/nio_mutrans_murefer.xdi", {}, 1e-3),
        ("01-mrcat-quick-scan/tail_jitter.dat", {}, 1e-3),
        ("05-athena-prj/NiO.prj", {"group": "NiO.000"}, 1e-4),
        ("05-athena-prj/NiO.prj", {"group": 1}, 1e-4),
        ("06-encoder-angle/nio_pf.dat", {}, 2e-3),
        ("06-encoder-angle/nio_xdi_angle.xdi", {}, 2e-3),
        ("07-spec-many-scans/one_scan.spec", {}, 1e-4),
        ("07-spec-many-scans/two_scans.spec", {"scan": 1}, 1e-4),
        ("07-spec-many-scans/two_scans.spec", {"scan": 2, "energy_offset_ev": -2.0}, 1e-4),
        ("09-binary-as-text/nio.nxs", {}, 1e-3),
        ("09-binary-as-text/nio.xlsx", {}, 1e-3),
        ("10-locale-and-encoding/bom_crlf.csv", {}, 1e-3),
        ("10-locale-and-encoding/count_first.txt", {}, 1e-3),
        ("10-locale-and-encoding/de_semicolon.csv", {}, 1e-3),
        ("10-locale-and-encoding/de_space.txt", {}, 1e-3),
        ("10-locale-and-encoding/fortran_d.txt", {}, 1e-3),
        ("10-locale-and-encoding/nan_rows.csv", {}, 6e-3),
        ("10-locale-and-encoding/plain_comma_comma.csv", {}, 1e-3),
        ("10-locale-and-encoding/thousands_energy_semicolon.csv", {}, 5e-3),
        ("10-locale-and-encoding/thousands_plain_tab.txt", {}, 2e-3),
        ("10-locale-and-encoding/title_trailing_text.csv", {}, 1e-3),
        ("10-locale-and-encoding/units_row.csv", {}, 1e-3),
        ("10-locale-and-encoding/utf16_tab.txt", {}, 1e-3),
        ("14-near-duplicate-energies/both_0.005.dat", {}, 6e-3),
        ("15-groups-and-names/pairs.csv", {"column": "NiO"}, 1e-3),
        ("15-groups-and-names/athena_marked.xmu", {"column": "NiO.000"}, 1e-3),
        ("15-groups-and-names/athena.nor", {}, 2e-3),
        ("19-xdi-bad-files/shutter.csv", {}, 1e-2),
    ],
)
def test_one_scan_in_every_form_is_the_same_spectrum(load, table, nio, file, keys, tolerance):
    found = load(file, **keys)
    prepared = measured.prepare(found.spectrum, table["Ni K"])
    assert np.nanmax(np.abs(prepared - nio)) < tolerance * np.nanmax(nio)
    assert not found.doubts


@pytest.mark.parametrize(
    ("file", "keys", "e0_ev"),
    [
        ("01-mrcat-quick-scan/MnO2.dat", {}, 6557.0),
        ("05-athena-prj/Pyrolusite.xmu", {}, 6557.9),
        ("05-athena-prj/Mn3O4.xmu", {"energy_offset_ev": 19.1}, 6547.1),
        ("05-athena-prj/MnO.xmu", {}, 6543.1),
        ("05-athena-prj/Mn2O3x.xmu", {}, 6552.9),
        ("05-athena-prj/Li2MnO3.xmu", {}, 6556.6),
        ("05-athena-prj/g-MnOOH.xmu", {}, 6549.4),
    ],
)
def test_edge_energies_are_those_of_athena(load, file, keys, e0_ev):
    """Athena's E0 less its shift, as told in the projects these groups come from."""
    note = next(n for n in load(file, "Mn K", **keys).notes if n.startswith("edge at"))
    assert float(note.split()[2]) == pytest.approx(e0_ev, abs=0.3)


def test_two_laboratories_agree_on_mno2(load, table):
    half = []
    for file in ("01-mrcat-quick-scan/MnO2.dat", "05-athena-prj/Pyrolusite.xmu"):
        prepared = measured.prepare(load(file, "Mn K").spectrum, table["Mn K"])
        half.append(table["Mn K"].grid.energies_ev[np.argmax(prepared > np.nanmax(prepared) / 2)])
    assert half[0] == pytest.approx(half[1], abs=0.25)


def test_the_foil_behind_the_sample_comes_with_it(load):
    """Ni metal behind NiO, raw, from an XDI file and from the project of the same scans."""
    places = []
    for file, keys in (
        ("04-xdac-i0-it/nio_xdac.000", {}),
        ("04-xdac-i0-it/nio_mutrans_murefer.xdi", {}),
        ("05-athena-prj/NiO.prj", {"group": "NiO.000"}),
    ):
        foil = load(file, **keys).reference
        places.append(steepest_ev(foil.energy_ev, foil.intensity, (8320, 8340)))
    foil = load("04-xdac-i0-it/ni_foil.csv").spectrum
    alone = steepest_ev(foil.energy_ev, foil.intensity, (8320, 8340))
    assert places == pytest.approx([alone] * 3, abs=0.15)


@pytest.mark.parametrize(
    ("file", "keys", "doubt"),
    [
        ("02-over-thick/aps12bm_Mn.dat", {"edge": "Mn K"}, "exactly 0 at 66 points"),
        ("02-over-thick/aps12bm_Mn.dat", {"edge": "Mn K", "column": 8}, "exactly 0 at 66 points"),
        ("02-over-thick/aps12bm_Mn.dat", {"edge": "Mn K"}, "too close together for Bragg"),
        ("02-over-thick/nio_t4_leak0.xdi", {}, "edge step 3"),
        ("02-over-thick/nio_t8_leak0.01.xdi", {}, "edge step 4.3"),
        ("13-fluorescence-channels/ni_4ch.xdi", {"column": "roi1"}, "set column: roi1/i0"),
        ("13-fluorescence-channels/ni_raw_if_i0_dip.dat", {"column": "if"}, "column: if/i0"),
    ],
)
def test_what_a_detector_cannot_tell_is_doubted(load, file, keys, doubt):
    assert doubt in "; ".join(load(file, **keys).doubts)


def test_a_thin_sample_is_not_doubted(load):
    assert not load("02-over-thick/nio_t1_leak0.xdi").doubts


def test_a_dip_of_the_beam_and_a_dead_element_do_no_harm(load, table):
    right, raw, four = (
        measured.prepare(load(f"13-fluorescence-channels/{name}").spectrum, table["Ni K"])
        for name in ("ni_if_i0_dip_right.xdi", "ni_raw_if_i0_dip.dat", "ni_4ch.xdi")
    )
    assert np.nanmax(np.abs(raw - right)) < 1e-9
    assert np.nanmax(np.abs(four - right)) < 0.03 * np.nanmax(right)
    assert any("roi4" in note for note in load("13-fluorescence-channels/ni_4ch.xdi").notes)


def test_electron_yield_is_divided_by_its_beam(load):
    ready = load("16-soft-xas/tey_over_i0.csv", "O K").spectrum
    raw = load("16-soft-xas/tey_i0.txt", "O K", mode="TEY").spectrum
    written = load("16-soft-xas/tey_i0.txt", "O K", column="TEY/I0").spectrum
    for one in (raw, written):
        assert one.intensity / one.intensity[-1] == pytest.approx(
            ready.intensity / ready.intensity[-1], abs=2e-3
        )


def test_each_spectrum_of_a_table_has_the_energies_left_of_it(load, table):
    places = {}
    for column in ("NiO", "NiO_001"):
        found = load("15-groups-and-names/pairs.csv", column=column).spectrum
        places[column] = steepest_ev(found.energy_ev, found.intensity, table["Ni K"].window_ev)
    drifted = load("04-xdac-i0-it/nio_001_drifted.csv").spectrum
    alone = steepest_ev(drifted.energy_ev, drifted.intensity, table["Ni K"].window_ev)
    assert places["NiO_001"] == pytest.approx(alone + 1.0, abs=0.05)


def test_dual_eels_gives_the_core_loss_and_its_own_low_loss(load):
    core = "11-dual-eels/core.hspy"
    low = "11-dual-eels/low.hspy"
    dual = ("11-dual-eels/dual_low_first.hspy", "11-dual-eels/dual_low_sorts_first.hspy")
    power_law = {"edge": "O K", "technique": "EELS", "background": "power_law"}
    apart = load(core, **power_law, low_loss=low).spectrum
    for file in dual:
        single = load(file, **power_law).spectrum
        assert single.energy_ev[0] > 400
        both = load(file, **power_law, low_loss=file).spectrum
        assert both.intensity == pytest.approx(apart.intensity, rel=1e-6)


def test_a_low_loss_needs_no_calibrated_axis(load):
    kept = {"edge": "O K", "technique": "EELS", "background": "power_law"}
    right, moved = (
        load("12-eels-dm/P_EELS_STO.dm3", **kept, low_loss=f"12-eels-dm/low_{name}.csv")
        for name in ("calibrated", "uncalibrated")
    )
    assert moved.spectrum.intensity == pytest.approx(right.spectrum.intensity, rel=1e-3, abs=1.0)
    assert any("zero loss at 35.0 eV" in note for note in moved.notes)


@pytest.mark.parametrize(
    ("file", "keys", "told"),
    [
        ("01-mrcat-quick-scan/MnO2.dat", {"edge": "Mn K", "column": "It"}, r"column: ln\(Io/It\)"),
        ("05-athena-prj/NiO.prj", {}, r"2 scans: 1 \(NiO.000.*2 \(Ref NiO.000.*give scan"),
        ("05-athena-prj/p.json", {}, r"4 scans: 1 \(FeXANES"),
        ("05-athena-prj/Mn3O4.xmu", {"edge": "Mn K"}, "an edge is at 6528 eV, -24 eV"),
        ("07-spec-many-scans/two_scans.spec", {}, r"2 scans: 1 \(1 +ascan .*8135 to 9571.97"),
        (
            "08-velox-emd/core_mean.csv",
            {"edge": "O K", "technique": "EELS", "background": "power_law"},
            "no O K is visible",
        ),
        ("09-binary-as-text/nio.npz", {}, "archive of NumPy arrays"),
        ("09-binary-as-text/point.ser", {}, "reaches from -20.0 to 184.6 eV"),
        (
            "11-dual-eels/core.hspy",
            {
                "edge": "O K",
                "technique": "EELS",
                "background": "power_law",
                "low_loss": "11-dual-eels/core.hspy",
            },
            "O_K-EELS.low_loss: it reaches from 350",
        ),
        (
            "12-eels-dm/P_EELS_STO.dm3",
            {"edge": "Mn L2,3", "technique": "EELS", "background": "power_law"},
            "no Mn L2,3 is visible",
        ),
        (
            "12-eels-dm/P_EELS_STO.dm3",
            {"edge": "Co L2,3", "technique": "EELS", "background": "power_law"},
            "no Co L2,3 is visible",
        ),
        ("15-groups-and-names/pairs.csv", {}, "2 energy columns, up to 1 eV apart"),
        ("15-groups-and-names/athena_marked.xmu", {}, "NiO.000, Ref_NiO, NiO 20 deg C is the"),
        ("16-soft-xas/tey_i0.txt", {"edge": "O K"}, "which of TEY/I0, TFY/I0"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_cause(load, file, keys, told):
    with pytest.raises(InputError, match=told) as caught:
        load(file, **keys)
    assert "\n" not in str(caught.value)


SCANS = {
    "6_Ti.0001": ("ln(I0/IT)", 4984.7, 0.487),
    "APS10BM_2019.dat": ("ln(Io/It)", 6556.5, 0.795),
    "APS12BM_2019.dat": ("mu01", 6551.0, 6.8),
    "APS13ID_2019.dat": ("Mn_Ka_mca1", 6535.5, 0.0215),
    "APS20BM_2001.dat": ("ln(I0/I1)", 7122.8, 1.07),
    "APS9BM_2019.dat": ('ln("I0-32"/"It-32")', 6540.7, 0.229),
    "CLSHXMA.dat": ('ln("$(Detector2)"/"$(Detector3)")', 11866.0, 0.733),
    "ESRF_BM08_LISA_2021.dat": ("'mu'", None, None),
    "NSLS6BM_2019.dat": ("'xmu'", 5466.5, 582),
    "PFBL12C_2005.dat": ("ln(i0/itrans)", 12279.1, 1.02),
    "SSRL1_2006.dat": ("ln(I0/I1)", 25521.0, 0.548),
}


@pytest.mark.parametrize("name", SCANS)
def test_raw_scans_of_eight_light_sources_become_absorption(shared, name):
    """Edges by their tabulated energies: Ti, Mn, Fe, As, V, Hg L3 and Ag, within chemistry."""
    file = shared / "experimental" / "beamline_scans" / name
    if not file.exists():
        pytest.skip("no beamline scans beside the project")
    formula, e0_ev, step = SCANS[name]
    recorded = files.read(file, Wanted())
    assert any(formula in note for note in recorded.notes), recorded.notes
    energy_ev = recorded.energy * files.EV_PER_UNIT[recorded.unit or "eV"]
    assert np.all(np.diff(energy_ev) > 0)
    if e0_ev:
        assert detectors.find_edge(energy_ev, recorded.counts) == pytest.approx(e0_ev, abs=1.0)
        found = detectors.jump(energy_ev, recorded.counts, e0_ev)[0]
        assert found == pytest.approx(step, rel=0.1)


def test_foils_of_raw_scans_stand_where_they_are_tabulated(shared):
    """Ti 4966, Mn 6539, Ge 11103 and Ag 25514 eV (xraydb), as the beamlines calibrated them."""
    folder = shared / "experimental" / "beamline_scans"
    if not folder.exists():
        pytest.skip("no beamline scans beside the project")
    for name, known_ev in (
        ("6_Ti.0001", 4966.0),
        ("APS10BM_2019.dat", 6539.0),
        ("ESRF_BM08_LISA_2021.dat", 11103.0),
        ("SSRL1_2006.dat", 25514.0),
    ):
        recorded = files.read(folder / name)
        near = (known_ev - 30, known_ev + 30)
        found = steepest_ev(recorded.energy, recorded.reference, near)
        assert found == pytest.approx(known_ev, abs=12.0), name


def test_every_group_of_an_athena_project_is_listed_and_read(shared):
    file = shared / "experimental" / "athena" / "NiO.prj"
    if not file.exists():
        pytest.skip("no Athena project beside the project")
    listed = files.contents(file)
    assert len(listed) == 24
    labels = [line.split(",")[0] for line in listed]
    assert "NiO.000" in labels
    for number in range(1, 25):
        recorded = files.read(file, Wanted(part=number))
        assert recorded.energy.size > 100
