"""Errors are short, whatever was put in."""

from __future__ import annotations

import pytest

from bench.core.errors import BenchError, Mistakes, SeveralMistakes


def test_a_long_word_is_shown_by_its_ends():
    told = str(BenchError(f"--seeds: '{'1' * 5000}2' is not a whole number"))
    assert told.startswith("--seeds: '1111")
    assert told.endswith("112' is not a whole number")
    assert "...(5,003 characters)..." in told
    assert len(told) < 300


def test_an_ordinary_sentence_stays_as_it_is():
    sentence = "--out " + "folder/" * 40 + ": cannot write there; " + "name another one, " * 100
    assert str(BenchError(sentence)) == sentence


def test_a_sentence_of_very_many_words_is_cut():
    assert len(str(BenchError("word " * 100_000))) < 4000


def test_of_very_many_mistakes_the_first_are_told():
    mistakes = Mistakes()
    for number in range(1000):
        mistakes.add(BenchError(f"mistake {number}"))
    with pytest.raises(SeveralMistakes) as caught:
        mistakes.tell()
    told = caught.value
    assert told.count == 1000
    assert told.sentences[:2] == ("mistake 0", "mistake 1")
    assert told.sentences[-1] == "and 980 more"
    assert len(told.sentences) == 21
    assert str(told).startswith("1,000 mistakes:\n- mistake 0\n")
