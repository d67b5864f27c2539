import json
import re

import jsonschema
import pytest
import toy
import yaml
from pydantic import BaseModel

from corefuse import config as cfg
from corefuse.config import Config, docs
from corefuse.plan import checks
from corefuse.plan import specs as plan


def test_the_key_reference_is_up_to_date(root):
    text = (root / "config" / "README.md").read_text()
    assert text == docs.reference(), "run `make docs`"


def test_the_schema_is_up_to_date(root):
    text = (root / "config" / "schema.json").read_text()
    assert text == docs.schema(), "run `make docs`"


def test_main_writes_both_files(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    monkeypatch.setattr(docs, "__file__", str(tmp_path / "workflow/corefuse/config/x.py"))
    docs.main()
    assert (tmp_path / "config" / "README.md").read_text() == docs.reference()
    assert (tmp_path / "config" / "schema.json").read_text() == docs.schema()


def keys(model: type[BaseModel]) -> set[str]:
    """Names of all fields of a section and of the sections in it."""
    schema = model.model_json_schema()
    sections = [schema, *schema.get("$defs", {}).values()]
    return {name for section in sections for name in section.get("properties", {})}


def test_the_reference_has_one_row_a_key_and_explains_it():
    lines = [line for line in docs.reference().splitlines() if line.startswith("| `")]
    rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    documented = [row[0].strip("`") for row in rows]
    assert len(documented) == len(set(documented))
    assert {key.split(".")[-1].removesuffix("[]") for key in documented} == keys(Config)
    assert all(len(row) == 4 and all(row) for row in rows)


def test_every_key_with_a_unit_says_it_in_its_name():
    physical = {"fwhm", "energy", "shift", "jitter", "cutoff", "spacing", "rattle", "fmax"}
    units = ("_ev", "_kev", "_per_ev", "_angstrom", "_per_angstrom", "_unit", "_scale", "_column")
    named = {key for key in keys(Config) if physical & set(key.split("_"))}
    assert named
    assert all(key.endswith(units) for key in named)


CONFIGS = ("config.yaml", "nmc.yaml", "ni_k.yaml", "own_structures.yaml", "reference.yaml")


@pytest.fixture(scope="module", params=CONFIGS)
def raw(request, root):
    return yaml.safe_load((root / "config" / request.param).read_text())


def test_no_config_is_forgotten_here(root, request):
    assert {p.name for p in (root / "config").glob("*.yaml")} == set(CONFIGS)


def test_a_config_of_the_project_is_sound(raw, root):
    config = cfg.load(raw, "c.yaml")
    specs = plan.by_id(config.structures, "c.yaml")
    checks.before_start(config, specs, "c.yaml", str(root / "resources" / "edges.yaml"))


def test_a_config_of_the_project_satisfies_the_schema(raw):
    jsonschema.validate(raw, json.loads(docs.schema()))


def test_the_demo_is_as_large_as_promised(root):
    config = cfg.load(yaml.safe_load((root / "config/config.yaml").read_text()), "c.yaml")
    specs = plan.plan(config.structures)
    assert config.name == "demo"
    assert 20 <= len(specs) <= 24
    assert {spec.formula_units for spec in specs} == {4}


def test_the_cluster_config_has_hundreds_of_cells_of_32_to_48_atoms(root):
    config = cfg.load(yaml.safe_load((root / "config/nmc.yaml").read_text()), "c.yaml")
    specs = plan.plan(config.structures)
    assert len(specs) >= 200
    assert all(32 <= 4 * spec.formula_units <= 48 for spec in specs)


def test_the_schema_refuses_a_misspelt_key():
    schema = json.loads(docs.schema())
    jsonschema.validate(toy.CONFIG, schema)
    for key in ("structurs", "structures.sede", "spectra.techniques.EELS.gaussian_fwhm"):
        with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
            jsonschema.validate(toy.edited(key, 1), schema)
