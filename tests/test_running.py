"""`make run` goes on after kill -9; plain Snakemake beside it or after one names `make run`."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy

from corefuse.core.errors import InputError
from corefuse.plan import running

PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    while running._held:
        running._held.pop().close()


RUN = ("--cores", "1")


def in_another_process(name):
    code = f"from corefuse.plan import running; running.hold({name!r}, 'c.yaml', [])"
    package = str(Path(running.__file__).parents[2])
    command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": package}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_second_run_of_a_config_is_refused_and_another_one_is_not(here):
    running.hold("a", "c.yaml", RUN)
    refused = in_another_process("a")
    assert refused.returncode
    assert f"another run goes on in it (process {os.getpid()})" in refused.stderr
    assert "make run CONFIG=c.yaml" in refused.stderr
    assert in_another_process("b").returncode == 0


@pytest.mark.parametrize("mode", [["-n"], ["-nq"], ["--unlock"], ["--lint"], ["--summary"]])
def test_what_runs_nothing_is_not_refused(here, mode):
    running.hold("a", "c.yaml", RUN)
    locks = here / ".snakemake" / "locks"
    locks.mkdir()
    (locks / "0.output.lock").write_text("results/a/structures/x.json\n")
    running.hold("a", "c.yaml", mode)


def test_a_lock_that_a_kill_left_names_make_run(here):
    locks = here / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/a/structures/x.json\n")
    running.hold("b", "c.yaml", RUN)
    running.hold("ab", "c.yaml", RUN)
    with pytest.raises(InputError, match="a run of it was killed") as told:
        running.hold("a", "c.yaml", RUN)
    assert "make run CONFIG=c.yaml" in str(told.value)
    assert len(str(told.value)) <= 300


def make(folder, *more, **options):
    command = ["make", "--no-print-directory", "run", "CONFIG=toy.yaml", "CORES=1", *more]
    environment = toy.environment(COREFUSE_VENV=str(Path(sys.executable).parents[1]), **options)
    environment = {k: v for k, v in environment.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"PATH": PATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_make_run_goes_on_after_a_kill(root, tmp_path):
    """Killed in its second simulation: what was done before is not done again."""
    project = toy.Toy(root, tmp_path)
    (tmp_path / "Makefile").write_text(re.sub(r": setup\b", ":", (root / "Makefile").read_text()))
    project.write("toy", toy.CONFIG)
    target = "results/toy/calibration.json"
    run = make(tmp_path, f"TARGETS={target}", TOY_HANG="yes")
    try:
        end = time.monotonic() + 180
        while sum(line.startswith("start simulate ") for line in project.journal()) < 2:
            assert run.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        beside = project.run(target, "--configfile", "toy.yaml", "--cores", "1")
        assert beside.returncode and "another run goes on" in beside.stdout
        assert "make run CONFIG=toy.yaml" in beside.stdout
        assert "cleanup-metadata" not in beside.stdout and "--unlock" not in beside.stdout
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    before = project.journal()
    again = make(tmp_path, f"TARGETS={target}")
    said, _ = again.communicate(timeout=240)
    assert again.returncode == 0, said
    journal = project.journal()
    assert before == journal[: len(before)]
    ends = [line for line in journal if line.startswith("end ")]
    assert len(ends) == len(set(ends))
    assert (tmp_path / target).exists()


def test_plain_snakemake_after_a_kill_names_make_run(root, tmp_path):
    project = toy.Toy(root, tmp_path)
    config = project.write("toy", toy.CONFIG)
    target = "results/toy/calibration.json"
    command = project.command(target, "--configfile", config, "--cores", "1")
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=toy.environment(TOY_HANG="yes"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 180
        while sum(line.startswith("start simulate ") for line in project.journal()) < 2:
            assert run.poll() is None and time.monotonic() < end
            time.sleep(0.1)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    done = project.run(target, "--configfile", config, "--cores", "1")
    assert done.returncode
    lines = [line for line in done.stdout.splitlines() if line.startswith("corefuse: ")]
    assert len(lines) == 1 and "make run CONFIG=toy.yaml" in lines[0]
    assert "LockException" not in done.stdout
