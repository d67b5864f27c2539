"""Trained models on disk: a native ``.ubj`` booster and a JSON card beside it.

Nothing here unpickles: a model from somebody else is data, checked against its card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import xarray as xr
import xgboost as xgb
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

import corefuse
from corefuse.core.errors import InputError
from corefuse.core.files import atomic, write_json
from corefuse.core.inputs import regular_bytes, validated
from corefuse.core.section import Section
from corefuse.core.spectrum import EnergyGrid
from corefuse.core.targets import TARGET_TABLE
from corefuse.learn import boosters
from corefuse.learn.boosting import delivered
from corefuse.learn.conformal import Platt
from corefuse.learn.linear import Linear
from corefuse.learn.matrix import row
from corefuse.learn.recipes import Recipe
from corefuse.learn.scores import SELECTION_METRIC

MOST_BOOSTER_BYTES = 500_000_000
Finite = Annotated[float, Field(ge=-1e12, le=1e12)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Residual = Annotated[float, Field(ge=0, le=1e6)]


class Score(Section):
    """One cross-validated score and the baseline's; None where it is not known, see ``note``."""

    value: Finite | None
    ci_low: Finite | None
    ci_high: Finite | None
    note: str = Field(description="why there is no interval, or what it lacks")
    baseline: Finite | None = Field(description="score of the mean or prior on the same folds")


def _in_the_table(name: str) -> str:
    if name not in TARGET_TABLE:
        raise ValueError(f"no target is called {name!r}")
    return name


class Card(Section):
    """What a model is, where it comes from and how good it is."""

    target: Annotated[str, AfterValidator(_in_the_table)]
    kind: Literal["regression", "class"]
    subset: str = Field(min_length=1, max_length=200)
    grids: dict[str, EnergyGrid] = Field(min_length=1, description="modality: grid; column order")
    recipe: Recipe = Field(description="features made of the columns")
    linear: Linear = Field(description="what the booster's trees are added to")
    n_features: Count
    parameters: dict[str, float] = Field(description="of the search, and the number of trees")
    choices: dict[str, str] = Field(description="how parameters, trees and threshold were chosen")
    calibration: Platt | None = Field(description="margin to probability, classes only")
    residuals: dict[str, Annotated[list[Residual], Field(min_length=1)]] = Field(
        min_length=1, description="group: absolute out-of-fold errors"
    )
    scores: dict[str, Score] = Field(description="metric: nested grouped cross-validation")
    confidence: float = Field(gt=0.5, lt=1, description="level of the score intervals")
    not_learnable: str | None = Field(description="why the model is the mean of the data, if so")
    n_samples: Count
    n_structures: Count
    n_groups: Count
    columns_sha256: str = Field(description="of the spectra, target and samples it is made of")
    booster_sha256: str = ""
    versions: dict[str, str]

    @model_validator(mode="after")
    def _fits_together(self) -> Card:
        kind = TARGET_TABLE[self.target].kind
        if self.kind != kind:
            raise ValueError(f"{self.target} is a {kind}, not a {self.kind}")
        if self.calibration and kind != "class":
            raise ValueError(f"{self.target} is no class, so it has no calibration")
        chosen_by = self.scores.get(SELECTION_METRIC[kind])
        if chosen_by is None or chosen_by.value is None or chosen_by.baseline is None:
            raise ValueError(f"its scores hold no {SELECTION_METRIC[kind]} with a baseline")
        if len(self.linear.weights) not in (0, self.n_features):
            raise ValueError(f"{len(self.linear.weights)} weights for {self.n_features} features")
        return self

    @property
    def modalities(self) -> list[str]:
        """Modality ids in the order of the columns."""
        return list(self.grids)

    @property
    def selection_score(self) -> Score:
        """The score models are chosen by, rmse or brier: always defined, the smaller the better."""
        return self.scores[SELECTION_METRIC[self.kind]]


@dataclass(frozen=True)
class Model:
    """A booster with its card."""

    booster: xgb.Booster
    card: Card

    def predict(self, sample: Mapping[str, xr.DataArray]) -> float:
        """Value or calibrated probability of one sample, see :func:`row`."""
        return float(self.predict_rows(row(sample, self.card.grids))[0])

    def predict_rows(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values or calibrated probabilities, shape (n,), of spectra (n, p)."""
        features = self.card.recipe.features(x, self.card.grids)
        return delivered(self.booster, self.card.calibration, features, self.card.linear)


def versions() -> dict[str, str]:
    """Versions of what decides a model's numbers."""
    return {
        "corefuse": corefuse.__version__,
        "xgboost": xgb.__version__,  # its package is called xgboost-cpu or xgboost
        **{package: version(package) for package in ("numpy", "optuna", "scikit-learn")},
    }


def save_model(folder: str | Path, model: Model) -> None:
    """Write ``<folder>/<target>/<subset>.ubj`` and ``.json``."""
    path = Path(folder) / model.card.target / f"{model.card.subset}.ubj"
    with atomic(path) as partial:
        model.booster.save_model(partial)
        digest = sha256(partial.read_bytes()).hexdigest()
    boosters.trust(digest)
    card = model.card.model_copy(update={"booster_sha256": digest})
    write_json(path.with_suffix(".json"), card.model_dump(mode="json"))


def load_model(path: str | Path) -> Model:
    """Read a ``.ubj`` and the card beside it.

    Raises
    ------
    InputError
        If the card is not valid, or the booster is not the one the card describes.
    """
    path = Path(path)
    if not path.with_suffix(".json").exists():
        raise InputError(path, "card", "the model has no card", "train again")
    card = validated(path.with_suffix(".json"), Card, "card", "train again")
    if (card.target, card.subset) != (path.parent.name, path.stem):
        found = f"it is the card of {card.target}/{card.subset}"
        raise InputError(path.with_suffix(".json"), "target", found, "put it where it belongs")
    content = sha256(regular_bytes(path, MOST_BOOSTER_BYTES, "booster")).hexdigest()
    if content != card.booster_sha256:
        raise InputError(path, "booster_sha256", "not the file its card describes", "train again")
    boosters.check(path, content)
    booster = xgb.Booster()
    booster.load_model(path)
    on_grids = card.recipe.size(card.grids)
    weights = len(card.linear.weights) or on_grids
    if not booster.num_features() == card.n_features == on_grids == weights:
        raise InputError(
            path,
            "n_features",
            f"booster has {booster.num_features()} features, card {card.n_features}, "
            f"its grids {on_grids}",
            "put the card back that was written with the model, or train again",
        )
    return Model(booster, card)


def load_models(files: Iterable[str | Path]) -> dict[str, dict[str, Model]]:
    """Read the named ``.ubj`` files: target -> subset -> model."""
    out: dict[str, dict[str, Model]] = {}
    for model in map(load_model, files):
        out.setdefault(model.card.target, {})[model.card.subset] = model
    return out
