import numpy as np
import pytest
import synthetic
from synthetic import MN_L, MODALITIES, NI_L, O_K

from corefuse.core.errors import InputError
from corefuse.learn.matrix import (
    blocks,
    columns,
    cumulative,
    energy_dim,
    grids_of,
    jia_features,
    matrix,
    on_axis,
    row,
)

DATA = synthetic.build(parents=3, structures=2, views=1)
GRIDS = grids_of(DATA, [NI_L, O_K])


def test_columns_name_the_value_they_hold():
    x = matrix(DATA, [NI_L, O_K])
    assert x.dtype == np.float32
    for j, (modality, energy_ev) in enumerate(columns(GRIDS)):
        expected = DATA[modality].sel({energy_dim(modality): energy_ev}, method="nearest")
        assert np.array_equal(x[:, j], expected)


def test_blocks_cover_the_columns_in_order():
    assert [range(x.shape[0])[b] for x in [np.zeros(48)] for b in blocks(GRIDS).values()] == [
        range(24),
        range(24, 48),
    ]


def test_a_row_is_the_row_of_the_matrix():
    sample = synthetic.sample_of(DATA, 4, MODALITIES)
    assert np.array_equal(row(sample, GRIDS), matrix(DATA, list(GRIDS))[[4]])


def test_where_a_measurement_ends_its_last_value_is_held():
    energy_ev = DATA[energy_dim(O_K)].to_numpy()
    intensity = DATA[O_K].to_numpy()[0].astype(float)
    held = intensity.copy()
    intensity[:2], intensity[-3:] = np.nan, np.nan
    held[:2], held[-3:] = held[2], held[-4]
    found = row({O_K: on_axis(O_K, energy_ev, intensity)}, grids_of(DATA, [O_K]))
    assert found[0] == pytest.approx(held)


@pytest.mark.parametrize(
    ("energy_ev", "intensity", "says"),
    [
        (np.arange(24) + 525.5, np.ones(24), "525.5 to 548.5 eV, but the model"),
        (np.arange(20) + 525.0, np.ones(20), "20 points"),
        (np.arange(24) + 525.0, np.full(24, np.nan), "no intensities"),
        (np.arange(24) + 525.0, np.full(24, np.inf), "infinite"),
    ],
)
def test_another_grid_or_no_numbers_are_refused(energy_ev, intensity, says):
    with pytest.raises(InputError, match=says):
        row({O_K: on_axis(O_K, energy_ev, intensity)}, grids_of(DATA, [O_K]))


def test_cumulative_sums_rise_from_the_first_share_to_one_in_every_modality():
    x = matrix(DATA, list(GRIDS)).astype(float)
    x[0, :24] = 0  # an absent element
    sums = cumulative(x, GRIDS)
    assert not sums[0, :24].any()
    assert sums[1:, 23] == pytest.approx(1)
    assert sums[:, 47] == pytest.approx(1)
    assert (np.diff(sums[:, 24:], axis=1) > 0).all()
    assert sums[1, 5] == pytest.approx(x[1, :6].sum() / x[1, :24].sum())


def test_the_recipe_of_jia_gives_few_uncorrelated_features():
    data = synthetic.build(parents=10, structures=3)
    grids = grids_of(data, [O_K, MN_L])
    reduced = jia_features(grids, 60).fit_transform(matrix(data, list(grids)))
    assert reduced.shape == (60, 10)
    correlation = np.corrcoef(reduced.T)
    assert abs(correlation - np.eye(10)).max() < 0.01
