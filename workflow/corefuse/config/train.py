"""Section ``train``: targets, modality subsets, cross-validation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from corefuse.core.edges import TECHNIQUES
from corefuse.core.section import Section, Unique
from corefuse.core.vocabulary import TARGETS, Name, Target


class Train(Section):
    """Targets, modality subsets and the nested, grouped cross-validation."""

    seed: int = Field(1, ge=0, description="seed of folds, search and bootstrap")
    targets: Annotated[list[Target], Unique] = Field(
        list(TARGETS), min_length=1, description="what is predicted"
    )
    subsets: dict[Name, Literal["each", *TECHNIQUES] | list[str]] = Field(
        {"each": "each", "XAS": "XAS", "EELS": "EELS", "all": ["all"]},
        description="name: `each` (one model per modality), a technique, [all], or modality ids; "
        "Li K, which is measured under M2,3 of the metals, is used only where it is named",
    )
    outer_folds: int = Field(5, ge=2, description="grouped folds that are scored")
    inner_folds: int = Field(3, ge=2, description="grouped folds that optuna tunes on")
    trials: int = Field(20, ge=1, description="optuna trials of each search")
    max_trees: int = Field(300, ge=10, description="upper end of the number of trees")
    bootstrap: int = Field(1000, ge=100, description="resamples of groups for the intervals")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="level of the score intervals")
