import numpy as np
import pandas as pd
import pytest
import xarray as xr

from corefuse.report import figures, tables

ENERGY = np.arange(524, 556.1, 0.2)
MODALITY = "O_K-XAS"


def spectrum(peak_ev: float, scale: float = 1.0) -> xr.Dataset:
    values = scale * np.exp(-((ENERGY - peak_ev) ** 2))
    return xr.Dataset(
        {MODALITY: ("energy_O_K", values), "dos_O_K": (("l", "energy_O_K"), [values] * 3)},
        coords={"energy_O_K": ENERGY},
    )


INDEX = pd.DataFrame(
    {
        "structure_id": ["a", "b", "c", "d"],
        "host_id": ["p-li100", "p-li050", "p-li100", "q-li050"],
        "x_li": [1.0, 0.5, 0.5, 0.5],  # c: excess Ni in place of Li
        "defect_class": ["pristine", "pristine", "antisite", "vacancy"],
    }
)
SPECTRA = {"a": spectrum(530), "b": spectrum(531), "c": spectrum(532), "d": spectrum(533)}


def lines(ax) -> list[np.ndarray]:
    return [line.get_ydata() for line in ax.lines if len(line.get_ydata()) == len(ENERGY)]


def test_one_line_a_pristine_structure_of_the_data_given():
    (ax,) = figures.spectra_by_lithium(SPECTRA, INDEX, [MODALITY]).axes
    assert {int(y.argmax()) for y in lines(ax)} == {30, 35}


def test_failed_structures_and_absent_elements_have_no_line():
    with_absent = {"a": spectrum(530), "b": spectrum(530, scale=0)}
    (ax,) = figures.spectra_by_lithium(with_absent, INDEX, [MODALITY]).axes
    assert len(lines(ax)) == 1


def test_a_defect_is_drawn_as_its_difference_from_its_own_host():
    """Neither from a cell that happens to hold as much Li, nor at all without its host."""
    (ax,) = figures.spectra_by_defect(SPECTRA, INDEX, [MODALITY]).axes
    (change,) = lines(ax)
    assert np.allclose(change, (SPECTRA["c"] - SPECTRA["a"])[MODALITY])


def test_attributions_stand_over_the_states_of_a_named_engine():
    table = pd.DataFrame(
        {"modality": MODALITY, "energy_ev": ENERGY, "mean_abs_shap": 0.1, "mean_shap": -0.1}
    )
    samples = xr.concat([SPECTRA["a"], SPECTRA["b"]], "sample")
    dos = {"O_K": SPECTRA["a"]["dos_O_K"].assign_attrs(engine="gpaw")}
    figure = figures.attribution(table, samples, dos, "x_li")
    states = [ax for ax in figure.axes if [t for t in ax.texts if t.get_text() == "gpaw"]]
    assert len(states) == 1
    assert len(lines(states[0])) == 3


def predictions(model: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target": "x_li",
            "modalities": "all",
            "model": model,
            "structure_id": ["a", "a", "b", "b"],
            "truth": [1.0, 1.0, 0.5, 0.5],
            "prediction": [0.9, 1.0, 0.6, 0.7],
        }
    )


@pytest.mark.parametrize(
    ("model", "title"),
    [("xgboost", "Li per f.u."), ("baseline", "Li per f.u. (not learnable)")],
)
def test_parity_says_when_a_target_was_not_learnable(model, title):
    (ax,) = figures.parity(predictions(model), "all").axes
    assert ax.get_title() == title
    points = ax.containers[0].lines[0].get_xydata()
    assert np.allclose(np.sort(points, axis=0), [[0.5, 0.65], [1.0, 0.95]])


def card(**changes) -> pd.DataFrame:
    row = {
        "target": "x_li",
        "prediction": 0.8,
        "low": 0.6,
        "high": 1.0,
        "probability": np.nan,
        "verdict": "ok",
        "subset": "all",
        "note": "",
    }
    return pd.DataFrame([row | changes])


def test_a_card_holds_number_interval_and_verdict():
    (ax,) = figures.inference_card(card(), "s", {"x_li": 0.75}).axes
    assert [t.get_text() for t in ax.texts] == ["0.80  [0.60, 1.00]  ok"]
    assert "used: all" in ax.get_title()


def test_a_card_out_of_domain_names_the_energies():
    strange = card(verdict="out_of_domain", note="unlike the training spectra, most at X 5 eV; y")
    (ax,) = figures.inference_card(strange, "s", {}).axes
    assert ax.get_title().splitlines()[1] == "unlike the training spectra, most at X 5 eV"


def test_a_card_without_an_answer_says_so():
    empty = card(prediction=np.nan, low=np.nan, high=np.nan, verdict="uncertain", subset=np.nan)
    (ax,) = figures.inference_card(empty, "s", {}).axes
    assert [t.get_text() for t in ax.texts] == ["no answer  uncertain"]
    assert "used: nothing" in ax.get_title()


def test_figures_are_written_as_svg_and_png(tmp_path):
    figure = figures.parity(predictions("xgboost"), "all")
    figures.save(figure, [tmp_path / "a.svg", tmp_path / "a.png"], dpi=50)
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_table_says_none(tmp_path):
    tables.write(tmp_path / "t.html", pd.DataFrame(), "Failed", "why <b>")
    page = (tmp_path / "t.html").read_text()
    assert "None." in page
    assert "why &lt;b&gt;" in page


def test_a_failed_site_is_named_with_all_of_its_reason_and_the_end_of_its_log(tmp_path):
    log = tmp_path / "O_K-7.log"
    log.write_text("\n".join(f"line {i}" for i in range(30)))
    row = {"reason": "because " * 30 + "of this", "end of the log": tables.end_of(log)}
    tables.write(tmp_path / "t.html", pd.DataFrame([row]), "Failed sites")
    page = (tmp_path / "t.html").read_text()
    assert "because of this" in page
    assert "line 28\nline 29<" in page and "line 2\n" not in page
    assert tables.end_of(tmp_path / "gone.log") == ""


def test_tables_escape_what_files_say(tmp_path):
    tables.write(tmp_path / "t.html", pd.DataFrame({"reason": ["<script>x</script>"]}), "T")
    assert "<script>" not in (tmp_path / "t.html").read_text()


def test_equal_figures_are_equal_files_without_a_date(tmp_path):
    """Else two runs can't be compared file by file."""
    names = ("a.svg", "a.png", "b.svg", "b.png")
    for first in ("a", "b"):
        figure = figures.spectra_by_lithium(SPECTRA, INDEX, [MODALITY])
        figures.save(figure, [tmp_path / f"{first}.svg", tmp_path / f"{first}.png"], 80)
    a_svg, a_png, b_svg, b_png = ((tmp_path / name).read_bytes() for name in names)
    assert (a_svg, a_png) == (b_svg, b_png)
    assert b"date" not in a_svg.lower()


def test_learning_curves_have_a_panel_per_target_that_can_be_learned():
    rows = [("x_li", "all", share, 10 * share, "rmse", 0.2, 0.1, 0.3) for share in (0.5, 1.0)]
    columns = ["target", "modalities", "share", "n_parents", "metric", "value", "ci_low", "ci_high"]
    curves = pd.DataFrame(rows, columns=columns)
    (ax,) = figures.learning_curves(curves, {"x_li": "regression"}).axes
    assert list(ax.lines[0].get_xdata()) == [5, 10]
    (none,) = figures.learning_curves(curves.iloc[:0], {}).axes
    assert none.get_title() == "no target can be learned"
