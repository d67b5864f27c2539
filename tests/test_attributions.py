import numpy as np
import pytest
import synthetic
from synthetic import MODALITIES, NI_L, O_K

from corefuse.config import Train
from corefuse.learn.attributions import attributions, shap_values
from corefuse.learn.boosting import fit_boosted
from corefuse.learn.matrix import grids_of, matrix
from corefuse.learn.models import Model, load_model, save_model
from corefuse.learn.train import train_target
from corefuse.learn.tuning import Samples

DATA = synthetic.build()
SETTINGS = Train(outer_folds=2, inner_folds=2, trials=2, max_trees=30, bootstrap=100)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """As they come from their files."""
    folder = tmp_path_factory.mktemp("models")
    out = {}
    for target in ("x_li", "v_o_present", "x_co"):
        save_model(folder, train_target(DATA, target, {"all": MODALITIES}, SETTINGS).models["all"])
        out[target] = load_model(folder / target / "all.ubj")
    return out


@pytest.mark.parametrize("target", ["x_li", "v_o_present", "x_co"])
def test_attributions_add_to_the_margin(models, target):
    model, x = models[target], matrix(DATA, MODALITIES)
    values, base = shap_values(model, x)
    features = model.card.recipe.features(x, model.card.grids)
    margin = model.booster.inplace_predict(features, predict_type="margin")
    margin = margin + model.card.linear.margin(features)
    assert values.sum(axis=1) + base == pytest.approx(margin, abs=1e-5)


def test_the_answer_is_read_where_it_was_put(models):
    table = attributions(models["x_li"], DATA)
    assert list(table) == ["modality", "energy_ev", "mean_abs_shap", "mean_shap"]
    assert len(table) == 72
    by_modality = table.groupby("modality").mean_abs_shap.sum()
    assert by_modality[O_K] > 0.8 * by_modality.sum()
    top = table.nlargest(6, "mean_abs_shap")
    distance = np.minimum(abs(top.energy_ev - 530), abs(top.energy_ev - 535))  # the two peaks
    assert np.median(distance) <= 2
    defect = attributions(models["v_o_present"], DATA).nlargest(1, "mean_abs_shap").iloc[0]
    assert defect.modality == NI_L
    assert abs(defect.energy_ev - 864) <= 2


def test_the_sign_is_kept(models):
    """Attributions of a peak that grows with the label are positive where the peak is high."""
    model, x = raw_model(), matrix(DATA, MODALITIES)
    values, _ = shap_values(model, x)
    j = 5  # the peak of O K that grows with Li
    assert np.corrcoef(values[:, j], x[:, j])[0, 1] > 0.5
    table = attributions(model, DATA)
    assert table.mean_shap.to_numpy() == pytest.approx(values.mean(axis=0))
    assert (table.mean_abs_shap >= abs(table.mean_shap) - 1e-12).all()


def test_a_model_that_only_knows_the_mean_reads_nothing(models):
    assert not attributions(models["x_co"], DATA).mean_abs_shap.any()


def raw_model():
    """A model of Li that reads intensities as they are, so that a feature is an energy."""
    data = Samples(
        matrix(DATA, MODALITIES),
        DATA["x_li"].to_numpy().astype(float),
        DATA["group"].to_numpy().astype(str),
        DATA["structure_id"].to_numpy().astype(str),
    )
    grids = grids_of(DATA, MODALITIES)
    made = fit_boosted(data, grids, "regression", SETTINGS, 0, 1, recipes=["raw"])
    trained = train_target(DATA, "x_li", {"all": MODALITIES}, SETTINGS).models["all"]
    card = trained.card.model_copy(update={"recipe": made.recipe, "linear": made.linear})
    return Model(made.booster, card)
