"""Which energies a model reads: SHAP values along the energy axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
import xgboost as xgb
from numpy.typing import NDArray

from corefuse.learn.matrix import columns, matrix
from corefuse.learn.models import Model


def shap_values(model: Model, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Attributions (n, q) of the model's features of spectra (n, p), and the base value.

    Tree SHAP (Lundberg et al., Nat. Mach. Intell. 2, 56 (2020)) as xgboost computes it, plus the
    exact values of the linear part, weight times distance from the mean. A row plus the base value
    is the model's margin: the predicted value, or the log-odds before calibration.
    """
    features = model.card.recipe.features(x, model.card.grids)
    trees = model.booster.predict(xgb.DMatrix(features), pred_contribs=True).astype(float)
    linear = model.card.linear
    base = float(trees[0, -1]) + linear.intercept
    return trees[:, :-1] + linear.contributions(features), base


def attributions(model: Model, dataset: xr.Dataset) -> pd.DataFrame:
    """Mean attribution of each energy over all samples.

    What is attributed to a feature is shared by the energies it is made of, see
    :meth:`corefuse.learn.recipes.Recipe.shares`.

    Returns
    -------
    Columns modality, energy_ev, mean_abs_shap, mean_shap; one row an energy. Units are those of
    the target (log-odds for classes).
    """
    x = matrix(dataset, model.card.modalities)
    values, _ = shap_values(model, x)
    shares = model.card.recipe.shares(x, model.card.grids)
    table = pd.DataFrame(columns(model.card.grids), columns=["modality", "energy_ev"])
    return table.assign(
        mean_abs_shap=abs(values).mean(axis=0) @ shares, mean_shap=values.mean(axis=0) @ shares
    )
