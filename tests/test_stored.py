import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rawdata as made_up
import yaml
from toy import edited

from corefuse import config as cfg
from corefuse import engines
from corefuse.core import files, rawdata
from corefuse.core.errors import InputError
from corefuse.plan import specs
from corefuse.simulate import compact, older, stored
from corefuse.structures import build

EDITED = edited("simulation.stored", "kept")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished run of the toy config, put into ``kept``: the config."""
    monkeypatch.chdir(tmp_path)
    config = cfg.load(EDITED, "c.yaml")
    write_run(config)
    stored.store(config, "c.yaml")
    return config


def write_run(config, **attrs):
    lines = [made_up.channel(edge, {1.0: 1.0}) for edge in ("O K", "Ni L2,3")]
    made = made_up.dataset(lines).assign_attrs(
        parameters=files.dumps(config.simulation.settings("gpaw")),
        engine_revision=engines.get("gpaw").revision,
        **attrs,
    )
    for name, spec in specs.by_id(config.structures, "c.yaml").items():
        built = build.build(spec)
        built.properties |= {"relaxation": {}, "failed": ""}
        build.write(f"results/toy/structures/{name}.json", built)
        has = [edge == "O K" or bool(spec.count("Ni")) for edge in made.edge.values]
        files.write_netcdf(f"results/toy/raw/gpaw/{name}.nc", made.isel(channel=has))


def taken(config, structure_id, target, engine=None, start=None):
    """Whether the structure is taken, and the simulation that starts from it (or ``start``)."""
    spec = specs.by_id(config.structures, "c.yaml")[structure_id]
    structure = f"structures/{structure_id}.json"
    engine = engine or engines.get("gpaw")
    section = config.simulation.request("gpaw")
    raw = stored.raw_digest(engine, section, [start or f"kept/{structure}"])
    return (
        stored.take("kept", structure, stored.structure_digest(spec), target / "s.json"),
        stored.take("kept", f"raw/gpaw/{structure_id}.nc", raw, target / "r.nc"),
    )


FIRST = "LiNiO2-2fu-d0-li100-pristine"


def test_the_very_run_that_is_asked_for_is_taken(run, tmp_path):
    assert taken(run, FIRST, tmp_path) == (True, True)
    for name, target in ((f"structures/{FIRST}.json", "s.json"), (f"raw/gpaw/{FIRST}.nc", "r.nc")):
        kept = (tmp_path / "kept" / name).read_bytes()
        assert (tmp_path / target).read_bytes() == kept
    index = pd.read_csv("kept/structures/index.csv")
    assert list(index.structure_id) == list(specs.by_id(run.structures, "c.yaml"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("structures.relaxation", {"fmax_ev_per_angstrom": 0.01}, (False, True)),
        ("structures.seed", 7, (False, True)),
        ("simulation.gpaw", {"plane_wave_cutoff_ev": 400}, (True, False)),
        ("simulation.edges", {"O K": "gpaw", "Li K": "gpaw", "Ni L2,3": "gpaw"}, (True, False)),
        ("dataset.views", 3, (True, True)),
    ],
)
def test_another_request_is_computed(run, tmp_path, key, value, expected):
    assert taken(cfg.load(edited(key, value, EDITED), "c.yaml"), FIRST, tmp_path) == expected


def test_another_engine_or_another_structure_is_computed(run, tmp_path, monkeypatch):
    (tmp_path / "other.json").write_text("{}")
    assert taken(run, FIRST, tmp_path, start="other.json") == (True, False)
    engine = engines.get("gpaw")
    monkeypatch.setattr(engine, "revision", engine.revision + 1, raising=False)
    other = "LiCoO2-2fu-d0-li100-pristine"
    assert taken(run, other, tmp_path) == (True, False)


def test_what_the_config_does_not_stand_for_is_not_stored(run):
    other = cfg.load(edited("structures.seed", 7, EDITED), "c.yaml")
    with pytest.raises(InputError, match="of another config"):
        stored.store(other, "c.yaml")
    other = cfg.load(edited("simulation.gpaw", {"smearing_ev": 0.2}, EDITED), "c.yaml")
    with pytest.raises(InputError, match="other settings"):
        stored.store(other, "c.yaml")


def test_failed_simulations_stay_out_and_are_listed_with_their_reason(run):
    write_run(run, status="failed", reason="SCF not converged")
    stored.store(run, "c.yaml")
    assert not stored.finished(run, "c.yaml")
    assert not list(Path("kept/raw").rglob("*.nc"))
    failed = pd.read_csv("kept/failed.csv")
    assert list(failed.structure_id) == list(specs.by_id(run.structures, "c.yaml"))
    assert set(failed.engine) == {"gpaw"}
    assert set(failed.reason) == {"SCF not converged"}
    assert stored.missing_files(run, "c.yaml", 99) == []


def test_a_library_grows_by_what_a_run_has_finished(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = cfg.load(EDITED, "c.yaml")
    first, *others = specs.by_id(config.structures, "c.yaml")
    write_run(config)
    for name in others:
        Path(f"results/toy/raw/gpaw/{name}.nc").unlink()
    with pytest.raises(InputError, match="finish the run"):
        stored.store(config, "c.yaml")
    assert stored.store(config, "c.yaml", finished_only=True) == [first]
    assert list(stored.finished(config, "c.yaml")) == [first]
    left = stored.missing_files(config, "c.yaml", 1)
    assert left == [f"results/toy/raw/gpaw/{others[0]}.nc"]
    write_run(config)
    Path(f"results/toy/raw/gpaw/{first}.nc").unlink()  # another session: the folder has it
    assert stored.store(config, "c.yaml", finished_only=True) == [first, *others]
    assert list(pd.read_csv("kept/structures/index.csv").structure_id) == [first, *others]


@pytest.mark.parametrize(("given", "meant"), [("false", False), ("true", True), (True, True)])
def test_stored_only_can_be_set_on_the_command_line(given, meant):
    config = cfg.load(edited("simulation.stored_only", given, EDITED), "c.yaml")
    assert config.simulation.stored_only is meant
    with pytest.raises(InputError, match="stored_only"):
        cfg.load(edited("simulation.stored_only", "perhaps", EDITED), "c.yaml")


def test_a_config_is_narrowed_to_what_is_stored(run):
    config = run.model_copy(
        update={"simulation": run.simulation.model_copy(update={"stored_only": True})}
    )
    Path(f"kept/raw/gpaw/{FIRST}.nc").unlink()
    narrowed, missing = stored.only_finished(config, "c.yaml")
    every = specs.by_id(run.structures, "c.yaml")
    assert missing == [FIRST]
    assert specs.by_id(narrowed.structures, "c.yaml") == {
        name: spec for name, spec in every.items() if name != FIRST
    }
    for file in Path("kept/raw/gpaw").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="none of its"):
        stored.only_finished(config, "c.yaml")


def test_compact_files_keep_spectra_to_a_part_in_a_thousand():
    raw = made_up.dataset([made_up.channel("O K", {1.0: 1.0, 3.3: 0.123456789})])
    raw["dos"][:] = np.linspace(0.1, 1.0, raw["dos"].size).reshape(raw["dos"].shape)
    small = compact.compact(rawdata.with_atoms(raw, [0.0], [0.0], raw["dos"].values))
    assert "dos" not in small
    assert small["intensity"].values == pytest.approx(raw["intensity"].values, rel=1e-3, abs=1e-6)
    again = rawdata.of_edge(small, "O K")["dos"].values
    assert again[:, :2] == pytest.approx(raw["dos"].values[:, :2], rel=2**-5)
    assert not again[:, 2].any()  # d states of O
    assert compact.compact(small).identical(small)


def test_a_channel_whose_states_are_not_those_of_its_atom_keeps_them():
    raw = made_up.dataset(
        [made_up.channel("Ni K", {1.0: 1.0}), made_up.channel("Ni K", {2.0: 1.0})]
    )
    other = rawdata.with_atoms(raw, [0.0] * 2, [0.0] * 2, raw["dos"].values[::-1] + 1)
    assert "dos" in compact.compact(other)


def test_rounding_is_to_nearest_and_keeps_zeros_and_signs():
    values = np.array([0.0, -1.0, 1.0009765, 1.00049, 3.0e-5], dtype="f4")
    assert compact.rounded(values, 10).tolist() == pytest.approx(values.tolist(), rel=2**-11)
    assert compact.rounded(values, 10)[:3].tolist() == [0.0, -1.0, 1.0009765625]
    assert compact.rounded(np.array([1.0, 1e-7], dtype="f4"), 10).tolist() == [1.0, 0.0]


RAW = f"raw/gpaw/{FIRST}.nc"


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (lambda whole: whole[: len(whole) // 2], "not those that were stored"),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (lambda whole: None, "it is listed, but not there"),
    ],
    ids=["half", "pointer", "missing"],
)
def test_a_damaged_file_is_refused_with_one_line(run, tmp_path, contents, problem):
    file = tmp_path / "kept" / RAW
    damaged = contents(file.read_bytes())
    file.unlink()
    if damaged is not None:
        file.write_bytes(damaged)
    with pytest.raises(InputError, match=problem) as told:
        taken(run, FIRST, tmp_path)
    assert "\n" not in str(told.value) and len(str(told.value)) <= 300
    assert not (tmp_path / "r.nc").exists()


def test_a_list_of_an_older_release_is_taken_and_pointers_in_it_are_refused(run, tmp_path):
    listing = tmp_path / "kept" / stored.LISTED
    requests = {name: row["request"] for name, row in files.read_json(listing).items()}
    files.write_json(listing, requests)
    assert taken(run, FIRST, tmp_path) == (True, True)
    (tmp_path / "kept" / RAW).write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match="pointer"):
        taken(run, FIRST, tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", '{"a": {}}', '{"a": 1}'])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    (tmp_path / stored.LISTED).write_text(text)
    with pytest.raises(InputError, match="can't be read"):
        stored.listed(tmp_path)


def kept_of_older(config, engine=""):
    """Offer what lies in results/toy, without anything kept, to ``older.keep``: names kept."""
    shutil.rmtree("results/toy/structures/kept", ignore_errors=True)
    shutil.rmtree("results/toy/raw/gpaw/kept", ignore_errors=True)
    folder = Path("results/toy") / (f"raw/{engine}" if engine else "structures")
    files_there = [(engine, path) for path in folder.iterdir() if path.suffix in (".nc", ".json")]
    older.keep(files_there, config, "c.yaml")
    return sorted(path.name.rsplit("-", 2)[0] for path in folder.glob("kept/*"))


def test_results_of_an_older_release_are_kept_where_they_are_what_is_asked_for(run):
    every = sorted(specs.by_id(run.structures, "c.yaml"))
    assert kept_of_older(run) == every
    assert kept_of_older(run, "gpaw") == every
    spec = specs.by_id(run.structures, "c.yaml")[FIRST]
    target = Path(f"results/toy/structures/{FIRST}.json")
    whole = target.read_bytes()
    kept_of_older(run)
    target.unlink()
    assert stored.found(target, "", stored.structure_digest(spec), None)
    assert target.read_bytes() == whole


def test_results_of_another_request_or_an_older_structure_are_not_kept(run):
    for key, value in (
        ("simulation.gpaw", {"smearing_ev": 0.2}),
        ("simulation.edges", {"O K": "gpaw", "Ni L2,3": "gpaw", "Li K": "gpaw"}),
    ):
        assert kept_of_older(cfg.load(edited(key, value, EDITED), "c.yaml"), "gpaw") == []
    assert kept_of_older(cfg.load(edited("structures.seed", 7, EDITED), "c.yaml")) == []
    for path in Path("results/toy/structures").glob("*.json"):
        os.utime(path, (path.stat().st_mtime + 60,) * 2)
    assert kept_of_older(run, "gpaw") == []


@pytest.mark.parametrize("how", [{"memory_mb": 9000}, {"time_limit_hours": 3}, {"command": "/x"}])
@pytest.mark.parametrize("engine", ["gpaw", "multiplet", "fdmnes", "feff"])
def test_how_an_engine_runs_is_no_part_of_its_request(engine, how):
    """The request is the param of its rules, so an edit of these keys starts no job."""
    edges = {"Ni L2,3": engine}
    fields = type(getattr(cfg.Simulation(edges=edges), engine)).model_fields
    if not how.keys() <= fields.keys():
        pytest.skip(f"{engine} has no such key")
    plain, changed = (
        cfg.Simulation.model_validate({"edges": edges, engine: section}) for section in ({}, how)
    )
    assert plain.settings(engine) != changed.settings(engine)
    assert plain.request(engine) == changed.request(engine)


def test_a_folder_without_stored_results_is_named(tmp_path):
    with pytest.raises(InputError, match=r"simulation\.stored: there is no stored\.json"):
        stored.listed(tmp_path)


def test_what_the_project_ships_is_what_its_config_asks_for(root):
    """Nobody who runs config/ni_k.yaml waits for GPAW."""
    config = cfg.load(yaml.safe_load((root / "config" / "ni_k.yaml").read_text()), "ni_k.yaml")
    folder, wanted = root / config.simulation.stored, {}
    if not (kept := stored.listed(folder)):
        pytest.skip(
            "config/ni_k.yaml is to be run, then `python -m corefuse.simulate.stored` with it"
        )
    for name, spec in specs.by_id(config.structures, "ni_k.yaml").items():
        file, section = f"structures/{name}.json", config.simulation.request("gpaw")
        wanted[file] = stored.structure_digest(spec)
        wanted[f"raw/gpaw/{name}.nc"] = stored.raw_digest(
            engines.get("gpaw"), section, [folder / file]
        )
    assert kept == wanted
    for file, row in files.read_json(folder / stored.LISTED).items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == row["sha256"]
