import numpy as np
import pytest
import synthetic
from synthetic import MN_L, MODALITIES, NI_L, O_K

from corefuse.core.errors import InputError
from corefuse.learn.domain import ACCEPTED, fit_domain, fit_domains, load_domains, save_domain
from corefuse.learn.matrix import columns, matrix

DATA = synthetic.build(parents=30, structures=2, views=2, seed=1)


@pytest.fixture(scope="module")
def domain():
    return fit_domain(DATA, "all", MODALITIES, seed=0)


def test_new_parents_of_the_same_kind_are_accepted_at_the_stated_rate():
    """Averaged over training sets: the rate of one set scatters by a few percent."""
    rates = []
    for seed in range(8):
        trained = fit_domain(synthetic.build(parents=40, seed=seed), "all", MODALITIES, seed=0)
        new = synthetic.build(parents=100, structures=1, views=1, seed=100 + seed)
        scores = trained.parts(matrix(new, MODALITIES)).sum(axis=1)
        rates.append(np.mean(scores <= trained.threshold))
    assert ACCEPTED - 0.04 < np.mean(rates) < 0.995


@pytest.mark.parametrize("spoil", ["shift", "invert", "noise", "peak"])
def test_far_spectra_are_flagged(domain, spoil):
    new = synthetic.build(parents=5, structures=1, views=1, seed=50)
    x = new[O_K].to_numpy()
    spoilt = {
        "shift": np.roll(x, 6, axis=1),
        "invert": 3 - x,
        "noise": x + np.random.default_rng(0).normal(scale=0.5, size=x.shape),
        "peak": x + 2 * (np.arange(24) == 19),
    }
    other = new.assign({O_K: (new[O_K].dims, spoilt[spoil].astype(np.float32))})
    for i in range(5):
        assert not domain.judge(synthetic.sample_of(other, i, MODALITIES)).in_domain


def test_the_energies_that_disagree_most_are_named(domain):
    new = synthetic.build(parents=1, structures=1, views=1, seed=50)
    odd = new[NI_L].to_numpy() + 3 * (np.arange(24) == 19)
    judgement = domain.judge(
        synthetic.sample_of(new.assign({NI_L: (new[NI_L].dims, odd)}), 0, MODALITIES)
    )
    modality, energy_ev, share = judgement.disagreement[0]
    assert (modality, energy_ev) == (NI_L, 869.0)
    assert share > 0.3
    places = [(m, e) for m, e, _ in judgement.disagreement]
    assert all(
        a[0] != b[0] or abs(a[1] - b[1]) > 1 for i, a in enumerate(places) for b in places[:i]
    )
    assert [s for *_, s in judgement.disagreement] == sorted(
        (s for *_, s in judgement.disagreement), reverse=True
    )


def test_the_parts_add_to_the_two_distances(domain):
    """The split over energies is exact: Mahalanobis plus residual, each in its typical units."""
    x = matrix(DATA, MODALITIES).astype(float)
    components = np.array(domain.components)
    centred = (x - np.array(domain.mean)) / np.array(domain.scale)
    inside = centred @ components.T
    mahalanobis = (inside**2 / np.array(domain.variances)).sum(axis=1)
    residual = ((centred - inside @ components) ** 2).sum(axis=1)
    expected = mahalanobis / domain.typical_distance + residual / domain.typical_residual
    assert domain.parts(x).sum(axis=1) == pytest.approx(expected)
    assert domain.parts(x).shape == (len(x), len(columns(domain.grids)))


def test_the_threshold_is_that_of_parents_left_out_not_of_samples_seen(domain):
    seen = domain.parts(matrix(DATA, MODALITIES)).sum(axis=1)
    assert np.mean(seen <= domain.threshold) > 0.98
    assert domain.threshold > 1.1 * np.quantile(seen, ACCEPTED)


def test_a_strong_edge_does_not_drown_a_weak_one():
    """An edge a thousand times stronger changes nothing: every modality has the same say."""
    scaled = DATA.assign({O_K: DATA[O_K] * 1000})
    x = matrix(DATA, MODALITIES)
    big = matrix(scaled, MODALITIES)
    scores = fit_domain(DATA, "all", MODALITIES, 0).parts(x).sum(axis=1)
    assert fit_domain(scaled, "all", MODALITIES, 0).parts(big).sum(axis=1) == pytest.approx(
        scores, rel=1e-2
    )


def test_few_parents_fall_back_on_the_largest_score_and_say_so():
    few = fit_domain(synthetic.build(parents=5), "all", MODALITIES, 0)
    assert few.threshold_is_largest
    assert np.isfinite(few.threshold)
    assert not fit_domain(DATA, "all", MODALITIES, 0).threshold_is_largest


def test_a_parent_has_no_part_in_what_it_is_measured_with():
    """One parent far from all others: its left-out score is as large as it is far."""
    data = synthetic.build(parents=12, structures=2, views=2, seed=3)
    odd = (data["group"] == "p0").to_numpy()

    def threshold(times):
        x = data[O_K].to_numpy().copy()
        x[odd] += times * (np.arange(24) == 8)
        return fit_domain(data.assign({O_K: (data[O_K].dims, x)}), "O", [O_K], 0).threshold

    assert threshold(40) == pytest.approx(16 * threshold(10), rel=0.1)


def test_an_edge_absent_everywhere_does_no_harm():
    absent = DATA.assign({MN_L: DATA[MN_L] * 0})
    trained = fit_domain(absent, "Mn", [MN_L], 0)
    assert trained.judge(synthetic.sample_of(absent, 0, [MN_L])).in_domain
    assert not trained.judge(synthetic.sample_of(DATA, 0, [MN_L])).in_domain


def test_domains_are_json(domain, tmp_path):
    domains = fit_domains(DATA, {"all": MODALITIES, O_K: [O_K]}, seed=0)
    for one in domains.values():
        save_domain(tmp_path, one)
    assert load_domains(tmp_path.glob("*.json")) == domains
    assert domains["all"] == domain
    (tmp_path / "all.json").write_text('{"subset": "all"}')
    with pytest.raises(InputError, match=r"all\.json: grids"):
        load_domains([tmp_path / "all.json"])
