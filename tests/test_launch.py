"""Functions called here or in other processes, as a launcher such as srun does."""

import sys

import pytest

from corefuse import files, launch
from corefuse.engines import gpaw as engine
from corefuse.errors import InputError, NotConvergedError

LAUNCHER = ("env",)  # starts a program as mpirun does, once


class Resources:
    def __init__(self, **given):
        vars(self).update(given)


def test_a_job_without_mpi_is_one_process():
    assert launch.launcher(Resources(mem_mb=4000)) == ()


def test_the_profile_names_the_launcher():
    found = launch.launcher(Resources(mpi="srun --mpi=pmix", tasks=8))
    assert found == ("srun", "--mpi=pmix", "-n", "8")


def module(tmp_path, monkeypatch, body):
    (tmp_path / "job_for_test.py").write_text(f"from pathlib import Path\n{body}")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("job_for_test", None)
    return "job_for_test:work"


@pytest.mark.parametrize("launcher", [(), LAUNCHER])
def test_the_function_gets_the_folder(launcher, tmp_path, monkeypatch):
    work = module(tmp_path, monkeypatch, "def work(folder): (folder / 'done').write_text('yes')\n")
    launch.call(launcher, work, tmp_path)
    assert (tmp_path / "done").read_text() == "yes"


@pytest.mark.parametrize("launcher", [(), LAUNCHER])
def test_no_convergence_comes_back_as_such(launcher, tmp_path, monkeypatch):
    body = (
        "from corefuse.errors import NotConvergedError\n"
        "def work(folder): raise NotConvergedError('SCF')\n"
    )
    work = module(tmp_path, monkeypatch, body)
    with pytest.raises(NotConvergedError, match="SCF"):
        launch.call(launcher, work, tmp_path)


def test_a_crash_shows_what_was_printed(tmp_path, monkeypatch):
    work = module(tmp_path, monkeypatch, "def work(folder): raise OSError('no disk')\n")
    with pytest.raises(RuntimeError, match="no disk"):
        launch.call(LAUNCHER, work, tmp_path)


def test_a_missing_launcher_names_the_profile(tmp_path):
    with pytest.raises(InputError, match="set-resources"):
        launch.call(("no-such-mpirun",), "a:b", tmp_path)


def test_a_serial_gpaw_refuses_to_run_in_parallel(tmp_path):
    from gpaw import cgpaw

    if cgpaw.have_mpi:
        pytest.skip("this GPAW runs in parallel")
    files.write_json(tmp_path / "job.json", {"launcher": ["srun", "-n", "2"], "datasets": "."})
    with pytest.raises(InputError, match="no MPI"):
        engine.read_job(tmp_path)
