"""Section ``train``: targets, modality subsets, cross-validation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from corefuse.core.bounds import Between, Folds, Seed
from corefuse.core.edges import TECHNIQUES
from corefuse.core.section import Section, Unique
from corefuse.core.vocabulary import TARGETS, Name, Target


class Combinations(Section):
    """All subsets of edges that are measured together, to see what each adds."""

    every_subset_of: Annotated[list[str], Unique] = Field(
        min_length=2, max_length=6, description="modality ids"
    )


class Train(Section):
    """Targets, modality subsets and the nested, grouped cross-validation."""

    seed: Seed = Field(1, description="seed of folds, hyperparameter search and bootstrap")
    targets: Annotated[list[Target], Unique] = Field(
        list(TARGETS), min_length=1, description="quantities to predict"
    )
    subsets: dict[Name, Literal["each", *TECHNIQUES] | list[str] | Combinations] = Field(
        {"each": "each", "XAS": "XAS", "EELS": "EELS", "all": ["all"]},
        description="subsets of modalities by name: `each` (one model per modality), a "
        "technique, [all], modality ids, or `every_subset_of` them; Li K, which overlaps with M2,3 "
        "of the metals, is used only if it is named",
    )
    outer_folds: Folds = Field(5, description="number of grouped folds that are scored")
    inner_folds: Folds = Field(
        3, description="number of grouped folds for the hyperparameter search"
    )
    trials: Annotated[int, Between(1, 10_000, "each one trains a model")] = Field(
        20, description="number of optuna trials per search"
    )
    max_trees: Annotated[int, Between(10, 20_000, "models are kept in memory")] = Field(
        300, description="largest number of trees"
    )
    bootstrap: Annotated[
        int, Between(100, 100_000, "fewer give no interval, more the same one")
    ] = Field(1000, description="number of bootstrap resamples of groups for the score intervals")
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="confidence level of the score intervals"
    )
