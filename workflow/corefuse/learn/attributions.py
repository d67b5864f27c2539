"""Which energies a model reads: SHAP values along the energy axis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shap
import xarray as xr
from numpy.typing import NDArray

from corefuse.learn.matrix import columns, matrix
from corefuse.learn.models import Model


def shap_values(model: Model, x: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    """Attributions (n, p) of features (n, p), and the base value.

    Tree SHAP (Lundberg et al., Nat. Mach. Intell. 2, 56 (2020)). A row plus the base value is
    the model's margin: the predicted value, or the log-odds before calibration.
    """
    explainer = shap.TreeExplainer(model.booster)
    values = np.asarray(explainer.shap_values(x), dtype=float)
    return values, float(np.ravel(explainer.expected_value)[0])


def attributions(model: Model, dataset: xr.Dataset) -> pd.DataFrame:
    """Mean attribution of each energy over all samples.

    Returns
    -------
    Columns modality, energy_ev, mean_abs_shap, mean_shap; one row a feature. Units are those of
    the target (log-odds for classes).
    """
    values, _ = shap_values(model, matrix(dataset, model.card.modalities))
    table = pd.DataFrame(columns(model.card.grids), columns=["modality", "energy_ev"])
    return table.assign(mean_abs_shap=abs(values).mean(axis=0), mean_shap=values.mean(axis=0))
