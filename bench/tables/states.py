"""States of a method's code: its version, and of a plugin also its source. A table shows the newest one, unless asked for all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import final

from bench.results.records import Record


@final
@dataclass(frozen=True, order=True)
class State:
    """What tells one state of a method's code from another.

    Attributes:
        version: of the method.
        plugin: digest of what its source means, "" for a method of the suite.
    """

    version: int
    plugin: str = ""

    def label(self) -> str:
        """The state in a few words, for people."""
        return f"source {self.plugin[:7]}" if self.plugin else f"version {self.version}"


def state_of(record: Record) -> State:
    """The state that a record was made in."""
    return State(record.cell.version, record.cell.plugins.get("method", ""))


def source_of(records: Collection[Record]) -> str | None:
    """The digest of the source that the newest of some records was made by; of records that do not say it, a plugin's digest."""
    sources = [
        (str(record.provenance.get("ended", "")), str(record.provenance.get("source", ""))) for record in records
    ]
    return max(sources)[1] or next(state_of(record).plugin for record in records) or None


def newest(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """The records of the newest state of each method, and remarks on what was left out.

    The highest version is the newest; of a plugin's sources the one that ran last. A state without a finished cell stands back
    behind one that has any: a typing error does not make a row vanish.
    """
    by_method: defaultdict[str, defaultdict[State, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        by_method[record.cell.method][state_of(record)].append(record)
    current = {method: max(states, key=_age(states)) for method, states in by_method.items()}
    return (
        [record for record in records if state_of(record) == current[record.cell.method]],
        [
            _left_out(method, [r for state, made in states.items() if state != current[method] for r in made])
            for method, states in sorted(by_method.items())
            if len(states) > 1
        ],
    )


def _age(states: dict[State, list[Record]]) -> Callable[[State], tuple[bool, int, str, str]]:
    """The order of the states of one method, the newest last."""

    def key(state: State) -> tuple[bool, int, str, str]:
        records = states[state]
        has_figures = any(record.status == "ok" and record.evaluations for record in records)
        ended = max(str(record.provenance.get("ended", "")) for record in records)
        return has_figures, state.version, ended, state.plugin

    return key


def _left_out(method: str, records: Sequence[Record]) -> str:
    several = "s" * (len(records) > 1)
    if all(record.status != "ok" for record in records):
        return f"{method}: {len(records)} unfinished cell{several} of another version of its source left out"
    return (
        f"{method}: {len(records)} cell{several} of another version or source left out (table --all-versions shows all)"
    )


def about_sources(records: Iterable[Record]) -> list[str]:
    """Where the records of one version of a method were made by different states of its source.

    A version says that results are the same; whoever doubts it finds here where to look. What a plugin's source means is part
    of its cells, so there is nothing to say of plugins.
    """
    sources: defaultdict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for record in records:
        source = record.provenance.get("source")
        if source and not record.cell.plugins:
            sources[record.cell.method, record.cell.version][str(source)[:7]] += 1
    return [
        f"{method}: version {version} was run from {len(counts)} states of its source: "
        + ", ".join(f"{source} ({count} cell{'s' * (count > 1)})" for source, count in sorted(counts.items()))
        for (method, version), counts in sorted(sources.items())
        if len(counts) > 1
    ]
