"""What an earlier samples file left behind goes, and nothing else does."""

from corefuse.plan import stale

KEPT = (
    *("inference/mine.csv", "inference/NMC-d0.csv", "measured/mine.nc", "measured/mine.csv"),
    *("images/map.nc", "figures/inference_mine.svg", "figures/measured_mine-O_K-EELS.png"),
    *("figures/image_map.svg", "figures/parity.svg", "models/x_li/all.ubj"),
)
GONE = (
    *("inference/typo.csv", "measured/typo.nc", "images/old.nc", "figures/inference_typo.svg"),
    *("figures/measured_typo-O_K-EELS.png", "figures/image_old.png", "figures/series.svg"),
    "tables/series.html",
)


def test_results_of_samples_no_longer_asked_for_go(tmp_path):
    for name in (*KEPT, *GONE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    removed = stale.remove(tmp_path, {"mine", "NMC-d0"}, set(), {"map"})
    assert {str(p.relative_to(tmp_path)) for p in removed} == set(GONE)
    assert all((tmp_path / name).exists() for name in KEPT)
