"""Functions called here or in other processes, as a launcher such as srun does."""

import os
import sys

import pytest
from pymatgen.core import Lattice, Structure

from corefuse import config, engines
from corefuse.core import files
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.engines import gpaw as engine
from corefuse.simulate import mpi

LAUNCHER = ("env",)  # starts a program as mpirun does, once


class Resources:
    def __init__(self, **given):
        vars(self).update(given)


def test_a_job_without_mpi_is_one_process():
    assert mpi.launcher(Resources(mem_mb=4000)) == ()


def test_the_profile_names_the_launcher():
    found = mpi.launcher(Resources(mpi="srun --mpi=pmix", tasks=8))
    assert found == ("srun", "--mpi=pmix", "-n", "8")


def test_no_more_processes_are_started_than_there_is_work_for():
    assert mpi.at_most(("srun", "--mpi=pmix", "-n", "8"), 4) == ("srun", "--mpi=pmix", "-n", "4")
    assert mpi.at_most(("srun", "-n", "2"), 4) == ("srun", "-n", "2")
    assert mpi.at_most((), 4) == ()


def module(tmp_path, monkeypatch, body):
    (tmp_path / "job_for_test.py").write_text(f"from pathlib import Path\n{body}")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("job_for_test", None)
    return "job_for_test:work"


@pytest.mark.parametrize("launcher", [(), LAUNCHER])
def test_the_function_gets_the_folder(launcher, tmp_path, monkeypatch):
    work = module(tmp_path, monkeypatch, "def work(folder): (folder / 'done').write_text('yes')\n")
    mpi.call(launcher, work, tmp_path)
    assert (tmp_path / "done").read_text() == "yes"


@pytest.mark.parametrize("launcher", [(), LAUNCHER])
def test_no_convergence_comes_back_as_such(launcher, tmp_path, monkeypatch):
    body = (
        "from corefuse.core.errors import NotConvergedError\n"
        "def work(folder): raise NotConvergedError('SCF', {'iterations': 2})\n"
    )
    work = module(tmp_path, monkeypatch, body)
    with pytest.raises(NotConvergedError, match="SCF") as caught:
        mpi.call(launcher, work, tmp_path)
    assert caught.value.facts == {"iterations": 2}


def test_a_crash_shows_what_was_printed(tmp_path, monkeypatch):
    work = module(tmp_path, monkeypatch, "def work(folder): raise OSError('no disk')\n")
    with pytest.raises(RuntimeError, match="no disk"):
        mpi.call(LAUNCHER, work, tmp_path)


def test_a_missing_launcher_names_the_profile(tmp_path):
    with pytest.raises(InputError, match="set-resources"):
        mpi.call(("no-such-mpirun",), "a:b", tmp_path)


@pytest.fixture
def srun(tmp_path, monkeypatch):
    """Stands in for srun: notes how it was called and starts the program once."""
    program = tmp_path / "bin" / "srun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf \'%s \' "$@" >> {tmp_path}/called\nshift 2\nexec "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "called"


def test_gpaw_runs_under_srun_with_a_process_for_each_k_point(srun, tmp_path, monkeypatch):
    """A 3 A cube at 0.7 / A has 3x3x3 k points: 14 that time reversal does not relate."""
    settings = config.Gpaw(kpoint_spacing_per_angstrom=0.7).model_dump()
    cube = Structure(Lattice.cubic(3.0), ["O"], [[0, 0, 0]], site_properties={"magmom": [0.0]})
    launcher = mpi.launcher(Resources(mpi="srun", tasks=64))
    job = engines.Job("cube", cube, ("O K",), settings, tmp_path / "shared", launcher=launcher)
    monkeypatch.setattr(engine, "ensure_dataset", lambda *args: None)
    ran = module(tmp_path, monkeypatch, "def work(folder): (folder / 'done').touch()\n")
    real = mpi.call
    monkeypatch.setattr(mpi, "call", lambda how, function, folder: real(how, ran, folder))
    folder = tmp_path / "job"
    folder.mkdir()
    engine.ENGINE.prepare(job, folder)
    engine.ENGINE.run(folder)
    assert (folder / "done").exists()
    assert srun.read_text().startswith("-n 14 ")


def test_a_serial_gpaw_refuses_to_run_in_parallel(tmp_path):
    from gpaw import cgpaw

    if cgpaw.have_mpi:
        pytest.skip("this GPAW runs in parallel")
    files.write_json(tmp_path / "job.json", {"launcher": ["srun", "-n", "2"], "datasets": "."})
    with pytest.raises(InputError, match="no MPI"):
        engine.read_job(tmp_path)
