"""Cells that other processes work on: waited for, and taken back when their owner dies or falls silent."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import final

from bench.results import claims
from bench.results.claims import Claim, Claims, Sighting, is_free
from bench.results.records import Record, RecordStore
from bench.running.engines.engine import Emit, Order, ended_elsewhere
from bench.running.engines.events import CellFinished, CellLog


@final
class Watch:
    """The orders whose cells others hold.

    Args:
        out: folder of results.
        clock: seconds that no setting of a clock changes. Silence is measured here, by what is seen to change: clocks of
            machines need not agree.
    """

    def __init__(self, out: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._claims = Claims(out)
        self._store = RecordStore(out)
        self._clock = clock
        self._orders: dict[str, Order] = {}
        self._seen: dict[str, tuple[Sighting, float]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: Order) -> None:
        """Takes in a cell that somebody else works on."""
        self._orders[order.id()] = order

    def look(self) -> tuple[list[Record], list[Order]]:
        """What has changed: records of cells that ended, and orders whose cells are free to be run again."""
        ended: list[Record] = []
        free: list[Order] = []
        for cell_id, order in list(self._orders.items()):
            holder = self._claims.holder(cell_id)  # before the record: it is written before the claim goes
            record = self._store.read(cell_id)
            if record is not None and ended_elsewhere(record, order):
                ended.append(record)
            elif holder is None or is_free(holder, self._silent(cell_id, holder)):
                silent = None if holder is None else holder.sighting()
                free.append(dataclasses.replace(order, silent=silent))
            else:
                continue
            del self._orders[cell_id]
        return ended, free

    def _silent(self, cell_id: str, holder: Claim) -> Sighting | None:
        """The claim, if it has not changed for too long."""
        now = self._clock()
        sighting = holder.sighting()
        seen, since = self._seen.get(cell_id, (None, now))
        if seen != sighting:
            self._seen[cell_id] = (sighting, now)
            return None
        return sighting if now - since >= claims.SILENT_SECONDS else None


def who(holder: Claim | None) -> str:
    """The line for a cell that is waited for."""
    if holder is None:
        return "another process worked on it"
    return f"process {holder.owner.pid} on {holder.owner.host} works on it; waiting for that"


def wait_for(order: Order, holder: Claim | None, watch: Watch, emit: Emit) -> None:
    """Takes in a cell that ``holder`` works on (None: that ended meanwhile), and says so."""
    watch.add(order)
    emit(CellLog(order.id(), who(holder)))


def look(watch: Watch, emit: Emit) -> list[Order]:
    """Tells of cells that others have finished; returns those that are free again."""
    finished, free = watch.look()
    for record in finished:
        emit(CellFinished(record))
    return free
