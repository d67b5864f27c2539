"""Section ``dataset``: augmentation and the structures kept away from training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from corefuse.core.bounds import Between, Seed, Share, WidthEv
from corefuse.core.section import Section
from corefuse.core.vocabulary import Name


class Dataset(Section):
    """Augmentation and the structures kept away from training."""

    seed: Seed = Field(1, description="seed of every augmented view")
    views: Annotated[int, Between(1, 1000, "all of them are held in memory")] = Field(
        8, description="noisy views of each structure"
    )
    mixtures: Annotated[int, Between(0, 10_000, "all of them are held in memory")] = Field(
        0,
        description="for each structure as many mixtures of two of its parent, as half-charged "
        "electrodes are: numbers between those of the cells",
    )
    signal_to_noise: Annotated[float, Between(0.1, 1e6, "noise of 1e12 counts")] = Field(
        60.0, description="SNR at the edge maximum"
    )
    shift_ev: WidthEv = Field(0.15, description="standard deviation of the energy shift")
    broadening_jitter_ev: WidthEv = Field(0.2, description="largest extra Gaussian FWHM of a view")
    axis_gain: float = Field(
        0.005, ge=0, lt=0.1, description="standard deviation of the stretch of the energy axis"
    )
    white_line: Share = Field(
        0.0,
        description="largest share by which a view's maximum is raised: without a core "
        "hole white lines are too low",
    )
    background: Share = Field(
        0.02, description="residual linear background, share of the mean intensity"
    )
    continuum: Share = Field(
        0.05, description="residual step anywhere in the window, share of the mean intensity"
    )
    distortion_per_ev: float = Field(
        0.01,
        ge=0,
        lt=0.1,
        description="standard deviation of the logarithm of a smooth random factor on the "
        "intensity, per eV of distance from the edge: simulated and measured Ni K of LiNiO2 differ "
        "by 20 % at 19 eV",
    )
    holdout_parents: list[Name] = Field(
        [],
        description="parents never trained on, with all others of the same crystal; infer "
        "reads their structures",
    )
