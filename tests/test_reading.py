"""A wrong answer is never ok: what a reading does with an axis that something fixes, or nothing."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from corefuse import cli
from corefuse.config import Sample
from corefuse.core import files
from corefuse.read import anchors, reading
from corefuse.read.infer import Library
from corefuse.read.simulated import load
from corefuse.spectra import standard

ENERGY_EV = np.arange(8300.0, 8400.0, 0.3)
CONFIDENCE = 0.8


@pytest.fixture(scope="module")
def library(ni_k_models):
    return load(ni_k_models / "simulated.nc"), Library.of_folder(ni_k_models)


@pytest.fixture(scope="module")
def cell(library):
    """Simulated spectra (n,) on a measured axis, by structure, their white line raised or not."""
    simulated, _ = library
    grid = simulated.entry("Ni_K-XAS").grid.energies_ev
    spectra = dict(zip(simulated.index.structure_id, simulated.spectra["Ni_K-XAS"], strict=True))

    def of(name, moved_ev=0.0, white_line=0.0):
        y = spectra[f"{name}-pristine"]
        y = y * (1 + white_line / (1 + ((grid - grid[y.argmax()]) / 2.5) ** 2))
        return np.interp(ENERGY_EV - moved_ev, grid, y) / y.max()

    return of


@pytest.fixture
def sample(tmp_path):
    def made(name, curve, reference=None, known=None, **more):
        columns = [ENERGY_EV, curve] + ([] if reference is None else [reference])
        header = "energy mu" + ("" if reference is None else " foil")
        path = tmp_path / f"{name}.dat"
        np.savetxt(path, np.column_stack(columns), header=header)
        spectrum = {"edge": "Ni K", "technique": "XAS", "file": str(path), **(known or {})}
        return Sample(
            name=name, spectra=[spectrum | {"column": "mu", "background": "mean"}], **more
        )

    return made


def foil(moved_ev=0.0):
    """A rise whose steepest point is at 8333 eV, as the file's axis has it."""
    return np.arctan((ENERGY_EV - 8333.0 - moved_ev) / 1.0) / np.pi + 0.5


def read(library, *samples, **more):
    found = reading.read(samples, *library, CONFIDENCE, **more)
    answers = found.answers.set_index("sample")
    return answers.join(found.matched.set_index("sample"), rsuffix="_of_match")


def test_a_sample_alone_is_uncertain_and_its_interval_holds_what_the_shift_hides(
    library, sample, cell
):
    """Ni K tells Li by where it stands: the white line of LiNiO2 raised by 17 % moves the fit."""
    for content, cells in ((1.0, "li100"), (0.5, "li050"), (0.0, "li000")):
        row = read(library, sample("a", cell(f"LiNiO2-4fu-d0-{cells}", white_line=0.17))).loc["a"]
        assert row.verdict == "uncertain"
        assert "nothing fixes its energy axis" in row.note
        assert row.low <= content <= row.high


def test_nickel_oxide_is_not_ok(library, shared):
    """It holds no lithium; told nothing, told Li = 1, or with its foil, no answer may be ok."""
    folder = shared / "experimental" / "field_reports" / "04-xdac-i0-it"
    spectrum = {"edge": "Ni K", "technique": "XAS"}
    alone = Sample(name="alone", spectra=[spectrum | {"file": str(folder / "nio_mu.csv")}])
    told = alone.model_copy(update={"name": "told", "composition": {"Li": 1.0, "Ni": 1.0}})
    with_foil = spectrum | {"file": str(folder / "nio_mutrans_murefer.xdi")}
    foiled = Sample(name="foiled", spectra=[with_foil | {"reference": {"foil": "Ni"}}])
    rows = read(library, alone, told, foiled)
    assert not (rows.verdict == "ok").any()
    assert "1.23 eV: first inflection of the Ni foil at 8331.77" in rows.notes["foiled"]
    assert "more than parents left out of the fit do" in rows.note["told"]


def test_a_foil_in_the_file_or_beside_it_fixes_the_axis(library, sample, cell, tmp_path):
    content, curve = 0.5, cell("NM31-4fu-d0-li050", moved_ev=-2.0)
    inside = {"reference_column": "foil", "reference": {"foil": "Ni"}}
    np.savetxt(tmp_path / "foil.txt", np.column_stack([ENERGY_EV, foil(-2.0)]))
    beside = {"reference": {"foil": "Ni", "file": str(tmp_path / "foil.txt")}}
    rows = read(
        library,
        sample("inside", curve, foil(-2.0), inside),
        sample("beside", curve, None, beside),
    )
    for row in rows.itertuples():
        assert row.fixed_by == "its reference"
        assert row.verdict == "ok"
        assert row.low <= content <= row.high
        assert "moved by +2.0" in row.notes
    # The simulated constant is known to 0.9 eV only, so that a foil need not narrow the interval.
    alone = read(library, sample("alone", curve)).loc["alone"]
    assert alone.verdict == "uncertain"


def test_a_stated_uncertainty_of_the_axis_stands_in_the_interval(library, sample, cell):
    curve = cell("NC31-4fu-d0-li050")
    known = [
        sample(f"s{i}", curve, None, {"axis_uncertainty_ev": std})
        for i, std in enumerate((0.1, 1.0, 4.0))
    ]
    rows = read(library, *known)
    assert (rows.verdict == "ok").all()
    assert (np.diff(rows.high - rows.low) > 0.02).all()


def test_a_composition_fixes_the_axis_unless_nothing_fits_it(library, sample, cell):
    curve = cell("LiNiO2-4fu-d0-li100", moved_ev=3.0)
    right = sample("right", curve, composition={"Li": 1.0, "Ni": 1.0})
    row = read(library, right).loc["right"]
    assert row.verdict == "ok"
    assert row.shift_ev == pytest.approx(-3.0, abs=0.3)
    assert row.low <= 1.0 <= row.high
    strange = sample("strange", curve, composition={"Li": 1.0, "Ni": 0.1, "Mn": 0.1, "Co": 0.8})
    row = read(library, strange).loc["strange"]
    assert row.verdict != "ok"
    assert "not among the simulated ones" in row.note


@pytest.mark.parametrize("drift_ev", [-2.0, -1.0, 1.0, 2.0])
def test_a_scan_adrift_is_told_and_its_interval_holds_the_truth(library, sample, cell, drift_ev):
    first = sample(
        "first", cell("LiNiO2-4fu-d0-li050"), series="s", composition={"Li": 0.5, "Ni": 1.0}
    )
    adrift = sample(
        "adrift", cell("LiNiO2-4fu-d0-li050", drift_ev), series="s", aligned_with="first"
    )
    rows = read(library, first, adrift)
    assert rows.verdict["first"] == "ok"
    assert rows.verdict["adrift"] != "ok"
    assert f"moved by {drift_ev:+.1f} eV with hardly a change of shape" in rows.note["adrift"]
    missed = max(rows.low["adrift"] - 0.5, 0.5 - rows.high["adrift"])
    assert missed < 0.02  # an 80 % interval: at 2 eV its end may be 0.01 off


def test_a_series_follows_its_reference_channel(library, sample, cell):
    """Whatever the foil is: each scan is moved as its own foil moved, and the drift is gone."""
    known = {"reference_column": "foil"}
    first = sample(
        "first",
        cell("LiNiO2-4fu-d0-li050"),
        foil(),
        known,
        series="s",
        composition={"Li": 0.5, "Ni": 1.0},
    )
    later = [
        sample(
            f"later{k}",
            cell("LiNiO2-4fu-d0-li050", k),
            foil(k),
            known,
            series="s",
            aligned_with="first",
        )
        for k in (1.5, -1.5)
    ]
    rows = read(library, first, *later)
    assert (rows.verdict == "ok").all()
    assert np.ptp(rows.prediction) < 0.05
    assert "its reference channel onto that of first" in rows.notes["later1.5"]


def test_a_series_aligned_with_a_sample_of_another_is_read_alone(library, sample, cell):
    """Of the other one nothing but its energy constant is taken."""
    first = sample("first", cell("NM31-4fu-d0-li100", 2.0), series="a", composition={"Li": 1.0})
    mine = [
        sample(name, cell(f"NC31-4fu-d0-{name}", 2.0), series="b", aligned_with="first")
        for name in ("li075", "li025")
    ]
    rows = read(library, *mine, first, wanted=["li075", "li025"])
    assert list(rows.index) == ["li075", "li025"]
    assert rows.fixed_by.tolist() == ["first (its composition)"] * 2
    assert rows.prediction["li075"] > rows.prediction["li025"]


def test_a_change_of_charge_is_no_drift(library, sample, cell):
    names = ("li100", "li075", "li050", "li025")
    series = [
        sample(
            name,
            cell(f"NM31-4fu-d0-{name}"),
            series="s",
            **({"composition": {"Li": 1.0}} if name == "li100" else {"aligned_with": "li100"}),
        )
        for name in names
    ]
    rows = read(library, *series)
    assert (np.diff(rows.prediction) < 0).all()
    assert not rows.note.str.contains("drifted").any()


def test_two_known_contents_correct_scale_and_offset():
    """Answers squeezed to 0.6 of their range and moved: two known contents put the rest right."""
    truth = np.linspace(1.0, 0.2, 9)
    squeezed = 0.3 + 0.6 * truth
    names = [f"s-{i}" for i in range(9)]
    answers = pd.DataFrame({"sample": names, "target": "x_li", "prediction": squeezed, "note": ""})
    answers = answers.assign(low=squeezed - 0.1, high=squeezed + 0.1)
    spectra = [{"edge": "Ni K", "technique": "XAS", "file": "s.csv"}]

    def series(*known):
        return [
            Sample(
                name=n,
                spectra=spectra,
                series="s",
                composition={"Li": truth[i]} if i in known else {},
            )
            for i, n in enumerate(names)
        ]

    as_it_was = anchors.correct(answers, series(0), CONFIDENCE)
    assert as_it_was.prediction.to_numpy() == pytest.approx(squeezed)
    two, four = (anchors.correct(answers, series(*k), CONFIDENCE) for k in ((0, 8), (0, 3, 6, 8)))
    error = [float(np.abs(t.prediction - truth).mean()) for t in (answers, two, four)]
    assert error[1] < 0.3 * error[0]
    assert (two.low <= truth).all() and (two.high >= truth).all()
    width = [(t.high - t.low).mean() for t in (two, four)]
    assert width[1] < width[0]  # the interval knows how many there are
    assert "2 known contents" in two.note[4] and "left out would have been missed by" in two.note[4]


def test_one_file_of_a_series_is_parsed_once(library, cell, tmp_path, monkeypatch, capsys):
    from corefuse.read.files import text

    calls = []
    original = text.content
    monkeypatch.setattr(text, "content", lambda path: calls.append(path) or original(path))
    curves = [cell(f"NM31-4fu-d0-li{k:03d}") for k in (100, 75, 50, 25, 0)]
    table = np.column_stack([ENERGY_EV, *curves])
    names = ",".join(["energy", *"abcde"])
    np.savetxt(tmp_path / "all.csv", table, delimiter=",", header=names, comments="")
    told = {"edge": "Ni K", "technique": "XAS", "file": str(tmp_path / "all.csv")}
    samples = [
        Sample(name=n, series="s", spectra=[told | {"column": n, "background": "mean"}])
        for n in "abcde"
    ]
    read(library, *samples)
    assert len(calls) == 1


def test_the_treated_spectra_are_written_as_the_models_read_them(library, sample, cell, tmp_path):
    simulated, _ = library
    found = reading.read([sample("a", cell("LiNiO2-4fu-d0-li050"))], *library, CONFIDENCE)
    files.write_netcdf(tmp_path / "a.nc", reading.dataset(found, simulated))
    written = files.read_netcdf(tmp_path / "a.nc")
    entry = simulated.entry("Ni_K-XAS")
    moved = ENERGY_EV + float(found.placed["Ni_K-XAS"].shift_ev[0])
    expected = standard.form(
        np.interp(entry.grid.energies_ev, moved, cell("LiNiO2-4fu-d0-li050")), entry
    )
    assert written["Ni_K-XAS"].values[0] == pytest.approx(expected, abs=1e-6)
    assert "nothing fixes" in written.attrs["matched"]


# --- the command ----------------------------------------------------------------------------------


def test_corefuse_read_gives_a_table_a_page_and_files(ni_k_models, sample, cell, tmp_path, capsys):
    path = sample("mine", cell("NM31-4fu-d0-li050")).spectra[0].file
    asked = ["read", path, "--column", "mu", "--background", "mean", "--composition", "Li=0.5"]
    out = tmp_path / "out"
    assert cli.main([*asked, "--models", str(ni_k_models), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "mine" in said and "Li per f.u." in said and "ok" in said
    answer = pd.read_csv(out / "answer.csv").set_index("sample")
    assert answer.low["mine"] <= 0.5 <= answer.high["mine"]
    page = (out / "index.html").read_text()
    for part in ("Answers", "What was done to the data", "What to measure next", "<svg"):
        assert part in page
    assert not re.search(r"(src|href)=\"http", page)  # it loads nothing from anywhere
    assert (out / "treated.nc").exists()


def test_a_samples_file_is_read_and_what_is_missing_is_an_error(
    ni_k_models, sample, cell, tmp_path, capsys
):
    file = sample("there", cell("NM31-4fu-d0-li050")).spectra[0].file
    spectrum = {"edge": "Ni K", "technique": "XAS", "background": "mean", "column": "mu"}
    entry = {"name": "a", "spectra": [spectrum | {"file": file}]}
    listed = tmp_path / "samples.yaml"
    listed.write_text(json.dumps({"samples": [entry]}))
    asked = ["read", str(listed), "--models", str(ni_k_models), "--out", str(tmp_path / "o")]
    assert cli.main(asked) == 0
    entry["spectra"][0]["file"] = "typo.dat"
    listed.write_text(json.dumps({"samples": [entry]}))
    assert cli.main(asked) == 1
    assert "typo.dat" in capsys.readouterr().err


def test_one_bad_file_does_not_stop_the_others_and_is_in_the_exit_status(
    ni_k_models, sample, cell, tmp_path, capsys
):
    good = sample("good", cell("NM31-4fu-d0-li050")).spectra[0].file
    (tmp_path / "bad.dat").write_text("8300 1\n8400 2\n")
    asked = ["read", good, str(tmp_path / "bad.dat"), "--edge", "Ni K", "--technique", "XAS"]
    more = ["--column", "2", "--background", "mean"]
    where = ["--models", str(ni_k_models), "--out", str(tmp_path / "o")]
    assert cli.main([*asked, *more, *where]) == 1
    said = capsys.readouterr()
    assert "bad.dat" in said.err and "good" in said.out
    assert list(pd.read_csv(tmp_path / "o" / "answer.csv")["sample"]) == ["good"]


def test_the_models_that_come_with_corefuse_read_ni_k(sample, cell, tmp_path, capsys):
    """From a clone to an answer, without a run: `make ni-k-models` writes them anew."""
    path = sample("mine", cell("NM31-4fu-d0-li050")).spectra[0].file
    asked = ["read", path, "--column", "mu", "--background", "mean", "--composition", "Li=0.5"]
    asked += ["--edge", "Ni K", "--technique", "XAS"]
    assert cli.main([*asked, "--out", str(tmp_path / "out")]) == 0
    row = pd.read_csv(tmp_path / "out" / "answer.csv").set_index(["sample", "target"])
    found = row.loc[("mine", "x_li")]
    assert found.low <= 0.5 <= found.high
