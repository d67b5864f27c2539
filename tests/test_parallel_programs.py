"""The profile's MPI launcher starts FDMNES and FEFF, too."""

import numpy as np
import pytest
from fdmnes_output import Made, write
from programs import fake
from pymatgen.core import Lattice, Structure

from corefuse import config, engines
from corefuse.simulate import programs

LAUNCHER = """
import json, subprocess
with open({told!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(subprocess.call(sys.argv[3:]))
"""


@pytest.fixture
def launcher(tmp_path):
    """A stand-in for srun that notes how it is called: the words of the launcher, and its notes."""
    told = tmp_path / "launched.txt"
    return (fake(tmp_path / "srun", LAUNCHER.format(told=str(told))), "-n", "4"), told


def nickel_oxide():
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.18), ["Ni", "O"], sites)


def simulate(name, section, launcher, folder):
    crystal = nickel_oxide()
    absorber = engines.Absorber("O K", len(crystal) - 1)
    settings = config.Simulation.model_validate({"edges": {"O K": name}, name: section})
    job = engines.Job(
        *("nio", crystal, ("O K",), settings.settings(name), folder),
        absorber=absorber,
        launcher=launcher,
    )
    return engines.simulate(engines.get(name), job, folder / "run")


def test_feff_is_started_by_it(launcher, root, tmp_path):
    words, told = launcher
    kept = root / "tests" / "reference" / "feff" / "o_k"
    copy = f"for name in ('xmu.dat', 'log1.dat'): shutil.copy({str(kept)!r} + '/' + name, name)"
    small = {"cluster_radius_angstrom": 4.0, "fms_radius_angstrom": 3.5}
    section = {"command": fake(tmp_path / "feff", copy), "scf_radius_angstrom": None, **small}
    assert simulate("feff", section, words, tmp_path).attrs["status"] == "ok"
    assert told.read_text().splitlines() == [f'["-n", "4", "{tmp_path / "feff"}"]']


def test_fdmnes_is_started_by_it(launcher, tmp_path):
    words, told = launcher
    energy_ev = np.arange(-5, 46, 0.2).round(1)
    spectrum = {"<xanes>": 1.0 + (energy_ev > 0)}
    sets = [(8, [8]), (28, [1, 2, 3, 4])]
    write(tmp_path / "made", Made(8, 543.1, (513.2,), energy_ev, spectrum, sets))
    copy = (
        f"for name in ('site.txt', 'site_bav.txt'): "
        f"shutil.copy({str(tmp_path / 'made')!r} + '/' + name, name)"
    )
    section = {"command": fake(tmp_path / "fdmnes", copy), "convolution": False}
    raw = simulate("fdmnes", section, words, tmp_path)
    assert (raw.attrs["status"], raw.attrs["reason"]) == ("ok", "")
    assert told.read_text().splitlines() == [f'["-n", "4", "{tmp_path / "fdmnes"}"]']


def test_without_a_launcher_a_program_is_started_alone(tmp_path):
    program = fake(tmp_path / "alone", "print(sys.argv[1:])")
    command = config.Command(run=[program]).model_dump()
    programs.run(command, tmp_path, 1.0, "simulation.feff.command")
    assert (tmp_path / programs.OUTPUT).read_text() == "[]\n"
