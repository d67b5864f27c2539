"""Writing files beside other processes, as after a kill that left some running."""

import os
import signal
import subprocess
import sys
import time

import pytest

from corefuse.core import files

HOLDER = """
import sys, time
from pathlib import Path
from corefuse.core import files

target, request = Path("out.txt"), sys.argv[1]
print("started", flush=True)
with files.alone(target, request) as made:
    print(f"made={made}", flush=True)
    with files.atomic(target) as partial:
        partial.write_text(request)
        while not Path("go").exists():
            time.sleep(0.01)
"""


@pytest.fixture
def start(tmp_path, root):
    """Start a process that makes out.txt once ``go`` is there; it has said ``last`` by then."""
    running = []

    def begin(request, last):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, request],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(root / "workflow")},
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        while last not in (line := process.stdout.readline()):
            assert line, "it died"
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def said(process) -> str:
    return process.communicate(timeout=30)[0].strip()


@pytest.mark.parametrize(("request_after", "adopted"), [("same", True), ("other", False)])
def test_who_comes_second_waits_and_adopts_what_was_asked_for(
    start, tmp_path, request_after, adopted
):
    first = start("same", "made=False")
    second = start(request_after, "started")
    time.sleep(0.3)
    assert second.poll() is None
    assert not (tmp_path / "out.txt").exists()
    (tmp_path / "go").touch()
    assert first.wait(30) == 0
    assert said(second) == f"made={adopted}"
    assert (tmp_path / "out.txt").read_text() == request_after
    assert sorted(p.name for p in tmp_path.iterdir()) == ["go", "out.txt"]


def test_the_right_ends_with_its_holder_and_nothing_of_it_is_left(start, tmp_path):
    first = start("same", "made=False")
    second = start("same", "started")
    first.send_signal(signal.SIGKILL)
    first.wait()
    (tmp_path / "go").touch()
    assert said(second) == "made=False"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["go", "out.txt"]


def test_two_writers_of_one_file_have_two_partial_files(tmp_path):
    path = tmp_path / "out.txt"
    with files.atomic(path) as one, files.atomic(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]
