"""What a retry may ask for, with stand-ins for Slurm's commands."""

import os
from math import inf

import pytest

from corefuse.plan import cluster
from corefuse.plan.cluster import Limits, asked

SINFO = "short|30:00|8000\\nmain*|1-12:00:00|16000+\\nmain*|1-12:00:00|64000\\nbig|infinite|512000"


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch):
    """An empty folder, and no Slurm but that of the test."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("COREFUSE_", "SLURM_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    cluster.accepted.cache_clear()
    yield tmp_path / "bin"
    for name in ("COREFUSE_MAX_MEM_MB", "COREFUSE_MAX_RUNTIME"):
        os.environ.pop(name, None)


def program(folder, name, body):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def slurm(folder, most="UNLIMITED"):
    program(folder, "sinfo", f"printf '{SINFO}\\n'")
    program(folder, "scontrol", f"echo PartitionName=$4 MaxTime=1-12:00:00 MaxMemPerNode={most}")


def refuse_above(folder, megabytes):
    """An sbatch that takes no job of more memory, and notes what it is asked."""
    program(
        folder,
        "sbatch",
        'echo "$@" >> asked.txt\n'
        'for word in "$@"; do case $word in --mem=*) mem=${word#--mem=};; esac; done\n'
        f"[ $mem -le {megabytes} ] && exit 0\n"
        "echo 'sbatch: error: Memory specification can not be satisfied' >&2; exit 1",
    )


def test_without_slurm_nothing_is_capped():
    assert cluster.limits(ask_slurm=True) == Limits(inf, inf)
    assert asked(2000, 60, 3, Limits()) == (6000, 180)


@pytest.mark.parametrize(
    ("partition", "most", "expected"),
    [
        (None, "UNLIMITED", Limits(64000, 2160)),
        (None, "32000", Limits(32000, 2160)),
        ("short", "UNLIMITED", Limits(8000, 30)),
        ("big", "UNLIMITED", Limits(512000, inf)),
        ("nowhere", "UNLIMITED", Limits()),
    ],
)
def test_the_limits_of_the_partition_are_asked_from_slurm(nothing_set, partition, most, expected):
    slurm(nothing_set, most)
    assert cluster.of_partition(partition) == expected


def test_limits_that_are_given_win_over_those_of_slurm(nothing_set, tmp_path, monkeypatch):
    slurm(nothing_set)
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "site.txt").write_text("PARTITION=short\nMAX_MEM_MB=5000\n")
    assert cluster.limits(ask_slurm=True) == Limits(5000, 30)
    monkeypatch.setenv("COREFUSE_MAX_MEM_MB", "4000")
    assert cluster.limits(ask_slurm=True).memory_mb == 4000


def test_jobs_find_the_limits_that_the_run_was_told(nothing_set):
    """A job asks no Slurm: it would hit the controller once a job."""
    slurm(nothing_set)
    told = cluster.limits(ask_slurm=True)
    for name in ("sinfo", "scontrol"):
        (nothing_set / name).unlink()
    assert cluster.limits(ask_slurm=False) == told


def test_retries_grow_up_to_the_limits():
    limits = Limits(5000, 100)
    assert [asked(2000, 60, n, limits) for n in (1, 2, 3)] == [(2000, 60), (4000, 100), (5000, 100)]
    assert asked(9000, 600, 1, limits) == (5000, 100)


def test_what_slurm_refuses_all_the_same_is_asked_for_as_before(nothing_set, tmp_path):
    refuse_above(nothing_set, 4500)
    assert [asked(2000, 60, n, Limits())[0] for n in (1, 2, 3)] == [2000, 4000, 4000]
    refuse_above(nothing_set, 1000)
    cluster.accepted.cache_clear()
    assert asked(2000, 60, 3, Limits()) == (2000, 60)
    assert "--test-only" in (tmp_path / "asked.txt").read_text()


def test_a_controller_that_does_not_answer_refuses_nothing(nothing_set):
    program(nothing_set, "sbatch", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert asked(2000, 60, 3, Limits()) == (6000, 180)


def test_a_job_asks_no_slurm(nothing_set, monkeypatch):
    refuse_above(nothing_set, 1)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert asked(2000, 60, 2, Limits()) == (4000, 120)


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        ("30", 30),
        ("30:30", 30.5),
        ("2:00:00", 120),
        ("1-0", 1440),
        ("1-12:30", 2190),
        ("2-00:00:00", 2880),
        ("infinite", inf),
        ("UNLIMITED", inf),
        ("n/a", inf),
    ],
)
def test_times_are_read_as_slurm_writes_them(time, minutes):
    assert cluster.minutes_of(time) == minutes
