import json

import numpy as np
import pytest
import synthetic
from synthetic import MODALITIES, O_K

from corefuse.config import Train
from corefuse.core.errors import InputError
from corefuse.learn.content import columns_hash
from corefuse.learn.matrix import grids_of, matrix
from corefuse.learn.models import load_model, load_models, save_model
from corefuse.learn.recipes import Recipe
from corefuse.learn.train import train_target

DATA = synthetic.build(parents=6, structures=2, views=2)
SETTINGS = Train(outer_folds=2, inner_folds=2, trials=1, max_trees=10, bootstrap=100)


@pytest.fixture(scope="module")
def models():
    out = {}
    for target in ("x_li", "v_o_present", "x_co"):
        subsets = {O_K: [O_K], "all": MODALITIES}
        out[target] = train_target(DATA, target, subsets, SETTINGS).models
    return out


@pytest.fixture
def folder(models, tmp_path):
    for of_target in models.values():
        for model in of_target.values():
            save_model(tmp_path, model)
    return tmp_path


def edit_card(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path.with_suffix(".ubj")


def test_models_come_back_as_they_were(models, folder):
    found = load_models(folder.glob("*/*.ubj"))
    assert {t: set(m) for t, m in found.items()} == {t: set(m) for t, m in models.items()}
    for target, of_target in models.items():
        for subset, model in of_target.items():
            loaded = found[target][subset]
            x = matrix(DATA, model.card.modalities)
            assert np.array_equal(loaded.predict_rows(x), model.predict_rows(x))
            assert loaded.card.model_copy(update={"booster_sha256": ""}) == model.card


def test_one_sample_is_predicted_as_in_the_matrix(models):
    model = models["v_o_present"]["all"]
    expected = model.predict_rows(matrix(DATA, MODALITIES))[3]
    assert model.predict(synthetic.sample_of(DATA, 3, MODALITIES)) == pytest.approx(expected)


def test_a_card_says_what_the_model_is_made_of(folder):
    card = json.loads((folder / "v_o_present" / "all.json").read_text())
    assert card["columns_sha256"] == columns_hash(DATA, "v_o_present", MODALITIES)
    assert card["grids"][O_K] == {"start_ev": 525.0, "stop_ev": 548.0, "step_ev": 1.0}
    recipe = Recipe.model_validate(card["recipe"])
    assert card["n_features"] == recipe.size(grids_of(DATA, MODALITIES))
    assert card["n_samples"] == 24
    assert (card["n_structures"], card["n_groups"]) == (12, 6)
    assert set(card["scores"]) == {"roc_auc", "average_precision", "f1", "brier"}
    assert set(card["versions"]) == {"corefuse", "xgboost", "numpy", "optuna", "scikit-learn"}
    assert card["calibration"]["slope"] > 0
    assert set(card["residuals"]) == set(DATA["group"].to_numpy())


def test_features_that_do_not_fit_the_grids_are_refused(folder):
    card = json.loads((folder / "x_li" / f"{O_K}.json").read_text())
    card["grids"][O_K]["stop_ev"] = 550.0
    path = edit_card(folder, f"x_li/{O_K}.json", grids=card["grids"])
    with pytest.raises(
        InputError, match=r"booster has (\d+) features, card \1, its grids (?!\1\b)"
    ):
        load_model(path)


def test_a_booster_that_is_not_the_cards_is_refused(folder):
    (folder / "x_li" / "all.ubj").write_bytes((folder / "v_o_present" / "all.ubj").read_bytes())
    with pytest.raises(InputError, match=r"all\.ubj: booster_sha256"):
        load_model(folder / "x_li" / "all.ubj")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"kind": "clustering"}, "kind"),
        ({"n_features": "many"}, "n_features"),
        ({"on_load": "import os"}, "on_load"),
        ({"grids": {O_K: {"start_ev": 1.0, "stop_ev": 2.0, "step_ev": 0.3}}}, rf"grids\.{O_K}"),
    ],
)
def test_a_card_that_is_not_valid_is_refused(folder, changes, key):
    path = edit_card(folder, "x_li/all.json", **changes)
    with pytest.raises(InputError, match=rf"all\.json: {key}"):
        load_model(path)


def test_a_model_without_a_card_is_refused(folder):
    (folder / "x_li" / "all.json").unlink()
    with pytest.raises(InputError, match="no card"):
        load_model(folder / "x_li" / "all.ubj")
