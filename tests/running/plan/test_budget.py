"""Byte budgets: how they are read, what a set may take, how many clips fit, and what becomes of cells without one."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.storage import check_storages
from bench.core.text import parse_bytes, written
from bench.distill.fitting import largest
from bench.running.plan.budget import stores_float32

CLIP = 3 * 4 * 16 * 16  # numbers of a tiny clip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4194304", 4_194_304),
        ("500KB", 500_000),
        ("1MiB", 2**20),
        ("1.5 mib", 3 * 2**19),
        ("2GB", 2 * 10**9),
        ("7b", 7),
    ],
)
def test_bytes_are_read(text, found):
    assert parse_bytes(text) == found


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1 MiX", "0", "0.1B", "1e6", "nan", "1,5"])
def test_what_is_no_number_of_bytes_is_refused_in_a_sentence(text):
    with pytest.raises(BenchError, match=r"--budget: .* such as 4194304, 500KB or 1MiB"):
        parse_bytes(text)


@pytest.mark.parametrize("budget", [1, 999, 1000, 1024, 500_000, 2**20, 3 * 2**19, 2**30, 1_048_577])
def test_what_is_written_is_read_as_the_same(budget):
    assert parse_bytes(written(budget).replace(",", "").replace("bytes", "B")) == budget


@given(st.integers(1, 200), st.integers(0, 250))
def test_the_largest_that_fits(most, limit):
    tried = []

    def fits(number):
        tried.append(number)
        return number <= limit

    found = largest(most, fits)
    assert found == min(most, limit)
    assert all(1 <= number <= most for number in tried)
    assert max(tried) <= max(1, 2 * found)


def test_an_unknown_storage_codec_is_refused():
    with pytest.raises(BenchError, match="--storage: 'int4' is no storage codec"):
        check_storages(["uint8", "int4"])


# ----------------------------------------------------------------------------------------------------------------------
# Plans


@pytest.mark.parametrize(
    ("name", "floats"),
    [("dm", True), ("mtt", True), ("frepo", True), ("dm+sd", True), ("static-only", True), ("random", False),
     ("herding", False), ("random-frozen", False), ("codec-h264", False)],
)  # fmt: skip
def test_it_is_known_which_methods_store_floats(registries, name, floats):
    method = registries.methods.get(name)
    assert stores_float32(method(method.Config())) is floats


@pytest.mark.parametrize(
    ("name", "storage", "each", "more"),
    [("random", "float32", 1, 0), ("tiny-noise", "float32", 4, 0), ("tiny-noise", "float16", 2, 64),
     ("tiny-noise", "uint8", 1, 64)],
)  # fmt: skip
def test_as_many_clips_as_fit_and_not_one_more(plan, name, storage, each, more):
    enough = 2 * 3 * each * CLIP + more
    (exact,) = plan(name, budgets=(enough,), storages=(storage,))
    assert (exact.cell.ipc, exact.stored_bytes, exact.declined) == (2, enough, None)
    (short,) = plan(name, budgets=(enough - 1,), storages=(storage,))
    assert short.cell.ipc == 1
    (plenty,) = plan(name, budgets=(10**9,), storages=(storage,))
    assert plenty.cell.ipc == 6  # all of the largest class


def test_fewer_frames_make_more_clips_fit(plan):
    cells = plan("random", budgets=(3 * 2 * CLIP,), settings=("dense", "keyframes-2", "static"))
    assert [cell.cell.ipc for cell in cells] == [2, 4, 6]


def test_a_method_that_does_not_fit_says_which_budget_would_do(plan):
    (planned,) = plan("tiny-noise", budgets=(4 * 3 * CLIP - 1,))
    assert planned.declined == "tiny-noise needs 36,864 bytes for one clip a class; the budget is 36,863 bytes"
    (fits,) = plan("tiny-noise", budgets=(4 * 3 * CLIP,))
    assert fits.declined is None


def test_the_full_data_and_stored_pixels_are_what_they_are_without_budget_and_codec(plan):
    (full,) = plan("full")
    assert [cell.cell.id() for cell in plan("full", budgets=(10, 20))] == [full.cell.id()]
    (random,) = plan("random", ipcs=(2,))
    assert [cell.cell.id() for cell in plan("random", ipcs=(2,), storages=("float32", "uint8"))] == [random.cell.id()]


def test_a_cell_without_budget_and_codec_has_the_id_it_had_before_there_were_any(plan):
    (planned,) = plan("random")
    later = ("budget", "storage", "evaluation_network", "precision")
    fields = {key: value for key, value in dataclasses.asdict(planned.cell).items() if key not in later}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert planned.cell.id() == hashlib.sha256(text.encode()).hexdigest()
    (other,) = plan("random", budgets=(3 * CLIP,))
    assert other.cell.ipc == planned.cell.ipc
    assert other.cell.id() != planned.cell.id()


def test_the_bytes_of_soft_labels_and_a_learned_rate_are_planned_too(plan):
    (planned,) = plan("mtt", ipcs=(2,), storages=("uint8",), overrides={"mtt": {"labels": "soft"}})
    numbers = 3 * 2 * (CLIP + 3) + 1
    assert planned.stored_bytes == numbers + 64
