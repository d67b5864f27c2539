import json
import random
import sys
from copy import deepcopy

import pytest
import toy
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, create_model

from corefuse import config as cfg
from corefuse.config import GRADES, TARGETS, Config, Infer, Section, Series, Simulation, Structures
from corefuse.core.edges import EDGES, TECHNIQUES
from corefuse.core.errors import InputError
from corefuse.plan import specs
from corefuse.plan.checks import before_start

SERIES = "structures.series.0"
EDGES_FILE = "resources/edges.yaml"


def load(path: str, value: object) -> Config:
    return cfg.load(toy.edited(path, value), "c.yaml")


def fault(raw: object) -> InputError:
    """The fault of a config, with the promises that hold for all of them."""
    with pytest.raises(InputError) as caught:
        config = cfg.load(raw, "c.yaml")
        plan = specs.by_id(config.structures, "c.yaml")
        too_few = before_start(config, plan, "c.yaml", EDGES_FILE)
        if too_few:  # it stops training alone
            raise too_few
    err = caught.value
    assert str(err) == f"{err.file}: {err.key}: {err.problem}. Fix: {err.fix}"
    assert len(str(err).splitlines()) == 1
    assert err.file and err.key and err.problem and err.fix
    return err


MISSPELT = {
    "structurs": "structures",
    "structures.sede": "seed",
    "structures.relaxation.max_step": "max_steps",
    "structures.series.0.grad": "grade",
    "structures.series.1.defect": "defects",
    "simulation.gpaw.plane_wave_cutoff": "plane_wave_cutoff_ev",
    "simulation.fdmnes.comand": "command",
    "simulation.feff.command.modul": "module",
    "simulation.feff.elnes.beam_energy": "beam_energy_kev",
    "spectra.techniques.EELS.gaussian_fwhm": "gaussian_fwhm_ev",
    "dataset.holdout_parent": "holdout_parents",
    "train.trails": "trials",
    "infer.sample": "samples",
    "infer.samples.0.spectra.0.energy_units": "energy_unit",
    "report.titel": "title",
}


@pytest.mark.parametrize(("key", "meant"), MISSPELT.items())
def test_a_misspelt_key_suggests_the_right_one(key, meant):
    err = fault(toy.edited(key, 1))
    assert (err.file, err.key) == ("c.yaml", key)
    assert err.problem == f"unknown key {key.split('.')[-1]!r}"
    assert err.fix == f"did you mean {meant!r}?"


def test_a_misspelt_required_key_is_not_called_missing():
    raw = deepcopy(toy.CONFIG)
    raw["simulatoin"] = raw.pop("simulation")
    assert fault(raw).fix == "did you mean 'simulation'?"


def test_a_key_unlike_all_others_lists_what_there_is():
    assert fault(toy.edited("structures.relaxation.zzz", 1)).fix == (
        "known keys: fmax_ev_per_angstrom, max_steps, rattle_angstrom"
    )


@pytest.mark.parametrize(
    ("section", "key"),
    [("", "name"), ("", "structures"), ("simulation", "edges")],
)
def test_a_missing_key_says_so(section, key):
    raw = deepcopy(toy.CONFIG)
    del (raw[section] if section else raw)[key]
    err = fault(raw)
    assert err.key == (f"{section}.{key}" if section else key)
    assert err.problem == "missing key"
    assert err.fix.startswith(f"add {key}")


def test_a_series_needs_the_lithium_content_that_it_is_drawn_as():
    raw = toy.edited("infer.samples.0.series", "charge")
    assert cfg.load(raw, "c.yaml").infer.samples[0].series == "charge"
    raw["train"] = raw["train"] | {"targets": ["x_ni"]}
    err = fault(raw)
    assert err.key == "train.targets"
    assert "add x_li" in err.fix


def test_a_bar_in_a_pattern_of_an_engine_does_not_break_the_line(monkeypatch):
    class Settings(Section):
        spin: str = Field("up", pattern="^(up|down)$")

    simulation = create_model("Simulation", __base__=Simulation, mine=(Settings, Settings()))
    mine = create_model("Config", __base__=Config, simulation=(simulation, ...))
    monkeypatch.setattr(sys.modules[cfg.load.__module__], "model", lambda: mine)
    err = fault(toy.edited("simulation.mine", {"spin": "left"}))
    assert err.key == "simulation.mine.spin"
    assert "'left' is not valid" in err.problem
    assert "^(up|down)$" in err.fix


CO_RICH_VACANCIES = {  # one Co has six oxygens
    **{"grade": "NC31", "stoichiometry": {"Ni": 0.75, "Co": 0.25}, "formula_units": 4},
    "defects": [{}, {"oxygen_vacancies": 7, "vacancy_next_to": "Co"}],
}
CO_SERIES = [{"grade": "LiCoO2", "defects": [{"antisite_pairs": 1}]}]
SPECTRUM = {"edge": "O K", "technique": "EELS", "file": "mine.csv"}
# edited key: value, key named (the edited one if empty), part of the problem, part of the fix
FAULTS = [
    # elements and edges
    (f"{SERIES}.stoichiometry", {"Fe": 1.0}, f"{SERIES}.stoichiometry.Fe", "'Fe'", "'Ni', 'Mn'"),
    ("simulation.gpaw.hubbard_u_ev", {"Xe": 4.0}, "simulation.gpaw.hubbard_u_ev.Xe", "Xe", "'Mn'"),
    ("simulation.edges", {"Xe K": "gpaw"}, "simulation.edges.Xe K", "'Xe K'", "'Mn L2,3'"),
    ("simulation.edges", {"O L": "gpaw"}, "simulation.edges.O L", "'O L'", "'O K'"),
    ("simulation.edges", {"O K": "vasp"}, "simulation.edges.O K", "'vasp'", "'gpaw'"),
    ("simulation.edges", {"Ni L2,3": "gpaw"}, "spectra.techniques.XAS.edges", "'O K'", "O K: gpaw"),
    ("spectra.techniques.XANES", {}, "spectra.techniques.XANES", "'XANES'", "'XAS' or 'EELS'"),
    ("spectra.techniques.XAS.edges", ["Xe K"], "spectra.techniques.XAS.edges.0", "Xe K", "'O K'"),
    ("spectra.techniques.XAS.edges", ["O K", "O K"], "", "'O K' is listed twice", "drop"),
    # programs of the user
    ("engines", {"fdmnes": {"command": "x"}}, "", "'engines'", "simulation.fdmnes.command"),
    (
        "simulation.fdmnes.command",
        {"module": "a", "image": "b"},
        "",
        "both a module and an image",
        "one of them",
    ),
    ("simulation.fdmnes.command", [], "simulation.fdmnes.command.run", "[]", "at least 1"),
    ("simulation.fdmnes.range_ev", [-5, 0.2], "", "alternate", "[-5, 0.2, 45]"),
    ("simulation.fdmnes.range_ev", [1, 0.2, 45], "", "must begin below 0", "[-5, 0.2"),
    ("simulation.fdmnes.range_ev", [-5, 0.2, 45, 0.5, 40], "", "alternate", "[-5"),
    (
        *("simulation.fdmnes.radius_angstrom", {"Xe K": 5}),
        *("simulation.fdmnes.radius_angstrom.Xe K", "'Xe K'", "'O K'"),
    ),
    (
        *("simulation.feff.fms_radius_angstrom", 7, "simulation.feff.cluster_radius_angstrom"),
        *("6 A is smaller than the FMS or SCF radius of 7 A", "at least 7"),
    ),
    ("simulation.feff.exchange", 4, "", "4", "0, 1, 2, 3 or 5"),
    # stoichiometry and grade
    (f"{SERIES}.grade", "NMC622", "", "Ni 1.2, Mn 0.4, Co 0.4", "multiple of 5"),
    (f"{SERIES}.grade", "NMC111", "", "does not fit 2 formula units", "multiple of 3"),
    (f"{SERIES}.grade", "NMC999", "", "unknown grade 'NMC999'", "NMC111"),
    (f"{SERIES}.grade", "../up", "", "'../up'", "pattern"),
    (f"{SERIES}.stoichiometry", {"Ni": 0.6, "Co": 0.4}, "", "Ni 1.2, Co 0.8", "multiple of 5"),
    (f"{SERIES}.stoichiometry", {"Ni": 0.5, "Co": 0.4}, "", "adds to 0.9", "add to 1"),
    (f"{SERIES}.stoichiometry", {"Ni": 1.5}, f"{SERIES}.stoichiometry.Ni", "1.5", "equal to 1"),
    ("structures.series.1", {"grade": "LiNiO2"}, "structures.series", "more than once", "drop"),
    ("structures.series", [], "", "no structures are asked for", "series, files or both"),
    # decorations
    (f"{SERIES}.decorations", 2, "", "LiNiO2 has one metal", "drop decorations"),
    ("structures.series.2.decorations", 9, "", "9 decorations, but Ni1Co1 has 3", "use 3 or a"),
    # lithium
    (f"{SERIES}.li_content", [1.2], "", "1.2 is out of range", "between 0 and 1"),
    (f"{SERIES}.li_content", [-0.5], "", "-0.5 is out of range", "between 0 and 1"),
    (f"{SERIES}.li_content", [0.3], "", "0.3 does not fit 2 formula units", "multiples of 0.5"),
    (f"{SERIES}.li_content", [float("nan")], f"{SERIES}.li_content.0", "nan", "finite"),
    (f"{SERIES}.li_content", [], "", "[]", "at least 1 item"),
    (f"{SERIES}.li_content", 0.5, "", "0.5", "list"),
    # defects
    ("structures.series", CO_SERIES, "structures.series.0.defects.0", "no Ni", "drop"),
    (
        f"{SERIES}.defects",
        [{}, {"antisite_pairs": 3}],
        f"{SERIES}.defects.1",
        "Li 2, Ni 2",
        "fewer",
    ),
    (f"{SERIES}.defects", [{"oxygen_vacancies": 4}], f"{SERIES}.defects.0", "all oxygen", "fewer"),
    (f"{SERIES}.defects", [{"vacancy_next_to": "Mn"}], f"{SERIES}.defects.0", "no Mn", "one of Ni"),
    (
        *("structures.series.2", CO_RICH_VACANCIES, "structures.series.2.defects.1"),
        *("no oxygen next to Co is left", "fewer oxygen_vacancies"),
    ),
    (f"{SERIES}.defects", [{"excess_ni": -1}], f"{SERIES}.defects.0.excess_ni", "-1", "0"),
    (f"{SERIES}.defects", [], "", "[]", "at least 1 item"),
    # training
    ("train.targets", ["x_fe"], "train.targets.0", "'x_fe'", "'x_li'"),
    ("train.targets", ["x_li", "x_li"], "", "'x_li' is listed twice", "drop"),
    ("train.subsets", {"mine": ["Co_K-XAS"]}, "train.subsets.mine", "not simulated", "O_K-XAS"),
    ("train.subsets", {"mine": ["O_K-XAS"] * 2}, "train.subsets.mine", "repeated", "O_K-XAS"),
    ("train.subsets", {"mine": []}, "train.subsets.mine", "empty", "O_K-XAS"),
    ("train.subsets", {"mine": "eels"}, "train.subsets.mine", "'eels'", "'XAS' or 'EELS'"),
    ("train.subsets", {}, "", "no modality", "all: [all]"),
    ("train.trials", "many", "", "'many'", "integer"),
    ("train.trials", 2.5, "", "2.5", "integer"),
    # held-out parents and measured samples
    ("dataset.holdout_parents", ["NM12"], "", "no parent is called 'NM12'", "LiNiO2-2fu-d0"),
    ("infer.samples.0.spectra.0.energy_unit", "MeV", "", "'MeV'", "'eV' or 'keV'"),
    ("infer.samples.0.spectra.0.edge", "Xe K", "", "'Xe K'", "'O K'"),
    (
        "infer.samples.0.spectra",
        [SPECTRUM, SPECTRUM],
        "",
        "O_K-EELS is listed twice",
        "one file",
    ),
    (
        *("infer.samples.0.spectra.0", SPECTRUM | {"edge": "Ni K"}, ""),
        *("Ni_K-EELS is not simulated", "spectra.techniques"),
    ),
    (
        *("infer.samples", [{"name": "a", "spectra": [SPECTRUM]}] * 2),
        *("infer.samples.1.name", "two samples 'a'", "name of its own"),
    ),
    (
        *("infer.samples.0.name", "LiNiO2-2fu-d0-li100-pristine", ""),
        *("a structure is called", "another name"),
    ),
    # anything else
    ("name", "a/b", "", "'a/b'", "pattern"),
    ("report", None, "", "None", "dictionary"),
    ("dataset.shift_ev", float("inf"), "", "inf", "finite"),
    ("infer.confidence", 1, "", "1", "less than 1"),
]


@pytest.mark.parametrize(("edit", "value", "key", "problem", "fix"), FAULTS)
def test_a_fault_names_key_and_fix(edit, value, key, problem, fix):
    err = fault(toy.edited(edit, value))
    assert err.file == "c.yaml"
    assert err.key == (key or edit)
    assert problem in err.problem
    assert fix in err.fix


@pytest.mark.parametrize(("key", "folds", "left"), [("outer_folds", 4, 3), ("inner_folds", 3, 2)])
def test_more_folds_than_parents_stop_training(key, folds, left):
    err = fault(toy.edited(f"train.{key}", folds, toy.CONFIG | {"infer": {}}))
    assert err.key == f"train.{key}"
    assert f"{folds} folds need as many different parents, {left} are" in err.problem
    assert "fewer folds" in err.fix


def test_one_crystal_in_two_cells_counts_once_for_the_folds():
    again = [*toy.CONFIG["structures"]["series"], {"grade": "LiNiO2", "formula_units": 4}]
    raw = toy.edited("structures.series", again)
    err = fault(toy.edited("train.outer_folds", 4, raw | {"infer": {}}))
    assert "4 folds need as many different parents, 3 are left" in err.problem


def test_an_edge_of_an_element_that_no_structure_contains():
    raw = toy.edited("simulation.edges.Mn K", "gpaw")
    err = fault(toy.edited("structures.series.3", {"grade": "LiNiO2", "formula_units": 3}, raw))
    assert err.key == "simulation.edges.Mn K"
    assert err.problem == "no structure contains Mn"


@pytest.mark.parametrize("raw", [None, [], "text", {}])
def test_something_else_than_a_config(raw):
    fault(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
    st.sampled_from(["structures", "simulation.edges", "train.subsets", "infer.samples", "name"]),
)
def test_whatever_stands_in_a_section_there_is_no_traceback(value, path):
    try:
        load(path, value)
    except InputError as err:
        assert err.file == "c.yaml" and err.key and err.fix


def test_the_shortest_config_gets_the_documented_defaults():
    raw = {k: toy.CONFIG[k] for k in ("name", "structures", "simulation", "spectra")}
    config = cfg.load(raw, "c.yaml")
    assert config.structures.series[0].li_content == [1.0]
    assert config.structures.series[0].defects == [cfg.Defect()]
    assert config.simulation.gpaw.hubbard_u_ev == {"Mn": 3.9, "Co": 3.32, "Ni": 6.2}
    assert config.simulation.gpaw.spectrum_max_ev >= 30
    assert config.train.targets == list(TARGETS)
    assert config.infer.samples == []


def test_a_section_cannot_be_changed_and_shares_no_default():
    config = cfg.load(toy.CONFIG, "c.yaml")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"
    config.train.targets.append("x_ni")
    assert cfg.Train().targets == list(TARGETS)


@pytest.mark.parametrize("grade", GRADES)
def test_every_grade_fits_the_cell_it_is_said_to_need(grade):
    fractions = GRADES[grade]
    size = cfg.smallest_fitting_cell(fractions)
    assert sum(fractions.values()) == pytest.approx(1)
    Structures(series=[Series(grade=grade)], formula_units=size)
    assert all(x * size == pytest.approx(round(x * size)) for x in fractions.values())
    assert not any(
        all(x * n == pytest.approx(round(x * n)) for x in fractions.values())
        for n in range(1, size)
    )


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_composition_is_taken_exactly_where_it_is_whole(cell, n_ni, size):
    n_ni, size = min(n_ni, cell), max(size, 1)
    parts = {"Ni": n_ni / cell, "Co": 1 - n_ni / cell}
    stoichiometry = {m: x for m, x in parts.items() if x > 0}
    series = Series(grade="mine", stoichiometry=stoichiometry)
    distance = abs(size * n_ni / cell - round(size * n_ni / cell))
    if distance < 0.015:
        cfg.check_series_fits(series, size)
    elif distance > 0.025:
        with pytest.raises(ValueError, match=r"does not fit .*\|use a multiple of \d+ formula"):
            cfg.check_series_fits(series, size)


def test_a_cell_of_its_own_overrides_the_sections():
    load(SERIES, {"grade": "NMC622", "formula_units": 5})


def shuffled(value, seed):
    """The same data with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = random.Random(seed).sample(list(value), len(value))
        return {k: shuffled(value[k], seed) for k in keys}
    return [shuffled(v, seed) for v in value] if isinstance(value, list) else value


def as_floats(value):
    if isinstance(value, dict):
        return {k: as_floats(v) for k, v in value.items()}
    if isinstance(value, list):
        return [as_floats(v) for v in value]
    return float(value) if isinstance(value, int) else value


@pytest.mark.parametrize(
    "change", [*(lambda raw, s=s: shuffled(raw, s) for s in range(5)), as_floats]
)
def test_how_a_config_was_typed_leaves_no_trace(change):
    one, other = cfg.load(toy.CONFIG, "c"), cfg.load(change(toy.CONFIG), "c")
    for section in ("structures", "simulation", "spectra", "dataset", "train", "infer", "report"):
        assert cfg.canonical(getattr(one, section)) == cfg.canonical(getattr(other, section))
    assert one.simulation.engines() == other.simulation.engines()
    assert one.spectra.modalities() == other.spectra.modalities()
    assert list(cfg.resolve_subsets(one).items()) == list(cfg.resolve_subsets(other).items())


def test_canonical_is_one_line_that_gives_the_section_back():
    config = cfg.load(toy.CONFIG, "c")
    text = cfg.canonical(config)
    assert "\n" not in text
    assert Config.model_validate_json(text) == config
    assert cfg.canonical(json.loads(text)) == text


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("structures.seed", 2),
        ("simulation.gpaw.smearing_ev", 0.2),
        ("spectra.techniques.EELS.edges", ["O K"]),
        ("train.subsets", {"all": ["all"]}),
        ("infer.samples.0.spectra.0.energy_offset_ev", 0.1),
    ],
)
def test_canonical_changes_with_every_value(path, value):
    section = path.split(".")[0]
    before, after = cfg.load(toy.CONFIG, "c"), load(path, value)
    assert cfg.canonical(getattr(before, section)) != cfg.canonical(getattr(after, section))


def test_modalities_come_in_the_order_of_techniques_and_edges():
    config = cfg.load(toy.CONFIG, "c")
    assert config.spectra.modalities() == ["O_K-XAS", "O_K-EELS", "Ni_L23-EELS"]
    assert config.simulation.engines() == {"gpaw": ["O K", "Ni L2,3"]}
    assert TECHNIQUES == ("XAS", "EELS") and list(EDGES).index("O K") < list(EDGES).index("Ni L2,3")


SUBSETS = [
    ({"each": "each"}, {m: [m] for m in ("O_K-XAS", "O_K-EELS", "Ni_L23-EELS")}),
    ({"x": "XAS", "e": "EELS"}, {"x": ["O_K-XAS"], "e": ["O_K-EELS", "Ni_L23-EELS"]}),
    ({"everything": ["all"]}, {"everything": ["O_K-XAS", "O_K-EELS", "Ni_L23-EELS"]}),
    ({"O": ["O_K-XAS", "O_K-EELS"]}, {"O": ["O_K-XAS", "O_K-EELS"]}),
]


@pytest.mark.parametrize(("wanted", "resolved"), SUBSETS)
def test_subsets_are_spelt_out(wanted, resolved):
    assert cfg.resolve_subsets(load("train.subsets", wanted)) == resolved


def test_all_subsets_of_what_is_measured_together_are_named_by_their_edges():
    wanted = {"every_subset_of": ["O_K-EELS", "Ni_L23-EELS", "O_K-XAS"]}
    found = cfg.resolve_subsets(load("train.subsets", {"mine": wanted}))
    assert found == {
        "O_K-XAS": ["O_K-XAS"],
        "O_K-EELS": ["O_K-EELS"],
        "Ni_L23-EELS": ["Ni_L23-EELS"],
        "mine-O_K-Ni_L23": ["O_K-EELS", "Ni_L23-EELS"],
        "mine-O_K-O_K": ["O_K-EELS", "O_K-XAS"],
        "mine-Ni_L23-O_K": ["Ni_L23-EELS", "O_K-XAS"],
        "mine": ["O_K-EELS", "Ni_L23-EELS", "O_K-XAS"],
    }


def test_li_k_which_is_measured_under_other_edges_is_read_only_where_it_is_named():
    """J. Phys. Chem. B 109, 10749 (2005): Li K and Ni M2,3 of LiNiO2 are superposed."""
    seen = {"EELS": {"gaussian_fwhm_ev": 1, "edges": ["Li K", "O K"]}}
    raw = toy.CONFIG | {"spectra": {"techniques": seen}}
    raw |= {"simulation": {"edges": {"O K": "gpaw", "Li K": "gpaw"}}}
    raw |= {"infer": {"samples": []}, "train": {}}
    default = cfg.load(raw, "c")
    assert cfg.resolve_subsets(default) == {s: ["O_K-EELS"] for s in ("EELS", "O_K-EELS", "all")}
    assert "Ni (68 eV)" in cfg.not_read(default)["Li_K-EELS"]
    named = cfg.load(raw | {"train": {"subsets": {"mine": ["Li_K-EELS", "O_K-EELS"]}}}, "c")
    assert cfg.resolve_subsets(named) == {"mine": ["Li_K-EELS", "O_K-EELS"]}
    assert cfg.not_read(named) == {}
    with pytest.raises(InputError, match="no modality is in any of them"):
        raw["spectra"]["techniques"]["EELS"]["edges"] = ["Li K"]
        cfg.load(raw, "c")


def test_default_subsets_are_each_all_of_a_technique_and_all():
    found = cfg.resolve_subsets(cfg.load(toy.CONFIG, "c"))
    assert list(found) == ["O_K-XAS", "XAS", "O_K-EELS", "Ni_L23-EELS", "EELS", "all"]


def test_a_technique_that_is_not_simulated_has_no_subset():
    only = {"EELS": toy.CONFIG["spectra"]["techniques"]["EELS"]}
    assert "XAS" not in cfg.resolve_subsets(load("spectra.techniques", only))


def test_numbers_typed_as_text_on_the_command_line_are_numbers():
    """``--config 'dataset={shift_ev: 0.3}'`` gives Snakemake the text '0.3'."""
    given = {"dataset": {"shift_ev": "0.3", "views": "3"}}
    raw = toy.CONFIG | given
    assert cfg.load(raw, "c.yaml", given).dataset.shift_ev == 0.3
    assert cfg.load(raw, "c.yaml", given).dataset.views == 3
    with pytest.raises(InputError, match=r"dataset.views: '3' is not valid"):
        cfg.load(raw, "c.yaml")


def test_defect_labels_tell_defects_apart():
    counts = (0, 1, 2)
    defects = [
        cfg.Defect(oxygen_vacancies=v, antisite_pairs=a, excess_ni=x)
        for v in counts
        for a in counts
        for x in counts
    ]
    assert len({d.label for d in defects}) == len(defects)
    near = cfg.Defect(oxygen_vacancies=1, vacancy_next_to="Mn", antisite_pairs=1)
    assert near.label == "vo1Mn-as1"
    assert cfg.Defect().label == "pristine"


def test_yaml_configs_hold_no_duplicate_keys(root):
    """PyYAML takes the last of two equal keys without a word."""
    for file in (root / "config").glob("*.yaml"):
        for node in _mappings(yaml.compose(file.read_text())):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), file


def _mappings(node):
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def test_a_series_is_aligned_with_its_open_circuit_sample():
    def sample(name, **known):
        spectrum = {"edge": "Ni K", "technique": "XAS", "file": "f.csv"}
        return {"name": name, "spectra": [spectrum], **known}

    samples = [
        sample("a-4v", series="a", voltage=4.0),
        sample("a-oc", series="a", aligned_with="b-3v"),
        sample("a-own", series="a", voltage=4.2, aligned_with="a-4v"),
        sample("b-3v", series="b", voltage=3.0),
        sample("b-4v", series="b", voltage=4.0),
        sample("alone"),
    ]
    read = Infer(samples=samples)
    found = {s.name: s.aligned_with for s in read.samples}
    assert found == {
        "a-4v": "b-3v",  # as its open circuit is
        "a-oc": "b-3v",
        "a-own": "a-4v",
        "b-3v": None,
        "b-4v": "b-3v",
        "alone": None,
    }
    assert Infer.model_validate(read.model_dump()) == read
