"""Section ``dataset``: augmentation and the structures kept away from training."""

from __future__ import annotations

from pydantic import Field

from corefuse.core.section import Section
from corefuse.core.vocabulary import Name


class Dataset(Section):
    """Augmentation and the structures kept away from training."""

    seed: int = Field(1, ge=0, description="seed of every augmented view")
    views: int = Field(8, ge=1, description="noisy views of each structure")
    mixtures: int = Field(
        0,
        ge=0,
        description="for each structure as many mixtures of two of its parent, as half-charged "
        "electrodes are: numbers between those of the cells",
    )
    signal_to_noise: float = Field(60.0, gt=0, description="SNR at the edge maximum")
    shift_ev: float = Field(0.15, ge=0, description="standard deviation of the energy shift")
    broadening_jitter_ev: float = Field(
        0.2, ge=0, description="largest extra Gaussian FWHM of a view"
    )
    axis_gain: float = Field(
        0.005, ge=0, lt=0.1, description="standard deviation of the stretch of the energy axis"
    )
    white_line: float = Field(
        0.0,
        ge=0,
        description="largest share by which a view's maximum is raised: without a core "
        "hole white lines are too low",
    )
    background: float = Field(
        0.02, ge=0, description="residual linear background, share of the mean intensity"
    )
    continuum: float = Field(
        0.05, ge=0, description="residual step anywhere in the window, share of the mean intensity"
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
