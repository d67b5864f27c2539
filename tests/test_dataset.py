import numpy as np
import pandas as pd
import pytest
import xarray as xr

from corefuse.config import Dataset
from corefuse.core.edge_table import EdgeEntry
from corefuse.core.errors import InputError
from corefuse.core.files import read_netcdf, write_netcdf
from corefuse.core.spectrum import window_area
from corefuse.core.targets import TARGET_TABLE
from corefuse.learn.content import content_hash
from corefuse.learn.dataset import assemble, table

MODALITIES = ["O_K-XAS", "O_K-EELS", "Mn_L23-XAS"]


def entry(axis, window, continuum=None):
    start, stop, step = axis
    reference = {"compound": {"Ni": 1}, "feature": "peak", "source": "made up for a test"}
    return EdgeEntry(
        grid={"start_ev": start, "stop_ev": stop, "step_ev": step},
        window_ev=window,
        continuum=continuum,
        reference=reference | {"energy_ev": window[0] + 5},
    )


LINES = {"l3_ev": 642, "l2_ev": 651, "fwhm_ev": 1}
TABLE = {
    "O K": entry((524, 546, 0.2), (525, 545)),
    "Mn L2,3": entry((635, 655, 0.5), (636, 654), LINES),
}
O_K, MN_L = (e.grid.energies_ev for e in TABLE.values())
SETTINGS = Dataset(views=3)


def spectra_of(i: int) -> xr.Dataset:
    o_k = np.exp(-(((O_K - 530 - 0.3 * i) / 2) ** 2))
    mn = np.exp(-(((MN_L - 642) / 2) ** 2)) * (i != 0)  # s0 holds no Mn
    variables = {
        "O_K-XAS": ("energy_O_K", o_k / o_k.sum()),
        "O_K-EELS": ("energy_O_K", o_k / o_k.sum()),
        "Mn_L23-XAS": ("energy_Mn_L23", mn),
    }
    coords = {"energy_O_K": O_K, "energy_Mn_L23": MN_L}
    return xr.Dataset(variables, coords, {"status": "ok", "reason": ""})


def index_of(n: int) -> pd.DataFrame:
    rows = {name: np.arange(n) / 10 for name, e in TARGET_TABLE.items() if e.kind == "regression"}
    return pd.DataFrame(
        {
            "structure_id": [f"s{i}" for i in range(n)],
            "parent_id": [f"p{i // 2}" for i in range(n)],
            "arrangement": [f"a{i // 2}" for i in range(n)],
            "v_o_present": [float(i % 2) for i in range(n)],
            "antisite_present": [float(i == 3) for i in range(n)],
            **rows,
        }
    )


def built(n=6, settings=SETTINGS, spectra=None, index=None):
    spectra = spectra or {f"s{i}": spectra_of(i) for i in range(n)}
    return assemble(spectra, index_of(n) if index is None else index, settings, MODALITIES, TABLE)


def test_samples_carry_spectra_labels_group_and_view():
    data = built().dataset
    assert data.sizes["sample"] == 18
    assert data["O_K-XAS"].dims == ("sample", "energy_O_K")
    assert data["O_K-XAS"].dtype == np.float32
    rows = table(data)
    assert list(rows.structure_id[:4]) == ["s0", "s0", "s0", "s1"]
    assert list(rows.view[:4]) == [0, 1, 2, 0]
    assert list(rows.group[::3]) == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert list(rows.x_li[::3]) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert list(rows.v_o_present[::3]) == [0, 1, 0, 1, 0, 1]
    assert list(rows.antisite_present[::3]) == [0, 0, 0, 1, 0, 0]
    for spectrum in data["Mn_L23-XAS"].to_numpy()[3:]:
        assert window_area(MN_L, spectrum, TABLE["Mn L2,3"].window_ev) == pytest.approx(1, abs=1e-5)


def test_an_absent_element_is_zero_in_every_view():
    data = built().dataset
    assert not data["Mn_L23-XAS"][:3].any()
    assert data["Mn_L23-XAS"][3:].any("energy_Mn_L23").all()


def test_views_and_techniques_differ():
    data = built().dataset
    assert not np.array_equal(data["O_K-XAS"][0], data["O_K-XAS"][1])
    assert not np.array_equal(data["O_K-XAS"][0], data["O_K-EELS"][0])


def test_more_structures_views_or_modalities_change_no_other_view():
    small = built(4, SETTINGS.model_copy(update={"views": 2})).dataset
    large = built(6).dataset
    chosen = [i for i, v in enumerate(large["view"].to_numpy()) if v < 2][:8]
    for modality in MODALITIES:
        assert np.array_equal(small[modality], large[modality][chosen])
    alone = assemble({f"s{i}": spectra_of(i) for i in range(6)}, index_of(6), SETTINGS,
                     ["O_K-EELS"], TABLE)  # fmt: skip
    assert np.array_equal(alone.dataset["O_K-EELS"], large["O_K-EELS"])


def test_held_out_parents_are_left_out():
    settings = SETTINGS.model_copy(update={"holdout_parents": ["p1"]})
    assert set(built(settings=settings).dataset["group"].to_numpy()) == {"p0", "p2"}


def test_parents_of_the_same_crystal_are_one_group_and_held_out_together():
    index = index_of(6).assign(arrangement=["a", "a", "b", "b", "a", "a"])
    assert set(built(index=index).dataset["group"].to_numpy()) == {"p0", "p1"}
    settings = SETTINGS.model_copy(update={"holdout_parents": ["p2"]})
    assert set(built(settings=settings, index=index).dataset["group"].to_numpy()) == {"p1"}


def test_failed_structures_are_listed_with_their_reason_even_if_held_out():
    spectra = {f"s{i}": spectra_of(i) for i in range(6) if i != 5}
    spectra["s2"] = xr.Dataset(attrs={"status": "failed", "reason": "gpaw: not converged"})
    settings = SETTINGS.model_copy(update={"holdout_parents": ["p1"]})
    result = built(settings=settings, spectra=spectra)
    assert result.failed.to_dict("records") == [
        {"structure_id": "s2", "reason": "gpaw: not converged"},
        {"structure_id": "s5", "reason": "no spectra"},
    ]
    assert set(result.dataset["structure_id"].to_numpy()) == {"s0", "s1", "s4"}


@pytest.mark.parametrize(
    ("parents", "says"),
    [
        (["pp1"], r"dataset\.holdout_parents: no parent structure is called 'pp1'.*you mean 'p1'"),
        (["zzz"], "known: p0, p1, p2"),
        (["p0", "p1", "p2"], "no structure is left"),
    ],
)
def test_an_unknown_or_total_holdout_is_refused(parents, says):
    with pytest.raises(InputError, match=says):
        built(settings=SETTINGS.model_copy(update={"holdout_parents": parents}))


def test_structures_on_different_grids_are_refused():
    spectra = {f"s{i}": spectra_of(i) for i in range(6)}
    spectra["s4"] = spectra["s4"].assign_coords(energy_O_K=O_K + 0.1)
    with pytest.raises(InputError, match=r"spectra/s4\.nc: energy_O_K"):
        built(spectra=spectra)


def test_the_hash_is_that_of_the_content(tmp_path):
    data = built().dataset
    write_netcdf(tmp_path / "dataset.nc", data)
    assert content_hash(read_netcdf(tmp_path / "dataset.nc")) == content_hash(data)
    assert content_hash(built().dataset) == content_hash(data)
    assert content_hash(data.assign_attrs(note="x")) == content_hash(data)
    for name in ("x_li", "O_K-XAS", "group", "energy_O_K"):
        other = data.copy(deep=True)
        values = other[name].to_numpy().copy()
        values.flat[0] = "other" if name == "group" else values.flat[0] + 1
        other = other.assign_coords({name: (other[name].dims, values)}) if name in other.coords \
            else other.assign({name: (other[name].dims, values)})  # fmt: skip
        assert content_hash(other) != content_hash(data), name
    assert content_hash(built(settings=Dataset(views=3, seed=2)).dataset) != content_hash(data)


def test_mixtures_lie_between_two_structures_of_one_parent():
    plain, mixed = built().dataset, built(settings=Dataset(views=3, mixtures=2)).dataset
    names = mixed["structure_id"].to_numpy().astype(str)
    old = np.isin(names, plain["structure_id"].to_numpy().astype(str))
    assert len(set(names[~old])) == 12
    np.testing.assert_array_equal(mixed["O_K-XAS"].values[old], plain["O_K-XAS"].values)
    for name in sorted(set(names[~old])):
        mine = mixed.isel(sample=names == name)
        parent = str(mine["group"].values[0])
        family = plain.isel(sample=plain["group"].values.astype(str) == parent)
        x_li = float(mine["x_li"][0])
        assert family["x_li"].min() < x_li < family["x_li"].max()
        assert int(mine["v_o_present"][0]) == 1  # every family here has one with a vacancy
        share = float(x_li - family["x_li"].min()) / np.ptp(family["x_li"].values)
        parts = [spectra_of(2 * int(parent[1:]) + i)["O_K-XAS"].values for i in (0, 1)]
        expected = (1 - share) * parts[0] + share * parts[1]
        top = O_K[np.argmax(expected)]
        found = mine["O_K-XAS"].mean("sample")
        assert float(found.energy_O_K[int(found.argmax())]) == pytest.approx(top, abs=0.6)


def test_a_parent_of_one_structure_has_no_mixtures():
    index = index_of(3)
    data = built(3, Dataset(views=1, mixtures=3), index=index).dataset
    names = [n for n in data["structure_id"].values.astype(str) if "mixture" in n]
    assert len(names) == 6
    assert all(n.startswith("p0-") for n in names)
