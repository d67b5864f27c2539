"""The multiplet solver against edrixs, an independent program (``pip install edrixs==0.2.0``)."""

import warnings

import numpy as np
import pytest

from corefuse.bench_multiplet import AXIS_EV, HWHM_EV, IONS, edrixs_spectrum, typical
from corefuse.multiplet import solve

pytest.importorskip("edrixs", reason="the oracle edrixs is not installed")

LEVELS = 12
DIPOLE = 0.4  # edrixs' dipole operator leaves out <d|C1|p>^2 = 2/5, ours does not


@pytest.mark.parametrize("site", ["cubic", "low symmetry"])
@pytest.mark.parametrize("ligand", [False, True], ids=["field", "ligand"])
@pytest.mark.parametrize("ion", IONS)
def test_levels_to_a_microvolt_and_spectra_to_one_percent(ion, ligand, site):
    distortion = 0.0 if site == "cubic" else 0.15
    problem = typical(ion, ligand, distortion, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LOBPCG talks
        energies, expected = edrixs_spectrum(problem)
    found = solve(problem, AXIS_EV, HWHM_EV)
    np.testing.assert_allclose(
        found.ground_ev + found.levels_ev[:LEVELS], energies[:LEVELS], atol=1e-6
    )
    difference = np.linalg.norm(found.intensity - DIPOLE * expected)
    assert difference < 0.01 * np.linalg.norm(found.intensity)
