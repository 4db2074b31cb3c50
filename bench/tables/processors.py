"""On which kinds of processor figures were computed. The same cell has the same figures on two of a kind, and others on another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from bench.results.records import Record


def processors_of(record: Record) -> tuple[str, ...]:
    """The kinds of processor that worked on a cell, in order; none for a record of before this was written down."""
    return tuple(record.provenance.get("processors", ()))


def mixed(records: Iterable[Record]) -> Mapping[str, list[Record]]:
    """The records by the kinds of processor that worked on them; empty unless several kinds did. Unknown ones do not count."""
    by_kind: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        for kind in processors_of(record):
            by_kind[kind].append(record)
    return by_kind if len(by_kind) > 1 else {}
