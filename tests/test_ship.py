"""Models of a run put where the project brings them along."""

from pathlib import Path

import pytest
from toy import edited

from corefuse import config as cfg
from corefuse.core import files
from corefuse.core.errors import InputError
from corefuse.learn import ship

CONFIG = cfg.load(edited("train.targets", ["x_li", "v_o_present"]), "c.yaml")
KINDS = ("x_li/all.ubj", "x_li/all.json", "v_o_present/all.ubj", "v_o_present/all.json")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with models of two subsets, trained on a library that is not looked into."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ship.stored, "finished", lambda *_: {"a": {"raw/a.nc": "1"}, "b": {}})
    models = Path("results") / CONFIG.name / "models"
    for name in (*KINDS, "domain/all.json", "simulated.nc", "x_li/other.ubj", "x_li/metrics.csv"):
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).write_text(name)
    return models


def test_the_files_of_a_subset_and_what_they_were_trained_on_are_shipped(run):
    written = ship.ship(CONFIG, "c.yaml", "kept", ["all"])
    assert set(written) == {*KINDS, "domain/all.json", "simulated.nc", "library.json"}
    assert {str(p.relative_to("kept")) for p in Path("kept").rglob("*.*")} == set(written)
    assert Path("kept/x_li/all.ubj").read_text() == "x_li/all.ubj"
    about = files.read_json("kept/library.json")
    assert about["structures"] == 2
    assert about["config"] == "c.yaml"
    Path("kept/x_co").mkdir()  # of another run
    ship.ship(CONFIG, "c.yaml", "kept", ["all"])
    assert not Path("kept/x_co").exists()


def test_another_library_has_another_hash(run, monkeypatch):
    first = ship.library(CONFIG, "c.yaml")
    monkeypatch.setattr(ship.stored, "finished", lambda *_: {"a": {"raw/a.nc": "2"}, "b": {}})
    assert ship.library(CONFIG, "c.yaml")["sha256"] != first["sha256"]


def test_an_unfinished_run_and_too_large_models_are_refused(run, monkeypatch):
    with pytest.raises(InputError, match="has not made it"):
        ship.ship(CONFIG, "c.yaml", "kept", ["other"])
    assert not Path("kept").exists()
    monkeypatch.setattr(ship, "LARGEST_MB", 1e-6)
    with pytest.raises(InputError, match="belong into a repository"):
        ship.ship(CONFIG, "c.yaml", "kept", ["all"])
