"""A finished result outlives the output that Snakemake deletes before each job."""

import os

import pytest

from corefuse.simulate import kept


@pytest.fixture
def result(tmp_path):
    path = tmp_path / "cell.a.json"
    path.write_text("result")
    kept.keep(path, "request")
    return path


def test_it_is_taken_for_the_same_request_only(result):
    result.unlink()
    assert not kept.take(result, "another")
    assert kept.take(result, "request")
    assert result.read_text() == "result"


def test_it_takes_no_space(result):
    (second,) = (result.parent / "kept").iterdir()
    assert second.samefile(result)


def test_each_request_keeps_its_own(result):
    result.unlink()
    result.write_text("other")
    kept.keep(result, "another")
    for request, text in (("request", "result"), ("another", "other")):
        result.unlink()
        assert kept.take(result, request)
        assert result.read_text() == text


def test_it_is_newer_than_what_it_was_made_from(result):
    os.utime(result, (1, 1))
    result.unlink()
    kept.take(result, "request")
    assert result.stat().st_mtime > 1e9


def test_half_a_file_is_not_taken(result):
    (second,) = (result.parent / "kept").iterdir()
    result.unlink()
    second.write_text("res")
    assert not kept.take(result, "request")
    assert not result.exists() and not second.exists()


def test_a_name_that_begins_alike_is_another_result(result):
    other = result.with_name("cell.json")
    assert not kept.take(other, "a")
    assert not kept.has_any(other.with_name("ell.json"))


def test_a_file_system_without_links_gets_a_copy(result, monkeypatch):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    kept.keep(result, "third")
    result.unlink()
    assert kept.take(result, "third")
    assert result.read_text() == "result"
