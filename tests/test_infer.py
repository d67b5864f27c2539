import numpy as np
import pandas as pd
import pytest
import synthetic
import xarray as xr
from synthetic import MN_L, MODALITIES, NI_L, O_K

from corefuse.config import Train
from corefuse.core.errors import InputError
from corefuse.learn.domain import fit_domains, save_domain
from corefuse.learn.matrix import on_axis
from corefuse.learn.models import Model, save_model
from corefuse.learn.train import train_target
from corefuse.read.infer import (
    COLUMNS,
    Library,
    choose,
    infer,
    known_truth,
    of_structure,
    series,
    series_order,
)
from corefuse.report.figures import series as series_figure

SUBSETS = {O_K: [O_K], NI_L: [NI_L], MN_L: [MN_L], "XAS": [O_K, NI_L], "all": MODALITIES}
SETTINGS = Train(outer_folds=3, inner_folds=2, trials=2, max_trees=40, bootstrap=100)
DATA = synthetic.build(parents=24)
NEW = synthetic.build(parents=60, structures=1, views=1, seed=7)


@pytest.fixture(scope="module")
def library():
    targets = ("x_li", "v_o_present", "x_mn", "x_co")
    models = {t: train_target(DATA, t, SUBSETS, SETTINGS).models for t in targets}
    return Library(models, fit_domains(DATA, SUBSETS, seed=0))


def read(library, i=0, modalities=MODALITIES, confidence=0.9, data=NEW):
    table = infer(synthetic.sample_of(data, i, modalities), library, confidence)
    return table.set_index("target")


def test_new_specimens_are_read_and_covered_at_the_stated_level(library):
    tables = [read(library, i) for i in range(60)]
    covered = dict.fromkeys(("x_li", "v_o_present"), 0)
    for i, table in enumerate(tables):
        for target in covered:
            truth, row = float(NEW[target][i]), table.loc[target]
            covered[target] += row.low <= truth <= row.high
            assert row.low <= row.prediction <= row.high
    assert min(covered.values()) >= 50  # of 60 at 0.9, less three standard errors
    error = [t.prediction["x_li"] - float(NEW["x_li"][i]) for i, t in enumerate(tables)]
    assert np.std(error) < 0.15
    assert np.mean([t.verdict["x_li"] == "ok" for t in tables]) > 0.8
    right = [t.prediction["v_o_present"] == NEW["v_o_present"][i] for i, t in enumerate(tables)]
    assert np.mean(right) > 0.95


def test_the_table_has_a_row_for_each_trained_target(library):
    table = infer(synthetic.sample_of(NEW, 0, MODALITIES), library, 0.9)
    assert list(table) == COLUMNS
    assert list(table.target) == ["x_li", "x_mn", "x_co", "v_o_present"]
    rows = table.set_index("target")
    assert rows.level.eq(0.9).all()
    assert 0 <= rows.probability["v_o_present"] <= 1
    assert np.isnan(rows.probability["x_li"])
    assert rows.prediction["v_o_present"] in (0, 1)


@pytest.mark.parametrize(
    ("measured", "chosen"),
    [(MODALITIES, "all"), ([NI_L, O_K], "XAS"), ([O_K], O_K), ([MN_L, O_K], O_K), ([MN_L], MN_L)],
)
def test_the_model_of_what_was_measured_is_used(library, measured, chosen):
    row = read(library, modalities=measured).loc["x_li"]
    assert row.subset == chosen
    assert row.modalities == " ".join(SUBSETS[chosen])


def test_without_an_exact_match_the_best_scored_subset_wins(library):
    models = {k: m for k, m in library.models["x_li"].items() if k not in ("all", "XAS")}
    assert choose(models, set(MODALITIES)).card.subset == O_K
    models = {k: m for k, m in library.models["v_o_present"].items() if k not in ("all", "XAS")}
    assert choose(models, set(MODALITIES)).card.subset == NI_L
    assert choose(models, {"Li_K-EELS"}) is None


def test_edges_no_model_knows_are_refused(library):
    li_k = on_axis("Li_K-EELS", np.arange(50.0, 60), np.ones(10))
    with pytest.raises(InputError, match="no model was trained on Li_K-EELS"):
        infer({"Li_K-EELS": li_k}, library, 0.9)


def test_edges_too_few_for_any_model_of_a_target_leave_it_uncertain(library):
    models = library.models | {"x_mn": {"all": library.models["x_mn"]["all"]}}
    row = read(Library(models, library.domains), modalities=[O_K]).loc["x_mn"]
    assert (row.verdict, row.note) == ("uncertain", "no model for these edges alone")
    assert np.isnan(row.prediction)


def test_a_strange_spectrum_is_out_of_domain_and_says_where(library):
    odd = NEW[O_K].to_numpy() + 3 * (np.arange(24) == 19)
    strange = NEW.assign({O_K: (NEW[O_K].dims, odd)})
    row = read(library, data=strange).loc["x_li"]
    assert row.verdict == "out_of_domain"
    assert not row.in_domain
    assert row.domain_score > row.domain_threshold
    assert "O_K-XAS 544.0 eV" in row.note


def test_an_edge_whose_fit_ended_at_a_bound_is_not_trusted(library):
    sample = synthetic.sample_of(NEW, 0, MODALITIES)
    trusted = infer(sample, library, 0.9).set_index("target").loc["x_li"]
    doubted = infer(sample, library, 0.9, {O_K: "its fit ended at a bound"})
    row = doubted.set_index("target").loc["x_li"]
    assert (trusted.verdict, row.verdict) == ("ok", "uncertain")
    assert f"{O_K}: its fit ended at a bound" in row.note
    assert row.prediction == trusted.prediction
    alone = {NI_L: sample[NI_L]}
    for answer in (infer(alone, library, 0.9, {O_K: "bad"}), infer(alone, library, 0.9)):
        assert "bad" not in str(answer.note.tolist())


def test_a_model_that_knows_nothing_says_so(library):
    row = read(library, modalities=[MN_L]).loc["x_mn"]
    assert row.verdict == "uncertain"
    assert "does not show the model to be better than the mean" in row.note


def test_a_target_that_never_varied_is_not_believed(library):
    row = read(library).loc["x_co"]
    assert row.verdict == "uncertain"
    assert row.note == "x_co is 0 in every structure"
    assert (row.prediction, row.low, row.high, row.interval_unbounded) == (0, 0, 1, True)


def test_more_confidence_than_parents_is_unbounded_and_uncertain(library):
    row = read(library, confidence=0.99).loc["x_li"]
    assert row.interval_unbounded
    assert (row.low, row.high, row.verdict) == (0, 2, "uncertain")
    assert "24 parents are too few for a 99% interval (99 needed)" in row.note
    assert not read(library, confidence=0.95).loc["x_li"].interval_unbounded


def test_a_threshold_from_few_parents_is_told_and_decides_no_verdict(library):
    assert "threshold" not in str(read(library).loc["x_li"].note)
    few = synthetic.build(parents=8)
    domains = fit_domains(few, SUBSETS, seed=0)
    row = read(Library(library.models, domains)).loc["x_li"]
    assert "the largest score of 8 parents left out (19 needed for a 95% quantile)" in row.note


def test_a_score_without_an_interval_shows_nothing(library):
    model = library.models["x_li"]["all"]
    unknown = model.card.scores["rmse"].model_copy(
        update={"ci_low": None, "ci_high": None, "note": "no interval: one parent"}
    )
    card = model.card.model_copy(update={"scores": model.card.scores | {"rmse": unknown}})
    models = {"x_li": {"all": Model(model.booster, card)}}
    row = read(Library(models, library.domains)).loc["x_li"]
    assert row.verdict != "ok"
    assert "better than the mean (no interval: one parent)" in row.note


def test_two_possible_labels_are_uncertain(library):
    rows = [read(library, i, [MN_L]).loc["v_o_present"] for i in range(10)]
    assert all(r.verdict == "uncertain" for r in rows)
    assert any("neither label can be excluded at 90%" in r.note for r in rows)


def test_a_saved_library_reads_the_same(library, tmp_path):
    for models in library.models.values():
        for model in models.values():
            save_model(tmp_path, model)
    models = sorted(tmp_path.glob("*/*.ubj"))
    with pytest.raises(InputError, match="no domain"):
        Library.load(models, [])
    for domain in library.domains.values():
        save_domain(tmp_path / "domain", domain)
    domains = list((tmp_path / "domain").glob("*.json"))
    assert read(Library.load(models, domains)).equals(read(library))


def test_a_model_that_is_not_named_is_not_used(library, tmp_path):
    """What an earlier config left in the folder must not answer."""
    for models in library.models.values():
        for model in models.values():
            save_model(tmp_path, model)
    for domain in library.domains.values():
        save_domain(tmp_path / "domain", domain)
    named = sorted(tmp_path.glob("x_li/*.ubj"))
    loaded = Library.load(named, (tmp_path / "domain").glob("*.json"))
    assert set(loaded.models) == {"x_li"}


def test_a_simulated_structure_is_a_sample_of_its_modalities(library):
    spectra = NEW[[O_K, MN_L]].isel(sample=0)
    spectra = spectra.assign({f"{m}_site_std": spectra[m] * 0 for m in (O_K, MN_L)})
    spectra["dos_O_K"] = spectra[O_K]
    sample = of_structure(spectra)
    assert set(sample) == {O_K, MN_L}
    assert infer(sample, library, 0.9).equals(
        infer(synthetic.sample_of(NEW, 0, [O_K, MN_L]), library, 0.9)
    )


def test_a_structure_whose_simulation_failed_is_listed_as_uncertain(library):
    sample = of_structure(xr.Dataset(attrs={"status": "failed", "reason": "no convergence"}))
    table = infer(sample, library, 0.9)
    assert len(table) == len(library.models)
    assert table.verdict.eq("uncertain").all()
    assert table.note.eq("no spectra").all()


def test_the_truth_of_a_simulated_sample_is_its_row_of_the_index():
    row = {"structure_id": "a", "v_o_present": 1.0, "antisite_present": 0.0, "x_li": 0.5}
    index = pd.DataFrame([row | {"ni_oxidation_state": np.nan}])
    truth = known_truth(index, "a")
    assert truth == {"x_li": 0.5, "v_o_present": 1, "antisite_present": 0}
    assert known_truth(index, "measured") == {}
    told = known_truth(index, "measured", {"Li": 1.0, "Ni": 0.8})
    assert told == {"x_li": 1.0, "x_ni": 0.8}


def test_a_series_is_told_in_the_order_of_its_voltage():
    places = [
        {"series": "mine", "sample": f"s{i}", "voltage": v}
        for i, v in enumerate((4.8, None, 3.0, 4.3))
    ]

    def answers(*values):
        empty = dict.fromkeys(COLUMNS) | {"target": "x_li", "in_domain": True}
        return pd.DataFrame(
            [empty | {"sample": f"s{i}", "prediction": v} for i, v in enumerate(values)]
        )

    read = answers(0.2, 1.0, 0.9, 0.4)
    table = series(places, read)
    assert table["sample"].tolist() == ["s1", "s2", "s3", "s0"]
    assert series_order(table) == (
        "mine: pristine 1.00, 3 V 0.90, 4.3 V 0.40, 4.8 V 0.20; the order follows the voltage."
    )
    assert len(series_figure(table).axes) == 1
    unnamed = [place | {"voltage": None} for place in places]
    table = series(unnamed, read)
    assert table["sample"].tolist() == ["s0", "s1", "s2", "s3"]
    assert table["number"].tolist() == [1, 2, 3, 4]
    assert series_order(table) == ""
    assert series_figure(table).axes[0].get_xlabel() == "spectrum"
    worse = series(places, answers(0.5, 1.0, 0.9, 0.4))
    assert "the order does not follow the voltage" in series_order(worse)
    other = series(places, read.assign(target="x_ni"))  # a run may train no Li content
    assert set(other.target) == {"x_ni"}
