"""Samples of a series whose contents are known correct what is read in the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm, t

from corefuse.config import Sample
from corefuse.core.targets import TARGET_TABLE

SCALE_STD = 0.5  # before any anchor is looked at: a scale of 1 is good to this much
LEAST = 2  # one is what the energy constant is fitted to

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """truth = centre_truth + scale (prediction - centre), and how far it is known."""

    centre: float
    centre_truth: float
    scale: float
    scale_var: float
    noise: float
    number: int

    def at(self, prediction: Floats) -> Floats:
        """Corrected values."""
        return self.centre_truth + self.scale * (prediction - self.centre)

    def std(self, prediction: Floats) -> Floats:
        """Standard deviation of a new sample's corrected value."""
        of_scale = (prediction - self.centre) ** 2 * self.scale_var
        return np.sqrt(self.noise**2 * (1 + 1 / self.number) + of_scale)


def fit(predicted: Floats, truth: Floats, noise: float) -> Line:
    """Straight line through k anchors (k,), its scale drawn to 1 where they are few or close.

    Bayesian linear regression with a flat prior on the offset and a Gaussian one on the scale,
    1 +- ``SCALE_STD`` (A. Gelman et al., Bayesian Data Analysis, 3rd ed., section 14.8), and the
    larger of ``noise`` and the scatter about the line as the standard deviation of one sample.
    """
    centre, centre_truth = float(predicted.mean()), float(truth.mean())
    away, left = predicted - centre, (truth - centre_truth) - (predicted - centre)
    information = 1 / SCALE_STD**2 + (away**2).sum() / noise**2
    extra = float((away * left).sum() / noise**2 / information)
    rest = left - extra * away
    degrees = len(predicted) - LEAST
    scatter = float(np.sqrt((rest**2).sum() / degrees)) if degrees > 0 else 0.0
    return Line(
        centre, centre_truth, 1 + extra, 1 / information, max(noise, scatter), len(predicted)
    )


def left_out(predicted: Floats, truth: Floats, noise: float) -> Floats:
    """Error (k,) at each anchor of the line through the others."""
    k = np.arange(len(predicted))
    return np.array(
        [float(fit(predicted[k != i], truth[k != i], noise).at(predicted[i]) - truth[i]) for i in k]
    )


def correct(answers: pd.DataFrame, samples: Sequence[Sample], confidence: float) -> pd.DataFrame:
    """Answers of one series, corrected where the contents of two samples or more are known.

    The interval is Student's with as many degrees of freedom as there are anchors, of the larger
    of the line's own uncertainty and the rms error of lines with one anchor left out, and never
    narrower than before its scale was corrected.
    """
    known = {s.name: s.composition for s in samples}
    parts = [_corrected(rows, known, confidence) for _, rows in answers.groupby("target")]
    return pd.concat(parts).sort_index()


def _corrected(
    rows: pd.DataFrame, known: Mapping[str, Mapping[str, float]], confidence: float
) -> pd.DataFrame:
    target = str(rows.target.iloc[0])
    element = target.removeprefix("x_").capitalize()
    truth = rows["sample"].map(lambda name: known.get(name, {}).get(element, np.nan)).to_numpy()
    anchors = np.isfinite(truth.astype(float)) & rows.prediction.notna().to_numpy()
    if not target.startswith("x_") or anchors.sum() < LEAST:
        return rows
    predicted, truth = rows.prediction.to_numpy(float), truth.astype(float)
    half = float(np.median((rows.high - rows.low).to_numpy(float)[anchors])) / 2
    noise = max(half / float(norm.ppf((1 + confidence) / 2)), 0.01) / np.sqrt(2)
    line = fit(predicted[anchors], truth[anchors], noise)
    missed = left_out(predicted[anchors], truth[anchors], noise)
    std = np.maximum(line.std(predicted), np.sqrt((missed**2).mean()))
    away = float(t.ppf((1 + confidence) / 2, line.number)) * std
    low, high = TARGET_TABLE[target].possible
    value = line.at(predicted)
    told = (
        f"corrected by {line.number} known contents: scale {line.scale:.2f}, "
        f"{line.centre:.2f} to {line.centre_truth:.2f}; each left out would have been missed by "
        f"{', '.join(f'{m:+.2f}' for m in missed[:6])}"
    )
    notes = rows.note.fillna("")
    return rows.assign(
        prediction=np.clip(value, low, high),
        low=np.clip(value - away, low, high),
        high=np.clip(value + away, low, high),
        note=np.where(notes != "", notes + "; " + told, told),
    )
