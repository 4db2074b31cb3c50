"""Estimates how long planned cells take, from their operations and the speed of recorded cells. Counts shared work once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, final

from bench.api import Geometry, Method, Workload
from bench.core import config, temporal
from bench.core.apart import Faulty
from bench.core.errors import BenchError
from bench.nets.flops import flops
from bench.results.cells import Cell
from bench.results.records import PhaseCost, Record
from bench.running.asking import ask
from bench.running.plan.work import Work, passes

if TYPE_CHECKING:
    from bench.plugins import Registries
    from bench.running.plan.plan import PlannedCell

# The assumed speed before there are any records: floating-point operations per second of a core.
FLOPS_PER_CORE = 4e10


@final
class Experience:
    """How long recorded cells took per operation, as medians over similar cells.

    For judging, these are records with the same profile, network and method, or else the same profile and network, or else the
    same profile. For learning, they have the same profile and method, and also show which artefacts the method shares; or else
    they have the same profile. Without such records, the speed is `FLOPS_PER_CORE`, and the artefacts in ``Method.shares`` are
    assumed to take equal parts.

    Args:
        registries: all parts.
        threads: how many threads each cell has on a CPU. CPU time is what counts there, because other work on the machine
            does not change it.
    """

    def __init__(self, registries: Registries, threads: int) -> None:
        self._registries = registries
        self._threads = threads
        self._rates: dict[tuple[str, ...], list[float]] = {}
        self._artefacts: dict[tuple[str, str], dict[str, None]] = {}
        self._known: dict[str, Work | None] = {}

    def learn(self, record: Record) -> None:
        """Learns from a record. Ignores unfinished cells, and cells whose parts are not loaded."""
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
        """The seconds that each cell may take, by id, if they run in this order.

        The first cell that needs an artefact makes it. A later cell that needs more of it takes only the additional time.
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
        """Seconds per operation, from the first key that has records."""
        for key in keys:
            if key in self._rates:
                rates = sorted(self._rates[key])
                return rates[len(rates) // 2]
        return 1 / (FLOPS_PER_CORE * self._threads)

    def _work(self, record: Record) -> Work | None:
        """Operations of a recorded cell; None if its parts are not loaded or have changed."""
        data = record.data
        probes = "probe" in record.costs
        key = json.dumps([{**vars(record.cell), "seed": None}, *map(data.get, ("classes", "train", "test")), probes])
        if key not in self._known:
            try:
                modules = self._registries.plugin_modules(
                    method=record.cell.method, network=record.cell.network, evaluation_network=record.cell.judge(),
                    protocol=record.cell.protocol.partition("/")[0],
                )  # fmt: skip
                sizes = int(data["classes"]), int(data["train"]), int(data["test"])
                self._known[key] = ask(self._registries, modules, _recorded_work, record.cell, *sizes, probes)
            except (BenchError, Faulty, KeyError, TypeError, ValueError, ArithmeticError):
                self._known[key] = None
        return self._known[key]


def _recorded_work(registries: Registries, cell: Cell, classes: int, train: int, test: int, probes: bool) -> Work:
    method_type = registries.methods.get(cell.method)
    method: Method[Any] = method_type(config.build(method_type.Config, cell.config, cell.method))
    protocol = registries.protocols.get(cell.protocol.partition("/")[0])
    geometry = Geometry(**cell.geometry)
    setting = temporal.parse(cell.setting, geometry.frames)
    clip = geometry.shape()
    work = Workload(classes, train, cell.ipc or 1, clip, setting, geometry.views)
    learning, judging = (flops(registries.networks.get(name)(), classes, clip) for name in (cell.network, cell.judge()))
    return passes(method, work, protocol, test, probes).times(learning, judging)


def _shared_by(planned: PlannedCell) -> tuple[object, ...]:
    """What an artefact depends on, as far as a plan knows: data, network, seed, and which frames of real clips are seen."""
    cell, setting = planned.cell, planned.setting
    frames = planned.geometry.frames
    seen = None if setting.n_real >= frames else (setting.n_real, setting.segments, setting.interpolation)
    return (
        cell.fingerprint, tuple(cell.geometry.values()), cell.judged_on, cell.network, cell.precision, cell.seed, seen
    )  # fmt: skip


def threads(jobs: int | None) -> int:
    """How many threads each cell will probably have on this machine's CPU if ``jobs`` run at a time. Needs no torch."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    limit = int(given) if given.isdecimal() and len(given) < 10 else 0
    cores = os.cpu_count() or 1
    return max(1, (min(cores, limit) if limit else cores) // (jobs or 1))


def elapsed(seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until all cells are done if ``workers`` run at a time; never less than the longest cell takes."""
    return max(sum(seconds.values()) / max(1, workers), max(seconds.values(), default=0.0))
