"""Stored energies of sites by each method (tests/reference/site_energies.csv), and what the
project makes of them in resources/edges.yaml."""

import numpy as np
import pandas as pd
import pytest

from corefuse.core import edge_table

FEATURE = {"Ni K": "half_height", "Mn K": "half_height"}


@pytest.fixture(scope="module")
def sites(root):
    return pd.read_csv(root / "tests" / "reference" / "site_energies.csv")


@pytest.fixture(scope="module")
def table(root):
    return edge_table.load(root / "resources" / "edges.yaml")


def of_edge(sites, edge):
    rows = sites[sites.edge == edge]
    feature = FEATURE[edge]
    return rows, rows[f"initial_{feature}"].to_numpy(), rows[f"total_{feature}"].to_numpy()


def slope(x, y):
    """Least squares with a constant: slope, its deviation, residuals."""
    design = np.stack([x, np.ones_like(x)], axis=1)
    (value, _), *_ = np.linalg.lstsq(design, y, rcond=None)
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    deviation = np.sqrt(residual @ residual / (len(x) - 2)) / np.linalg.norm(x - x.mean())
    return value, deviation, residual


def mean_of(sites, cell, column):
    return float(sites[sites.cell.str.startswith(cell)][column].mean())


@pytest.mark.parametrize("edge", ["Ni K"])
def test_the_response_is_the_slope_of_total_energies_over_the_initial_state(sites, table, edge):
    _, initial, total = of_edge(sites, edge)
    value, deviation, residual = slope(initial, total)
    used = table[edge].chemical_shift
    assert used.response == pytest.approx(value, abs=0.02)
    assert used.response_std >= deviation - 0.01
    assert np.abs(residual).max() < 0.8  # of shifts of up to 5 eV


def test_a_cell_left_out_is_predicted_by_the_others(sites):
    """Initial-state energies of Ni K, times the response: what a library of ground states needs."""
    rows, initial, total = of_edge(sites, "Ni K")
    errors = []
    for cell in rows.cell.unique():
        out = (rows.cell == cell).to_numpy()
        value, _, _ = slope(initial[~out], total[~out])
        constant = (total[~out] - value * initial[~out]).mean()
        errors += list(total[out] - value * initial[out] - constant)
    assert np.sqrt(np.mean(np.square(errors))) < 0.65  # the shifts are up to 5 eV


@pytest.mark.parametrize("edge", list(FEATURE))
def test_the_simulated_shifts_of_the_references_are_those_stored(sites, table, edge):
    rows = sites[sites.edge == edge]
    cells = {"NiO2": "LiNiO2-4fu-d0-li000", "CoO2": "LiCoO2-4fu-d0-li000"}
    cells |= {"LiNiO2": "LiNiO2-4fu-d0-li100", "LiCoO2": "LiCoO2-4fu-d0-li100"}
    for reference in table[edge].chemical_shift.references:
        column = f"total_{reference.feature or FEATURE[edge]}"
        names = [cells.get(compound, compound) for compound in reference.between]
        first, second = (
            float(rows[(rows.cell == name) | rows.cell.str.startswith(f"{name}-")][column].mean())
            for name in names
        )
        assert second - first == pytest.approx(reference.simulated_ev, abs=0.02)


def test_one_crystal_in_two_supercells_has_one_energy(sites):
    """NiO2 in cells of 12 and 9 atoms, each relaxed: the hole is 5 angstrom from its image."""
    for edge in ("Ni K", "O K"):
        rows = sites[sites.edge == edge]
        large = mean_of(rows, "LiNiO2-4fu-d0-li000", "excitation")
        small = mean_of(rows, "LiNiO2-3fu-d0-li000", "excitation")
        assert large == pytest.approx(small, abs=0.1)


def test_the_fermi_level_above_the_core_does_not_compare_compounds(sites):
    """NiO has a gap: with a hole its E_F puts it 5 eV below LiNiO2, total energies 2 eV."""
    rows = sites[sites.edge == "Ni K"]
    by_fermi, by_energy = (
        mean_of(rows, "LiNiO2-4fu-d0-li100", c) - mean_of(rows, "NiO", c)
        for c in ("hole_half_height", "total_half_height")
    )
    assert by_fermi > 4.5
    assert 1.5 < by_energy < 2.5


def test_maxima_of_total_energies_are_as_far_apart_as_measured_ones(sites):
    """NiO and LiNiO2 of one laboratory: 8350.23 and 8351.54 eV (maml-apps-rfxas)."""
    rows = sites[sites.edge == "Ni K"]
    at = {c: mean_of(rows, c, "total_peak") for c in ("NiO", "LiNiO2-4fu-d0-li100")}
    assert at["LiNiO2-4fu-d0-li100"] - at["NiO"] == pytest.approx(1.31, abs=0.2)


def test_total_energies_of_manganese_come_near_measured_ones_without_a_constant(sites):
    """Half heights of MnO and MnO2 are measured at 6544.9 and 6552.3 eV (XASDataLibrary)."""
    rows = sites[sites.edge == "Mn K"]
    for cell, measured_ev in (("MnO", 6544.87), ("MnO2", 6552.25)):
        assert mean_of(rows[rows.cell == cell], cell, "total_half_height") == pytest.approx(
            measured_ev, abs=1.5
        )
