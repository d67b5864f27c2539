from dataclasses import replace

import numpy as np
import pytest
import synthetic
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from synthetic import MN_L, MODALITIES, NI_L, O_K, SUBSETS

from corefuse.config import Train
from corefuse.core.errors import InputError
from corefuse.learn.boosting import (
    boosted_constant,
    fit_boosted,
    fit_constant,
    fit_jia,
)
from corefuse.learn.matrix import grids_of, matrix
from corefuse.learn.splits import grouped_folds
from corefuse.learn.train import METRIC_COLUMNS, OUT_OF_FOLD_COLUMNS, cross_predict, train_target
from corefuse.learn.tuning import Samples, Trial, _best, tune

SETTINGS = Train(outer_folds=3, inner_folds=2, trials=2, max_trees=25, bootstrap=100)
DATA = synthetic.build()
GRIDS = grids_of(DATA, MODALITIES)


def samples(target, modalities=MODALITIES, data=DATA):
    return Samples(
        matrix(data, modalities),
        data[target].to_numpy().astype(float),
        data["group"].to_numpy().astype(str),
        data["structure_id"].to_numpy().astype(str),
    )


@pytest.fixture(scope="module")
def trained():
    """One result a target, made once."""
    made = {}

    def get(target):
        if target not in made:
            made[target] = train_target(DATA, target, SUBSETS, SETTINGS)
        return made[target]

    return get


def value(result, subset, metric, model="xgboost"):
    rows = result.metrics.set_index(["modalities", "model", "metric"])
    return rows.loc[(subset, model, metric), "value"]


def test_the_informative_edge_is_found_and_the_others_know_nothing(trained):
    result = trained("x_li")
    assert value(result, O_K, "r2") > 0.7
    assert value(result, "all", "r2") > 0.7
    for subset in (NI_L, MN_L):
        assert value(result, subset, "r2") < 0.15
        assert value(result, subset, "rmse") > 0.9 * value(result, subset, "rmse", "baseline")


def test_fusing_beats_each_edge_where_the_answer_is_split_between_them(trained):
    result = trained("x_ni")
    best_alone = min(value(result, m, "rmse") for m in MODALITIES)
    assert value(result, "all", "rmse") < 0.85 * best_alone


def test_classes_are_told_apart_where_the_peak_is(trained):
    result = trained("v_o_present")
    assert value(result, NI_L, "roc_auc") > 0.95
    assert value(result, NI_L, "brier") < 0.1 < value(result, NI_L, "brier", "baseline")
    assert value(result, MN_L, "roc_auc") < 0.75
    assert value(result, MN_L, "brier") > 0.2


def test_the_baseline_is_the_mean_of_the_training_folds(trained):
    assert -0.2 < value(trained("x_li"), "all", "r2", "baseline") <= 0
    assert value(trained("v_o_present"), "all", "roc_auc", "baseline") == 0.5


def test_the_recipe_of_jia_is_scored_on_the_same_folds(trained):
    result = trained("x_li")
    assert value(result, O_K, "r2", "jia2026") > 0.5
    assert value(result, MN_L, "r2", "jia2026") < 0.15
    predicted = result.out_of_fold[result.out_of_fold.modalities == O_K]
    ours, theirs = (predicted[predicted.model == m] for m in ("xgboost", "jia2026"))
    same = ["structure_id", "group", "view", "fold", "truth"]
    assert ours[same].reset_index(drop=True).equals(theirs[same].reset_index(drop=True))
    assert predicted.groupby("group").fold.nunique().eq(1).all()


def test_a_label_of_the_parent_cannot_be_learnt_through_its_fingerprint():
    """x_mn is noise that parents share: row-wise folds score high on it, ours must not."""
    data = synthetic.build(parents=16, structures=8, views=2, seed=5)
    some, grids = samples("x_mn", data=data), grids_of(data, MODALITIES)

    def leaky(part, seed):
        return fit_jia(part, grids, "regression", SETTINGS, seed, 1)

    by_row = cross_predict(
        some, leaky, list(KFold(3, shuffle=True, random_state=0).split(some.x)), 0
    )
    assert r2_score(some.truth, by_row) > 0.6
    result = train_target(data, "x_mn", {"all": MODALITIES}, SETTINGS)
    assert value(result, "all", "r2") < 0.1
    assert value(result, "all", "r2", "jia2026") < 0.1


def test_labels_permuted_over_the_parents_score_no_better_than_the_mean():
    """A real signal (x_li of O K), averaged over parents, then given to the wrong ones."""
    rng = np.random.default_rng(3)
    truth = DATA["x_li"].groupby("group").mean()
    shuffled = dict(zip(truth["group"].to_numpy(), rng.permutation(truth), strict=True))
    wrong = np.array([shuffled[g] for g in DATA["group"].to_numpy()])
    data = DATA.assign(x_li=("sample", wrong))
    result = train_target(data, "x_li", {"all": MODALITIES}, SETTINGS)
    assert value(result, "all", "r2") < 0.1
    assert value(result, "all", "r2", "jia2026") < 0.1


@pytest.mark.parametrize("fit", ["boosted", "constant", "jia"])
def test_what_is_held_back_decides_nothing_in_a_fold(fit):
    """Spoil the held-back samples: the model of the fold must not change."""
    some = samples("v_o_present", [O_K, NI_L])
    train, test = grouped_folds(some.groups, some.truth, 3, 0)[0]
    x, truth = some.x.copy(), some.truth.copy()
    x[test] += 10
    truth[test] = 1 - truth[test]
    spoilt = replace(some, x=x, truth=truth)
    grids = grids_of(DATA, [O_K, NI_L])
    fits = {
        "boosted": lambda part: fit_boosted(part, grids, "class", SETTINGS, 0, 1),
        "constant": fit_constant,
        "jia": lambda part: fit_jia(part, grids, "class", SETTINGS, 0, 1),
    }
    clean, dirty = (fits[fit](s.take(train)).predict(some.x[test]) for s in (some, spoilt))
    assert np.array_equal(clean, dirty)


def test_out_of_fold_predictions_come_from_the_fit_of_the_other_folds():
    some = samples("x_li", [O_K])
    folds = grouped_folds(some.groups, some.truth, 3, 0)
    seen = []

    class Spy:
        def __init__(self, part):
            seen.append(set(part.groups))

        def predict(self, x):
            return np.full(len(x), len(seen))

    predicted = cross_predict(some, lambda part, seed: Spy(part), folds, 0)
    for k, (_, test) in enumerate(folds):
        assert not seen[k] & set(some.groups[test])
        assert (predicted[test] == k + 1).all()


def test_the_best_number_of_trees_is_read_from_the_inner_curve():
    some = samples("v_o_fraction", [O_K])  # hardly anything to learn: more trees do harm
    folds = grouped_folds(some.groups, some.truth, 2, 0)
    tuned = tune([some] * 2, folds, "regression", SETTINGS, 0, 1, (0.1, 0.5))
    assert 1 <= tuned.n_trees < SETTINGS.max_trees
    pooled = np.sqrt(np.mean((tuned.margin - some.truth) ** 2))
    assert pooled >= tuned.loss * (1 - 1e-4)


def test_a_margin_to_calibrate_on_is_of_a_choice_its_own_fold_had_no_part_in():
    """Two trials of three trees: the first is best on fold 0, the second on fold 1."""
    first, second = (
        Trial(i, {}, [], np.array(curves))
        for i, curves in enumerate(
            ([[0.1, 0.2, 0.3], [0.9, 0.8, 0.7]], [[0.6, 0.5, 0.4], [0.3, 0.2, 0.4]])
        )
    )
    trials = [first, second]
    assert _best(trials, np.array([0, 5])) == (second, 2, pytest.approx(0.2))
    assert _best(trials, np.array([5, 0])) == (first, 1, pytest.approx(0.1))
    assert _best(trials, np.array([1, 3]))[:2] == (second, 2)


def test_calibrated_probabilities_are_no_surer_than_they_are_right():
    """Labels that cannot be learnt: a search makes its own margins look better than they are."""
    rng = np.random.default_rng(0)
    some = samples("x_li", [MN_L])
    grids = grids_of(DATA, [MN_L])
    luck = Train(inner_folds=2, trials=12, max_trees=60)
    slopes = []
    for seed in range(4):
        coin = dict(zip(np.unique(some.structures), rng.integers(0, 2, 36), strict=True))
        noise = replace(some, truth=np.array([float(coin[s]) for s in some.structures]))
        slopes.append(fit_boosted(noise, grids, "class", luck, seed, 1).platt.slope)
    assert np.mean(slopes) < 0.5


def test_more_trials_never_tune_worse():
    some = samples("x_li", [O_K])
    folds = grouped_folds(some.groups, some.truth, 2, 0)
    losses = [
        tune([some] * 2, folds, "regression", settings, 0, 1, (0.1, 0.5)).loss
        for settings in (SETTINGS.model_copy(update={"trials": n}) for n in (1, 6))
    ]
    assert losses[1] <= losses[0]


def test_the_final_model_and_its_card(trained):
    result = trained("v_o_present")
    assert set(result.models) == set(SUBSETS)
    model = result.models["all"]
    chosen = model.card.choices
    assert set(chosen) == {"features", "line", "parameters", "n_trees", "calibration", "threshold"}
    assert "of 2 (optuna, TPE)" in chosen["parameters"]
    assert chosen["n_trees"].startswith(f"{model.card.parameters['n_trees']:g} of at most 25")
    assert model.card.modalities == MODALITIES
    assert model.card.calibration is not None
    assert model.booster.num_boosted_rounds() == model.card.parameters["n_trees"]
    predicted = model.predict_rows(samples("v_o_present").x)
    assert ((predicted > 0.5) == DATA["v_o_present"]).mean() > 0.95
    ours = result.out_of_fold.query("modalities == 'all' and model == 'xgboost'")
    residuals = abs(ours.truth - ours.prediction).groupby(ours.group).apply(sorted)
    for group, expected in residuals.items():
        assert sorted(model.card.residuals[group]) == pytest.approx(expected, abs=1e-6)
    assert model.card.scores["brier"].value == value(result, "all", "brier")
    assert model.card.scores["brier"].baseline == value(result, "all", "brier", "baseline")


def test_tables_have_the_columns_of_the_contract(trained):
    result = trained("x_li")
    assert list(result.metrics) == METRIC_COLUMNS
    assert list(result.out_of_fold) == OUT_OF_FOLD_COLUMNS
    assert set(result.metrics.model) == {"xgboost", "baseline", "jia2026"}
    assert set(result.metrics.metric) == {"rmse", "mae", "r2"}
    assert (result.metrics.n_groups == 12).all()
    assert len(result.out_of_fold) == len(SUBSETS) * 3 * DATA.sizes["sample"]
    splits = [c for c in METRIC_COLUMNS if c.startswith(("grade", "li_range"))]
    defined = result.metrics.drop(columns=splits).dropna()
    assert (defined.ci_low <= defined.ci_high).all()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("x_co", "x_co is 0 in every structure"),
        ("antisite_present", "varies in too few parents"),
        ("antisite_fraction", "varies in too few parents"),
    ],
)
def test_a_target_that_hardly_varies_is_not_learnable_and_does_not_crash(trained, target, reason):
    result = trained(target)
    assert reason in result.not_learnable
    assert set(result.metrics.model) == {"baseline"}
    assert set(result.models) == set(SUBSETS)
    card = result.models["all"].card
    assert reason in card.not_learnable
    assert card.choices == {"model": "the mean of the data: nothing was chosen"}
    predicted = result.models["all"].predict_rows(samples(target).x)
    assert np.ptp(predicted) == 0
    assert predicted[0] == pytest.approx(float(DATA[target].mean()), abs=0.03)


def test_the_constant_class_is_softened_by_the_number_of_structures():
    some = samples("antisite_present")
    none = replace(some, truth=np.zeros_like(some.truth))
    assert boosted_constant(none, GRIDS, "class").predict(some.x[:1]) == pytest.approx(1 / (36 + 2))


def test_the_seed_decides_everything():
    subset = {"all": MODALITIES}
    runs = [
        train_target(DATA, "x_li", subset, SETTINGS.model_copy(update={"seed": seed}))
        for seed in (1, 1, 2)
    ]
    first, again, other = (r.out_of_fold.prediction for r in runs)
    assert first.equals(again)
    assert runs[0].metrics.equals(runs[1].metrics)
    assert runs[0].models["all"].card == runs[1].models["all"].card
    assert not first.equals(other)


def test_fewer_parents_than_folds_is_an_input_error():
    few = DATA.isel(sample=DATA["group"].isin(["p1", "p2"]).to_numpy())
    with pytest.raises(InputError, match=r"train\.outer_folds"):
        train_target(few, "x_li", SUBSETS, SETTINGS)
    with pytest.raises(InputError, match=r"train\.inner_folds"):
        train_target(few, "x_li", SUBSETS, SETTINGS.model_copy(update={"outer_folds": 2}))
