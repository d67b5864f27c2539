"""O K of the stored cells of resources/ni_k: the empty p states of their oxygen, without a hole.

What models do with real spectra, where nothing has to be simulated: 20 cells of four parents.
"""

from types import SimpleNamespace

import pandas as pd
import pytest

from corefuse.config import Dataset, Spectra, Train
from corefuse.core import edge_table, files, rawdata
from corefuse.learn.attributions import attributions
from corefuse.learn.dataset import assemble
from corefuse.learn.train import train_target
from corefuse.spectra.calibration import calibrate, reference_structures
from corefuse.spectra.process import process
from corefuse.structures import build

MODALITIES = ["O_K-XAS", "O_K-EELS"]
SEEN = Spectra(
    techniques={
        "XAS": {"gaussian_fwhm_ev": 0.3, "edges": ["O K"]},
        "EELS": {"gaussian_fwhm_ev": 2.35, "edges": ["O K"]},
    }
)
SETTINGS = Train(outer_folds=4, inner_folds=2, trials=2, max_trees=60, bootstrap=100)
END_EV = 1.5
GRADES = ("LiNiO2-4fu", "NMC211-4fu", "NM31-4fu", "NC31-4fu")


def oxygen(raw, structure):
    """Channels of the O atoms of a stored run, with their p states for intensity."""
    channels = []
    for atom, site in enumerate(structure):
        if site.specie.symbol == "O":
            states = raw["atom_dos"].values[atom]
            shift_ev = float(raw["atom_core_level_shift_ev"][atom])
            channels.append(
                rawdata.Channel("O K", atom, "O", "oxygen", states[1], states, shift_ev, 0.0)
            )
    made = rawdata.build(channels, raw["energy_ev"].values)
    return made.assign_attrs(structure_id=raw.attrs["structure_id"], engine="gpaw")


@pytest.fixture(scope="module")
def stored(root):
    """Spectra and labels of the cells."""
    table = edge_table.load(root / "resources" / "edges.yaml")
    folder = root / "resources" / "ni_k"
    raw, rows = {}, []
    for path in sorted(folder.glob("structures/*.json")):
        if path.name.startswith(GRADES) and "random" not in path.name:
            structure = build.read(path)
            run = files.read_netcdf(folder / "raw" / "gpaw" / f"{path.stem}.nc")
            raw[path.stem] = oxygen(run, structure)
            rows.append(build.labels(structure))
    index = pd.DataFrame(rows)
    reference = reference_structures(index, ["O K"], table)["O K"]
    known = {"O K": calibrate(raw[reference], "O K", SEEN, table["O K"])}
    spectra = {name: process({"gpaw": one}, SEEN, table, known) for name, one in raw.items()}
    made = assemble(spectra, index, Dataset(views=4), MODALITIES, table)
    return made.dataset


@pytest.fixture(scope="module")
def trained(stored):
    """One result a target, made once."""
    subsets = {m: [m] for m in MODALITIES}
    targets = ("x_li", "ni_oxidation_state")
    results = {t: train_target(stored, t, subsets, SETTINGS) for t in targets}
    return SimpleNamespace(results=results, dataset=stored)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("target", ["x_li", "ni_oxidation_state"])
def test_the_recipe_of_jia_beats_no_model_of_o_k_alone(trained, target, modality, capsys):
    metrics = trained.results[target].metrics.query("metric == 'rmse' and modalities == @modality")
    rmse = metrics.set_index("model").value
    with capsys.disabled():
        print(f"\n{target} from {modality}: {rmse.round(3).to_dict()}")
    assert rmse["xgboost"] < rmse["jia2026"]
    assert rmse["xgboost"] < 0.5 * rmse["baseline"]


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("target", ["x_li", "ni_oxidation_state"])
def test_no_answer_is_read_at_the_end_of_a_window(trained, target, modality, capsys):
    """Before views were distorted, 61 % of Li content was read in the last 1.5 eV."""
    table = attributions(trained.results[target].models[modality], trained.dataset)
    share = table.mean_abs_shap / table.mean_abs_shap.sum()
    low, high = table.energy_ev.min(), table.energy_ev.max()
    ends = [share[table.energy_ev <= low + END_EV], share[table.energy_ev >= high - END_EV]]
    with capsys.disabled():
        print(f"\n{target} from {modality}: {[round(float(e.sum()), 3) for e in ends]} at the ends")
    for end in ends:
        assert end.sum() <= 2 * len(end) / len(table)
