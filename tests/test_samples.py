import pytest
import toy
import yaml

from corefuse import config as cfg
from corefuse.config import samples
from corefuse.core.errors import InputError

PUBLIC = "ni_k_nmc/nmc_exp_xas.json"  # of resources/data.yaml: `snakemake download` gets it
LISTED = {
    "samples": [
        {"name": "there", "spectra": [{"edge": "O K", "technique": "EELS", "file": "a/o.csv"}]},
        {"name": "gone", "spectra": [{"edge": "Ni K", "technique": "XAS", "file": PUBLIC}]},
    ],
    "images": [{"name": "map", "file": PUBLIC, "edges": ["O K"]}],
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
    filled, left_out = samples.put_in(raw, "c.yaml")
    config = cfg.load(filled, "c.yaml")
    assert [s.name for s in config.infer.samples] == ["there"]
    assert config.infer.samples[0].spectra[0].file == str(tmp_path / "data" / "a" / "o.csv")
    assert not config.infer.images
    assert [line.split()[0] for line in left_out] == ["gone", "map"]
    assert "COREFUSE_DATA" in left_out[0]


def test_a_file_that_no_download_brings_is_an_error(raw, tmp_path):
    """A typo in a file name left the sample out with exit 0, and its old results stayed."""
    file = tmp_path / "samples.yaml"
    file.write_text(file.read_text().replace("a/o.csv", "a/typo.csv"))
    with pytest.raises(InputError, match=r"there\.file: there is no .*a/typo\.csv"):
        samples.put_in(raw, "c.yaml")


def test_the_environment_names_the_folder(raw, tmp_path, monkeypatch):
    del raw["infer"]["data_folder"]
    with pytest.raises(InputError, match=r"there is no data/a/o\.csv.*COREFUSE_DATA"):
        samples.put_in(raw, "c.yaml")
    monkeypatch.setenv("COREFUSE_DATA", str(tmp_path / "data"))
    assert samples.put_in(raw, "c.yaml")[0]["infer"]["samples"]


def test_a_resolved_config_can_be_read_again(raw):
    once = cfg.load(samples.put_in(raw, "c.yaml")[0], "c.yaml")
    again = cfg.load(samples.put_in(once.model_dump(mode="json"), "c.yaml")[0], "c.yaml")
    assert again == once


OPERANDO = {"name": "cell", "edge": "O K", "technique": "EELS"}
TABLE = "energy,ocv,b,c\n" + "\n".join(f"{500 + i},{i},{2 * i},{3 * i}" for i in range(9))


def spelt_out(tmp_path, monkeypatch, **entry):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text(TABLE)
    for n in (1, 2, 10):
        (tmp_path / f"scan_{n}.dat").write_text("1 2\n3 4")
    raw = toy.edited("infer", {"series": [OPERANDO | entry]})
    return cfg.load(samples.put_in(raw, "c.yaml")[0], "c.yaml").infer.samples


def test_a_series_is_its_samples(tmp_path, monkeypatch):
    """All columns of a file, those that are named, or one file each by their numbers."""
    for entry, places in (
        ({"file": "a.csv"}, [("a.csv", "ocv"), ("a.csv", "b"), ("a.csv", "c")]),
        ({"file": "a.csv", "columns": ["c", 2]}, [("a.csv", "c"), ("a.csv", 2)]),
        ({"file": "scan_*.dat"}, [(f"scan_{n}.dat", None) for n in (1, 2, 10)]),
    ):
        found = spelt_out(tmp_path, monkeypatch, **entry)
        assert [(s.spectra[0].file, s.spectra[0].column) for s in found] == places
        assert [s.name for s in found] == [f"cell-{n:02d}" for n in range(1, len(places) + 1)]
        assert {s.aligned_with for s in found} == {"cell-01"}
        assert all(not s.composition for s in found)


def test_the_scans_of_one_file_are_a_series(tmp_path, monkeypatch):
    """All of them in their order, or those that are named."""
    scan = "#S {}  ascan\n#N 2\n#L Energy  mu\n"
    rows = "\n".join(f"{500 + i} {i}" for i in range(20))
    (tmp_path / "many.spec").write_text("\n\n".join(scan.format(n) + rows for n in (1, 2, 3)))
    for more, numbers in (({}, [1, 2, 3]), ({"scans": [3, 1]}, [3, 1])):
        found = spelt_out(tmp_path, monkeypatch, file="many.spec", **more)
        assert [s.spectra[0].scan for s in found] == numbers
        assert {s.spectra[0].file for s in found} == {"many.spec"}
        assert [s.name for s in found] == [f"cell-{n:02d}" for n in range(1, len(numbers) + 1)]


def test_voltages_of_a_series_belong_to_its_spectra(tmp_path, monkeypatch):
    voltages = [None, 3.9, 4.3]
    entry = {"file": "a.csv", "voltages": voltages, "crop_ev": [501, 507]}
    found = spelt_out(tmp_path, monkeypatch, **entry)
    assert [s.voltage for s in found] == voltages
    assert found[2].spectra[0].crop_ev == (501, 507)
    with pytest.raises(InputError, match=r"2 voltages for 3 spectra.*in the order ocv, b, c"):
        spelt_out(tmp_path, monkeypatch, **entry | {"voltages": [3.9, 4.3]})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"file": "a.csv", "colums": [1]}, "infer.series.0.colums: .*did you mean 'columns'"),
        ({"file": "none.csv"}, "none.csv: infer.series.cell: .*correct the path"),
        ({"file": "scan_1.dat"}, "it holds 1 spectra.*pattern"),
        ({}, "infer.series.0.file: missing key"),
    ],
)
def test_a_series_that_is_none_is_refused(tmp_path, monkeypatch, entry, said):
    with pytest.raises(InputError, match=said):
        spelt_out(tmp_path, monkeypatch, **entry)


@pytest.mark.parametrize("text", ["- a", "other: []", "samples: [3]", "a: [", ""])
def test_a_bad_samples_file_is_refused(raw, tmp_path, text):
    (tmp_path / "samples.yaml").write_text(text)
    with pytest.raises(InputError, match="samples"):
        samples.put_in(raw, "c.yaml")


def test_the_files_of_the_project_are_sound(root, shared):
    """Every samples file loads with the public data at hand, and every file is in the manifest."""
    from corefuse.read.download import manifest

    known = {f.target for f in manifest(root / "resources" / "data.yaml")}
    for config in ("config.yaml", "ni_k.yaml"):
        raw = yaml.safe_load((root / "config" / config).read_text())
        raw["infer"]["samples_file"] = str(root / raw["infer"]["samples_file"])
        raw["infer"]["data_folder"] = str(shared / "experimental")
        filled, left_out = samples.put_in(raw, "c.yaml")
        assert not left_out
        loaded = cfg.load(filled, config)
        folder = str(shared / "experimental") + "/"
        spectra = [m for s in loaded.infer.samples for m in s.spectra]
        files = {f for m in spectra for f in (m.file, m.low_loss) if f}
        files |= {i.file for i in loaded.infer.images}
        assert {f.removeprefix(folder) for f in files} <= known


def test_the_demos_edges_are_calibrated_and_single_scattered(root, shared):
    """All four edges by the low loss of their region, on the line of four peaks."""
    from corefuse.core import edge_table
    from corefuse.read import measured

    listed = {
        "samples_file": str(root / "resources" / "si_doped_nmc.yaml"),
        "data_folder": str(shared / "experimental"),
    }
    raw = yaml.safe_load((root / "config" / "config.yaml").read_text()) | {"infer": listed}
    found = cfg.load(samples.put_in(raw, "c.yaml")[0], "c.yaml").infer.samples
    table = edge_table.load(root / "resources" / "edges.yaml")
    measured.check_files(found, table)
    told = measured.notes(found, table)
    assert len(told) == 4
    for note in told.values():
        assert "reference peaks off by +0.46, -0.68, -0.09, +0.31 eV" in note
        assert "t/lambda 0.60; plural scattering taken out" in note
