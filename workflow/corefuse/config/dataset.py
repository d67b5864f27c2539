"""Section ``dataset``: augmentation and the structures kept away from training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core.bounds import Between, Seed, Share, WidthEv
from corefuse.core.section import Section
from corefuse.core.vocabulary import Name


class Dataset(Section):
    """Augmentation and the structures kept away from training."""

    seed: Seed = Field(1, description="seed of all augmented views")
    views: Annotated[int, Between(1, 1000, "all of them are held in memory")] = Field(
        8, description="number of noisy views per structure"
    )
    mixtures: Annotated[int, Between(0, 10_000, "all of them are held in memory")] = Field(
        0,
        description="number of mixed spectra per structure: weighted sums of two structures "
        "of the same parent with interpolated labels, a model of a partly charged "
        "electrode",
    )
    signal_to_noise: Annotated[float, Between(0.1, 1e6, "noise of 1e12 counts")] = Field(
        60.0, description="signal-to-noise ratio at the maximum of an edge"
    )
    shift_ev: WidthEv = Field(0.15, description="standard deviation of the energy shift of a view")
    broadening_jitter_ev: WidthEv = Field(
        0.2, description="largest additional Gaussian width (FWHM) of a view"
    )
    axis_gain: float = Field(
        0.005,
        ge=0,
        lt=0.1,
        description="standard deviation of the relative stretch of the energy axis",
    )
    white_line: Share = Field(
        0.0,
        description="largest relative increase of the maximum of a view; without a core hole, "
        "simulated white lines are too low",
    )
    background: Share = Field(
        0.02,
        description="amplitude of the residual linear background, relative to the mean intensity",
    )
    continuum: Share = Field(
        0.05,
        description="height of a residual step at a random energy in the window, relative to "
        "the mean intensity",
    )
    distortion_per_ev: float = Field(
        0.01,
        ge=0,
        lt=0.1,
        description="standard deviation of the logarithm of a smooth random factor on the "
        "intensity, per eV of distance from the edge; simulated and measured Ni K "
        "of LiNiO2 differ by 20 % at 19 eV",
    )
    holdout_parents: list[Name] = Field(
        [],
        description="parents that are never used for training, nor are other parents of the "
        "same crystal; `infer` reads their structures",
    )
