"""Paths that can be, and the environment variables that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core import paths
from bench.core.errors import BenchError, SeveralMistakes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a/" + "b" * 256 + "/c", "a name in it has 256 bytes (at most 255)"),
        ("é" * 128, "a name in it has 256 bytes"),
        ("a/" * 2048, "it has 4,096 bytes (at most 4,095)"),
        ("a\0b", "it holds a zero byte"),
        ("a\ud800", "characters that no file name can have"),
    ],
)
def test_a_path_that_cannot_be_is_refused(text, told):
    with pytest.raises(BenchError) as caught:
        paths.possible(text)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", ".", "/", "a/" + "b" * 255, "a" * 255, "x/" * 2047, "a b\n"])
def test_any_other_text_can_be_a_path(text):
    assert paths.possible(text) == text
    assert paths.possible_path(text) == Path(text)


def test_what_may_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    assert [paths.may_be_folder(tmp_path / name) for name in ("", "none", "file", "file/x")] == [
        True,
        True,
        False,
        True,
    ]
    assert not paths.may_be_folder(Path("/dev/null"))


def test_every_variable_that_has_no_use_is_told_at_once(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    monkeypatch.setenv("BENCH_CACHE", str(file))
    monkeypatch.setenv("BENCH_DATA", "a" * 256)
    monkeypatch.setenv("BENCH_CACHE_LIMIT", "abc")
    with pytest.raises(SeveralMistakes) as caught:
        paths.check_environment()
    cache, limit, data = caught.value.sentences
    assert cache == f"BENCH_CACHE: '{file}' is not a folder"
    assert limit.startswith("BENCH_CACHE_LIMIT: 'abc' is not a number of bytes of at least 1, such as")
    assert data.startswith("BENCH_DATA: 'aaaa")


def test_variables_that_are_empty_or_name_a_folder_are_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE", "")
    monkeypatch.setenv("BENCH_CACHE_LIMIT", "")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    paths.check_environment()
    assert paths.data_root("ucf101", None) == tmp_path / "ucf101"
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "new"))
    assert paths.cache_root() == tmp_path / "new"
