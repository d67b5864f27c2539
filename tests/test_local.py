"""Local structure: surroundings counted on known crystals, and models of single sites."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pymatgen.core import Lattice, Structure

from corefuse.config import Local, Train
from corefuse.config.local import LOCAL_TARGET_NAMES
from corefuse.core import edge_table, files
from corefuse.learn import local
from corefuse.spectra import calibration
from corefuse.structures import build, environment

LICOO2 = Structure.from_spacegroup(
    "R-3m",
    Lattice.hexagonal(2.816, 14.05),  # Orman & Wiseman, Acta Cryst. C 40, 12 (1984)
    ["Li", "Co", "O"],
    [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.2605]],
)


def test_the_octahedra_of_licoo2():
    cell = LICOO2.copy()
    cell.add_site_property(
        "oxidation_state", [{"Li": 1, "Co": 3, "O": -2}[s.specie.symbol] for s in cell]
    )
    cell.properties = {"defects": []}
    cobalt = next(i for i, s in enumerate(cell) if s.specie.symbol == "Co")
    site = environment.surroundings(cell, cobalt)
    assert len(site.bonds_angstrom) == 6
    assert np.mean(site.bonds_angstrom) == pytest.approx(1.92, abs=0.01)
    assert site.shell.count("Co") == 6 and site.shell.count("Li") == 6
    assert site.oxidation_state == 3 and site.vacancies == 0


def test_a_removed_oxygen_is_missed_by_its_three_metals():
    cell = LICOO2 * (2, 2, 1)
    oxygen = next(i for i, s in enumerate(cell) if s.specie.symbol == "O")
    place = cell[oxygen].frac_coords.tolist()
    cell.remove_sites([oxygen])
    cell.properties = {
        "defects": [{"kind": "oxygen_vacancy", "before": "O", "after": "", "frac_coords": place}]
    }
    sites = [i for i, s in enumerate(cell) if s.specie.symbol == "Co"]
    found = environment.table(cell, sites)
    assert (found.n_vacancies_shell == 1).sum() == 3
    assert (found.coordination_number[found.n_vacancies_shell == 1] == 5).all()
    assert found.oxidation_state.isna().all()


def test_the_config_names_the_targets_there_are():
    assert tuple(environment.LOCAL_TARGETS) == LOCAL_TARGET_NAMES
    assert Local().modalities == []


def test_site_spectra_of_a_real_simulation_average_to_that_of_the_structure(root):
    """Ni K of a stored cell: labels and spectra of each site, whose mean has unit area."""
    from corefuse.config import Spectra

    folder = root / "resources" / "ni_k"
    index = pd.read_csv(folder / "structures" / "index.csv").set_index("structure_id", drop=False)
    name = next(n for n in index.index if n.startswith("NMC") and "li050" in n)
    raw = folder / "raw" / "gpaw" / f"{name}.nc"
    settings = Spectra.model_validate(
        {"techniques": {"XAS": {"gaussian_fwhm_ev": 1.5, "edges": ["Ni K"]}}}
    )
    table = edge_table.load(root / "resources" / "edges.yaml")
    constants = calibration.calibrate_all([raw], index.loc[[name]], settings, table)
    structure = build.read(folder / "structures" / f"{name}.json")
    about = (index, "Ni_K-XAS", settings, table, constants, calibration.mean_valences(index))
    (found,) = local.of_structures([raw], [structure], *about)
    data = local.assemble([found], "Ni_K-XAS")
    nickel = [i for i, s in enumerate(structure) if s.specie.symbol == "Ni"]
    assert data["multiplicity"].sum() == len(nickel)
    assert set(data["site"].values) <= set(nickel)
    states = structure.site_properties["oxidation_state"]
    assert data["oxidation_state"].values.tolist() == [states[i] for i in data["site"].values]
    weights = data["multiplicity"].values
    mean = (data["Ni_K-XAS"].values * weights[:, None]).sum(0) / weights.sum()
    inside = data["energy_Ni_K"].values
    low, high = table["Ni K"].window_ev
    kept = (inside >= low) & (inside <= high)
    assert np.trapezoid(mean[kept], inside[kept]) == pytest.approx(1, abs=0.02)


@pytest.fixture(scope="module")
def made_up():
    """Sites whose spectrum is a peak that moves with the label; structures hold two kinds."""
    rng = np.random.default_rng(4)
    energy = np.arange(100, 120, 0.25)
    rows = []
    for structure in range(16):
        for site in range(4):
            state = 2 + (structure + site) % 3
            peak = np.exp(-0.5 * ((energy - 106 - 2 * state) / 1.5) ** 2)
            rows.append((structure, state, peak + 0.01 * rng.standard_normal(len(energy))))
    spectra = np.array([r[2] for r in rows])
    names = {"structure_id": [f"s{r[0]}" for r in rows], "group": [f"g{r[0] // 2}" for r in rows]}
    data = xr.Dataset(
        {"Ni_K-XAS": (("sample", "energy_Ni_K"), spectra)}
        | {"oxidation_state": ("sample", [float(r[1]) for r in rows])},
        {"energy_Ni_K": energy, "multiplicity": ("sample", np.ones(len(rows)))}
        | {n: ("sample", np.array(v, object)) for n, v in names.items()},
        {"modality": "Ni_K-XAS"},
    )
    return data


def test_sites_are_read_on_parents_never_seen_beside_their_baseline(made_up):
    settings = Train(outer_folds=4, inner_folds=2, trials=1, max_trees=40, bootstrap=100)
    found = local.scores(made_up, "oxidation_state", settings)
    rmse = found[found.metric == "rmse"].set_index("model").value
    assert set(rmse.index) == {"site", "baseline", "mean of sites", "mean spectrum"}
    assert rmse["site"] < 0.3 * rmse["baseline"]
    assert rmse["mean of sites"] < rmse["site"]


def test_what_does_not_vary_or_has_too_few_parents_has_no_score(made_up):
    settings = Train(outer_folds=4, inner_folds=2, trials=1, max_trees=40, bootstrap=100)
    constant = made_up.assign(oxidation_state=made_up.oxidation_state * 0 + 3)
    assert local.scores(constant, "oxidation_state", settings).empty
    few = made_up.isel(sample=slice(0, 8))
    assert local.scores(few, "oxidation_state", settings).empty


def test_what_is_written_can_be_read_again(made_up, tmp_path):
    files.write_netcdf(tmp_path / "x.nc", made_up)
    xr.testing.assert_allclose(files.read_netcdf(tmp_path / "x.nc"), made_up)
