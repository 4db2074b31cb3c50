"""Seeds that `--resolve` adds: to which cells, how many, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from bench.api import Evaluation
from bench.results.cells import Cell
from bench.results.records import Record, to_run
from bench.running.plan.plan import PlannedCell
from bench.tables import resolve
from bench.tables.figures import trainings
from bench.tables.resolve import MOST, Look, Price
from bench.tables.stats import differences

BASELINE = "random"

_WORTH_SAYING = 0.1  # a share of the seconds


@final
@dataclass(frozen=True)
class Resolution:
    """How far the intervals of all pairs are.

    Attributes:
        lines: one for each pair.
        added: cells of more seeds, to be run before the next look.
    """

    lines: tuple[str, ...]
    added: tuple[PlannedCell, ...]


@final
@dataclass(frozen=True)
class Pair:
    """The cells of a method and of what it is compared with, each in the order of their seeds."""

    first: tuple[PlannedCell, ...]
    second: tuple[PlannedCell, ...]
    name: str


def pairs(cells: Sequence[PlannedCell]) -> list[Pair]:
    """Every method beside `random`, and every learned one beside its own start. Starts and `full` are beside nothing."""
    boards: defaultdict[tuple[object, ...], dict[str, list[PlannedCell]]] = defaultdict(dict)
    for planned in cells:
        if planned.declined is None and planned.fault is None and planned.cell.ipc is not None:
            boards[_place(planned.cell)].setdefault(_row(planned.cell), []).append(planned)
    return [pair for board in boards.values() for pair in _of_board([tuple(row) for row in board.values()])]


def look(
    cells: Sequence[PlannedCell],
    decided: Mapping[str, PlannedCell],
    read: Callable[[str], Record | None],
    points: float,
) -> Resolution:
    """Looks at the records of all pairs.

    Args:
        cells: the plan, with the given values.
        decided: the cell with the values that were chosen, by the id of the one with the given values; only of tuned cells.
        read: the record of a cell.
        points: half the width that is wanted, in percentage points.
    """
    lines: list[str] = []
    wanted: dict[str, tuple[tuple[PlannedCell, ...], int]] = {}
    for pair in pairs(cells):
        records = [_records(row, decided, read) for row in (pair.first, pair.second)]
        if halted := _halted([record for row in records for record in row]):
            lines.append(f"{pair.name}: {halted}")
            continue
        first, second = ([record for record in row if record is not None] for row in records)
        values = differences(trainings(first, Evaluation.accuracy), trainings(second, Evaluation.accuracy))
        if values is None:
            continue
        seen = resolve.look(values, points / 100)
        for row in (pair.first, pair.second):
            key = _row(row[0].cell)
            wanted[key] = row, max(seen.coming, wanted[key][1] if key in wanted else 0)
        lines.append(f"{pair.name}: {_said(seen, pair, points, _sum(resolve.price(first), resolve.price(second)))}")
    added = tuple(planned for row, seeds in wanted.values() for planned in _more(row, seeds))
    return Resolution(tuple(lines), added)


# ----------------------------------------------------------------------------------------------------------------------


def _place(cell: Cell) -> tuple[object, ...]:
    """What the cells of a leaderboard have in common."""
    amount = cell.ipc if cell.budget is None else None
    return (
        cell.fingerprint, tuple(cell.geometry.values()), cell.profile, cell.network, cell.judge(), cell.precision,
        cell.protocol, cell.judged_on, cell.setting, amount, cell.budget,
    )  # fmt: skip


def _row(cell: Cell) -> str:
    return replace(cell, seed=None).id()


def _of_board(rows: Sequence[tuple[PlannedCell, ...]]) -> Iterator[Pair]:
    starts = [(row[0].start.method, dict(row[0].start.values)) for row in rows if row[0].start is not None]
    for row in rows:
        cell, start = row[0].cell, row[0].start
        if cell.method == BASELINE or (cell.method, cell.config) in starts:
            continue
        title = replace(cell, seed=None).title(row[0].written)
        others = {f"over {BASELINE}": [other for other in rows if other[0].cell.method == BASELINE]}
        if start is not None:
            same = [o for o in rows if (o[0].cell.method, o[0].cell.config) == (start.method, dict(start.values))]
            others["over its own start"] = same
        for name, found in others.items():
            other = _one(found, cell)
            if other is not None and (cell.seed is not None or other[0].cell.seed is not None):
                yield Pair(row, other, f"{title} {name}")


def _one(rows: Sequence[tuple[PlannedCell, ...]], cell: Cell) -> tuple[PlannedCell, ...] | None:
    """The one row that is stored alike, or the only one there is."""
    alike = [row for row in rows if row[0].cell.storage == cell.storage]
    found = alike or rows
    return found[0] if len(found) == 1 else None


def _records(
    row: Sequence[PlannedCell], decided: Mapping[str, PlannedCell], read: Callable[[str], Record | None]
) -> list[Record | None]:
    ids = [planned.cell.id() for planned in row]
    return [read(decided[key].cell.id() if key in decided else key) for key in ids]


def _halted(records: Sequence[Record | None]) -> str | None:
    """Why nothing can be said of a pair; None if it can."""
    if any(record is None or to_run(record.status, "missing") for record in records):
        return f"its cells are still to be run; a pair has at least {resolve.FIRST} seeds"
    failed = [record for record in records if record is not None and record.status != "ok"]
    return f"a cell failed ({failed[0].title()}), so no seeds are added" if failed else None


def _more(row: Sequence[PlannedCell], seeds: int) -> list[PlannedCell]:
    """The cells that a row lacks of so many seeds; they follow its largest."""
    used = [planned.cell.seed for planned in row if planned.cell.seed is not None]
    if not used:
        return []
    following = range(max(used) + 1, max(used) + 1 + seeds - len(used))
    return [replace(row[-1], cell=replace(row[-1].cell, seed=seed), added=True) for seed in following]


def _said(seen: Look, pair: Pair, points: float, price: Price) -> str:
    """The state of a pair, what follows, and why."""
    seeds = f"after {seen.seeds} seed{'s' * (seen.seeds != 1)}"
    text = f"no interval {seeds}" if seen.half_width is None else f"±{100 * seen.half_width:.1f} {seeds}"
    if seen.narrow(points / 100):
        return text
    if seen.needed is not None and seen.half_width is not None:
        text += f"; ±{points:g} needs about {max(seen.needed, resolve.FIRST)}"
    if seen.coming > seen.seeds:
        text += f": adding {_numbers(pair, seen.coming)}"
        text += "" if seen.half_width is not None else f", as fewer than {resolve.FIRST} do not tell a spread"
    elif seen.needed is None:
        text += f"; its {seen.networks} networks keep it wider than ±{points:g} whatever the seeds, so none are added"
    else:
        text += f", and at most {MOST} are run"
    return text + _on_networks(seen, points, price)


def _numbers(pair: Pair, coming: int) -> str:
    """The seeds that a pair gets, as ``seeds 3 to 5``."""
    new = [planned.cell.seed for row in (pair.first, pair.second) for planned in _more(row, coming)]
    first, last = min(seed for seed in new if seed is not None), max(seed for seed in new if seed is not None)
    return f"seed {first}" if first == last else f"seeds {first} to {last}"


def _on_networks(seen: Look, points: float, price: Price) -> str:
    """How many networks a set would be cheapest, and what the protocol's number costs more."""
    if seen.spread is None or seen.networks < 2 or seen.seeds < resolve.FIRST:
        return ""
    best = resolve.cheapest(seen.spread, price, points / 100)
    ours = resolve.design(seen.spread, price, points / 100, seen.networks)
    if best is None:
        return ""
    if ours is None:
        return f" ({best.networks} networks a set and {best.seeds} seeds would do)"
    saved = 1 - best.seconds / ours.seconds if ours.seconds else 0.0
    if saved < _WORTH_SAYING:
        return f" (the protocol's {seen.networks} networks a set are about the cheapest number)"
    return f" ({best.networks} networks a set, not the protocol's {seen.networks}, would take {100 * saved:.0f} % less time)"


def _sum(one: Price, other: Price) -> Price:
    return Price(one.seed + other.seed, one.network + other.network)
