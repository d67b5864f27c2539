"""docs/engines.md: its engine runs, its configs are valid, and it leaves no engine out."""

import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
import toy
import yaml
from pymatgen.core import Lattice, Structure

from corefuse import config, engines
from corefuse.config import Spectra
from corefuse.core import edge_table, rawdata
from corefuse.plan import jobs, specs
from corefuse.spectra.calibration import calibrate
from corefuse.spectra.process import process

EDGES = ("O K", "Ni K")


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "engines.md").read_text()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def natoli(page, tmp_path, monkeypatch):
    """The engine of the page and its settings."""
    (code,) = blocks(page, "python")
    (tmp_path / "natoli.py").write_text(code)
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "corefuse.engines.natoli", raising=False)
    module = importlib.import_module("corefuse.engines.natoli")
    return module.ENGINE, module.Settings()


@pytest.fixture(scope="module")
def with_natoli(page, root, tmp_path_factory):
    """A copy of the project to which the page's file has been added, and a config naming it."""
    copy = toy.Toy(root, tmp_path_factory.mktemp("project"))
    engine = copy.folder / "workflow" / "corefuse" / "engines" / "natoli.py"
    engine.write_text(blocks(page, "python")[0])
    section = yaml.safe_load(blocks(page, "yaml")[-1])["simulation"]
    section["edges"] = toy.CONFIG["simulation"]["edges"] | section["edges"]
    raw = toy.edited("simulation", section)
    copy.write("natoli", raw)
    copy.write("misspelt", toy.edited("simulation.natoli.cutof_angstrom", 2.4, raw))
    copy.write("negative", toy.edited("simulation.natoli.cutoff_angstrom", -1, raw))
    return copy


def test_the_file_alone_makes_the_engine_known_to_the_workflow(with_natoli):
    done = with_natoli.run("-n", "--configfile", "natoli.yaml")
    assert toy.planned(done)["simulate"] == 2 * len(toy.CONFIG["structures"]["series"])
    assert "raw/natoli/" in done.stdout


CALLS = """
import json, sys
from pathlib import Path
import yaml
from corefuse import config
from corefuse.config import docs
from corefuse.simulate import doctor
file = sys.argv[1]
try:
    found = config.load(yaml.safe_load(Path(file).read_text()), file)
    print(json.dumps(found.simulation.settings("natoli")))
    print(doctor.examine("natoli", found.simulation))
    print("simulation.natoli.cutoff_angstrom" in docs.reference())
    print("constant_ev_square_angstrom" in docs.schema())
except config.InputError as err:
    print(err)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "natoli",
            [
                r'{"constant_ev_square_angstrom": 50.0, "cutoff_angstrom": 2.4}',
                "natoli     works  needs nothing",
                *("True", "True"),
            ],
        ),
        ("misspelt", ["misspelt.yaml: simulation.natoli.cutof_angstrom: unknown key"]),
        ("negative", ["negative.yaml: simulation.natoli.cutoff_angstrom: -1 is not valid"]),
    ],
)
def test_its_settings_are_a_section_of_the_config(name, said, with_natoli):
    done = subprocess.run(
        [sys.executable, "-c", CALLS, f"{name}.yaml"],
        cwd=with_natoli.folder,
        env=toy.environment(PYTHONPATH=str(with_natoli.folder / "workflow")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith(wanted) for line, wanted in zip(lines, said, strict=True))


def nickel_oxide(bond_angstrom):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(2 * bond_angstrom), ["Ni", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def simulated(natoli, bond_angstrom, folder):
    engine, section = natoli
    job = engines.Job(
        "NiO", nickel_oxide(bond_angstrom), EDGES, section.model_dump(), folder / "shared"
    )
    return engines.simulate(engine, job, folder / f"{bond_angstrom}")


def test_the_engine_of_the_page_keeps_natolis_rule(natoli, tmp_path):
    constant = natoli[1].constant_ev_square_angstrom
    for bond in (1.9, 2.0, 2.1):
        raw = simulated(natoli, bond, tmp_path)
        assert raw.attrs["status"] == "ok"
        assert sorted(set(raw["edge"].values)) == sorted(EDGES)
        assert raw.sizes["channel"] == 8
        centre = np.average(raw["energy_ev"].values, weights=raw["intensity"].values[0])
        assert centre * bond**2 == pytest.approx(constant, rel=1e-6)


def test_a_site_without_neighbours_fails_with_the_reason(natoli, tmp_path):
    raw = simulated(natoli, 2.7, tmp_path)
    assert raw.attrs["reason"] == "site 4 has no neighbour within 2.6 angstrom"


def test_its_results_go_through_the_later_stages(natoli, tmp_path, root):
    raw = simulated(natoli, 2.09, tmp_path)
    table = edge_table.load(root / "resources" / "edges.yaml")
    settings = Spectra(techniques={"XAS": {"gaussian_fwhm_ev": 0.5, "edges": ["Ni K"]}})
    known = {"Ni K": calibrate(raw, "Ni K", settings, table["Ni K"])}
    found = process({"natoli": raw}, settings, table, known)
    assert found.attrs["status"] == "ok"
    assert float(found["Ni_K-XAS"].max()) > 0


def test_every_engine_is_on_the_page(page):
    choice, cost, licence = (
        part.split("\n\n")[0] for part in re.split(r"^\| engine \| ", page, flags=re.MULTILINE)[1:]
    )
    for name in config.ENGINES:
        for table in (choice, cost, licence):
            assert f"| `{name}`" in table, name


def test_the_configs_on_the_page_are_valid(page):
    simulation, slurm, commands, _ = blocks(page, "yaml")
    alone = config.Simulation.model_validate(
        yaml.safe_load(slurm)["simulation"] | {"edges": {"O K": "fdmnes"}}
    )
    (cell, *_) = specs.plan(config.Structures.model_validate(toy.CONFIG["structures"]))
    assert jobs.minutes("fdmnes", cell, alone, alone.sites.sites_per_job) < 28 * 60
    found = config.Simulation.model_validate(yaml.safe_load(simulation)["simulation"])
    assert found.fdmnes.command.run == ["/opt/fdmnes/fdmnes_linux64"]
    assert not found.fdmnes.pbe
    spelt_out = [
        config.Feff.model_validate(yaml.safe_load(line)).command for line in commands.splitlines()
    ]
    assert [c.run[0] for c in spelt_out] == ["fdmnes", "fdmnes_mpi", "feff", "rdinp"]
    assert spelt_out[1].module == "FDMNES/2024" and spelt_out[2].image
    assert len(spelt_out[3].run) == 10


def test_the_files_that_the_page_names_are_there(page, root):
    named = set(re.findall(r"`(workflow/[\w/]+\.py)`", page))
    assert {"workflow/corefuse/simulate/programs.py", "workflow/corefuse/core/rawdata.py"} <= named
    assert [name for name in named if not (root / name).is_file()] == []
    assert rawdata.Resolved.__doc__
