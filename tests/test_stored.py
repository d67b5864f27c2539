import pytest
import rawdata as made_up
import yaml
from toy import edited

from corefuse import config as cfg
from corefuse import engines
from corefuse.core import files
from corefuse.core.errors import InputError
from corefuse.plan import specs
from corefuse.simulate import stored

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
    made = made_up.dataset([made_up.channel("O K", {1.0: 1.0})]).assign_attrs(
        parameters=files.dumps(config.simulation.settings("gpaw")),
        engine_revision=engines.get("gpaw").revision,
        **attrs,
    )
    for name, spec in specs.by_id(config.structures, "c.yaml").items():
        content = {"properties": {"spec": spec.model_dump(mode="json")}}
        files.write_json(f"results/toy/structures/{name}.json", content)
        files.write_netcdf(f"results/toy/raw/gpaw/{name}.nc", made)
    with files.atomic("results/toy/structures/index.csv") as partial:
        partial.write_text("structure_id\n")


def taken(config, structure_id, target, engine=None):
    """Whether the structure is taken, and the simulation that starts from what was stored."""
    spec = specs.by_id(config.structures, "c.yaml")[structure_id]
    structure = f"structures/{structure_id}.json"
    engine = engine or engines.get("gpaw")
    section = config.simulation.request("gpaw")
    raw = stored.raw_digest(engine, section, [f"kept/{structure}"])
    return (
        stored.take("kept", structure, stored.structure_digest(spec), target / "s.json"),
        stored.take("kept", f"raw/gpaw/{structure_id}.nc", raw, target / "r.nc"),
    )


FIRST = "LiNiO2-2fu-d0-li100-pristine"


def test_the_very_run_that_is_asked_for_is_taken(run, tmp_path):
    assert taken(run, FIRST, tmp_path) == (True, True)
    for name, target in ((f"structures/{FIRST}.json", "s.json"), (f"raw/gpaw/{FIRST}.nc", "r.nc")):
        kept = (tmp_path / "results" / "toy" / name).read_bytes()
        assert (tmp_path / target).read_bytes() == kept


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
    (tmp_path / "kept" / "structures" / f"{FIRST}.json").write_text("{}")
    assert taken(run, FIRST, tmp_path) == (True, False)
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
    write_run(run, status="failed")
    assert not [name for name in stored.store(run, "c.yaml") if name.startswith("raw")]


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
