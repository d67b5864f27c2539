import numpy as np
import pandas as pd
import pytest
import synthetic
from test_dataset import MODALITIES, SETTINGS, TABLE, index_of, spectra_of

from corefuse.config import Train
from corefuse.core import targets
from corefuse.core.targets import TARGET_TABLE, Cell, TargetEntry, truth, values
from corefuse.learn.dataset import assemble, table
from corefuse.learn.models import load_model, save_model
from corefuse.learn.train import train_target
from corefuse.structures import build

CELL = Cell(
    elements=["Li", "Ni", "Ni", "Mn", "O", "O", "O"],
    formula_units=2,
    sublattices=["Li", "Li", "M", "M", "O", "O", "O"],
    beside_vacancy=[False, False, True, True, True, False, True],
    oxidation_states=[1, 2, 3, 4, -2, -2, -2],
)


def test_targets_of_a_cell_counted_by_hand():
    """Li Ni2 Mn O3 with one O missing: Ni must carry 6 - 1 - 4 = 1 of two, below what it takes."""
    assert values(CELL) == {
        "x_li": 0.5,
        "x_ni": 1.0,
        "x_mn": 0.5,
        "x_co": 0.0,
        "v_o_fraction": 0.5,
        "antisite_fraction": 0.5,
        "ni_oxidation_state": 2.0,
        "o_beside_vacancy": pytest.approx(2 / 3),
        "ni_in_li_layer": 0.5,
        "v_o_present": 1.0,
        "antisite_present": 1.0,
    }


@pytest.mark.parametrize(("lithium", "state"), [(4, 3.0), (2, 3.5), (0, 4.0)])
def test_nickel_of_linio2_gives_up_one_electron_per_lithium(lithium, state):
    elements = ["Li"] * lithium + ["Ni"] * 4 + ["O"] * 8
    states = [1] * lithium + [0] * 4 + [-2] * 8  # whatever its moments say
    cell = Cell(elements, 4, oxidation_states=states)
    assert values(cell)["ni_oxidation_state"] == state


def test_what_is_not_known_of_a_cell_is_none():
    found = values(Cell(["Co", "O", "O"], 1))
    assert found["x_co"] == 1.0
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == set(TARGET_TABLE) - {"x_li", "x_ni", "x_mn", "x_co"}
    assert truth(found) == {"x_li": 0, "x_ni": 0, "x_mn": 0, "x_co": 1}


def test_a_mixture_counts_atoms_where_the_target_is_a_mean_over_atoms():
    one = {"x_ni": 1.0, "ni_oxidation_state": 3.0, "x_li": 1.0, "v_o_present": 0.0}
    two = {"x_ni": 0.5, "ni_oxidation_state": 4.0, "x_li": 0.0, "v_o_present": 1.0}
    mixed = {name: TARGET_TABLE[name].mix(0.25, one, two) for name in one if name != "x_ni"}
    nickel = (0.25 * 1.0 * 3 + 0.75 * 0.5 * 4) / (0.25 * 1.0 + 0.75 * 0.5)
    assert mixed == {
        "ni_oxidation_state": pytest.approx(nickel),
        "x_li": 0.25,
        "v_o_present": 1.0,
    }
    without = {"x_ni": 0.0, "ni_oxidation_state": np.nan}
    assert TARGET_TABLE["ni_oxidation_state"].mix(0.5, one, without) == 3.0


def test_the_stored_structures_have_every_target(root):
    stored = root / "resources" / "ni_k" / "structures"
    row = build.labels(build.read(stored / "LiNiO2-4fu-d0-li050-pristine.json"))
    assert row["ni_oxidation_state"] == 3.5
    assert (row["v_o_present"], row["o_beside_vacancy"], row["ni_in_li_layer"]) == (0, 0, 0)


@pytest.fixture
def with_charge(monkeypatch):
    """One entry more, and nothing else."""
    entry = TargetEntry(
        kind="regression",
        possible=(0.0, 5.0),
        label="O per f.u.",
        of=lambda cell: cell.per_formula_unit("O"),
        mix=lambda share, a, b: share * a["x_o"] + (1 - share) * b["x_o"],
        about="oxygen atoms per formula unit",
    )
    monkeypatch.setitem(targets.TARGET_TABLE, "x_o", entry)
    return entry


def test_a_new_target_is_one_entry(with_charge):
    """It is counted, mixed, put into the dataset, learned and scored."""
    assert values(CELL)["x_o"] == 1.5
    index = index_of(6).assign(x_o=np.arange(6.0))
    settings = SETTINGS.model_copy(update={"mixtures": 1})
    spectra = {f"s{i}": spectra_of(i) for i in range(6)}
    made = assemble(spectra, index, settings, MODALITIES, TABLE).dataset
    rows = table(made)
    mixed = rows[rows.structure_id.str.contains("mixture")]
    assert "x_o" in rows
    assert (mixed.x_o % 1 > 0).any()
    tiny = Train(outer_folds=3, inner_folds=2, trials=1, max_trees=10, bootstrap=100)
    result = train_target(made, "x_o", {"O": ["O_K-XAS"]}, tiny)
    assert set(result.metrics.metric) == {"rmse", "mae", "r2"}


def test_structures_that_do_not_say_are_left_out_of_that_target_only(tmp_path):
    data = synthetic.build()
    some = data["x_li"].where(data["group"] != "p0")
    settings = Train(outer_folds=3, inner_folds=2, trials=1, max_trees=10, bootstrap=100)
    result = train_target(data.assign(x_li=some), "x_li", {"O": [synthetic.O_K]}, settings)
    assert "p0" not in set(result.out_of_fold.group)
    assert len(set(result.out_of_fold.group)) == 11
    few = data["x_li"].where(data["group"].isin(["p0", "p1"]))
    result = train_target(data.assign(x_li=few), "x_li", {"O": [synthetic.O_K]}, settings)
    assert result.not_learnable == "x_li is known of 2 parents only"
    assert result.metrics.value.isna().all()
    assert (result.metrics.note == result.not_learnable).all()
    save_model(tmp_path, result.models["O"])
    card = load_model(tmp_path / "x_li" / "O.ubj").card
    assert card.selection_score.value == 1.0  # of 0 to 2, answered by 1


def test_an_index_without_a_column_leaves_its_target_unknown():
    index = index_of(6).drop(columns="ni_oxidation_state")
    spectra = {f"s{i}": spectra_of(i) for i in range(6)}
    made = assemble(spectra, index, SETTINGS, MODALITIES, TABLE).dataset
    assert np.isnan(made["ni_oxidation_state"]).all()
    assert isinstance(table(made), pd.DataFrame)
