"""How long planned cells may take: arithmetic, scaled by what recorded cells took, and what cells share counted once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

from bench.api import Geometry, Method, Workload
from bench.core import config, temporal
from bench.core.errors import BenchError
from bench.nets.flops import flops
from bench.results.records import PhaseCost, Record
from bench.running.plan.work import Work, passes

if TYPE_CHECKING:
    from bench.plugins import Registries
    from bench.running.plan.plan import PlannedCell

# Nominal speed before any record exists: floating-point operations per second of a core.
FLOPS_PER_CORE = 4e10


@final
class Experience:
    """What recorded cells took for each operation, as medians over like ones.

    Judging: over records of the same profile, network and method, else of the same profile and network, else of the same profile.
    Learning: over those of the same profile and method, which also say what shared artefacts a method has; else of the same
    profile. Without any `FLOPS_PER_CORE`, and what methods say that they share, in equal parts.

    Args:
        registries: all parts.
        threads: that each cell will have on a CPU. CPU time is what counts there, as other work on a machine does not change it.
    """

    def __init__(self, registries: Registries, threads: int) -> None:
        self._registries = registries
        self._threads = threads
        self._rates: dict[tuple[str, ...], list[float]] = {}
        self._artefacts: dict[tuple[str, str], dict[str, None]] = {}
        self._known: dict[str, Work | None] = {}

    def learn(self, record: Record) -> None:
        """Takes in a record; those of unfinished cells, and of parts that are not here, say nothing."""
        work = self._work(record) if record.status == "ok" else None
        if work is None:
            return
        cell = record.cell
        device = str(record.provenance.get("device", "cpu"))

        def seconds(cost: PhaseCost | None) -> float:
            if cost is None:
                return 0.0
            return cost.device_seconds / self._threads if device == "cpu" else cost.wall_seconds

        def note(took: float, operations: float, *keys: tuple[str, ...]) -> None:
            for key in keys if operations > 0 and took > 0 else ():
                self._rates.setdefault(key, []).append(took / operations)

        judging = seconds(record.costs.get("evaluate")) + seconds(record.costs.get("probe"))
        kind = ("judging", cell.profile, cell.judge(), cell.method)
        note(judging, work.judging, kind, kind[:3], kind[:2])
        distil, learning = seconds(record.costs.get("distil")), work.real + work.learned
        note(distil + seconds(record.costs.get("upstream")), learning, ("learning", cell.profile))
        own = ("learning", cell.profile, cell.method)
        artefacts = {name: PhaseCost(**cost) for name, cost in record.data.get("upstream", {}).items()}
        note(distil, work.learned if artefacts else learning, own)
        for name, cost in artefacts.items():
            self._artefacts.setdefault((cell.profile, cell.method), {})[name] = None
            note(seconds(cost), work.real, ("artefact", *own[1:], name))

    def seconds(self, cells: Iterable[PlannedCell]) -> dict[str, float]:
        """Seconds that each cell may take, by id, if they run in this order.

        An artefact is made by the first cell that needs it; a later one takes for it what it needs beyond that.
        """
        made: dict[tuple[object, ...], float] = {}
        by_id: dict[str, float] = {}
        for planned in cells:
            cell, work = planned.cell, planned.work
            cell_id = cell.id()
            if cell_id in by_id:
                continue
            kind = ("judging", cell.profile, cell.judge(), cell.method)
            took = work.judging * self._rate(kind, kind[:3], kind[:2])
            own = ("learning", cell.profile, cell.method)
            recorded = self._artefacts.get((cell.profile, cell.method), {})
            artefacts = recorded or dict.fromkeys(self._registries.methods.get(cell.method).shares)
            if artefacts:
                took += work.learned * self._rate(own, own[:2])
            else:
                took += (work.real + work.learned) * self._rate(own, own[:2])
            for name in artefacts:
                key = (name, *_shared_by(planned))
                real = work.real if recorded else work.real / len(artefacts)
                needed = real * self._rate(("artefact", *own[1:], name))
                took += max(0.0, needed - made.get(key, 0.0))
                made[key] = max(needed, made.get(key, 0.0))
            by_id[cell_id] = took
        return by_id

    def _rate(self, *keys: tuple[str, ...]) -> float:
        """Seconds an operation, by the first key that is known."""
        for key in keys:
            if key in self._rates:
                rates = sorted(self._rates[key])
                return rates[len(rates) // 2]
        return 1 / (FLOPS_PER_CORE * self._threads)

    def _work(self, record: Record) -> Work | None:
        """Operations of a recorded cell; None where its parts are not here, or have changed."""
        data = record.data
        key = json.dumps([{**vars(record.cell), "seed": None}, *map(data.get, ("classes", "train", "test"))])
        if key not in self._known:
            try:
                self._known[key] = _recorded_work(record, self._registries)
            except (BenchError, KeyError, TypeError, ValueError, ArithmeticError):
                self._known[key] = None
        return self._known[key]


def _recorded_work(record: Record, registries: Registries) -> Work:
    cell, data = record.cell, record.data
    method_type = registries.methods.get(cell.method)
    method: Method[Any] = method_type(config.build(method_type.Config, cell.config, cell.method))
    protocol = registries.protocols.get(cell.protocol.partition("/")[0])
    geometry = Geometry(**cell.geometry)
    setting = temporal.parse(cell.setting, geometry.frames)
    clip, classes = geometry.shape(), int(data["classes"])
    work = Workload(classes, int(data["train"]), cell.ipc or 1, clip, setting, geometry.views)
    learning, judging = (flops(registries.networks.get(name)(), classes, clip) for name in (cell.network, cell.judge()))
    return passes(method, work, protocol, int(data["test"])).times(learning, judging)


def _shared_by(planned: PlannedCell) -> tuple[object, ...]:
    """What an artefact depends on, as far as a plan knows it: data, network, seed, and how much of the real clips is seen."""
    cell, setting = planned.cell, planned.setting
    frames = planned.geometry.frames
    seen = None if setting.n_real >= frames else (setting.n_real, setting.segments, setting.interpolation)
    return (
        cell.fingerprint, tuple(cell.geometry.values()), cell.judged_on, cell.network, cell.precision, cell.seed, seen
    )  # fmt: skip


def threads(jobs: int | None) -> int:
    """Threads that each cell will have on this machine's CPU, as far as that is known without torch; ``jobs`` run at a time."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    cores = os.cpu_count() or 1
    return max(1, (min(cores, int(limit)) if limit.isdecimal() and int(limit) else cores) // (jobs or 1))


def elapsed(seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until cells are done that take so long each, so many at a time; never less than the longest."""
    return max(sum(seconds.values()) / max(1, workers), max(seconds.values(), default=0.0))
