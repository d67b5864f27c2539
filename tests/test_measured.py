import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from corefuse.config import MeasuredSpectrum, Sample
from corefuse.core import edge_table
from corefuse.core.errors import InputError
from corefuse.core.spectrum import Spectrum, SpectrumError, window_area
from corefuse.read.measured import axis, check_files, load, prepare, read
from corefuse.spectra.features import pre_edge_metrics

ENERGY = np.arange(515, 565, 0.3)


def edge_shape(energy):
    step = np.arctan((energy - 537) / 0.8) / np.pi + 0.5
    return step + 0.6 * np.exp(-(((energy - 530) / 1.2) ** 2))


INTENSITY = edge_shape(ENERGY)


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


@pytest.fixture
def oxygen(tmp_path, table):
    """Write a text, read it as an O K spectrum."""

    def read_text(text, name="o.csv", **axis):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return read(MeasuredSpectrum(edge="O K", technique="XAS", file=str(file), **axis), table)

    return read_text


def rows(*columns, separator=","):
    return "\n".join(separator.join(f"{v:.6f}" for v in row) for row in zip(*columns, strict=True))


PLAIN = rows(ENERGY, INTENSITY)
SPACED = rows(ENERGY, INTENSITY, separator="   ")
EUROPEAN = rows(ENERGY, INTENSITY, separator=";").replace(".", ",")
THREE = rows(INTENSITY * 0 + 9, ENERGY, INTENSITY)


@pytest.mark.parametrize(
    "name, text",
    [
        ("plain.csv", PLAIN),
        ("byte-order-mark.csv", "\ufeffColumn2,Column3\n" + PLAIN),
        ("header.csv", "Energy (eV),Intensity\n" + PLAIN),
        ("trailing.csv", PLAIN.replace("\n", ",\n")),
        ("swapped.csv", "i0,energy,mu\n" + THREE),
        ("semicolon.txt", "energy;mu\n" + EUROPEAN),
        ("tabs.txt", "energy\tmu\n" + rows(ENERGY, INTENSITY, separator="\t")),
        ("spaces.dat", "# a comment\n% another\n\n  " + SPACED),
        ("commented-header.dat", "# i0 energy norm\n" + THREE.replace(",", " ")),
        ("falling.csv", rows(ENERGY[::-1], INTENSITY[::-1])),
        ("UPPER.CSV", PLAIN),
    ],
)
def test_the_ways_people_write_columns(oxygen, name, text):
    spectrum = oxygen(text, name)
    assert spectrum.energy_ev == pytest.approx(ENERGY, abs=1e-5)
    assert spectrum.intensity == pytest.approx(INTENSITY, abs=1e-5)


XDI = "# XDI/1.0\n# Column.1: energy eV\n# Column.2: {}\n# Column.3: {}\n# ///\n# note\n#----\n"
MU = INTENSITY
I0 = 1000 + ENERGY


@pytest.mark.parametrize(
    "names, second, third",
    [
        (("i0", "itrans"), I0, I0 * np.exp(-MU)),
        (("i0", "ifluor"), I0, I0 * MU),
        (("i0", "mutrans"), I0, MU),
        (("normtrans", "mutrans"), MU, 5 * MU),
        (("irefer", "mufluor"), I0, MU),
    ],
)
def test_xdi_columns(oxygen, names, second, third):
    text = XDI.format(*names) + rows(ENERGY, second, third, separator=" ")
    spectrum = oxygen(text, "o.xdi")
    assert spectrum.intensity == pytest.approx(MU, abs=2e-5)


def test_an_axis_that_may_still_be_moved_need_not_cover_its_edge(table, tmp_path):
    (tmp_path / "o.csv").write_text(rows(ENERGY + 14, INTENSITY))
    measured = MeasuredSpectrum(edge="O K", technique="XAS", file=str(tmp_path / "o.csv"))
    with pytest.raises(InputError, match="needs 525 to 549 eV"):
        load(measured, table, max_shift_ev=3)
    assert load(measured, table, max_shift_ev=5).spectrum.energy_ev[0] == pytest.approx(529)


def test_the_axis_is_scaled_then_moved_after_its_unit(oxygen):
    text = rows(ENERGY / 1000, INTENSITY)
    assert oxygen(text, energy_unit="keV").energy_ev == pytest.approx(ENERGY, abs=1e-2)
    off = (ENERGY + 5.2) / 1.029
    corrected = oxygen(rows(off, INTENSITY), energy_scale=1.029, energy_offset_ev=-5.2)
    assert corrected.energy_ev == pytest.approx(ENERGY, abs=1e-5)


def with_line(number, text):
    lines = PLAIN.splitlines()
    lines[number] = text
    return "\n".join(lines)


@pytest.mark.parametrize(
    "name, text, axis, problem, fix",
    [
        ("o.csv", "", {}, "no two columns", "energy and intensity"),
        ("o.csv", "energy\n525\n526\n", {}, "no two columns", "energy and intensity"),
        ("o.csv", with_line(50, "530.0,1,2"), {}, "line 51 has 3 columns, not 2", "same columns"),
        ("o.csv", PLAIN.replace("53", "oops53"), {}, "is not a row of numbers", "comment them out"),
        ("o.csv", rows(ENERGY / 1000, INTENSITY), {}, "look like keV", "set energy_unit: keV"),
        ("o.csv", PLAIN, {"energy_unit": "keV"}, "look like eV", "set energy_unit: eV"),
        ("o.csv", rows(ENERGY + 10, INTENSITY), {}, "525.0 to 574.8", None),
        (
            "o.csv",
            rows(ENERGY + 20, INTENSITY),
            {},
            "535.0 to 584.8 eV, but O K needs 525",
            "cover",
        ),
        ("o.csv", rows(ENERGY[:100], INTENSITY[:100]), {}, "515.0 to 544.7 eV", "cover"),
        ("o.csv", rows(ENERGY[::10], INTENSITY[::10]), {}, "only 8 points", "at least 20"),
        ("o.csv", rows(ENERGY, 0 * INTENSITY), {}, "not positive", "rises at the edge"),
        ("o.csv", rows(ENERGY, -INTENSITY), {}, "it falls at 525 eV, where O K", "ln(i0/itrans)"),
        ("o.spc", "\0\1K SPC", {}, "binary file", "as text"),
        (
            "o.xdi",
            XDI.format("i0", "itrans") + rows(ENERGY, I0, 0 * I0, separator=" "),
            {},
            "beside i0, itrans hold no counts",
            "other columns",
        ),
        (
            "o.xdi",
            XDI.replace("energy eV", "angle degrees").format("i0", "itrans")
            + rows(ENERGY, I0, I0, separator=" "),
            {},
            "no energy among its columns angle, i0, itrans",
            "give mono_d_angstrom",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line_with_the_fix(oxygen, name, text, axis, problem, fix):
    if fix is None:  # a file that starts exactly at the window covers it
        assert oxygen(text, name, **axis).energy_ev[0] == pytest.approx(525)
        return
    with pytest.raises(InputError) as caught:
        oxygen(text, name, **axis)
    fault = caught.value
    assert problem in fault.problem
    assert fix in fault.fix
    assert fault.key == "O_K-XAS"
    assert Path(fault.file).name == name
    assert "\n" not in str(fault)


def test_a_missing_file_is_refused(table, tmp_path):
    for name in ("none.csv", "none.msa"):
        measured = MeasuredSpectrum(edge="O K", technique="EELS", file=str(tmp_path / name))
        with pytest.raises(InputError, match=r"No such file.*correct the path"):
            read(measured, table)


def test_binary_rubbish_is_refused(table, tmp_path):
    for name in ("rubbish.csv", "rubbish.msa", "rubbish.xdi"):
        file = tmp_path / name
        file.write_bytes(bytes(range(256)) * 20)
        with pytest.raises(InputError):
            read(MeasuredSpectrum(edge="O K", technique="EELS", file=str(file)), table)


def test_check_files_names_the_sample(table, tmp_path):
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(PLAIN)
    bad.write_text(rows(ENERGY + 50, INTENSITY))

    def sample(name, file):
        return Sample(name=name, spectra=[{"edge": "O K", "technique": "XAS", "file": str(file)}])

    check_files([sample("a", good)], table)
    with pytest.raises(InputError) as caught:
        check_files([sample("a", good), sample("b", bad)], table)
    assert caught.value.key == "infer.samples.b.O_K-XAS"


def test_prepared_has_the_area_of_simulated_spectra_whatever_scale_and_background(table):
    entry = table["O K"]
    plain = prepare(Spectrum(ENERGY, INTENSITY), entry)
    assert window_area(entry.grid.energies_ev, plain, entry.window_ev) == pytest.approx(1)
    for scale, offset in ((1e6, 0), (3, 500), (1e-3, -2)):
        again = prepare(Spectrum(ENERGY, scale * INTENSITY + offset), entry)
        assert again == pytest.approx(plain, abs=1e-9)


def test_prepared_keeps_the_shape(table):
    entry = table["O K"]
    energy = entry.grid.energies_ev
    prepared = prepare(Spectrum(ENERGY, INTENSITY), entry)
    expected = edge_shape(energy)
    expected /= window_area(energy, expected, entry.window_ev)
    assert np.abs(prepared - expected).max() < 0.03 * expected.max()


def test_points_the_file_does_not_reach_are_missing_not_invented(table):
    entry = table["O K"]
    energy = entry.grid.energies_ev
    covered = (ENERGY >= 524.8) & (ENERGY <= 555.5)
    prepared = prepare(Spectrum(ENERGY[covered], INTENSITY[covered]), entry)
    inside = (energy >= ENERGY[covered][0]) & (energy <= ENERGY[covered][-1])
    assert np.isfinite(prepared).tolist() == inside.tolist()
    assert not inside.all()


def test_without_a_pre_edge_the_first_intensity_stands_for_it(table):
    entry = table["O K"]
    energy = entry.grid.energies_ev
    above = Spectrum(energy[energy >= 525], 5 + edge_shape(energy[energy >= 525]))
    assert prepare(above, entry)[energy >= 525][0] == pytest.approx(0, abs=1e-12)


def test_the_background_is_the_mean_of_the_pre_edge_so_noise_averages_out(table):
    entry = table["O K"]
    noise = np.where(ENERGY < 525, np.resize([0.2, -0.2], len(ENERGY)), 0)
    clean, noisy = (prepare(Spectrum(ENERGY, i), entry) for i in (INTENSITY, INTENSITY + noise))
    above = entry.grid.energies_ev > 526
    assert noisy[above] == pytest.approx(clean[above], rel=0.05, abs=2e-3)


def test_a_spectrum_below_its_background_has_no_area(table):
    with pytest.raises(SpectrumError, match="not positive"):
        prepare(Spectrum(ENERGY, 10 - INTENSITY), table["O K"])


EELS_AXIS = {"technique": "EELS", "energy_scale": 1.029, "energy_offset_ev": -5.2}


def test_measured_oxygen_eels_has_its_maxima_twelve_ev_apart(shared, table):
    file = shared / "experimental" / "eels_si_doped_nmc" / "TM_oxygen_edge.msa"
    spectrum = read(MeasuredSpectrum(edge="O K", file=str(file), **EELS_AXIS), table)
    assert len(spectrum.energy_ev) == 2036
    prepared = prepare(spectrum, table["O K"])
    found = pre_edge_metrics(table["O K"].grid.energies_ev, prepared)
    assert found.distance_ev == pytest.approx(12, abs=0.4)
    assert found.intensity_ratio == pytest.approx(0.62, abs=0.03)


def test_the_uncorrected_eels_axis_does_not_pass_for_another_edge(shared, table):
    file = shared / "experimental" / "eels_si_doped_nmc" / "TM_Co_edge.msa"
    with pytest.raises(InputError, match=r"no Mn L2,3 is visible"):
        read(MeasuredSpectrum(edge="Mn L2,3", technique="EELS", file=str(file)), table)


def test_measured_manganese_eels(shared, table):
    folder = shared / "experimental" / "mn_l23_references"

    def mn(name):
        file = str(folder / name)
        return read(MeasuredSpectrum(edge="Mn L2,3", technique="EELS", file=file), table)

    prepared = prepare(mn("Data2_SrMnO3.csv"), table["Mn L2,3"])
    assert np.nanmax(prepared) > 10 * abs(prepared[np.isfinite(prepared)][0])  # baseline is off
    assert np.isfinite(mn("Data3_MnO2.csv").intensity).all()  # one energy stands there twice


@pytest.mark.parametrize(
    "file, edge, half",
    [("MnO_rt_01", "Mn K", 6544.9), ("MnO2_rt_01", "Mn K", 6552.3), ("NiOH2_rt_01", "Ni K", 8345)],
)
def test_raw_xdi_scans_give_absorption_that_moves_with_oxidation(shared, table, file, edge, half):
    path = str(shared / "experimental" / "tm_k_references" / f"{file}.xdi")
    prepared = prepare(
        read(MeasuredSpectrum(edge=edge, technique="XAS", file=path), table), table[edge]
    )
    energy = table[edge].grid.energies_ev
    rise = energy[np.argmax(prepared > prepared.max() / 2)]
    assert rise == pytest.approx(half, abs=0.3)


def test_a_file_of_another_element_is_refused(shared, table):
    path = str(shared / "experimental" / "tm_k_references" / "MnO_rt_01.xdi")
    with pytest.raises(InputError, match=r"6520.0 to 6630.0 eV, but Ni K needs 8331"):
        read(MeasuredSpectrum(edge="Ni K", technique="XAS", file=path), table)


def test_the_measured_nickel_series_covers_its_window(shared, table, tmp_path):
    stored = json.loads((shared / "experimental/ni_k_nmc/nmc_exp_xas.json").read_text())
    for number, intensity in stored["intensity"].items():
        file = tmp_path / f"{number}.csv"
        np.savetxt(file, np.c_[np.linspace(8.330, 8.370, 100), intensity], delimiter=",")
        measured = MeasuredSpectrum(edge="Ni K", technique="XAS", file=str(file), energy_unit="keV")
        assert np.isfinite(prepare(read(measured, table), table["Ni K"])).all()


def test_a_saturated_detector_is_refused(oxygen):
    peaked = INTENSITY + 2 * np.exp(-(((ENERGY - 540) / 2) ** 2))
    oxygen(rows(ENERGY, peaked))
    full = np.minimum(peaked, 0.8 * peaked.max())
    with pytest.raises(InputError, match=r"side by side stand at .* the detector was full"):
        oxygen(rows(ENERGY, full))


def test_an_edge_below_its_background_is_refused(oxygen):
    """As after a background fitted too steep: it crosses the edge."""
    sunk = INTENSITY - 0.12 * np.clip(ENERGY - 535, 0, None)
    with pytest.raises(InputError, match=r"of the points .* are below the background"):
        oxygen(rows(ENERGY, sunk))


@pytest.mark.parametrize("method", ["power_law", "line"])
def test_too_short_a_pre_edge_is_refused(oxygen, method):
    late = ENERGY > 518
    with pytest.raises(InputError, match="give at least 10 points and 5 eV there"):
        oxygen(rows(ENERGY[late], INTENSITY[late]), background=method)


def test_a_raw_edge_is_told_from_its_background(oxygen, table):
    raw = 20 * (ENERGY / 500) ** -3 + INTENSITY
    with pytest.raises(InputError, match="set background: power_law"):
        oxygen(
            rows(
                np.r_[np.arange(425, 515, 0.3), ENERGY],
                np.r_[20 * (np.arange(425, 515, 0.3) / 500) ** -3, raw],
            ),
            background="mean",
        )
    taken = oxygen(rows(ENERGY, raw), background="power_law", background_window_ev=(515, 525))
    above = (taken.energy_ev > 528) & (taken.energy_ev < 550)
    expected = edge_shape(taken.energy_ev)
    assert np.abs(taken.intensity - expected)[above].max() < 0.15


@pytest.mark.parametrize("scale", [1.0, 1.029])
def test_the_two_swapped_files_are_found_out_and_named(shared, table, scale):
    """With the axis corrected or not, each holds the edge of the other's name first."""
    axis = {"energy_scale": scale, "energy_offset_ev": -5.2 if scale > 1 else 0.0}
    folder = shared / "experimental" / "eels_si_doped_nmc"
    for file, said, holds in (
        ("TM_Co_edge.msa", "Co L2,3", "Ni L2,3"),
        ("TM_Ni_edge.msa", "Ni L2,3", "Co L2,3"),
    ):
        wrong = MeasuredSpectrum(edge=said, technique="EELS", file=str(folder / file), **axis)
        with pytest.raises(InputError, match=f"this looks like {holds}") as caught:
            read(wrong, table)
        assert f"name it {holds}" in caught.value.fix
        if scale > 1:
            read(wrong.model_copy(update={"edge": holds}), table)


def test_an_axis_off_by_its_gain_is_told(shared, table):
    file = str(shared / "experimental/eels_si_doped_nmc/TM_Co_edge.msa")
    with pytest.raises(InputError, match=r"-21 eV from Ni L2,3.*axis is off: give reference_peaks"):
        read(MeasuredSpectrum(edge="Ni L2,3", technique="EELS", file=file), table)


def test_reference_peaks_make_the_axis_and_their_residuals_are_told(shared, table):
    file = str(shared / "experimental/eels_si_doped_nmc/TM_Co_edge.msa")
    peaks = [(518.2, 530.0), (630.4, 643.6), (763.9, 780.7), (834.7, 853.6)]
    measured = MeasuredSpectrum(edge="Ni L2,3", technique="EELS", file=file, reference_peaks=peaks)
    scale, offset, notes = axis(measured)
    residuals = [true - (scale * found + offset) for found, true in peaks]
    assert max(map(abs, residuals)) < 0.8
    assert sum(residuals) == pytest.approx(0, abs=1e-6)
    assert f"{residuals[0]:+.2f}" in notes[0]
    spectrum = read(measured, table)
    top = spectrum.energy_ev[np.argmax(spectrum.intensity)]
    assert top == pytest.approx(853.6, abs=0.6)


def test_the_image_gives_edges_without_plural_scattering(shared, table):
    folder = shared / "experimental" / "eels_si_doped_nmc"
    kwargs = {
        "edge": "O K",
        "technique": "EELS",
        "file": str(folder / "TM_TM+O_EELS_Spectrum_Image.dm3"),
        "energy_scale": 1.029,
        "energy_offset_ev": -5.2,
        "background": "power_law",
    }
    thick = load(MeasuredSpectrum(**kwargs), table)
    low = str(folder / "ZLP_EELS_Spectrum_Image.dm3")
    thin = load(MeasuredSpectrum(**kwargs, low_loss=low), table)
    assert "t/lambda 0.60" in thin.notes[0]
    assert thick.background_std[-1] > thick.background_std[0] > 0
    energy = table["O K"].grid.energies_ev
    far = (energy > 545) & (energy < 553)  # where the plasmon of the first peaks lies
    first, second = (prepare(m.spectrum, table["O K"]) for m in (thick, thin))
    assert second[far].mean() < first[far].mean()
    found = pre_edge_metrics(energy, second)
    assert found.distance_ev == pytest.approx(12, abs=0.6)


def test_an_xas_glitch_is_mended_and_noted_and_a_white_line_is_not(table, tmp_path):
    energy = np.arange(8320, 8380, 0.5)
    rng = np.random.default_rng(0)
    mu = 0.5 + np.arctan(energy - 8345) / np.pi + np.exp(-(((energy - 8350) / 2) ** 2))
    mu += 0.002 * rng.normal(size=mu.size)

    def found(values, every=1):
        np.savetxt(tmp_path / "ni.csv", np.c_[energy, values][::every], delimiter=",")
        spectrum = {"edge": "Ni K", "technique": "XAS", "file": str(tmp_path / "ni.csv")}
        return load(MeasuredSpectrum(**spectrum, mode="TFY"), table)

    for notes in (found(mu).notes[-2:], found(mu, every=3).notes[-2:]):
        assert notes[0] == "detected by TFY"
        assert "over-absorption" in notes[1]
        assert not any("glitch" in note for note in notes)
    spoilt = mu.copy()
    spoilt[80] += 0.4
    mended = found(spoilt)
    assert f"glitches interpolated at {energy[80]:.1f} eV" in mended.notes
    assert mended.spectrum.intensity == pytest.approx(found(mu).spectrum.intensity, abs=0.02)


def test_xas_gets_its_pre_edge_line_unless_it_has_been_normalised(table, tmp_path):
    energy = np.arange(480, 565, 0.3)
    sloped = edge_shape(energy) + 3 + 0.006 * (energy - 520)

    def form(from_ev, intensity, technique="XAS", **asked):
        kept = energy > from_ev
        np.savetxt(tmp_path / "o.csv", np.c_[energy, intensity][kept], delimiter=",")
        one = {"edge": "O K", "technique": technique, "file": str(tmp_path / "o.csv"), **asked}
        return prepare(read(MeasuredSpectrum(**one), table), table["O K"])

    clean = form(480, edge_shape(energy))
    assert form(480, sloped) == pytest.approx(clean, abs=0.001)
    assert np.abs(form(480, sloped, background="mean") - clean).max() > 0.003
    assert np.abs(form(516, sloped) - clean).max() > 0.003
    assert form(516, edge_shape(energy)) == pytest.approx(clean, abs=0.001)
    extracted = form(480, sloped, "EELS")
    assert extracted == pytest.approx(form(480, sloped, background="mean"), abs=1e-9)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_absorption_with_a_line_taken_off_is_told_by_its_edge_step(table, tmp_path, scale):
    """A pre-edge line below, a step of 0.8 above it: on any scale the same unit edge."""
    energy = np.arange(8240.0, 8420, 0.5)
    white_line = 0.7 * np.exp(-(((energy - 8350) / 2) ** 2))
    step = 0.8 * ((energy > 8346) + white_line)
    mu = scale * (2.0 - 0.002 * (energy - 8300) + step)
    np.savetxt(tmp_path / "ni.csv", np.c_[energy, mu], delimiter=",")
    spectrum = {"edge": "Ni K", "technique": "XAS", "file": str(tmp_path / "ni.csv")}
    found = load(MeasuredSpectrum(**spectrum, background="line"), table)
    told = next(note for note in found.notes if "step" in note)
    assert f"step {0.8 * scale:.3g}" in told
    after = found.spectrum.intensity[found.spectrum.energy_ev > 8370]
    assert after == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"reference_peaks": [(1, 2)]}, "reference_peaks"),
        ({"reference_peaks": [(1, 2), (3, 4)], "energy_scale": 1.1}, "reference_peaks"),
        ({"crop_ev": (540, 520)}, "crop_ev"),
        ({"background_window_ev": (500, 500)}, "background_window_ev"),
    ],
)
def test_contradictions_in_a_measured_entry_are_refused(given, key):
    with pytest.raises(ValidationError, match=key):
        MeasuredSpectrum(edge="O K", technique="EELS", file="a.csv", **given)
