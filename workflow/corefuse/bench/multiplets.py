"""The multiplet solver, ion by ion, beside edrixs' scipy backend where that is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from corefuse.bench import Row, oracle, timed
from corefuse.config import IONS
from corefuse.engines.multiplet.solver import Problem, solve

MODELS = {False: "crystal field", True: "charge transfer"}
FIELD_LIMIT_S = 0.7
LIGAND_LIMIT_S = {"Mn": 8.0, "Co": 3.0, "Ni": 3.0}
REPEATS = 3
DISPLACED_ANGSTROM = 0.05  # a site without symmetry: the dear case


def rows() -> Iterator[Row]:
    """Per model and ion: edrixs, then ours; for Mn with a ligand shell also a second hole."""
    warm_up = oracle.site("Ni2+", True)
    _intensity(warm_up)  # imports and caches are no part of the cost
    edrixs = importlib.util.find_spec("edrixs") is not None
    if edrixs:
        oracle.edrixs_spectrum(warm_up)
    for ligand, model in MODELS.items():
        for ion in IONS:
            problem = oracle.site(ion, ligand, DISPLACED_ANGSTROM)
            if edrixs and ion in oracle.IONS:
                seconds, _ = timed(lambda p=problem: oracle.edrixs_spectrum(p))
                yield Row(f"edrixs, {model}", ion, seconds, 1)
            seconds, one = _best(problem)
            limit_s = LIGAND_LIMIT_S[ion[:2]] if ligand else FIELD_LIMIT_S
            reference = f"edrixs, {model}, {ion}"
            yield Row(f"multiplets, {model}", ion, seconds, 1, limit_s=limit_s, reference=reference)
            if problem.ligand is not None and problem.ligand.max_holes == 1:
                yield _second_hole(ion, problem, one)


def truncation_error(approximate: np.ndarray, better: np.ndarray) -> tuple[float, float]:
    """Relative L2 difference after area normalisation: as is, and after the best rigid shift."""
    a, b = (y / y.sum() for y in (approximate, better))
    steps = range(-80, 81)
    errors = [np.linalg.norm(np.roll(a, s) - b) / np.linalg.norm(b) for s in steps]
    return float(errors[80]), float(min(errors))


def _second_hole(ion: str, problem: Problem, one: np.ndarray) -> Row:
    """What a second ligand hole costs, and what leaving it out changes."""
    assert problem.ligand is not None
    wider = replace(problem, ligand=replace(problem.ligand, max_holes=2))
    seconds, two = timed(lambda: _intensity(wider))
    raw, shifted = truncation_error(one, two)
    return Row(
        "multiplets, 2 ligand holes",
        ion,
        seconds,
        1,
        reference=f"multiplets, {MODELS[True]}, {ion}",
        note=f"1 hole instead: off by {raw:.1%} (relative L2), after a shift {shifted:.1%}",
    )


def _best(problem: Problem) -> tuple[float, np.ndarray]:
    """CPU seconds of the best of a few, since what else runs only adds; the spectrum."""
    runs = [timed(lambda: _intensity(problem)) for _ in range(REPEATS)]
    return min(seconds for seconds, _ in runs), runs[0][1]


def _intensity(problem: Problem) -> np.ndarray:
    return solve(problem, oracle.AXIS_EV, oracle.HWHM_EV).intensity
