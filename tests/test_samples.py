import pytest
import toy
import yaml

from corefuse import config as cfg
from corefuse import samples
from corefuse.errors import InputError

LISTED = {
    "samples": [
        {"name": "there", "spectra": [{"edge": "O K", "technique": "EELS", "file": "a/o.csv"}]},
        {"name": "gone", "spectra": [{"edge": "O K", "technique": "EELS", "file": "a/none.csv"}]},
    ],
    "images": [{"name": "map", "file": "a/map.dm3", "edges": ["O K"]}],
}


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "o.csv").write_text(toy.O_K)
    file = tmp_path / "samples.yaml"
    file.write_text(yaml.safe_dump(LISTED))
    infer = {"samples_file": str(file), "data_folder": str(tmp_path / "data")}
    return toy.edited("infer", infer)


def test_what_is_there_comes_in_and_the_rest_is_told(raw, tmp_path):
    filled, left_out = samples.put_in(raw)
    config = cfg.load(filled, "c.yaml")
    assert [s.name for s in config.infer.samples] == ["there"]
    assert config.infer.samples[0].spectra[0].file == str(tmp_path / "data" / "a" / "o.csv")
    assert not config.infer.images
    assert [line.split()[0] for line in left_out] == ["gone", "map"]
    assert "COREFUSE_DATA" in left_out[0]


def test_the_environment_names_the_folder(raw, tmp_path, monkeypatch):
    del raw["infer"]["data_folder"]
    assert not samples.put_in(raw)[0]["infer"]["samples"]
    monkeypatch.setenv("COREFUSE_DATA", str(tmp_path / "data"))
    assert samples.put_in(raw)[0]["infer"]["samples"]


def test_a_resolved_config_can_be_read_again(raw):
    once = cfg.load(samples.put_in(raw)[0], "c.yaml")
    again = cfg.load(samples.put_in(once.model_dump(mode="json"))[0], "c.yaml")
    assert again == once


@pytest.mark.parametrize("text", ["- a", "other: []", "samples: [3]", "a: [", ""])
def test_a_bad_samples_file_is_refused(raw, tmp_path, text):
    (tmp_path / "samples.yaml").write_text(text)
    with pytest.raises(InputError, match="samples"):
        samples.put_in(raw)


def test_the_files_of_the_project_are_sound(root, shared):
    """Every samples file loads with the public data at hand, and every file is in the manifest."""
    from corefuse.download import manifest

    known = {f.target for f in manifest(root / "resources" / "data.yaml")}
    for config in ("config.yaml", "ni_k.yaml"):
        raw = yaml.safe_load((root / "config" / config).read_text())
        raw["infer"]["samples_file"] = str(root / raw["infer"]["samples_file"])
        raw["infer"]["data_folder"] = str(shared / "experimental")
        filled, left_out = samples.put_in(raw)
        assert not left_out
        loaded = cfg.load(filled, config)
        folder = str(shared / "experimental") + "/"
        files = {m.file for s in loaded.infer.samples for m in s.spectra}
        files |= {i.file for i in loaded.infer.images}
        assert {f.removeprefix(folder) for f in files} <= known
