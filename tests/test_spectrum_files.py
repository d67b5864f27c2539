"""Every format by a small file made here, so that a clone without any data tests them."""

import gzip
import json

import h5py
import numpy as np
import pytest

from corefuse.core.spectrum import SpectrumError
from corefuse.read import files
from corefuse.read.files import Wanted

E = np.r_[np.arange(8233, 8320, 5.0), np.arange(8320, 8380, 0.5), np.arange(8380, 8600, 4.0)]
EDGE = (np.arctan((E - 8344) / 1.2) / np.pi + 0.5) + 0.5 * np.exp(-(((E - 8350) / 2.5) ** 2))
MU = 0.6 - 2e-4 * (E - 8344) + 0.8 * EDGE
FOIL = 0.4 + 0.9 * (np.arctan((E - 8333) / 1.2) / np.pi + 0.5)
I0 = 2e5 * (1 + 0.02 * np.sin(E / 20))
IT = I0 * np.exp(-MU)
IREF = IT * np.exp(-FOIL)
FLUO = I0 * 0.01 * EDGE + 40
D = 3.13551
ANGLE = np.degrees(np.arcsin(12398.419843 / (2 * D * E)))
ASKED = {"covers_ev": (8331, 8365), "edge_ev": 8346.2, "element": "Ni"}


def rows(*columns, separator=" ", form="%.9g"):
    return "\n".join(separator.join(form % v for v in row) for row in zip(*columns, strict=True))


@pytest.fixture
def write(tmp_path):
    def write_one(name, content, encoding="utf-8"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return file

    return write_one


def read(file, **asked):
    return files.read(file, Wanted(**(ASKED | asked)))


COUNTERS = {
    "xdac.000": "XDAC V1.4 Datafile V1\nE0= 8333.00\nGains= 8.00 9.00\n---\nEnergy I0 It Ir\n",
    "mrcat.001": "MRCAT_XAFS V0.4 Datafile\nE0= 21044.00\n---\n energy   mcs3    mcs4    mcs5\n",
    "spec.dat": "#F a\n#E 1\n\n#S 3  ascan  energy 8 9\n#N 4\n#L Energy  i0  itrans  irefer\n",
    "snbl.dat": "#S 1 zapline mono\n#N 4\n#L ZapEnergy  Mon  Ion1  Ion2\n",
    "iss.dat": "# E0: 8333\n#\n# # energy  i0  it  ir\n",
    "gse.001": "; Epics scan\n; P1 = {Energy} --> a:E\n; D1 = {I0} --> b\n; D2 = {I1} --> c\n"
    "; D3 = {I2} --> d\n;---\n; P1 D1 D2 D3\n",
    "labview.0001": "# Here is a readable list of column headings:\n#  1) Mono Energy *\n"
    "#  2) I0-32\n#  3) It-32\n#  4) Iref-32\n#\n"
    "#Mono Energy *        I0-32                It-32                Iref-32\n",
    "wrapped.dat": "# energy i0\n# itrans irefer\n",
    "counted.dat": "#C 1_Energy (eV) 2_i0 3_i1\n#C 4_i2\n",
    "step.xdi": "#XDI/1.1 Epics\n# Column.1: Energy eV || a:E\n# Column.2: I0 counts || a\n"
    "# Column.3: I1 counts\n# Column.4: I2 counts\n#---\n# Energy\tI0\tI1\tI2\n",
    "ssrl.dat": "SSRL EXAFS Data Collector 1.3\nPTS: 192 COLS: 4\nWeights:\n 1.0 1.0 1.0 1.0\n"
    "Offsets:\n 0.0 0.0 144.2 133.5\nData:\nAchieved Energy\nI0\nI1\nI2\n\n",
    "blocks.dat": "Block Init Final Num\n 1 8233 8320 18\n 2 8320 8380 120\n 3 8380 8600 55\n"
    "settings above, names below\nEnergy I0 It Iref\n",
}


@pytest.mark.parametrize("name", COUNTERS)
def test_counters_become_absorption_with_their_reference(write, name):
    """By the names of a dozen beamlines; the numbers are the same."""
    found = read(write(name, COUNTERS[name] + rows(E, I0, IT, IREF)))
    assert found.energy == pytest.approx(E)
    assert found.counts == pytest.approx(MU, abs=1e-6)
    assert found.quantity == "absorption"
    assert not found.doubts
    if name != "mrcat.001":  # without names nothing says which foil it is
        assert found.reference == pytest.approx(FOIL, abs=1e-6)


@pytest.mark.parametrize(
    "formula",
    [
        "ln(i0/itrans)",
        "ln($2/$3)",
        'ln("i0"/"itrans")',
        "-ln(itrans/i0)",
        "log(i0) - log(itrans)",
        "ln(sum(i0, 0*itrans)/itrans)",
    ],
)
def test_a_column_may_be_an_expression_of_columns(write, formula):
    file = write("a.dat", "# energy i0 itrans\n" + rows(E, I0, IT))
    assert read(file, column=formula).counts == pytest.approx(MU, abs=1e-6)


def test_the_reference_may_be_named(write):
    file = write("a.dat", "# energy mu channel_7 foil\n" + rows(E, MU, IT, FOIL))
    assert read(file, column="mu").reference is None
    assert read(file, column="mu", reference_column="foil").reference == pytest.approx(FOIL)
    made = read(file, column="mu", reference_column="-ln(channel_7/2e5)").reference
    assert np.all(np.isfinite(made))


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('true')",
        "i0.__class__",
        "[i0][0]/2",
        "(lambda: i0)()",
        "i0 if i0 else itrans",
        "ln(i0",
        "eval(i0)",
        "3*2",
        "ln(i0/nothing)",
        "(" * 400 + "i0" + ")" * 400,
        "ln(i0, itrans)",
        "True + i0*1",
    ],
)
def test_nothing_but_arithmetic_is_carried_out(write, formula):
    file = write("a.dat", "# energy i0 itrans\n" + rows(E, I0, IT))
    with pytest.raises(SpectrumError, match=r"expression|no column"):
        read(file, column=formula)


def test_the_elements_of_a_detector_are_added_and_a_dead_one_is_left_out(write):
    elements = [FLUO, 1.2 * FLUO, 0.8 * FLUO, np.resize([0, 1, 3], E.size)]
    head = "# energy i0 roi1 roi2 roi3 roi4\n"
    file = write("a.dat", head + rows(E, I0, *elements))
    found = read(file)
    assert found.counts == pytest.approx(3 * FLUO / I0, rel=1e-6)
    assert any("roi4" in note for note in found.notes)
    assert read(file, column='sum("roi*")/i0').counts == pytest.approx(sum(elements) / I0)
    with pytest.raises(SpectrumError, match="no column is called like 'sca"):
        read(file, column='sum("sca*")/i0')


def test_dead_time_factors_and_the_line_of_the_absorber_are_used(write):
    factor = 1 + 0.2 * EDGE / EDGE.max()
    head = "# energy i0 Ni_Ka_mca1 Mg_Ka_mca1 DTFactor_mca1\n"
    found = read(write("a.dat", head + rows(E, I0, FLUO / factor, 7 * FLUO, factor)))
    assert found.counts == pytest.approx(FLUO / I0, rel=1e-6)


def test_transmission_or_a_yield_whichever_shows_the_edge(write):
    flat = I0 * np.exp(-0.7)
    head = "# energy i0 it if\n"
    assert read(write("a.dat", head + rows(E, I0, IT, FLUO))).quantity == "absorption"
    assert read(write("b.dat", head + rows(E, I0, flat, FLUO))).quantity == "ratio"
    wanted = read(write("a.dat", head + rows(E, I0, IT, FLUO)), mode="TFY")
    assert wanted.counts == pytest.approx(FLUO / I0)


def test_inverted_amplifiers_give_the_same_absorption(write):
    file = write("a.dat", "# energy i0 it iff\n" + rows(E, -1e-10 * I0, -1e-10 * IT, -1e-10 * FLUO))
    assert read(file).counts == pytest.approx(MU, abs=1e-6)
    assert read(file, mode="TFY").counts == pytest.approx(FLUO / I0, rel=1e-6)


def test_a_raw_counter_is_no_spectrum(write):
    file = write("a.dat", "# energy i0 it if\n" + rows(E, I0, IT, FLUO))
    with pytest.raises(SpectrumError, match=r"'it' counts the beam.*set column: ln\(i0/it\)"):
        read(file, column="it")
    assert "set column: if/i0" in read(file, column="if").doubts[0]


def test_two_yields_are_asked_about_and_told_apart_by_mode(write):
    file = write("a.txt", "Energy TEY TFY I0\n" + rows(E, FLUO, 2 * FLUO, I0))
    with pytest.raises(SpectrumError, match=r"which of TEY/I0, TFY/I0"):
        read(file)
    assert read(file, mode="TEY").counts == pytest.approx(FLUO / I0)
    assert read(file, mode="TFY").counts == pytest.approx(2 * FLUO / I0)


def test_nothing_came_through(write):
    it = np.where((E > 8345) & (E < 8352), 0, IT)
    found = read(write("a.dat", "# energy i0 it\n" + rows(E, I0, it)))
    assert "zero or below" in found.doubts[0]
    zeros = read(write("b.dat", "# energy mu\n" + rows(E, np.where(it > 0, MU, 0))))
    assert "exactly 0" in zeros.doubts[0]
    assert zeros.energy.size == (it > 0).sum()


def test_a_full_counter_is_doubted(write):
    full = np.minimum(FLUO, 0.6 * FLUO.max())
    assert (
        "detector was full"
        in read(write("a.dat", "# energy i0 if\n" + rows(E, I0, full))).doubts[0]
    )


@pytest.mark.parametrize("column", ["angle degrees", "theta_bragg deg"])
def test_angles_of_the_monochromator_are_energies(write, column):
    xdi = f"# XDI/1.0\n# Column.1: {column}\n# Column.2: i0\n# Column.3: itrans\n"
    for head, asked in (
        (xdi + f"# Mono.d_spacing: {D}\n#---\n", {}),
        (xdi + "#---\n", {"mono_d_angstrom": D}),
    ):
        found = read(write("a.xdi", head + rows(ANGLE, I0, IT, form="%.8f")), **asked)
        assert found.energy == pytest.approx(E, abs=0.01)
        assert found.counts == pytest.approx(MU, abs=1e-6)
    with pytest.raises(SpectrumError, match=r"but an angle.*mono_d_angstrom"):
        read(write("b.xdi", xdi + "#---\n" + rows(ANGLE, I0, IT)))


def test_a_named_crystal_gives_the_spacing_and_steps_their_angle(write):
    head = "# Mono.name: Si(111)\n# steps i0 itrans\n"
    file = write("a.dat", head + rows(4000 * ANGLE, I0, IT))
    with pytest.raises(SpectrumError, match=r"counts steps.*mono_steps_per_degree"):
        read(file)
    found = read(file, mono_steps_per_degree=4000)
    assert found.energy == pytest.approx(E, abs=1.0)
    assert read(file, mono_steps_per_degree=4000, mono_d_angstrom=D).energy == pytest.approx(E)


PF = f"""  9809     KEK-PF   BL9A
  Param file : a    energy axis(2)     Block =    2

  Block      Init-Eng  final-Eng      Step/eV     Time/s       Num
      1        8233.00   8320.00         5.00       1.00        18
      2        8320.00   8600.00         0.50       1.00        99
 Mono :   SI(111)       D=  {D} A    Initial angle= 13.93250 deg
 Ortec(-1)     NDCH = 3
  Angle(c)  Angle(o)    time/s         2         3
      Mode         0         0         1         {{}}
    Offset         0         0   826.150   652.975
"""


def test_the_photon_factory_format(write):
    found = read(write("a.dat", PF.format(2) + rows(ANGLE + 1e-3, ANGLE, 0 * E + 1, I0, IT)))
    assert found.energy == pytest.approx(E)
    assert found.counts == pytest.approx(MU, abs=1e-6)
    assert any("826.150, 652.975" in note for note in found.notes)
    fluorescence = read(write("b.dat", PF.format(3) + rows(ANGLE, ANGLE, 0 * E + 1, I0, FLUO)))
    assert fluorescence.counts == pytest.approx(FLUO / I0)


SPEC = "#S {}  ascan  energy 8233 8600 20 1\n#N 3\n#L Energy  i0  itrans\n"


@pytest.mark.parametrize(
    "text",
    [
        SPEC.format(1) + rows(E, I0, IT) + "\n\n" + SPEC.format(2) + rows(E + 2, I0, IT),
        "energy i0 itrans\n" + rows(np.r_[E, E + 2], np.r_[I0, I0], np.r_[IT, IT]),
        "energy i0 itrans\n" + rows(E, I0, IT) + "\nenergy i0 itrans\n" + rows(E + 2, I0, IT),
        "energy i0 itrans\n"
        + rows(np.r_[E, E[::-1] + 2], np.r_[I0, I0[::-1]], np.r_[IT, IT[::-1]]),
    ],
    ids=["spec", "starts again", "header again", "up and down"],
)
def test_several_scans_are_told_and_never_mixed(write, text):
    file = write("a.dat", text)
    with pytest.raises(SpectrumError, match=r"it holds 2 scans: 1 .*give scan"):
        read(file)
    assert len(files.contents(file)) == 2
    for number, moved in ((1, 0), (2, 2)):
        found = read(file, part=number)
        assert np.interp(8344 + moved, found.energy, found.counts) == pytest.approx(
            np.interp(8344, E, MU), abs=0.01
        )
    with pytest.raises(SpectrumError, match=r"no scan or group 3.*use one of 1"):
        read(file, part=3)


def test_of_regions_the_one_at_the_edge_is_taken(write):
    file = write("a.csv", "energy,mu\n" + rows(np.r_[E, E - 1000], np.r_[MU, MU], separator=","))
    found = read(file)
    assert found.energy[0] == E[0]
    assert any("the only one that covers the edge" in note for note in found.notes)


def test_regions_that_overlap_a_little_are_one_scan(write):
    energy = np.r_[E[:60], E[60:] - 0.6]
    found = read(write("a.csv", "energy,mu\n" + rows(energy, MU, separator=",")))
    assert found.energy.size > E.size - 3
    assert np.all(np.diff(found.energy) > 0)


def test_side_by_side_each_spectrum_has_its_own_energies(write):
    lines = ["Energy,A,Energy,B"]
    for i, (e, m) in enumerate(zip(E, MU, strict=True)):
        lines.append(f"{e},{m},{e + 1},{2 * m}" if i < 150 else f"{e},{m}")
    file = write("a.csv", "\n".join(lines))
    with pytest.raises(SpectrumError, match=r"2 energy columns.*Energy \(1\), Energy \(3\)"):
        read(file)
    assert read(file, column="A").energy == pytest.approx(E)
    second = read(file, column="B")
    assert second.energy == pytest.approx(E[:150] + 1)
    assert second.counts == pytest.approx(2 * MU[:150])


def test_readings_of_one_monochromator_are_one_axis(write):
    head = "# energy requested_energy energy_rbv xmu\n"
    found = read(write("a.dat", head + rows(E, E + 0.4, E + 0.01, MU)))
    assert found.energy == pytest.approx(E)
    assert any("not requested_energy" in note for note in found.notes)


def comma(value):
    return f"{value:.4f}".replace(".", ",")


def thousands(value, mark, decimal="."):
    return f"{value:,.3f}".replace(".", "!").replace(",", mark).replace("!", decimal)


LOCALES = {
    "blanks and decimal commas": [f"{comma(e)} {comma(m)}" for e, m in zip(E, MU, strict=True)],
    "tabs": [f"{comma(e)}\t{comma(m)}" for e, m in zip(E, MU, strict=True)],
    "semicolons": [f"{comma(e)};{comma(m)}" for e, m in zip(E, MU, strict=True)],
    "quoted": [f'"{comma(e)}","{comma(m)}"' for e, m in zip(E, MU, strict=True)],
    "commas for all": [f"{comma(e)},{comma(m)}" for e, m in zip(E, MU, strict=True)],
    "English thousands": [f"{thousands(e, ',')};{m:.4f}" for e, m in zip(E, MU, strict=True)],
    "German thousands": [
        f"{thousands(e, '.', ',')};{comma(m)}" for e, m in zip(E, MU, strict=True)
    ],
    "Swiss thousands": [f"{thousands(e, chr(39))}\t{m:.4f}" for e, m in zip(E, MU, strict=True)],
    "French": [f"{thousands(e, chr(0x202F), ',')};{comma(m)}" for e, m in zip(E, MU, strict=True)],
    "comma and blank": [f"{e}, {m}" for e, m in zip(E, MU, strict=True)],
    "Fortran": [f"{e:.6E} {m:.6E}".replace("E", "D") for e, m in zip(E, MU, strict=True)],
    "a count first": [str(E.size), *(f"{e} {m}" for e, m in zip(E, MU, strict=True))],
    "a remark last": [*(f"{e} {m}" for e, m in zip(E, MU, strict=True)), "", "measured by night"],
    "empty cells last": [f"{e}\t{m}\t\t" for e, m in zip(E, MU, strict=True)],
}


@pytest.mark.parametrize("name", LOCALES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_numbers_as_people_write_them(write, name, encoding):
    text = "\r\n".join(["Energie mu" if " " in name else "Energie\tmu", *LOCALES[name]])
    found = read(write("a.txt", text, encoding))
    assert found.energy == pytest.approx(E, abs=1e-3)
    assert found.counts == pytest.approx(MU, abs=1e-3)


def test_thousands_of_counts_are_not_taken_for_decimals(write):
    counts = np.round(1000 * EDGE + 500)
    lines = [f"{e}\t{c:,.0f}" for e, c in zip(E, counts, strict=True)]
    assert read(write("a.txt", "Energy\tcounts\n" + "\n".join(lines))).counts == pytest.approx(
        counts
    )
    unclear = [f"{c + 1000:,.0f}\t{c + 1000:,.0f}" for c in counts]
    with pytest.raises(SpectrumError, match="may be a decimal mark or a thousands separator"):
        read(write("b.txt", "\n".join(unclear)))


@pytest.mark.parametrize("place", [0, 1, 70, E.size - 1])
@pytest.mark.parametrize("cell", ["#DIV/0!", "NaN", "1.4.9", "oops", "--"])
def test_a_bad_row_is_left_out_and_told_wherever_it_stands(write, place, cell):
    lines = [f"{e},{m:.6f}" for e, m in zip(E, MU, strict=True)]
    lines[place] = f"{E[place]},{cell}"
    found = read(write("a.csv", "energy,mu\n" + "\n".join(lines)))
    assert found.energy == pytest.approx(np.delete(E, place))
    assert any(f"line {place + 2}" in note for note in found.notes), found.notes


def test_jitter_is_sorted_near_pairs_are_averaged_and_told(write):
    energy = E.copy()
    energy[-9] = energy[-10] - 0.04
    energy[60] = energy[59] + 2e-4
    found = read(write("a.csv", "energy,mu\n" + rows(energy, MU, separator=",")))
    assert np.all(np.diff(found.energy) > 1e-3)
    assert found.energy.size == E.size - 2
    assert any("stepped back" in note for note in found.notes)


NAMED = {
    "units row": "Energy,Absorption\neV,a.u.\n",
    "blanks in names": "Mono Energy (eV), XAS (norm.)\n",
    "marks": "# Energy *   mu(E) \n",
    "two blanks": "#  Energy readback  mu\n",
}


@pytest.mark.parametrize("name", NAMED)
def test_names_of_columns(write, name):
    separator = "," if "," in NAMED[name] else " "
    found = read(write("a.txt", NAMED[name] + rows(E, MU, separator=separator)))
    assert found.counts == pytest.approx(MU, abs=1e-6)


def test_the_line_above_the_numbers_is_shown_in_the_question(write):
    file = write("a.dat", "# one two and more words than columns\n" + rows(E, MU, 2 * MU))
    with pytest.raises(SpectrumError, match=r"columns 2, 3 .*'# one two and more words"):
        read(file)


def perl(name, label, y, **args):
    listed = ",".join(f"'{k}','{v}'" for k, v in {"label": label, **args}.items())
    arrays = "\n".join(
        f"@{key} = ({','.join(repr(str(v)) for v in values)});"
        for key, values in (("x", E.round(4)), ("y", y.round(8)), ("i0", I0.round(1)))
    )
    return f"$old_group = '{name}';\n@args = ({listed});\n{arrays}\n[record]\n\n"


@pytest.mark.parametrize("kind", ["gzip", "plain", "json"])
def test_groups_of_an_athena_project(write, kind):
    """Taken as measured, not shifted; the reference of a group comes with it."""
    head = "# Athena project file -- Demeter version 0.9.21\n\n"
    text = head + perl("aaa", "NiO (1), it''s", MU, referencegroup="bbb", bkg_eshift="1.25")
    text = text.replace("''s", "") + perl("bbb", "foil", FOIL)
    if kind == "json":
        group = {"x": [f"{e}" for e in E], "i0": [], "signal": []}
        text = json.dumps(
            {
                "_____header1": "# Athena project file",
                "aaa": group
                | {
                    "y": [f"{m}" for m in MU],
                    "args": {"label": "NiO (1), it", "referencegroup": "bbb", "bkg_eshift": "1.25"},
                },
                "bbb": group | {"y": [f"{m}" for m in FOIL], "args": {"label": "foil"}},
                "_____order": ["aaa", "bbb"],
            }
        )
    data = gzip.compress(text.encode()) if kind == "gzip" else text
    file = write("a.prj", data)
    with pytest.raises(SpectrumError, match=r"2 scans: 1 \(NiO \(1\), it.*2 \(foil"):
        read(file)
    for name in (1, "NiO (1), it"):
        found = read(file, part=name)
        assert found.energy == pytest.approx(E, abs=1e-3)
        assert found.counts == pytest.approx(MU, abs=1e-6)
        assert found.reference == pytest.approx(FOIL, abs=1e-6)
    assert any("+1.250 eV, which is not done" in note for note in found.notes)


def nexus(path, mode=None, absorbed=IT, entries=("entry",)):
    with h5py.File(path, "w") as file:
        for name in entries:
            entry = file.create_group(name)
            entry.attrs["NX_class"] = "NXentry"
            instrument = entry.create_group("instrument")
            mono = instrument.create_group("monochromator")
            mono["energy"] = E
            mono["energy"].attrs["units"] = "eV"
            for beam, counts in (("incoming_beam", I0), ("absorbed_beam", absorbed)):
                instrument.create_group(beam)["data"] = counts
            if mode:
                entry["mode"] = mode
            data = entry.create_group("data")
            data.attrs["NX_class"], data.attrs["signal"] = "NXdata", "absorbed_beam"
            data.attrs["axes"] = "energy"
            data["energy"] = mono["energy"]
            data["absorbed_beam"] = instrument["absorbed_beam/data"]
    return path


@pytest.mark.parametrize(
    ("mode", "absorbed", "made"),
    [("Transmission", IT, MU), ("Fluorescence", FLUO, FLUO / I0), (None, IT, MU)],
)
def test_nxxas_counts_become_absorption(tmp_path, mode, absorbed, made):
    found = read(nexus(tmp_path / "a.nxs", mode, absorbed))
    assert found.energy == pytest.approx(E)
    assert found.counts == pytest.approx(made, rel=1e-6)
    assert found.unit == "eV"


def test_entries_of_a_nexus_file_are_told(tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name, mu in (("1.1", MU), ("2.1", 2 * MU)):
            group = file.create_group(f"{name}/measurement")
            group["energy_enc"], group["mu_trans"], group["mu"] = E, I0, mu
    with pytest.raises(SpectrumError, match=r"2 scans: 1 \(/1.1/measurement"):
        read(tmp_path / "b.h5")
    assert read(tmp_path / "b.h5", part="2.1").counts == pytest.approx(2 * MU)


@pytest.mark.parametrize("kind", ["external link", "virtual", "external storage"])
def test_hdf5_that_takes_data_from_outside_is_refused(tmp_path, kind):
    nexus(tmp_path / "other.nxs")
    for suffix in ("nxs", "hspy", "emd"):
        path = tmp_path / f"a.{suffix}"
        with h5py.File(path, "w") as file:
            file["energy"] = E
            if kind == "external link":
                file["mu"] = h5py.ExternalLink("other.nxs", "/entry/data/absorbed_beam")
            elif kind == "virtual":
                layout = h5py.VirtualLayout((E.size,), float)
                layout[:] = h5py.VirtualSource("other.nxs", "entry/data/energy", (E.size,))
                file.create_virtual_dataset("mu", layout)
            else:
                file.create_dataset(
                    "mu", (E.size,), float, external=[(str(tmp_path / "other.nxs"), 0, 8 * E.size)]
                )
        with pytest.raises(SpectrumError, match=r"another file|other files|outside"):
            read(path)


def workbook(path, sheets):
    import zipfile

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def cell(value):
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value!r}</v></c>"

    with zipfile.ZipFile(path, "w") as out:
        types = "".join(
            f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{kind}.worksheet+xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        out.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName='
            f'"/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{types}</Types>',
        )
        out.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type='
            f'"{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(
            f'<sheet name="{name}" sheetId="{i}" r:id="r{i}"/>' for i, name in enumerate(sheets, 1)
        )
        out.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{listed}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="r{i}" Type="{relations}/worksheet" '
            f'Target="worksheets/sheet{i}.xml"/>'
            for i in range(1, len(sheets) + 1)
        )
        out.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        )
        for i, rows_of in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows_of)
            out.writestr(
                f"xl/worksheets/sheet{i}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
            )
    return path


def test_sheets_of_a_workbook(tmp_path):
    table = [["energy", "i0", "itrans"], *np.column_stack([E, I0, IT]).tolist()]
    found = read(workbook(tmp_path / "a.xlsx", {"Notes": [["a remark"]], "Scan": table}))
    assert found.counts == pytest.approx(MU, abs=1e-6)
    two = workbook(tmp_path / "b.xlsx", {"first": table, "second": table})
    with pytest.raises(SpectrumError, match=r"2 scans: 1 \(first.*2 \(second"):
        read(two)
    assert read(two, part="second").counts == pytest.approx(MU, abs=1e-6)
    with pytest.raises(SpectrumError, match="none of its sheets"):
        read(workbook(tmp_path / "c.xlsx", {"Notes": [["a remark"]]}))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (gzip.compress(b"1 2\n3 4"), "gzip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "picture"),
        (b"CPYA 4.3318 178 W64 #\n" + bytes(50), "Origin project"),
        (b"\xd0\xcf\x11\xe0" + bytes(50), "Excel"),
        (b"PK\x03\x04" + bytes(50), "zip"),
        (bytes(range(256)), "binary"),
        (b"", "empty"),
    ],
)
def test_what_is_no_text_is_named_with_the_way_to_export_it(write, data, told):
    with pytest.raises(SpectrumError, match=told) as caught:
        read(write("a.dat", data))
    assert caught.value.fix


def test_what_cannot_be_opened(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    for name, told in ((".", "folder"), ("pipe", "pipe"), ("none.dat", "No such file")):
        with pytest.raises(SpectrumError, match=told):
            read(tmp_path / name)


def test_an_archive_that_unpacks_to_too_much_is_refused(write, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("xl/workbook.xml", b"\0" * 300_000_000)
    with pytest.raises(SpectrumError, match="unpacked it has more than 200 MB"):
        read(tmp_path / "a.xlsx")


def signals(path, *kinds):
    from hyperspy.api import signals as hs

    out = []
    for title, kind, start, size in kinds:
        signal = hs.Signal1D(np.arange(2.0 * size).reshape(2, size))
        signal.metadata.General.title = title
        signal.metadata.Signal.signal_type = kind
        axis = signal.axes_manager[-1]
        axis.name, axis.offset, axis.scale, axis.units = "Energy", start, 0.5, "eV"
        out.append(signal)
    out[0].save(path)
    for signal in out[1:]:
        other = path.with_name(f"{signal.metadata.General.title}-other.hspy")
        signal.save(other)
        with h5py.File(other) as source, h5py.File(path, "a") as target:
            for name in source["Experiments"]:
                source.copy(source["Experiments"][name], target["Experiments"], name)
    return path


def test_of_several_signals_the_one_at_the_edge_and_never_the_x_rays(tmp_path):
    """The largest is an X-ray spectrum, which is no energy loss."""
    kinds = (
        ("low", "EELS", -20.0, 200),
        ("core", "EELS", 480.0, 200),
        ("eds", "EDS_TEM", 0.0, 4000),
    )
    file = signals(tmp_path / "a.hspy", *kinds)
    assert [line.split(",")[0] for line in files.contents(file)] == ["core", "low"]
    edge = files.read(file, Wanted(covers_ev=(525, 549)))
    assert edge.energy[0] == 480
    assert files.read(file, Wanted(covers_ev=(-1, 1))).energy[0] == -20
    assert files.read(file, Wanted(part="low")).energy[0] == -20
    with pytest.raises(SpectrumError, match=r"2 signals.*give signal"):
        files.read(file)


def test_a_line_profile_is_no_spectrum(tmp_path):
    from hyperspy.api import signals as hs

    profile = hs.Signal1D(np.arange(50.0))
    profile.axes_manager[0].units = "nm"
    profile.save(tmp_path / "a.hspy")
    with pytest.raises(SpectrumError, match="holds no energy-loss spectrum"):
        read(tmp_path / "a.hspy")


def test_a_missing_package_is_told_as_that(tmp_path, monkeypatch):
    import rsciio.emd

    def needs_sparse(*_args, **_keys):
        raise ModuleNotFoundError("No module named 'sparse'", name="sparse")

    monkeypatch.setattr(rsciio.emd, "file_reader", needs_sparse)
    (tmp_path / "a.emd").write_bytes(b"emd")
    with pytest.raises(SpectrumError, match=r"need the Python package sparse.*pip install sparse"):
        read(tmp_path / "a.emd")


def test_emsa_without_a_header_is_a_table(write):
    assert read(write("a.msa", rows(E, MU))).counts == pytest.approx(MU, abs=1e-6)


def test_long_clean_tables_and_those_with_a_bad_row_agree(write):
    energy = np.linspace(8233, 8600, 12_000)
    mu = np.interp(energy, E, MU)
    clean = read(write("a.csv", "energy,mu\n" + rows(energy, mu, separator=",")))
    lines = rows(energy, mu, separator=",").splitlines()
    lines[6000] = "oops,oops"
    spoilt = read(write("b.csv", "energy,mu\n" + "\n".join(lines)))
    assert spoilt.energy == pytest.approx(np.delete(clean.energy, 6000))
    assert any("line 6002" in note for note in spoilt.notes)


def test_counters_are_no_series_and_scans_are_one_if_asked_for(write):
    """What ``corefuse read`` makes of a file of several columns or scans."""
    from types import SimpleNamespace

    from corefuse.read import request

    models = SimpleNamespace(spectra={"Ni_K-XAS": None})
    counters = write("a.dat", "# energy i0 it ir if tey\n" + rows(E, I0, IT, IREF, FLUO, FLUO))
    scan = "#S {}  ascan\n#N 6\n#L Energy  i0  itrans  irefer  a  b\n"
    two = write("b.spec", "\n\n".join(scan.format(n) + rows(E, I0, IT, IREF, E, E) for n in (1, 2)))
    for file, series, scans in (
        (counters, False, [None]),
        (two, False, [None]),
        (two, True, [1, 2]),
    ):
        found = request.of_files([file], {}, models, series).samples
        assert [s.spectra[0].scan for s in found] == scans
        assert {s.spectra[0].column for s in found} == {None}
