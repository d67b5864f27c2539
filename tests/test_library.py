"""The stored reference library, as far as it is computed: sound, and what its config asks for."""

import numpy as np
import pytest
import yaml

from corefuse import config as cfg
from corefuse.core import files
from corefuse.plan import specs
from corefuse.report import library
from corefuse.simulate import stored
from corefuse.structures import build

FILE = "reference.yaml"
LARGEST_MB = 60


@pytest.fixture(scope="module")
def config(root):
    found = cfg.load(yaml.safe_load((root / "config" / FILE).read_text()), FILE)
    kept = str(root / found.simulation.stored)
    return found.model_copy(
        update={"simulation": found.simulation.model_copy(update={"stored": kept})}
    )


@pytest.fixture(scope="module")
def there(config, root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        found = stored.finished(config, FILE)
    if not found:
        pytest.skip("no cell of the reference library is stored yet: make reference-continue")
    return found


def test_everything_stored_is_what_the_config_asks_for(config, there):
    """None is out of date: nobody who trains on the library computes, or loses cells in silence."""
    listed = stored.listed(config.simulation.stored)
    assert listed == {name: digest for files_ in there.values() for name, digest in files_.items()}


def test_it_fits_into_a_repository(config, there):
    """What is there, and all of it at that size."""
    table_mb = library.cells(config, FILE).kilobytes.sum() / 1000
    planned = len(specs.by_id(config.structures, FILE))
    assert table_mb * planned / len(there) <= LARGEST_MB


def test_cells_hold_spectra_of_every_site_moments_cost_and_provenance(config, there, root):
    folder = root / "resources" / "reference"
    for name in there:
        structure = build.read(folder / f"structures/{name}.json")
        raw = files.read_netcdf(folder / f"raw/gpaw/{name}.nc")
        elements = [site.specie.symbol for site in structure]
        assert sorted(raw["site"].values) == list(range(len(structure)))
        assert list(raw["element"].values) == [elements[i] for i in raw["site"].values]
        assert np.isfinite(raw["intensity"]).all()
        assert (raw["intensity"].sum("energy") > 0).all()
        assert len(raw["atom_moment_mub"]) == len(structure)
        assert raw.attrs["cpu_seconds"] > 0
        assert np.isfinite(raw.attrs["total_energy_ev"])
        assert raw.attrs["engine_version"]
        assert raw.attrs["method"]
        multiplets = files.read_netcdf(folder / f"raw/multiplet/{name}.nc")
        metals = [i for i, e in enumerate(elements) if e in cfg.METALS]
        assert sorted(multiplets["site"].values) == metals
        assert multiplets.attrs["moments_from"] == "gpaw"


def test_labels_are_counted_on_the_atoms(config, there, root):
    index = library.cells(config, FILE).set_index("structure_id")
    for name in there:
        structure = build.read(root / f"resources/reference/structures/{name}.json")
        for key, value in build.contents(structure).items():
            kept = index.loc[name, key]
            assert np.isnan(kept) if value is None else kept == expected(value)
        assert len(structure.properties["defects"]) >= index.loc[name, "v_o_count"]


def expected(value):
    return pytest.approx(value) if isinstance(value, float) else value


def test_the_facts_are_printed(config, there, capsys, root, monkeypatch):
    monkeypatch.chdir(root)
    assert library.main(str(root / "config" / FILE)) == 0
    assert f"| {len(there)} of 330 |" in capsys.readouterr().out
