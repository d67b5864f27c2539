"""A run that fails is tried again, then set aside; its child is ended with all that it started."""

import os
import subprocess
import time

import psutil
import pytest
import yaml
from pymatgen.core import Lattice, Structure

from corefuse import engines
from corefuse.core.errors import InputError, NotConvergedError
from corefuse.simulate import limits as watch
from corefuse.simulate import retries


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result"


def fail():
    raise OSError("disk")


def attempt(work, path, request="a", limits=None):
    told: list[str] = []
    why = retries.attempt(work, path, request, limits or watch.Limits(), told.append)
    return why, told


def test_what_fails_may_be_tried_again_until_the_last_attempt(path):
    for _ in range(retries.ATTEMPTS - 1):
        with pytest.raises(watch.StoppedError, match="OSError: disk"):
            attempt(fail, path)
    why, told = attempt(fail, path)
    assert "in the last of 3 attempts" in str(why)
    assert why.facts["cpu_seconds"] >= 0
    assert "Traceback" in told[0]


def test_other_settings_have_attempts_of_their_own(path):
    for request in "abc":
        with pytest.raises(watch.StoppedError):
            attempt(fail, path, request)
    assert retries.made(path, "c") == 1


def test_a_job_that_was_killed_each_time_is_not_started_again(path):
    for _ in range(retries.ATTEMPTS):
        job = os.fork()
        if job == 0:
            attempt(lambda: os.kill(os.getppid(), 9), path)
        os.waitpid(job, 0)
    why, _ = attempt(path.touch, path)
    assert "ended in all of 3 attempts" in str(why)
    assert not path.exists()


def test_success_forgets_the_attempts(path):
    with pytest.raises(watch.StoppedError):
        attempt(fail, path)
    assert attempt(path.touch, path) == (None, [])
    assert path.exists()
    assert retries.made(path, "a") == 0


def test_a_fault_of_the_set_up_counts_as_no_attempt_and_keeps_its_fix(path):
    def refuse():
        raise InputError("config.yaml", "simulation", "gone", "fix it")

    with pytest.raises(InputError, match=r"config\.yaml: simulation: gone\. Fix: fix it"):
        attempt(refuse, path)
    assert retries.made(path, "a") == 0


def test_what_a_child_has_started_ends_with_it(tmp_path):
    """A program in a session of its own, as engines start theirs."""
    told = tmp_path / "pid"

    def hang():
        program = subprocess.Popen(["sleep", "600"], start_new_session=True)
        told.write_text(str(program.pid))
        program.wait()

    with pytest.raises(watch.StoppedError, match="out of time"):
        watch.call(hang, watch.Limits(end=time.monotonic() + 3))
    assert not psutil.pid_exists(int(told.read_text()))


def test_the_profile_gives_a_job_as_many_attempts(root):
    profile = yaml.safe_load((root / "slurm" / "config.yaml").read_text())
    assert profile["retries"] + 1 == retries.ATTEMPTS


class Resources:
    mem_mb, runtime = 2000, 10


def test_without_a_scheduler_the_machine_is_the_limit(monkeypatch):
    for name in watch.JOB_IDS:
        monkeypatch.delenv(name, raising=False)
    limits = watch.limits_of_job(Resources())
    assert limits.end == float("inf")
    assert 0 < limits.memory_mb < psutil.virtual_memory().total / 2**20


def test_limits_stand_below_those_of_the_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    limits = watch.limits_of_job(Resources())
    assert limits.memory_mb < 2000
    assert limits.end - time.monotonic() < 600
    half = limits.share(2)
    assert half.end - time.monotonic() == pytest.approx((limits.end - time.monotonic()) / 2, 1e-3)
    assert watch.limits_of_job(object()) == watch.Limits()


def test_a_start_that_is_given_up_says_why(tmp_path):
    class NoStart(engines.ProgramEngine):
        name, revision, edges = "none", 1, ()

        def begin(self, job, folder, start):
            fail()

        version = check = prepare = run = parse = None

        def read_log(self, folder):
            return "printed"

    start, log = tmp_path / "start", tmp_path / "log"
    atom = Structure(Lattice.cubic(5), ["O"], [[0, 0, 0]])
    job = engines.Job("atom", atom, (), {}, tmp_path)
    begin = (NoStart(), job, start, "a", watch.Limits(), log)
    for _ in range(retries.ATTEMPTS - 1):
        with pytest.raises(watch.StoppedError):
            retries.begin(*begin)
    retries.begin(*begin)
    why = engines.why_not_begun(start)
    assert isinstance(why, NotConvergedError)
    assert "OSError: disk" in str(why)
    assert "printed" in log.read_text() and "Traceback" in log.read_text()
