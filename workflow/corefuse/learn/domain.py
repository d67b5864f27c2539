"""Is an input like anything the models were trained on?

Principal components of the training spectra, and the combined index of Yue and Qin, Ind. Eng.
Chem. Res. 40, 4403 (2001): the Mahalanobis distance inside the components plus the squared
residual outside them, each divided by its typical value for a parent structure left out. The
index is a squared length, so it splits exactly over the energies (complete decomposition:
Alcala and Qin, J. Process Control 21, 322 (2011)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.decomposition import PCA

from corefuse.config import Section
from corefuse.core.errors import InputError
from corefuse.core.files import write_json
from corefuse.core.inputs import validated
from corefuse.core.spectrum import EnergyGrid
from corefuse.learn.conformal import residual_quantile
from corefuse.learn.matrix import blocks, columns, grids_of, matrix, row
from corefuse.learn.splits import grouped_folds

ACCEPTED = 0.95  # share of samples of a new, similar parent that are called in domain
VARIANCE_KEPT = 0.95
MOST_COMPONENTS = 20
APART_EV = 1.0  # energies nearer than this disagree for one reason
MOST_FOLDS = 6  # with one fit for each of them and each other one


@dataclass(frozen=True)
class Space:
    """Principal components of block-scaled spectra."""

    mean: NDArray[np.float64]  # (p,)
    scale: NDArray[np.float64]  # (p,), one value per modality
    components: NDArray[np.float64]  # (k, p)
    variances: NDArray[np.float64]  # (k,)

    def split(self, x: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Whitened coordinates (n, k) and residual spectra (n, p) of features (n, p)."""
        centred = (x - self.mean) / self.scale
        coordinates = centred @ self.components.T
        return coordinates / np.sqrt(self.variances), centred - coordinates @ self.components


@dataclass(frozen=True)
class Judgement:
    """How far an input is from the training set."""

    score: float
    threshold: float
    disagreement: list[tuple[str, float, float]]  # modality, eV, share of the score around it

    @property
    def in_domain(self) -> bool:
        """Whether the score is within the threshold."""
        return self.score <= self.threshold


Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Positive = Annotated[float, Field(gt=0, le=1e12)]


class Domain(Section):
    """The domain of one subset of modalities, as stored in ``models/domain/<subset>.json``."""

    subset: str = Field(min_length=1, max_length=200)
    grids: dict[str, EnergyGrid] = Field(min_length=1)
    mean: list[Number]
    scale: list[Positive]
    components: list[list[Number]] = Field(max_length=1000)
    variances: list[Positive]
    typical_distance: Positive
    typical_residual: Positive
    threshold: float = Field(ge=0, le=1e6)
    accepted: float = Field(gt=0, lt=1)
    threshold_is_largest: bool  # too few parents for the quantile: the largest left-out score
    n_groups: int = Field(ge=1)

    @model_validator(mode="after")
    def _same_length(self) -> Domain:
        lengths = {len(self.mean), len(self.scale), *map(len, self.components)}
        if lengths != {sum(len(grid.energies_ev) for grid in self.grids.values())}:
            raise ValueError("its mean, scale, components and grids have different lengths")
        if len(self.variances) != len(self.components):
            raise ValueError(
                f"{len(self.variances)} variances for {len(self.components)} components"
            )
        return self

    def judge(self, sample: Mapping[str, xr.DataArray], worst: int = 3) -> Judgement:
        """Score one sample and name the energies that disagree most."""
        parts = self.parts(row(sample, self.grids))[0]
        total = float(parts.sum())
        return Judgement(total, self.threshold, _worst(parts, columns(self.grids), worst))

    def judge_rows(
        self, x: NDArray[np.floating], worst: int = 3
    ) -> tuple[NDArray[np.float64], Callable[[int], list[tuple[str, float, float]]]]:
        """Scores (n,) of features (n, p), and what names the energies that disagree most in one."""
        parts = self.parts(x)
        names = columns(self.grids)
        return parts.sum(axis=1), lambda i: _worst(parts[i], names, worst)

    def parts(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Share of each energy in the score, shape (n, p); a row adds to the score."""
        components = np.array(self.components).reshape(-1, len(self.mean))
        space = Space(
            np.array(self.mean), np.array(self.scale), components, np.array(self.variances)
        )
        inside, outside = space.split(x)
        inside = inside @ space.components / np.sqrt(self.typical_distance)
        return (inside + outside / np.sqrt(self.typical_residual)) ** 2


def _worst(
    parts: NDArray[np.float64], names: list[tuple[str, float]], count: int
) -> list[tuple[str, float, float]]:
    """The energies with the largest shares, those within ``APART_EV`` of one counted with it."""
    left, total, out = parts.copy(), float(parts.sum()) or 1.0, []
    while len(out) < count and left.any():
        modality, energy_ev = names[int(np.argmax(left))]
        near = [m == modality and abs(e - energy_ev) <= APART_EV for m, e in names]
        out.append((modality, energy_ev, float(left[near].sum()) / total))
        left[near] = 0
    return sorted(out, key=lambda place: -place[2])


def fit_domains(
    dataset: xr.Dataset, subsets: Mapping[str, Sequence[str]], seed: int
) -> dict[str, Domain]:
    """Fit the domain of every subset of modalities, see :func:`fit_domain`."""
    return {
        name: fit_domain(dataset, name, modalities, seed) for name, modalities in subsets.items()
    }


def fit_domain(dataset: xr.Dataset, subset: str, modalities: Sequence[str], seed: int) -> Domain:
    """Fit the components on all samples; scale and threshold on parents left out in turn.

    The threshold is the hierarchical conformal quantile of the left-out scores at ``ACCEPTED``.

    Raises
    ------
    InputError
        If there are fewer than three groups.
    """
    x = matrix(dataset, modalities).astype(float)
    grids = grids_of(dataset, modalities)
    groups = dataset["group"].to_numpy().astype(str)
    names = np.unique(groups)
    n_folds = max(3, min(MOST_FOLDS, len(names)))
    folds = [test for _, test in grouped_folds(groups, np.zeros(len(x)), n_folds, seed)]
    left_out, typical = _left_out(x, grids, folds)
    quantile = residual_quantile({g: left_out[groups == g].tolist() for g in names}, ACCEPTED)
    space = _fit_space(x, _scale(x, grids))
    return Domain(
        subset=subset,
        grids=grids,
        mean=space.mean.tolist(),
        scale=space.scale.tolist(),
        components=space.components.tolist(),
        variances=space.variances.tolist(),
        typical_distance=typical[0],
        typical_residual=typical[1],
        threshold=min(quantile, float(left_out.max())),
        accepted=ACCEPTED,
        threshold_is_largest=bool(np.isinf(quantile)),
        n_groups=len(names),
    )


def save_domain(folder: str | Path, domain: Domain) -> None:
    """Write ``<folder>/<subset>.json``."""
    write_json(Path(folder) / f"{domain.subset}.json", domain.model_dump(mode="json"))


def load_domains(files: Iterable[str | Path]) -> dict[str, Domain]:
    """Read the named domains: subset -> domain.

    Raises
    ------
    InputError
        If a file is not a valid domain.
    """
    out = {}
    for path in map(Path, files):
        domain = validated(path, Domain, "domain", "train again")
        if domain.subset != path.stem:
            found = f"it is the domain of {domain.subset}"
            raise InputError(path, "subset", found, "put it where it belongs")
        out[domain.subset] = domain
    return out


def _scale(x: NDArray[np.float64], grids: Mapping[str, EnergyGrid]) -> NDArray[np.float64]:
    """One unit a modality (p,), in which its total variance is one; one if it never varies."""
    scale = np.ones(x.shape[1])
    for block in blocks(grids).values():
        scale[block] = np.sqrt(x[:, block].var(axis=0).sum()) or 1.0
    return scale


def _left_out(
    x: NDArray[np.float64], grids: Mapping[str, EnergyGrid], folds: Sequence[NDArray[np.intp]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score of every sample by a domain its fold has no part in (n,), and typical distances (2,).

    Components and scale are those without the fold; what is typical for it comes from the other
    folds, each scored without itself and without this one.
    """
    everything = np.arange(len(x))

    @cache  # two folds leave the same rest, whichever of them is scored
    def space(without: frozenset[int]) -> Space:
        rest = np.setdiff1d(everything, np.concatenate([folds[k] for k in sorted(without)]))
        return _fit_space(x[rest], _scale(x[rest], grids))

    def distances(scored: int, *without: int) -> NDArray[np.float64]:
        inside, outside = space(frozenset((scored, *without))).split(x[folds[scored]])
        return np.array([(inside**2).sum(axis=1), (outside**2).sum(axis=1)])

    alone = np.empty((2, len(x)))
    scores = np.empty(len(x))
    for k, fold in enumerate(folds):
        others = [other for other in range(len(folds)) if other != k]
        typical = _typical(np.hstack([distances(other, k) for other in others]))
        alone[:, fold] = distances(k)
        scores[fold] = (alone[:, fold] / typical[:, None]).sum(axis=0)
    return scores, _typical(alone)


def _fit_space(x: NDArray[np.float64], scale: NDArray[np.float64]) -> Space:
    """Components that hold the stated share of the variance; none where nothing varies."""
    mean = x.mean(axis=0)
    centred = (x - mean) / scale
    if not centred.any():
        return Space(mean, scale, np.empty((0, x.shape[1])), np.empty(0))
    pca = PCA(min(MOST_COMPONENTS, *x.shape), random_state=0).fit(centred)
    explained = np.cumsum(pca.explained_variance_ratio_)
    k = min(int(np.searchsorted(explained, VARIANCE_KEPT)) + 1, len(explained))
    return Space(mean, scale, pca.components_[:k], pca.explained_variance_[:k])


def _typical(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of the two rows; one where it is zero."""
    medians = np.median(squares, axis=1)
    return np.where(medians > 0, medians, 1.0)
