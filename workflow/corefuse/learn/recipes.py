"""What a model is given in place of raw intensities, and which energies that represents.

A recipe turns spectra (n, p) into features (n, q). Linear recipes are a matrix; the named features
of a spectrum are energies, heights and areas. Whatever a model attributes to a feature goes back to
the energies the feature is made of, so attributions always are on the energy axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn.decomposition import PCA

from corefuse.core.section import Section
from corefuse.core.spectrum import EnergyGrid
from corefuse.learn.matrix import blocks
from corefuse.spectra.features import ONSET_HEIGHT, PRE_EDGE_WIDTH_EV

# Distance and FWHM of the bins. Core holes of the 1s levels of Mn, Co and Ni are 1.1 to 1.5 eV wide
# (Krause & Oliver, J. Phys. Chem. Ref. Data 8, 329 (1979)); those of 2p and O 1s are 0.2 to 0.6 eV,
# and final states some eV above the edge add as much again.
BIN_EV = 1.0
COMPONENTS = 12
NAMED = ("half height", "80 % height", "maximum", "centroid", "pre-edge area", "height", "width")
RECIPES = ("raw", "cumulative", "bins", "named", "components")

Array = NDArray[np.float64]


class Recipe(Section):
    """A recipe as fitted: its name, and for ``components`` what was fitted.

    ``components`` are principal components of the standardised bins; the others need no fit.
    """

    name: str = Field(pattern="^(" + "|".join(RECIPES) + ")$")
    mean: list[float] = Field([], description="of each bin and difference")
    scale: list[float] = Field([], description="standard deviation of each, one where it is zero")
    components: list[list[float]] = Field([], description="(component, bin or difference)")

    @model_validator(mode="after")
    def _same_length(self) -> Recipe:
        lengths = {len(self.mean), len(self.scale), *map(len, self.components)}
        if len(lengths) > 1 or (self.name == "components") != bool(self.components):
            raise ValueError("its mean, scale and components have different lengths")
        if self.scale and min(self.scale) <= 0:
            raise ValueError("a scale is not positive")
        return self

    def size(self, grids: Mapping[str, EnergyGrid]) -> int:
        """Return the number of features made of spectra on these grids."""
        if self.name == "named":
            return len(NAMED) * len(grids)
        return _linear(self, grids).shape[1]

    def features(
        self, x: NDArray[np.floating], grids: Mapping[str, EnergyGrid]
    ) -> NDArray[np.float32]:
        """Features (n, q) of spectra (n, p) whose columns are those of ``grids``.

        Named features of an absent element are NaN, which the boosters take for missing.
        """
        if self.name == "raw":
            return np.asarray(x, np.float32)
        if self.name == "named":
            parts = [_named(x[:, block], grids[m])[0] for m, block in blocks(grids).items()]
            return np.hstack(parts).astype(np.float32)
        made = np.asarray(x, float) @ _linear(self, grids)
        if self.name == "components":
            made = made - self._centre()
        return made.astype(np.float32)

    def shares(self, x: NDArray[np.floating], grids: Mapping[str, EnergyGrid]) -> Array:
        """How much of each feature is at each energy, shape (q, p); every row adds to one.

        Of a linear feature, the size of its weight at an energy times how much the spectra ``x``
        (n, p) vary there. Of a named one, the energies it is read from in the mean spectrum.
        """
        if self.name == "named":
            out = np.zeros((self.size(grids), x.shape[1]))
            mean = np.asarray(x, float).mean(axis=0, keepdims=True)
            for k, (modality, block) in enumerate(blocks(grids).items()):
                rows = slice(k * len(NAMED), (k + 1) * len(NAMED))
                out[rows, block] = _named(mean[:, block], grids[modality])[1]
            return out
        sizes = abs(_linear(self, grids)).T * np.std(x, axis=0, dtype=float)
        total = sizes.sum(axis=1, keepdims=True)
        return np.divide(sizes, total, out=np.zeros_like(sizes), where=total > 0)

    def _centre(self) -> Array:
        return np.asarray(self.components) @ (np.asarray(self.mean) / np.asarray(self.scale))


def fit_recipe(name: str, x: NDArray[np.floating], grids: Mapping[str, EnergyGrid]) -> Recipe:
    """Fit a recipe to spectra (n, p); only ``components`` learns anything from them."""
    if name != "components":
        return Recipe(name=name)
    binned = np.asarray(x, float) @ _bins(grids)
    scale = binned.std(axis=0)
    scale[scale < 1e-12] = 1.0
    standardised = (binned - binned.mean(axis=0)) / scale
    pca = PCA(min(COMPONENTS, *binned.shape), random_state=0).fit(standardised)
    return Recipe(
        name=name,
        mean=binned.mean(axis=0).tolist(),
        scale=scale.tolist(),
        components=pca.components_.tolist(),
    )


def _linear(recipe: Recipe, grids: Mapping[str, EnergyGrid]) -> Array:
    """The matrix (p, q) of a recipe that is one; ``components`` have their mean taken off after."""
    if recipe.name == "raw":
        return np.eye(blocks_end(grids))
    if recipe.name == "cumulative":
        return _blockwise(grids, _running_area)
    bins = _bins(grids)
    if recipe.name == "bins":
        return bins
    return bins @ (np.asarray(recipe.components) / np.asarray(recipe.scale)).T


def blocks_end(grids: Mapping[str, EnergyGrid]) -> int:
    """Number of columns p on these grids."""
    return max(block.stop for block in blocks(grids).values())


def _running_area(grid: EnergyGrid) -> Array:
    """Area below each energy (p, p)."""
    n = len(grid.energies_ev)
    return np.triu(np.full((n, n), grid.step_ev))


def _bins(grids: Mapping[str, EnergyGrid]) -> Array:
    """Gaussian means about centres ``BIN_EV`` apart, and differences of neighbours (p, q)."""
    return _blockwise(grids, _bins_of)


def _bins_of(grid: EnergyGrid) -> Array:
    energy_ev = grid.energies_ev
    n_bins = max(int((energy_ev[-1] - energy_ev[0]) / BIN_EV), 1)
    centres_ev = energy_ev[0] + BIN_EV * (np.arange(n_bins) + 0.5)
    smooth = np.exp(-4 * np.log(2) * ((energy_ev[:, None] - centres_ev) / BIN_EV) ** 2)
    smooth /= smooth.sum(axis=0)
    return np.hstack([smooth, np.diff(smooth, axis=1)])


def _blockwise(grids: Mapping[str, EnergyGrid], matrix_of: Callable[[EnergyGrid], Array]) -> Array:
    made = [matrix_of(grid) for grid in grids.values()]
    out = np.zeros((sum(m.shape[0] for m in made), sum(m.shape[1] for m in made)))
    row = column = 0
    for m in made:
        out[row : row + m.shape[0], column : column + m.shape[1]] = m
        row, column = row + m.shape[0], column + m.shape[1]
    return out


def _named(x: NDArray[np.floating], grid: EnergyGrid) -> tuple[Array, Array]:
    """Named features (n, 7) of one modality's spectra (n, p), and where the first is read (7, p).

    Read off the spectrum smoothed over ``BIN_EV``: the energies at which it first reaches half and
    80 % of its maximum and has its maximum; the centroid of its area; the share of the area within
    7 eV of the onset (of L2,3 edges: that of L3); the maximum's height; and the standard deviation
    of the area along the axis. All NaN where a spectrum has no maximum above zero.
    """
    energy_ev = grid.energies_ev
    kernel = np.exp(-4 * np.log(2) * ((energy_ev[:, None] - energy_ev) / BIN_EV) ** 2)
    smooth = np.asarray(x, float) @ (kernel / kernel.sum(axis=0))
    there = smooth.max(axis=1) > 0
    smooth[~there] = 1.0
    height, top = smooth.max(axis=1), smooth.argmax(axis=1)
    area = np.clip(smooth, 0, None)
    weight = area / area.sum(axis=1, keepdims=True)
    centroid = weight @ energy_ev
    away_ev = energy_ev - centroid[:, None]
    onset_ev = energy_ev[(smooth >= ONSET_HEIGHT * height[:, None]).argmax(axis=1)]
    before = energy_ev <= onset_ev[:, None] + PRE_EDGE_WIDTH_EV
    width = np.sqrt((weight * away_ev**2).sum(axis=1))
    half, eighty = (_crossing(energy_ev, smooth, share * height) for share in (0.5, 0.8))
    values = [half, eighty, _maximum(energy_ev, smooth, top), centroid]
    out = np.column_stack([*values, (weight * before).sum(axis=1), height, width])
    out[~there] = np.nan
    at_half, at_eighty, at_top = (_near(energy_ev, v[0]) for v in (half, eighty, energy_ev[top]))
    first = weight[0]
    areas = [first * abs(away_ev[0]), first * before[0], at_top, first * away_ev[0] ** 2]
    shares = np.array([at_half, at_eighty, at_top, *areas]) * there[0]
    return out, shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)


def _crossing(energy_ev: Array, spectra: Array, wanted: Array) -> Array:
    """Energies (n,) at which spectra (n, p) first reach a height (n,), between two points."""
    last = np.maximum((spectra >= wanted[:, None]).argmax(axis=1), 1)
    row = np.arange(len(spectra))
    low, high = spectra[row, last - 1], spectra[row, last]
    share = np.clip((wanted - low) / np.where(high > low, high - low, 1.0), 0, 1)
    return energy_ev[last - 1] + share * (energy_ev[last] - energy_ev[last - 1])


def _maximum(energy_ev: Array, spectra: Array, top: NDArray[np.intp]) -> Array:
    """Energies (n,) of the maxima at ``top`` (n,), by a parabola through their neighbours."""
    middle = np.clip(top, 1, len(energy_ev) - 2)
    row = np.arange(len(spectra))
    left, centre, right = (spectra[row, middle + k] for k in (-1, 0, 1))
    curvature = left - 2 * centre + right
    steps = np.where(curvature < 0, (left - right) / (2 * np.where(curvature, curvature, 1)), 0)
    return energy_ev[middle] + np.clip(steps, -1, 1) * (energy_ev[1] - energy_ev[0])


def _near(energy_ev: Array, place_ev: float) -> Array:
    """One (p,) at energies within half of ``BIN_EV``, which smoothing mixes; zero elsewhere."""
    return (abs(energy_ev - place_ev) <= BIN_EV / 2).astype(float)
