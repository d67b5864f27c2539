import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse import progress


@pytest.mark.parametrize(
    ("done", "at_start", "total", "elapsed_s", "line"),
    [
        (4, 0, 4, 100, "all 4 jobs done"),
        (0, 0, 4, 100, "0 of 4 jobs done, 4 left, time to go known after the first"),
        (3, 3, 4, 9, "3 of 4 jobs done, 1 left, time to go known after the first"),
        (1, 0, 4, 60, "1 of 4 jobs done, 3 left, about 3 min to go"),
        (3, 2, 4, 60, "3 of 4 jobs done, 1 left, about 1 min to go"),
        (3, 0, 4, 60, "3 of 4 jobs done, 1 left, < 1 min to go"),
    ],
)
def test_one_line_says_done_left_and_time_to_go(done, at_start, total, elapsed_s, line):
    assert progress.describe(done, at_start, total, elapsed_s) == f"simulate: {line}"


@given(
    done=st.integers(1, 200),
    more=st.integers(1, 200),
    found=st.integers(0, 200),
    each_s=st.floats(60, 3600),
)
def test_what_was_there_before_the_run_does_not_shorten_the_time_to_go(done, more, found, each_s):
    line = progress.describe(found + done, found, found + done + more, done * each_s)
    minutes = int(line.split("about ")[1].split()[0])
    assert minutes == pytest.approx(each_s * more / 60, abs=0.51)


def run(files, monkeypatch, between=lambda: None):
    """The lines of a watch over files, one of which appears after the other."""
    monkeypatch.setattr(progress, "INTERVAL_S", 0.005)
    lines: list[str] = []
    before = set(threading.enumerate())
    progress.watch([str(f) for f in files], lines.append)
    threads = [t for t in threading.enumerate() if t not in before]
    assert all(t.daemon for t in threads)  # a run that fails must not wait for the last structure
    if threads:
        wait_until(lambda: lines)  # what was there before
    for file in files:
        if not file.exists():
            shown = len(lines)
            file.touch()
            wait_until(lambda n=shown: len(lines) > n)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    return lines


def wait_until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_line_appears_whenever_one_more_is_done(tmp_path, monkeypatch):
    files = [tmp_path / name for name in "abc"]
    files[0].touch()
    lines = run(files, monkeypatch)
    assert all(line.startswith("[corefuse] simulate: ") and line.endswith("\n") for line in lines)
    assert len(set(lines)) == len(lines)
    assert "2 of 3 jobs done, 1 left" in lines[-2]
    assert "all 3 jobs done" in lines[-1]


def test_nothing_is_said_where_all_is_done(tmp_path, monkeypatch):
    done = tmp_path / "a"
    done.touch()
    assert run([done], monkeypatch) == []
    assert run([], monkeypatch) == []


def test_files_that_exist_are_counted(tmp_path):
    (tmp_path / "a").touch()
    assert progress.count_done([str(tmp_path / "a"), str(tmp_path / "b")]) == 1
