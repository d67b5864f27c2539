import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corefuse.plan import progress

KNOWN_LATER = "0 of 1 jobs done (3 there already), 1 left, time to go known after the first"


@pytest.mark.parametrize(
    ("done", "total", "there", "elapsed_s", "line"),
    [
        (4, 4, 0, 100, "all 4 jobs done"),
        (0, 4, 0, 100, "0 of 4 jobs done, 4 left, time to go known after the first"),
        (0, 1, 3, 9, KNOWN_LATER),
        (1, 4, 0, 60, "1 of 4 jobs done, 3 left, about 3 min to go"),
        (1, 2, 2, 60, "1 of 2 jobs done (2 there already), 1 left, about 1 min to go"),
        (3, 4, 0, 60, "3 of 4 jobs done, 1 left, < 1 min to go"),
    ],
)  # fmt: skip
def test_one_line_says_done_left_and_time_to_go(done, total, there, elapsed_s, line):
    assert progress.describe(done, total, there, 0, elapsed_s) == f"simulate: {line}"


@given(
    done=st.integers(1, 200),
    more=st.integers(1, 200),
    there=st.integers(0, 200),
    each_s=st.floats(60, 3600),
)
def test_what_was_there_before_the_run_does_not_shorten_the_time_to_go(done, more, there, each_s):
    line = progress.describe(done, done + more, there, 0, done * each_s)
    minutes = int(line.split("about ")[1].split()[0])
    assert minutes == pytest.approx(each_s * more / 60, abs=0.51)


def run(jobs, monkeypatch, raw):
    """The lines of a watch over jobs that are done one after the other."""
    monkeypatch.setattr(progress, "INTERVAL_S", 0.005)
    lines: list[str] = []
    done: set[str] = set()
    before = set(threading.enumerate())
    progress.watch(jobs, done.__contains__, 0, raw, lines.append)
    threads = [t for t in threading.enumerate() if t not in before]
    assert all(t.daemon for t in threads)  # a run that fails must not wait for the last job
    for number, job in enumerate(jobs, 1):
        wait_until(lambda n=number: len(lines) == n)
        done.add(job)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    return lines


def wait_until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_line_appears_whenever_one_more_is_done(monkeypatch, tmp_path):
    lines = run("abc", monkeypatch, tmp_path)
    assert all(line.startswith("[corefuse] simulate: ") and line.endswith("\n") for line in lines)
    assert [line.split(" jobs")[0].split(": ")[1] for line in lines] == [
        "0 of 3", "1 of 3", "2 of 3", "all 3"
    ]  # fmt: skip


def test_nothing_is_said_where_there_is_nothing_to_do(monkeypatch, tmp_path):
    assert run("", monkeypatch, tmp_path) == []


def test_sites_that_a_job_has_finished_are_told_before_the_job_is(monkeypatch, tmp_path):
    """Those of an earlier run do not count."""
    monkeypatch.setattr(progress, "INTERVAL_S", 0.005)
    sites = tmp_path / "feff" / "sites" / "s1"
    sites.mkdir(parents=True)
    (sites / "O_K-0-old.nc").touch()
    lines: list[str] = []
    done: set[str] = set()
    progress.watch(["batch"], done.__contains__, 0, tmp_path, lines.append)
    wait_until(lambda: len(lines) == 1)
    (sites / "O_K-1-new.nc").touch()
    wait_until(lambda: len(lines) == 2)
    done.add("batch")
    wait_until(lambda: len(lines) == 3)
    assert "0 of 1 jobs done, 1 left" in lines[0]
    assert "0 of 1 jobs done, 1 sites, 1 left" in lines[1]
    assert "all 1 jobs done, 1 sites" in lines[2]
