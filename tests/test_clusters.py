"""docs/clusters.md: its profiles for other schedulers say what became of a job."""

import os
import re
import subprocess

import pytest
import yaml


@pytest.fixture(scope="module")
def profiles(root):
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "docs" / "clusters.md").read_text(), re.S)
    return dict(zip(("pbs", "lsf"), map(yaml.safe_load, blocks), strict=True))


def said(command, argument, tool, prints, folder):
    """What a command of the profile prints where the scheduler's own prints that."""
    program = folder / tool
    program.write_text(f"#!/bin/sh\nprintf '%b' '{prints}'\n")
    program.chmod(0o755)
    done = subprocess.run(
        f"{command} '{argument}'",
        shell=True,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


PBS = "Job Id: 7.head\\n    job_state = {}\\n    {}\\n"


@pytest.mark.parametrize(
    ("scheduler", "tool", "prints", "status"),
    [
        ("pbs", "qstat", PBS.format("R", "queue = long"), "running"),
        ("pbs", "qstat", PBS.format("F", "Exit_status = 0"), "success"),
        ("pbs", "qstat", PBS.format("F", "Exit_status = 137"), "failed"),
        ("pbs", "qstat", "", "running"),
        ("lsf", "bjobs", "RUN\\n", "running"),
        ("lsf", "bjobs", "DONE\\n", "success"),
        ("lsf", "bjobs", "EXIT\\n", "failed"),
    ],
)
def test_the_status_command_tells_how_a_job_ended(
    profiles, tmp_path, scheduler, tool, prints, status
):
    command = profiles[scheduler]["cluster-generic-status-cmd"]
    assert said(command, "7", tool, prints, tmp_path) == status


def test_a_job_of_lsf_is_known_by_its_number(profiles, tmp_path):
    (tmp_path / "job.sh").touch()
    command = re.sub(r"\{[\w.]+\}", "1", profiles["lsf"]["cluster-generic-submit-cmd"])
    printed = "Job <4711> is submitted to queue <long>.\\n"
    assert said(command, tmp_path / "job.sh", "bsub", printed, tmp_path) == "4711"
