"""One set of records, and every table made of it, letter by letter; in whatever order the records come.

After an intended change: ``python -m tests.tables.test_golden`` from the root of the repository, then read the difference.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from bench.results.records import Motion, PhaseCost
from bench.tables.formats import FORMATS, render
from bench.tables.layouts import BY
from bench.tables.published import read

FOLDER = Path(__file__).parent / "golden"
PUBLISHED = Path(__file__).parents[2] / "results" / "published.csv"

SHARED = {"profile": "paper", "network": "convnet3d", "protocol": "standard/1"}
SIZE = 2**20
WANTED = [("ipc", fmt) for fmt in FORMATS if fmt != "json"] + [
    (by, "terminal") for by in BY if by not in ("ipc", "nets")
]


def records(make):
    """Two datasets, two settings, ties, a partial row, a hole, a method without seeds, the full data, published figures.

    One of the datasets has temporal probes, except for a seed of one method.
    """
    costs = {"upstream": PhaseCost(80.0, 1.0, 0, 10, shared=True), "distil": PhaseCost(12.4, 1.0, 3 * 2**29, 2**30)}
    accuracies = {"dm": (200, 212, 207), "random": (120, 126, 117), "herding": (204, 206, 212)}
    found = []
    for dataset, shift in (("miniucf", 0), ("hmdb51-all-train", -60)):
        cell = SHARED | {"dataset": dataset, "counts": (500, 480)}
        for method, of_seeds in accuracies.items():
            for seed, right in enumerate(of_seeds):
                trained = [right + shift + k for k in (0, 5, -3)]
                stored = SIZE * (4 if method == "dm" else 1)
                made = make(method, trained, seed=seed, costs=costs, stored=stored, **cell)
                found.append(probed(made) if shift and (method, seed) != ("herding", 1) else made)
        found += [make("full", [600 + shift, 620, 610], unfit=[1], ipc=None, seed=None, stored=99 * SIZE, **cell)]
    cell = SHARED | {"dataset": "miniucf", "counts": (500, 480)}
    found += [make("mtt", [220, 221, 222], seed=seed, stored=4 * SIZE, **cell) for seed in (0, 2)]
    found += [make("mtt", status="oom", reason="80 GiB_were|not & enough", seed=1, **cell)]
    found += [make("static", status="skipped", reason="stores still images", seed=seed, **cell) for seed in range(3)]
    cell["setting"] = "n4-r8-k1-linear"
    return found + [make("dm", [190, 180, 200], seed=seed, stored=2 * SIZE, **cell) for seed in range(3)]


def probed(record):
    evaluations = tuple(
        replace(entry, probes={"frozen": entry.correct() - 30, "half-rate": entry.correct() - 2 * entry.network})
        for entry in record.evaluations
    )
    with_gain = tuple(replace(entry, frozen_both=entry.correct() - 20 - entry.network) for entry in evaluations)
    return replace(record, evaluations=with_gain, motion=Motion((0.02, None), (0.03, 0.04)))


def rendered(made, by, fmt):
    return render(made, fmt, by, read(PUBLISHED), ("ddranking",))


@pytest.mark.parametrize(("by", "fmt"), WANTED)
def test_tables_are_as_they_were_read_and_agreed(make_record, by, fmt):
    assert rendered(records(make_record), by, fmt) == (FOLDER / f"{by}.{fmt}").read_text(encoding="utf-8")


@pytest.mark.parametrize("by", BY)
def test_the_order_in_which_records_come_together_does_not_matter(make_record, by):
    """As when the records of several machines are merged, in any order, some of them twice."""
    made = records(make_record)
    expected = [rendered(made, by, fmt) for fmt in FORMATS]
    for attempt in range(5):
        shuffled = made + made[:attempt]
        random.Random(attempt).shuffle(shuffled)
        assert [rendered(shuffled, by, fmt) for fmt in FORMATS] == expected


if __name__ == "__main__":
    from tests.tables.conftest import record

    FOLDER.mkdir(exist_ok=True)
    for layout, style in WANTED:
        (FOLDER / f"{layout}.{style}").write_text(rendered(records(record), layout, style), encoding="utf-8")
