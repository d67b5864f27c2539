import numpy as np
import pytest
import synthetic
from synthetic import MODALITIES, NI_L, O_K

from corefuse.core.spectrum import EnergyGrid
from corefuse.learn.matrix import grids_of, matrix
from corefuse.learn.recipes import COMPONENTS, NAMED, RECIPES, Recipe, fit_recipe

DATA = synthetic.build()
X = matrix(DATA, MODALITIES)
GRIDS = grids_of(DATA, MODALITIES)
FINE = {O_K: EnergyGrid(start_ev=520, stop_ev=550, step_ev=0.2)}
ENERGY = FINE[O_K].energies_ev


def edge(at_ev, width_ev=0.5):
    """A rise of height one with a peak twice as high 6 eV behind it."""
    rise = 0.5 + np.arctan((ENERGY - at_ev) / width_ev) / np.pi
    return rise + np.exp(-(((ENERGY - at_ev - 6) / 1.5) ** 2))


@pytest.mark.parametrize("name", RECIPES)
def test_features_have_the_size_that_the_card_states_and_shares_add_to_one(name):
    recipe = fit_recipe(name, X, GRIDS)
    made = recipe.features(X, GRIDS)
    assert made.shape == (len(X), recipe.size(GRIDS))
    assert made.dtype == np.float32
    shares = recipe.shares(X, GRIDS)
    assert shares.shape == (made.shape[1], X.shape[1])
    assert shares.min() >= 0
    assert shares.sum(axis=1) == pytest.approx(1)
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert np.array_equal(again.features(X, GRIDS), made)


@pytest.mark.parametrize("name", RECIPES)
def test_what_one_modality_does_stays_in_its_own_features(name):
    """But for components, which mix all of them."""
    recipe = fit_recipe(name, X, GRIDS)
    changed = X.copy()
    changed[:, :24] = changed[:, :24][:, ::-1]  # O K, the first
    differs = ~np.isclose(recipe.features(changed, GRIDS), recipe.features(X, GRIDS))
    own = differs.any(axis=0)
    assert own[: own.size // 3].any()
    assert name == "components" or not own[own.size // 3 + 1 :].any()


def test_cumulative_features_are_areas_below_each_energy():
    made = Recipe(name="cumulative").features(edge(530)[None], FINE)[0]
    assert made[-1] == pytest.approx(edge(530).sum() * 0.2, rel=1e-5)
    assert np.allclose(np.diff(made), 0.2 * edge(530)[1:], atol=1e-4)


def test_bins_average_over_a_core_hole_width_and_keep_differences():
    recipe = Recipe(name="bins")
    made = recipe.features(np.vstack([np.ones(ENERGY.size), ENERGY - 535]), FINE)
    assert made[0, :30] == pytest.approx(1)
    assert made[0, 30:] == pytest.approx(0, abs=1e-6)
    assert made[1, 31:-1] == pytest.approx(1, abs=1e-3)  # a slope of one per eV, a bin per eV
    noise = np.random.default_rng(0).normal(size=(500, ENERGY.size))
    assert recipe.features(noise, FINE)[:, 1:29].std() < 0.5
    shares = recipe.shares(noise, FINE)
    assert (shares[10] @ ENERGY) == pytest.approx(530.5, abs=0.1)


def test_named_features_follow_an_edge_that_moves():
    made = Recipe(name="named").features(np.vstack([edge(530), edge(531.3)]), FINE)
    moved = dict(zip(NAMED, made[1] - made[0], strict=True))
    for name in ("half height", "80 % height", "maximum"):
        assert moved[name] == pytest.approx(1.3, abs=0.05)
    assert 0 < moved["centroid"] < 1.3
    assert moved["height"] == pytest.approx(0, abs=0.02)


def test_named_features_of_an_absent_element_are_missing():
    made = Recipe(name="named").features(np.zeros((2, ENERGY.size)), FINE)
    assert np.isnan(made).all()
    assert not Recipe(name="named").shares(np.zeros((2, ENERGY.size)), FINE).any()


def test_named_features_are_attributed_to_where_they_are_read():
    shares = Recipe(name="named").shares(edge(530)[None], FINE)
    places = dict(zip(NAMED, shares @ ENERGY, strict=True))
    read = dict(zip(NAMED, Recipe(name="named").features(edge(530)[None], FINE)[0], strict=True))
    for name in ("half height", "80 % height", "maximum"):
        assert places[name] == pytest.approx(read[name], abs=0.3)
    assert places["pre-edge area"] < 537


def test_components_learn_from_the_spectra_they_are_fitted_on_only():
    few = fit_recipe("components", X[:30], GRIDS)
    assert len(few.components) == COMPONENTS
    assert few == fit_recipe("components", X[:30], GRIDS)
    assert few != fit_recipe("components", X, GRIDS)
    made = fit_recipe("components", X, GRIDS).features(X, GRIDS)
    assert made.mean(axis=0) == pytest.approx(0, abs=1e-3)
    correlation = np.corrcoef(made.T)
    assert abs(correlation - np.eye(len(correlation))).max() < 1e-3
    assert NI_L in GRIDS
