import numpy as np
import pytest
import rawdata
import xarray as xr

from corefuse.config import Spectra
from corefuse.core import edge_table, files
from corefuse.core.edges import EDGES
from corefuse.core.errors import InputError
from corefuse.core.rawdata import failed, of_edge, with_atoms
from corefuse.core.spectrum import SpectrumError, window_area
from corefuse.spectra.calibration import calibrate
from corefuse.spectra.features import feature_energy, pre_edge_metrics
from corefuse.spectra.process import process, site_spectra

O_PEAKS = {1.5: 0.3, 12.0: 3.0, 14.0: 3.0}
PEAKS = {
    "O K": O_PEAKS,
    "Li K": {10.0: 1.0, 16.0: 2.0},
    "Mn L2,3": {3.0: 1.0},
    "Co L2,3": {3.0: 1.0},
    "Ni L2,3": {4.0: 1.0},
    "Mn K": {12.0: 1.0, 18.0: 1.0},
    "Co K": {12.0: 1.0, 18.0: 1.0},
    "Ni K": {12.0: 1.0, 18.0: 1.0},
}


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


@pytest.fixture(scope="module")
def settings():
    return Spectra(
        techniques={
            "XAS": {"gaussian_fwhm_ev": 0.4, "edges": list(PEAKS)},
            "EELS": {"gaussian_fwhm_ev": 1.5, "edges": ["O K", "Ni L2,3"]},
        }
    )


@pytest.fixture(scope="module")
def raw():
    """Two oxygen sites, the second shifted and its main band moved, and one site an edge."""
    other = [rawdata.channel(e, p, 5) for e, p in PEAKS.items() if e != "O K"]
    first = rawdata.channel("O K", O_PEAKS, 3)
    second = rawdata.channel("O K", {1.5: 0.3, 13.0: 3.0, 16.0: 1.0}, 4, shift_ev=0.3)
    return rawdata.dataset([first, second, *other])


@pytest.fixture(scope="module")
def calibration(raw, table, settings):
    return {edge: calibrate(raw, edge, settings, table[edge]) for edge in PEAKS}


@pytest.fixture(scope="module")
def processed(raw, table, settings, calibration):
    return process({"gpaw": raw}, settings, table, calibration)


def test_the_contract(processed, table, settings):
    assert processed.attrs["status"] == "ok"
    assert processed.attrs["structure_id"] == "synthetic"
    assert '"final_state_lorentzian_fwhm_per_ev":0.1' in processed.attrs["parameters"].replace(
        " ", ""
    )
    for modality in settings.modalities():
        (axis,) = processed[modality].dims
        assert axis == f"energy_{modality.rsplit('-', 1)[0]}"
        assert processed[f"{modality}_site_std"].dims == (axis,)
    for edge, entry in ((e, table[e]) for e in PEAKS):
        axis = f"energy_{EDGES[edge].id}"
        assert processed[axis].values == pytest.approx(entry.grid.energies_ev)
        assert processed[f"dos_{EDGES[edge].id}"].dims == ("l", axis)


def test_every_spectrum_has_area_one_over_its_window(processed, table, settings):
    for technique, chosen in settings.techniques.items():
        for edge in chosen.edges:
            spectrum = processed[f"{EDGES[edge].id}-{technique}"].values
            entry = table[edge]
            assert window_area(entry.grid.energies_ev, spectrum, entry.window_ev) == pytest.approx(
                1
            )
            assert spectrum.min() > -0.03 * spectrum.max()


def test_the_calibrated_feature_stands_at_its_reference(processed, table):
    for edge, entry in ((e, table[e]) for e in PEAKS):
        spectrum = processed[f"{EDGES[edge].id}-XAS"].values
        found = feature_energy(entry.grid.energies_ev, spectrum, entry.reference.feature)
        assert found == pytest.approx(entry.reference.energy_ev, abs=0.06), edge


def test_l3_and_l2_stand_apart_by_the_spin_orbit_splitting_with_areas_two_to_one(
    processed, settings
):
    spectrum, energy = processed["Ni_L23-XAS"].values, processed["energy_Ni_L23"].values
    split = edge_table.spin_orbit_splitting_ev("Ni L2,3")
    peak = feature_energy(energy, spectrum, "peak")
    low = energy < peak + split / 2
    second = feature_energy(energy[~low], spectrum[~low], "peak")
    assert second - peak == pytest.approx(split, abs=0.05)
    near = [np.abs(energy - p) < 5 for p in (peak, second)]
    ratio = np.divide(*(np.trapezoid(spectrum[n], energy[n]) for n in near))
    # the standard form takes the end of L2's Lorentzian for continuum
    assert ratio == pytest.approx(2, rel=0.1)
    # the Coster-Kronig width makes L2 less than half as high as L3
    assert spectrum[~low].max() < 0.45 * spectrum.max()


def test_mean_and_standard_deviation_are_over_sites_on_one_scale(
    raw, processed, settings, table, calibration
):
    sites = site_spectra(of_edge(raw, "O K"), "O K", "XAS", settings, table, calibration)
    assert sites["site"].values.tolist() == [3, 4]
    first, second = sites.values
    assert processed["O_K-XAS"].values == pytest.approx((first + second) / 2)
    assert processed["O_K-XAS_site_std"].values == pytest.approx(np.abs(first - second) / 2)
    # the second site has less intensity, and a joint scale keeps it so
    entry = table["O K"]
    areas = [window_area(entry.grid.energies_ev, s, entry.window_ev) for s in (first, second)]
    assert areas[1] / areas[0] == pytest.approx(4.3 / 6.3, rel=0.02)


def test_one_site_has_no_spread(processed):
    assert not processed["Ni_L23-XAS_site_std"].values.any()
    assert processed["O_K-XAS_site_std"].values.max() > 0


def test_the_order_of_sites_does_not_matter(raw, processed, settings, table, calibration):
    turned = raw.isel(channel=slice(None, None, -1))
    xr.testing.assert_allclose(
        process({"gpaw": turned}, settings, table, calibration), processed, rtol=1e-12
    )


def test_repeating_every_site_changes_nothing(raw, processed, settings, table, calibration):
    double = xr.concat([raw, raw], "channel", data_vars="minimal")
    xr.testing.assert_allclose(
        process({"gpaw": double}, settings, table, calibration), processed, rtol=1e-12
    )


def test_a_constant_on_all_core_levels_is_calibrated_away(raw, processed, settings, table):
    moved = raw.assign(core_level_shift_ev=raw["core_level_shift_ev"] - 543.21)
    again = {edge: calibrate(moved, edge, settings, table[edge]) for edge in PEAKS}
    out = process({"gpaw": moved}, settings, table, again)
    for name in ("O_K-XAS", "Ni_L23-EELS", "dos_O_K"):
        assert out[name].values == pytest.approx(processed[name].values, abs=2e-3)


def test_another_structure_keeps_its_shift_on_the_calibrated_axis(
    processed, settings, table, calibration
):
    other = rawdata.dataset([rawdata.channel("Ni L2,3", {4.0: 1.0}, shift_ev=1.25)])
    out = process({"gpaw": other}, settings, table, calibration)
    energy = out["energy_Ni_L23"].values
    peaks = [feature_energy(energy, d["Ni_L23-XAS"].values, "peak") for d in (processed, out)]
    assert peaks[1] - peaks[0] == pytest.approx(1.25, abs=0.03)


def test_the_dos_stands_under_its_spectrum_in_states_per_ev(processed):
    energy = processed["energy_Ni_L23"].values
    dos = processed["dos_Ni_L23"].sel(l=2).values
    top = feature_energy(energy, processed["Ni_L23-XAS"].values, "peak")
    assert feature_energy(energy, dos, "peak") == pytest.approx(top, abs=0.05)
    # one stick of 3 states for l = 2, seen once and not again at L2
    assert np.trapezoid(dos, energy) == pytest.approx(3, rel=0.03)
    assert np.trapezoid(dos[energy > top + 12], energy[energy > top + 12]) < 0.1


def test_an_engine_without_states_of_its_own_stands_over_gpaws(raw, settings, table, calibration):
    """The same site from an engine that gives none: the states stand where GPAW has them."""
    nickel = of_edge(raw, "Ni L2,3")
    other = nickel.assign(dos=nickel["dos"] * 0)
    dos = np.zeros((6, 3, nickel.sizes["energy"]))
    dos[5] = nickel["dos"].values[0]
    gpaw = with_atoms(of_edge(raw, "O K"), [0.0] * 6, [-30.0] * 6, dos)
    alone = process({"gpaw": raw}, settings, table, calibration)["dos_Ni_L23"]
    both = process({"gpaw": gpaw, "feff": other}, settings, table, calibration)["dos_Ni_L23"]
    assert (alone.attrs["engine"], both.attrs["engine"]) == ("gpaw", "gpaw")
    assert both.values == pytest.approx(alone.values, abs=1e-4)


def test_an_absent_element_gives_zeros(settings, table, calibration):
    only_oxygen = rawdata.dataset([rawdata.channel("O K", O_PEAKS)])
    out = process({"gpaw": only_oxygen}, settings, table, calibration)
    assert out["O_K-XAS"].values.any()
    for name in ("Mn_L23-XAS", "Mn_L23-XAS_site_std", "dos_Mn_L23", "Ni_L23-EELS"):
        assert not out[name].values.any()


def test_an_absent_element_needs_no_calibration_but_a_present_one_does(
    raw, settings, table, calibration
):
    partial = {"O K": calibration["O K"]}
    only_oxygen = rawdata.dataset([rawdata.channel("O K", O_PEAKS)])
    assert process({"gpaw": only_oxygen}, settings, table, partial).attrs["status"] == "ok"
    with pytest.raises(ValueError, match=r"Li K has spectra of 1 sites but no calibration.*Li"):
        process({"gpaw": raw}, settings, table, partial)


def test_a_failed_run_leaves_its_reason_and_no_spectra(settings, table, calibration):
    run = failed("no convergence in 120 steps").assign_attrs(structure_id="s1")
    out = process({"gpaw": run}, settings, table, calibration)
    assert not out.data_vars
    assert (out.attrs["status"], out.attrs["structure_id"]) == ("failed", "s1")
    assert out.attrs["reason"] == "gpaw: no convergence in 120 steps"


def test_edges_of_several_engines_are_put_together(raw, processed, settings, table, calibration):
    oxygen = of_edge(raw, "O K")
    metals = raw.isel(channel=np.flatnonzero(raw["edge"].values != "O K"))
    out = process({"gpaw": oxygen, "multiplet": metals}, settings, table, calibration)
    xr.testing.assert_allclose(out, processed)
    run = failed("died").assign_attrs(structure_id="synthetic")
    out = process({"gpaw": oxygen, "multiplet": run}, settings, table, calibration)
    assert out.attrs["reason"] == "multiplet: died"


def test_no_axis_ends_within_a_width_of_where_the_states_end(settings, table, calibration):
    """There a spectrum falls for lack of states, which no measured one does."""
    enough = rawdata.dataset([rawdata.channel("O K", O_PEAKS, shift_ev=-10.8)], "s7")
    assert process({"gpaw": enough}, settings, table, calibration).attrs["status"] == "ok"
    low = rawdata.dataset([rawdata.channel("O K", O_PEAKS, shift_ev=-20.0)], "s7")
    with pytest.raises(InputError) as caught:
        process({"gpaw": low}, settings, table, calibration)
    assert caught.value.file == "raw/gpaw/s7.nc"
    assert caught.value.key == "O K"
    assert "8.9 eV short" in caught.value.problem
    assert "simulation.gpaw.spectrum_max_ev" in caught.value.fix


def test_spectra_far_from_their_window_are_an_error(settings, table, calibration):
    far = rawdata.dataset([rawdata.channel("O K", O_PEAKS, shift_ev=300.0)])
    with pytest.raises(SpectrumError, match="not positive"):
        process({"gpaw": far}, settings, table, calibration)


def test_the_result_survives_a_file(processed, tmp_path):
    files.write_netcdf(tmp_path / "s.nc", processed)
    xr.testing.assert_identical(files.read_netcdf(tmp_path / "s.nc"), processed)


@pytest.fixture(scope="module")
def gpaw_runs(shared):
    folder = shared / "reference" / "gpaw"
    names = ("pristine", "vacancy", "antisite")
    return {n: rawdata.gpaw_reference(folder / f"def_{n}.npz") for n in names}


@pytest.fixture(scope="module")
def gpaw_spectra(gpaw_runs, table):
    edges = ["O K", "Li K", "Mn L2,3", "Co L2,3", "Ni L2,3"]
    settings = Spectra(
        techniques={"XAS": {"gaussian_fwhm_ev": 0.5, "edges": edges}},
        final_state_lorentzian_fwhm_per_ev=0.12,
    )
    known = {e: calibrate(gpaw_runs["pristine"], e, settings, table[e]) for e in edges}
    return {n: process({"gpaw": r}, settings, table, known) for n, r in gpaw_runs.items()}


@pytest.mark.parametrize(
    "defect, edge, noted",
    [
        ("vacancy", "O_K", 0.084),
        ("vacancy", "Mn_L23", 0.118),
        ("vacancy", "Co_L23", 0.085),
        ("vacancy", "Ni_L23", 0.119),
        ("antisite", "O_K", 0.029),
        ("antisite", "Mn_L23", 0.029),
        ("antisite", "Co_L23", 0.087),
        ("antisite", "Ni_L23", 0.105),
    ],
)
def test_defects_change_real_spectra_as_much_as_noted(gpaw_spectra, defect, edge, noted):
    """The noted changes were found with other widths: the order of magnitude must be the same."""
    before, after = (gpaw_spectra[n][f"{edge}-XAS"].values for n in ("pristine", defect))
    change = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert noted / 2 < change < noted * 2


def test_the_fingerprints_of_the_two_defects_differ(gpaw_spectra):
    """Manganese sees the vacancy and not the antisite; cobalt sees both alike."""

    def change(defect, edge):
        before, after = (gpaw_spectra[n][f"{edge}-XAS"].values for n in ("pristine", defect))
        return np.linalg.norm(after - before)

    assert change("vacancy", "Mn_L23") > 3 * change("antisite", "Mn_L23")
    assert change("antisite", "Co_L23") == pytest.approx(change("vacancy", "Co_L23"), rel=0.5)


def test_oxygen_has_its_pre_edge_ten_ev_below_the_main_band(gpaw_spectra):
    oxygen = gpaw_spectra["pristine"]["O_K-XAS"]
    found = pre_edge_metrics(oxygen["energy_O_K"].values, oxygen.values)
    assert found.pre_edge_ev == pytest.approx(530.0, abs=0.05)
    assert found.distance_ev == pytest.approx(10.4, abs=0.5)
    assert found.intensity_ratio == pytest.approx(0.64, abs=0.1)
