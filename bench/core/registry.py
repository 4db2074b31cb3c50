"""One generic, typed registry: names are unique, an unknown name is answered with the close ones and all valid ones."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from bench.core.errors import BenchError

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """Where an entry comes from.

    Attributes:
        where: what to show a person: a module, a file as given, or ``package version`` of a distribution.
        source: SHA-256 of the source that the entry's behaviour depends on: provenance.
        meaning: SHA-256 of what that source means, part of the identity of every cell that uses the entry; None for the
            suite's own entries, whose versions say when their results change.
        module: the name of the module that defines the entry.
    """

    where: str
    source: str
    meaning: str | None = None
    module: str = ""


@dataclass(frozen=True)
class Unavailable:
    """A plugin that could not be imported."""

    name: str
    where: str
    reason: str


class Registry(Generic[T]):
    """Entries of one kind (methods, datasets, networks, protocols) by name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[T, Origin]] = {}
        self._unavailable: dict[str, Unavailable] = {}
        self._later: Callable[[], Registry[T]] | None = None

    def add(self, name: str, entry: T, origin: Origin) -> None:
        """Registers ``entry``.

        Raises:
            BenchError: the name is taken; the message shows both origins.
        """
        if name in self._entries:
            raise BenchError(
                f"{self.kind} '{name}' is defined twice: in {self.origin(name).where} and in {origin.where}; rename one of them"
            )
        self._entries[name] = (entry, origin)

    def add_unavailable(self, plugin: Unavailable) -> None:
        """Remembers a plugin that could not be imported, so that asking for it says why."""
        self._unavailable[plugin.name] = plugin

    def add_later(self, rest: Callable[[], Registry[T]]) -> None:
        """Has ``rest`` called once, when a name is asked for that is not registered by then; its entries are added."""
        self._later = rest

    def get(self, name: str) -> T:
        """The entry of that name.

        Raises:
            BenchError: unknown; the message lists close matches and all valid names.
        """
        if name not in self._entries and self._later is not None:
            rest, self._later = self._later(), None
            self._entries = {**rest._entries, **self._entries}
            self._unavailable = {**rest._unavailable, **self._unavailable}
        if name in self._entries:
            return self._entries[name][0]
        if name in self._unavailable:
            plugin = self._unavailable[name]
            raise BenchError(f"{self.kind} '{name}' ({plugin.where}) is unavailable: {plugin.reason}")
        close = difflib.get_close_matches(name, self._entries, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise BenchError(f"unknown {self.kind} '{name}'{hint} (valid: {', '.join(sorted(self._entries))})")

    def origin(self, name: str) -> Origin:
        """Where the entry comes from."""
        self.get(name)
        return self._entries[name][1]

    def names(self) -> tuple[str, ...]:
        """All names, in order of registration."""
        return tuple(self._entries)

    def unavailable(self) -> tuple[Unavailable, ...]:
        """The plugins that could not be imported."""
        return tuple(self._unavailable.values())

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return ((name, entry) for name, (entry, _) in self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)
