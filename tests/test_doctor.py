import shutil
import subprocess

import pytest
import toy
import yaml
from programs import ASKS, fake

from corefuse import config as cfg
from corefuse import engines
from corefuse.core.errors import InputError
from corefuse.engines import gpaw
from corefuse.plan import checks
from corefuse.plan import specs as plan
from corefuse.simulate import doctor

# What FDMNES and FEFF leave behind of NiO, in form; the numbers mean nothing.
FDMNES = """
values = [543.1, 8, 1, 0, 1.0, -6.0, 0.0, 1, 1, 517.0, 60.0, 4]
rows = [f'{541.1 + i / 2} {1 + i % 7}' for i in range(65)]
open('site.txt', 'w').write('\\n'.join([
    ' '.join(map(str, values)) + ' = E_edge, Z, natomsym_f', 'Energy <xanes>', *rows]))
open('site_conv.txt', 'w').write('\\n'.join(['Energy <xanes>', *rows]))
open('site_bav.txt', 'w').write(
    ' FDMNES program, Revision of the test\\n E_Fermi = -3.0 eV\\n Have a beautiful day !')
assert 'SCF' not in open('site_in.txt').read()
"""
FEFF = """
assert 'SCF' not in open('feff.inp').read()
rows = [f'{534 + 3.81 * k * abs(k)} {3.81 * k * abs(k) - 1} {k} 1 1 0'
        for k in [i / 20 - 1 for i in range(105)]]
open('log1.dat', 'w').close()
open('xmu.dat', 'w').write('\\n'.join([
    '# Once FEFF 9.6.4', '# Gam_ch=1.6E-01 Mu=-1.0E+00 eV',
    '# xsedge+ 50, used to normalize mu 4.5E-03', *rows]))
"""


def simulation(**engine):
    name, command = next(iter(engine.items()))
    raw = {"edges": {"O K": name}, name: {"command": command}}
    return cfg.Simulation.model_validate(raw)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [("fdmnes", FDMNES, "FDMNES program, Revision of the test"), ("feff", FEFF, "FEFF 9.6.4")],
)
def test_a_binary_that_works_says_its_version(name, body, said, tmp_path):
    command = fake(tmp_path / name, body)
    assert doctor.examine(name, simulation(**{name: command})) == doctor.Finding(name, True, said)


@pytest.mark.parametrize("name", ["fdmnes", "feff"])
def test_the_binary_on_path_works(name):
    if not shutil.which(name):
        pytest.skip(f"no `{name}` on PATH: nothing is run")
    found = doctor.examine(name, simulation(**{name: name}))
    assert found.works, found.said


@pytest.mark.parametrize("name", ["fdmnes", "feff"])
def test_a_missing_binary_comes_with_the_fix(name, tmp_path):
    found = doctor.examine(name, simulation(**{name: str(tmp_path / "nowhere")}))
    assert not found.works
    assert f"simulation.{name}.command: no program" in found.said
    assert f"Fix: install {name.upper()}" in found.said


@pytest.mark.parametrize("name", ["fdmnes", "feff"])
def test_a_binary_that_fails_says_how(name, tmp_path):
    command = fake(tmp_path / name, "print('wrong libc'); sys.exit(1)")
    found = doctor.examine(name, simulation(**{name: command}))
    assert not found.works and "exit code 1: wrong libc" in found.said


@pytest.mark.parametrize("name", ["fdmnes", "feff"])
def test_a_licence_is_found_out_in_time(name, tmp_path):
    found = doctor.examine(name, simulation(**{name: fake(tmp_path / name, ASKS[0])}))
    assert not found.works and "asks for a licence" in found.said


@pytest.mark.parametrize("name", ["gpaw", "multiplet"])
def test_our_own_engines_work(name, root):
    raw = yaml.safe_load((root / "config" / "config.yaml").read_text())["simulation"]
    found = doctor.examine(name, cfg.Simulation.model_validate(raw))
    assert found.works, found.said


def test_a_broken_installation_points_to_the_set_up(monkeypatch):
    def broken(*_):
        raise subprocess.CalledProcessError(1, "gpaw-setup")

    monkeypatch.setattr(gpaw, "ensure_dataset", broken)
    config = cfg.load(toy.CONFIG, "c")
    found = doctor.examine("gpaw", config.simulation)
    assert not found.works and "Fix: run `make setup`" in found.said


@pytest.mark.parametrize("name", [*cfg.ENGINES, cfg.HOLE_ENGINE])
def test_every_engine_has_all_of_the_interface(name):
    """The doctor, and the workflow, call each of these on whatever engine is named."""
    engine = engines.get(name)
    assert isinstance(engine, engines.Engine)  # an abstract method would have stopped it
    assert [n for n in engines.Engine.__annotations__ if not hasattr(engine, n)] == []
    assert engine.name == name and engine.edges


@pytest.fixture
def config_file(tmp_path):
    """A config with an engine that works and one that does not."""
    raw = toy.edited("simulation.edges", {"O K": "feff", "Ni L2,3": "fdmnes"})
    raw["simulation"]["feff"] = {"command": fake(tmp_path / "feff", FEFF)}
    raw["simulation"]["fdmnes"] = {"command": str(tmp_path / "nowhere")}
    raw["infer"] = {}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_each_engine_of_the_config_has_its_line(config_file, capsys):
    assert doctor.main([str(config_file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    found = [line.split()[:2] for line in lines]
    assert found == [["config", "FAILS"], ["feff", "works"], ["fdmnes", "FAILS"]]


def test_what_a_run_checks_first_the_doctor_checks_too(config_file, tmp_path, capsys):
    fake(tmp_path / "nowhere", FDMNES)
    raw = yaml.safe_load(config_file.read_text())
    config_file.write_text(yaml.safe_dump(raw | {"dataset": {"holdout_parents": ["nobody"]}}))
    assert doctor.main([str(config_file)]) == 1
    assert "no parent is called 'nobody'" in capsys.readouterr().out


def test_all_works_ends_with_zero(config_file, tmp_path, capsys):
    fake(tmp_path / "nowhere", FDMNES)
    assert doctor.main([str(config_file)]) == 0, capsys.readouterr().out


def test_a_faulty_config_is_one_line(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("name: x\n")
    assert doctor.main([str(tmp_path / "c.yaml")]) == 1
    assert doctor.main([str(tmp_path / "none.yaml")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all(line.startswith("corefuse: ") for line in said)


def test_a_technique_that_the_run_would_not_be_of_is_named(config_file, root, tmp_path):
    """With ELNES, FEFF gives what electrons lose, and the toy's O K is asked for as XAS, too."""
    fake(tmp_path / "nowhere", FDMNES)
    raw = yaml.safe_load(config_file.read_text())
    raw["simulation"]["feff"]["elnes"] = {"beam_energy_kev": 200}
    edges = str(root / "resources" / "edges.yaml")

    def check():
        config = cfg.load(raw, "c.yaml")
        checks.before_start(config, plan.by_id(config.structures, "c.yaml"), "c.yaml", edges)

    with pytest.raises(
        InputError,
        match=r"c.yaml: spectra.techniques.XAS.edges: simulation.feff makes EELS of O K, not XAS",
    ):
        check()
    del raw["spectra"]["techniques"]["XAS"]
    raw["train"] = {"outer_folds": 3, "inner_folds": 2}
    check()


def test_a_run_does_not_start_without_its_program(config_file, root, tmp_path):
    config = cfg.load(yaml.safe_load(config_file.read_text()), "c.yaml")
    specs = plan.by_id(config.structures, "c.yaml")
    edges = str(root / "resources" / "edges.yaml")
    with pytest.raises(InputError, match=r"c.yaml: simulation.fdmnes.command: no program"):
        checks.before_start(config, specs, "c.yaml", edges)
    fake(tmp_path / "nowhere", FDMNES)
    checks.before_start(config, specs, "c.yaml", edges)
