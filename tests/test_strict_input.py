"""Configs and samples files that mean something else than they say, or nothing: one line each."""

import os

import pytest
import toy
import yaml

from corefuse import config as cfg
from corefuse.config import samples
from corefuse.core import yaml_file
from corefuse.core.errors import LONGEST, InputError
from corefuse.plan import checks, specs

UNREADABLE = {
    "a key given twice": "train: {trials: 3}\nname: x\ntrain: {bootstrap: 100}",
    "octal": "seed: 0777",
    "base 60": "plane_wave_cutoff_ev: 4:30",
    "binary": "seed: 0b11",
    "underscores": "seed: 1_000",
    "infinity": "seed: 1.0e+999",
    "not a number": "seed: .nan",
    "a number as key": "1: 2",
    "a set": "a: !!set {b}",
    "python": "a: !!python/object/apply:os.system ['true']",
    "an anchor that contains itself": "report: &r {x: *r}",
    "nesting": "[" * 900 + "]" * 900,
    "brackets": "[" * 100_000,
    "two documents": "a: 1\n---\nb: 2",
    "a control character": "a: b\x01",
    "anchors of anchors": "a: &a [x]\n"
    + "\n".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 20)}]" for a, b in zip("abcde", "bcdef", strict=True)
    ),
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_yaml_that_surprises_is_refused_in_one_line(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        yaml_file.read(file)
    assert caught.value.file == str(file)
    assert len(str(caught.value)) <= LONGEST
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: Zürich".encode("latin-1"))
    os.mkfifo(tmp_path / "fifo")
    for path, said in (
        (tmp_path / "latin.yaml", "line 2 is not UTF-8"),
        (tmp_path / "fifo", "a device or a pipe"),
        ("/dev/zero", "a device or a pipe"),
        (tmp_path, "a folder"),
        (tmp_path / "none", "No such file"),
        ("a\0b", "null byte"),
    ):
        with pytest.raises(InputError, match=said):
            yaml_file.read(path)


def test_what_is_plain_is_read_as_it_stands(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("a: &a {b: 0.5, c: 2026-01-01}\nd: {<<: *a, e: '017'}\nf: -3")
    assert yaml_file.read(file) == {
        "a": {"b": 0.5, "c": "2026-01-01"},
        "d": {"b": 0.5, "c": "2026-01-01", "e": "017"},
        "f": -3,
    }


SERIES = "structures.series.0"
NOT_NUMBERS = [
    ("train.trials", True),
    ("train.trials", "17"),
    ("train.trials", 1.5),
    (f"{SERIES}.li_content", [True, False]),
    ("simulation.gpaw.smearing_ev", "0.1"),
    ("dataset.axis_gain", False),
]


@pytest.mark.parametrize(("key", "value"), NOT_NUMBERS)
def test_booleans_and_text_are_no_numbers(key, value):
    with pytest.raises(InputError, match=key.rpartition(".")[2]):
        cfg.load(toy.edited(key, value), "c.yaml")


def test_exponents_without_a_point_are_numbers():
    """YAML 1.1 takes 1e-3 for text; nobody means that where a number is asked for."""
    raw = toy.edited("simulation.gpaw.density_tolerance", "1e-4")
    assert cfg.load(raw, "c.yaml").simulation.gpaw.density_tolerance == 1e-4
    assert cfg.load(toy.edited("report.title", "1e-4"), "c.yaml").report.title == "1e-4"


def leaves(value, place=()):
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*place, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from leaves(below, (*place, number))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


FULL = toy.edited("simulation.feff.elnes", {})
NUMBERS = list(leaves(cfg.load(FULL, "c.yaml").model_dump(mode="json")))


@pytest.mark.parametrize("place", NUMBERS, ids=lambda p: ".".join(map(str, p)))
def test_every_number_has_two_bounds(place):
    """Whatever stands in a config by default, 1e300 and -1e300 do not."""
    for value in (1e300, -1e300, 10**30, -(10**30)):
        raw = cfg.load(FULL, "c.yaml").model_dump(mode="json")
        part = raw
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        with pytest.raises(InputError) as caught:
            cfg.load(raw, "c.yaml")
        assert len(str(caught.value)) <= LONGEST


OPTIONAL = [
    ("infer.samples.0.voltage", 1e9),
    ("infer.samples.0.spectra.0.crop_ev", [-1e300, 1e300]),
    ("infer.samples.0.spectra.0.axis_range", [0, 1e300]),
    ("infer.samples.0.spectra.0.background_window_ev", [0, 1e300]),
    ("infer.samples.0.spectra.0.reference_peaks", [[1, 2], [3, 1e300]]),
    ("infer.samples.0.spectra.0.beam_kv", 1e300),
    ("infer.samples.0.spectra.0.column", 10**30),
    (f"{SERIES}.formula_units", 10**9),
    (f"{SERIES}.formula_units", 400),
    (f"{SERIES}.decorations", 10**9),
    (f"{SERIES}.defects", [{"oxygen_vacancies": 10**9}]),
    ("simulation.multiplet.ions", {"Ni2+": {"ten_dq_ev": 1e300}}),
    ("simulation.fdmnes.range_ev", [-5.0, 1e-9, 45.0]),
]


@pytest.mark.parametrize(("key", "value"), OPTIONAL)
def test_numbers_that_are_optional_have_bounds_too(key, value):
    with pytest.raises(InputError):
        cfg.load(toy.edited(key, value), "c.yaml")


def test_a_run_that_asks_for_too_many_structures_says_so_at_once():
    series = {"grade": "NC11", "stoichiometry": {"Ni": 0.5, "Co": 0.5}, "decorations": 1000}
    raw = toy.edited(
        "structures.series", [series | {"li_content": [1.0, 0.5], "defects": [{}] * 40}]
    )
    with pytest.raises(InputError, match="80000 structures"):
        cfg.load(raw, "c.yaml")


WRONG_COMPOSITIONS = [
    ({"Li": 1, "Ni": 60, "Mn": 20, "Co": 20}, "not percent"),
    ({"Li": -5}, "not percent"),
    ({"Li": 1, "Ni": 0.6, "Mn": 0.6, "Co": 0.2}, "add to 1.4"),
    ({"Ni": 0.06, "Mn": 0.02, "Co": 0.02}, "add to 0.1"),
]


@pytest.mark.parametrize(("composition", "said"), WRONG_COMPOSITIONS)
def test_a_composition_that_cannot_be_is_refused(composition, said):
    """In percent it would fix the energies of a whole series by a mixture that does not exist."""
    with pytest.raises(InputError, match=said):
        cfg.load(toy.edited("infer.samples.0.composition", composition), "c.yaml")


@pytest.mark.parametrize(
    "composition",
    [{"Li": 1}, {"Ni": 0.8}, {"Li": 1, "Ni": 0.6, "Mn": 0.2, "Co": 0.2}, {"Li": 1.2, "Mn": 0.8}],
)
def test_a_composition_that_can_be_is_taken(composition):
    raw = toy.edited("infer.samples.0.composition", composition)
    assert cfg.load(raw, "c.yaml").infer.samples[0].composition == composition


NAMES = [
    ("name", "a" * 256),
    ("name", "a" * 20),
    (f"{SERIES}.grade", "g" * 250),
    ("report.title", "two\nlines"),
    ("report.title", "t" * 1000),
    ("infer.samples.0.spectra.0.file", "a\0b"),
    ("infer.samples.0.spectra.0.file", "f" * 300),
    ("infer.samples.0.spectra.0.file", ""),
    ("simulation.feff.command", "'"),
    ("simulation.feff.command", ""),
]


@pytest.mark.parametrize(("key", "value"), NAMES)
def test_text_that_no_file_shell_or_report_takes_is_refused(key, value):
    with pytest.raises(InputError) as caught:
        cfg.load(toy.edited(key, value), "c.yaml")
    assert len(str(caught.value)) <= LONGEST


def test_two_images_of_one_name_are_refused():
    images = [{"name": "map", "file": f"{n}.dm3", "edges": ["O K"]} for n in "ab"]
    with pytest.raises(InputError, match="two images 'map'"):
        cfg.load(toy.edited("infer.images", images), "c.yaml")


def test_braces_in_text_are_no_wildcards_of_snakemake():
    title = "Li$_{x}$NiO$_2$ {wildcard}"
    config = cfg.load(toy.edited("report.title", title), "c.yaml")
    text = cfg.canonical(config.report)
    assert "{x}" not in text
    assert "{wildcard}" not in text
    assert cfg.Report.model_validate_json(text).title == title


def test_a_file_that_snakemake_cannot_name_is_told_before_it_does(tmp_path):
    file = tmp_path / "ni{k}.csv"
    file.write_text(toy.O_K)
    config = cfg.load(toy.edited("infer.samples.0.spectra.0.file", str(file)), "c.yaml")
    planned = specs.by_id(config.structures, "c.yaml")
    with pytest.raises(InputError, match="rename the file without braces"):
        checks.before_start(config, planned, "c.yaml", "resources/edges.yaml")


SPECTRUM = {"edge": "O K", "technique": "EELS", "file": "a/o.csv"}
ODD_SAMPLES = [
    {"samples": {"a": 1}},
    {"images": 5},
    {"series": True},
    {"samples": [{"name": [1]}]},
    {"samples": [{"name": {"a": 1}}]},
    {"samples": [{"name": "s", "spectra": [None]}]},
    {"samples": [{"name": "s", "spectra": "x"}]},
    {"samples": [{"name": "s", "spectra": 5}]},
    {"samples": [{"name": "s", "spectra": [SPECTRUM | {"file": {"a": "b"}}]}]},
    {"samples": [{"name": "s", "spectra": [SPECTRUM | {"file": "f" * 300}]}]},
    {"samples": [{"name": "s", "spectra": [SPECTRUM]}] * 2},
    {"series": [{"name": "s", **SPECTRUM, "file": None}]},
]


@pytest.mark.parametrize("listed", ODD_SAMPLES, ids=repr)
def test_a_samples_file_is_validated_before_it_is_walked(tmp_path, listed):
    file = tmp_path / "samples.yaml"
    file.write_text(yaml.safe_dump(listed))
    raw = toy.edited("infer", {"samples_file": str(file), "data_folder": str(tmp_path)})
    with pytest.raises(InputError) as caught:
        samples.put_in(raw, "c.yaml")
    assert caught.value.file.endswith("samples.yaml")
    assert len(str(caught.value)) <= LONGEST


def test_a_samples_file_may_spell_out_the_defaults(tmp_path):
    """As the resolved config does."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "o.csv").write_text(toy.O_K)
    entry = cfg.Sample(name="s", spectra=[SPECTRUM]).model_dump(mode="json")
    assert entry["spectra"][0]["low_loss"] is None
    file = tmp_path / "samples.yaml"
    file.write_text(yaml.safe_dump({"samples": [entry], "images": None}))
    raw = toy.edited("infer", {"samples_file": str(file), "data_folder": str(tmp_path)})
    filled, left_out = samples.put_in(raw, "c.yaml")
    assert not left_out
    assert cfg.load(filled, "c.yaml").infer.samples[0].spectra[0].low_loss is None


def test_an_infer_section_that_is_none_is_refused_and_not_walked():
    for infer in ({"samples_file": 5}, {"series": 3}, {"series": [None]}, {"samples_file": ["a"]}):
        with pytest.raises(InputError):
            cfg.load(samples.put_in(toy.edited("infer", infer), "c.yaml")[0], "c.yaml")
