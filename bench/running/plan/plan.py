"""The plan of a run: its cells, what each will store and cost, and which ones a method declines. Pure; needs no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.api import ClipIndex, Dataset, Geometry, Method, Network, Profile, Start, Workload
from bench.core import config, temporal
from bench.core.apart import Faulty
from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.precision import Precision
from bench.core.storage import PLAIN, Storage
from bench.core.temporal import TemporalSetting
from bench.core.traces import Fault, fault
from bench.distill.fitting import does_not_fit, largest
from bench.nets.flops import flops
from bench.plugins import Registries
from bench.results.cells import Cell
from bench.running.asking import ask
from bench.running.options.options import JudgedOn
from bench.running.options.request import Request
from bench.running.plan.budget import needed_bytes, stores_float32
from bench.running.plan.controls import start_of
from bench.running.plan.planned_dataset import DataSize, PlannedDataset, plan_datasets, profile_with
from bench.running.plan.presets import borrowed, resolve_config
from bench.running.plan.work import Work, passes

MOST_CELLS = 100_000
"""How many cells one run may have, without starts."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell, and what is known about it before it runs.

    Attributes:
        cell: its identity.
        dataset, index, geometry: the data it needs.
        written: the data set with its options, as a user writes it.
        size: how much data that is.
        setting: its temporal setting.
        stored_bytes: the bytes its set will take; an upper limit if there is a storage codec or a budget.
        clip_passes: passes of single clips through networks, in distilling and evaluating.
        work: floating-point operations of these passes.
        declined: why its method or network cannot do it, or None.
        shared: whether other cells of the plan may have the same set (`Cell.distillation`).
        modules: of the plugins that its parts come from.
        fault: what a plugin did wrong when the cell was planned, or None. The cell then fails without being run.
        start: the method and hyper-parameters that make the set that this one starts from; None if nothing is learned.
        probes: whether its networks are also judged under temporal probes, and trained on the set with its time frozen.
        trial: the hyper-parameters that it tries, as text, if it is a trial of a search.
        borrowed: which of its hyper-parameters are those of another dataset or IPC, in a sentence; empty if none is.
        added: whether nobody asked for its seed: `--resolve` added it.
    """

    cell: Cell
    dataset: Dataset[Any]
    index: ClipIndex
    geometry: Geometry
    written: str
    size: DataSize
    setting: temporal.TemporalSetting
    stored_bytes: int
    clip_passes: float
    work: Work
    declined: str | None
    shared: bool = False
    modules: frozenset[str] = frozenset()
    fault: Fault | None = None
    start: Start | None = None
    probes: bool = True
    trial: str = ""
    borrowed: str = ""
    added: bool = False

    def told(self) -> dict[str, Any]:
        """What its record says of it (`Record.data`), however the cell ends."""
        told: dict[str, Any] = {"written": self.written}
        if self.added:
            told["added"] = True
        if self.borrowed:
            told["borrowed"] = self.borrowed
        return told

    def title(self) -> str:
        """Describes the cell in one line, with the options of its data set."""
        title = self.cell.title(self.written)
        return f"{title} · trial of {self.trial}" if self.trial else title

    @property
    def flops(self) -> float:
        """The sum of ``work``."""
        return self.work.total()


@dataclass(frozen=True)
class _Point:
    """A point of the grid over one dataset, as it was asked for.

    Attributes:
        method: the method's name.
        values: hyper-parameters that were given.
        exact: whether these are all, without presets and defaults.
        setting, ipc, budget, storage, seed, precision: the coordinates; ``ipc`` follows from a budget, if there is one.
        net: the judging network, or None for the profile's.
        probes: see `PlannedCell`.
    """

    method: str
    values: Mapping[str, Value]
    exact: bool
    setting: TemporalSetting
    ipc: int
    budget: int | None
    storage: Storage
    seed: int
    precision: Precision
    net: str | None
    probes: bool = True


def plan(request: Request, registries: Registries, mistakes: Mistakes | None = None) -> list[PlannedCell]:
    """All cells of a request, each once, dataset by dataset.

    Args:
        request: what was asked for.
        registries: all parts.
        mistakes: the mistakes found so far. They are reported together with those found here.

    Raises:
        BenchError: something that was asked for does not exist or does not fit.
        MissingData: a dataset is not there.
    """
    cells: dict[str, PlannedCell] = {}
    distilled: set[str] = set()
    shared = len(request.nets) > 1
    datasets = plan_datasets(request, registries, Mistakes() if mistakes is None else mistakes)
    _check_size(request, registries, datasets)
    for data, settings in datasets:
        for first, again in _planned_points(request, registries, data, settings):
            uses_seed = registries.methods.get(first.cell.method).uses_seed
            for seed in request.seeds if uses_seed else (None,):  # all else is the same
                cell = first.cell if seed == first.cell.seed else replace(first.cell, seed=seed)
                planned = first
                if shared:
                    set_id = cell.distillation().id()
                    planned = again if set_id in distilled else first
                    distilled.add(set_id)
                cells.setdefault(cell.id(), replace(planned, cell=cell, shared=shared))
    return list(cells.values())


def _check_size(
    request: Request, registries: Registries, datasets: Sequence[tuple[PlannedDataset, Sequence[TemporalSetting]]]
) -> None:
    """Refuses a grid so large that planning alone would take the time and memory of a run.

    Raises:
        BenchError: it is.
    """
    runs = sum(len(request.seeds) if registries.methods.get(name).uses_seed else 1 for name in request.methods)
    settings = sum(len(settings) for _, settings in datasets)
    points = settings * max(1, len(request.nets)) * len(request.budgets or request.ipcs) * len(request.storages)
    if runs * points > MOST_CELLS:
        raise BenchError(
            f"the grid has up to {runs * points:,} cells (at most {MOST_CELLS:,} in one run); ask for fewer methods, seeds or settings"
        )


def variant(
    planned: PlannedCell, registries: Registries, values: Mapping[str, Value], seed: int | None, judged_on: JudgedOn,
    probes: bool | None = None,
) -> PlannedCell:  # fmt: skip
    """The cell that would be planned with other hyper-parameters, another seed and split, and with or without probes.

    Raises:
        BenchError: its method's config refuses the values.
    """
    cell = planned.cell
    profile = profile_with(registries.profiles.get(cell.profile), cell.protocol.partition("/")[0])
    data = PlannedDataset(planned.dataset, planned.index, planned.geometry, profile, judged_on, planned.written)
    point = _Point(
        cell.method, {**cell.config, **values}, True, planned.setting, cell.ipc or 1, cell.budget, cell.storage,
        seed or 0, cell.precision, cell.evaluation_network, planned.probes if probes is None else probes,
    )  # fmt: skip
    return replace(_plan_cell(registries, data, point)[0], added=planned.added)


# ----------------------------------------------------------------------------------------------------------------------
# Points


def _planned_points(
    request: Request, registries: Registries, data: PlannedDataset, settings: list[TemporalSetting]
) -> Iterator[tuple[PlannedCell, PlannedCell]]:
    """The cells of `_points` (see `_plan_cell`), and after each learned one, if they are asked for, its start."""
    for point in _points(request, registries, data, settings):
        pair = _plan_cell(registries, data, point)
        yield pair
        learned = pair[0]
        if request.controls and learned.start is not None:
            control, cell = learned.start, learned.cell
            ipc = point.ipc if cell.ipc is None else cell.ipc
            yield _plan_cell(
                registries, data, replace(point, method=control.method, values=control.values, exact=True, ipc=ipc)
            )


def _points(
    request: Request, registries: Registries, data: PlannedDataset, settings: list[TemporalSetting]
) -> Iterator[_Point]:
    """The points over one dataset, for the first of the seeds."""
    amounts = request.budgets or request.ipcs
    profile = data.profile
    axes = itertools.product(settings, request.nets or (profile.network,), amounts, request.storages, request.methods)
    for setting, net, amount, storage, name in axes:
        ipc, budget = (1, amount) if request.budgets else (amount, None)
        judge = None if net == profile.network else net
        values = request.overrides.get(name, {})
        yield _Point(name, values, False, setting, ipc, budget, storage, request.seeds[0], request.precision, judge,
                     request.probes)  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------------
# One cell


def _plan_cell(registries: Registries, data: PlannedDataset, point: _Point) -> tuple[PlannedCell, PlannedCell]:
    """The cell of a point, and the same cell for when another one has already distilled its set."""
    modules = _modules(registries, data, point)
    settled = _Settled(dict(point.values), point.setting, point.ipc, point.budget, point.storage)
    wrong = data.fault
    if wrong is None:
        try:
            settled = ask(registries, modules, _settle, data.size, data.profile, point)
        except Faulty as error:
            wrong = replace(error.fault, reason=f"when it was planned: {error.fault.reason}")
    planned = PlannedCell(
        cell=_cell(registries, data, point, settled),
        dataset=data.dataset,
        index=data.index,
        geometry=data.geometry,
        written=data.written,
        size=data.size,
        setting=settled.setting,
        stored_bytes=settled.stored_bytes,
        clip_passes=settled.passing.total(),
        work=settled.operations,
        declined=settled.declined,
        modules=modules,
        fault=wrong,
        start=settled.start,
        probes=point.probes,
        borrowed=settled.borrowed,
    )
    judging = Work(judging=settled.operations.judging)
    return planned, replace(planned, clip_passes=settled.passing.judging, work=judging)


def _modules(registries: Registries, data: PlannedDataset, point: _Point) -> frozenset[str]:
    """The modules of plugins that the parts of a cell come from."""
    profile, name = data.profile, data.dataset.name
    return registries.plugin_modules(
        method=point.method,
        dataset=name if name in registries.datasets.names() else None,
        profile=profile.name,
        protocol=profile.protocol,
        network=profile.network,
        frame_network=profile.frame_network,
        evaluation_network=point.net,
    )


def _cell(registries: Registries, data: PlannedDataset, point: _Point, settled: _Settled) -> Cell:
    method = registries.methods.get(point.method)
    protocol = registries.protocols.get(data.profile.protocol)
    return Cell(
        method=point.method,
        version=method.version if type(method.version) is int else 0,
        config=settled.config,
        dataset=data.index.dataset,
        fingerprint=data.index.fingerprint,
        geometry=asdict(data.geometry),
        profile=data.profile.name,
        network=data.profile.network,
        protocol=f"{protocol.name}/{protocol.version}",
        ipc=settled.ipc if method.uses_ipc else None,
        setting=str(settled.setting),
        seed=point.seed if method.uses_seed else None,
        judged_on=data.judged_on,
        budget=settled.budget,
        storage=settled.storage,
        evaluation_network=point.net,
        precision=point.precision,
        plugins=registries.meanings(
            method=point.method,
            network=data.profile.network,
            frame_network=data.profile.frame_network,
            evaluation_network=point.net,
            protocol=data.profile.protocol,
        ),
    )


# ----------------------------------------------------------------------------------------------------------------------
# What only the parts themselves can say


@dataclass(frozen=True)
class _Settled:
    """What the parts of a point say of it.

    Attributes:
        config: all hyper-parameters.
        setting, ipc, budget, storage: the coordinates, with defaults for everything that makes no difference to the method.
        declined, stored_bytes, passing, operations: see `PlannedCell`; the last two are passes and their operations.
        start, borrowed: see `PlannedCell`.
    """

    config: dict[str, Value]
    setting: TemporalSetting
    ipc: int
    budget: int | None
    storage: Storage
    declined: str | None = None
    stored_bytes: int = 0
    passing: Work = field(default_factory=Work)
    operations: Work = field(default_factory=Work)
    start: Start | None = None
    borrowed: str = ""


class _WrongValues(BenchError):
    """Hyper-parameters that the user gave, and that the method refuses."""


def _settle(registries: Registries, data: DataSize, profile: Profile, point: _Point) -> _Settled:
    """Asks the parts of a point.

    Raises:
        BenchError: the hyper-parameters that were given are wrong.
        Faulty: a part raises one where it must not. Whatever else a part raises is passed on.
    """
    try:
        return _asked(registries, data, profile, point)
    except _WrongValues as error:
        raise BenchError(str(error)) from error
    except BenchError as error:
        if registries.debug:
            raise RuntimeError(str(error)) from error
        raise Faulty(fault(error)) from error


def _asked(registries: Registries, data: DataSize, profile: Profile, point: _Point) -> _Settled:
    """See `_settle`.

    Raises:
        BenchError: a part gives something that its contract rules out; `_WrongValues`: the user did.
    """
    kind, protocol = registries.methods.get(point.method), registries.protocols.get(profile.protocol)
    for part in (kind, protocol):
        if type(part.version) is not int:
            raise BenchError(f"the version of {part.name} is {part.version!r}; needed is a whole number")
    ipc = point.ipc if point.budget is None or point.exact else _fitting(kind, data, profile, point)
    method = kind(_config(kind, data, profile, point, ipc))
    setting, budget, storage = point.setting, point.budget, point.storage
    if not method.uses_ipc:  # one cell serves every budget and every setting
        setting, budget, storage = temporal.dense(data.geometry.frames), None, PLAIN
    if storage != PLAIN and not stores_float32(method):
        storage = PLAIN
    values = _plain(method.config)
    label, given = point.setting.label(data.geometry.frames), () if point.exact else point.values
    told = borrowed(kind, profile.name, data.name, ipc, label, values, given)
    settled = _Settled(values, setting, ipc, budget, storage, start=start_of(method, registries), borrowed=told)
    network = registries.networks.get(profile.network)()
    judge = network if point.net is None else registries.networks.get(point.net)()
    work = data.workload(setting, ipc)
    declined = _declines(method, work, network, judge)
    if declined is not None:
        return replace(settled, declined=declined)
    # A method that fills its budget takes all of it.
    stored = budget if method.fills_budget and budget is not None else needed_bytes(method, work, storage)
    if budget is not None and stored > budget:
        return replace(settled, declined=does_not_fit(point.method, stored, budget))
    passing = passes(method, work, protocol, data.tested, point.probes)
    operations = passing.times(flops(network, work.classes, work.clip), flops(judge, work.classes, work.clip))
    if not math.isfinite(operations.total()) or operations.total() < 0:
        raise BenchError(f"flops() or the protocol's recipe gives {operations.total()} operations; needed is 0 or more")
    return replace(settled, stored_bytes=stored, passing=passing, operations=operations)


def _config(kind: type[Method[Any]], data: DataSize, profile: Profile, point: _Point, ipc: int) -> Any:
    """The hyper-parameters of a point.

    Raises:
        BenchError: they are wrong; `_WrongValues` if some of them were given.
    """
    setting = point.setting.label(data.geometry.frames)
    try:
        if point.exact:
            return config.build(kind.Config, point.values, point.method)
        return resolve_config(kind, profile.name, data.name, ipc, setting, point.values)
    except BenchError as error:
        raise (_WrongValues(str(error)) if point.values else error) from error


def _plain(built: Any) -> dict[str, Value]:
    """The hyper-parameters as they stand in a cell.

    Raises:
        BenchError: they are not plain values.
    """
    values = config.as_dict(built)
    for name, value in values.items():
        if not (value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))):
            raise BenchError(f"the hyper-parameter {name} is {value!r}; needed is a plain, finite value")
    return values


def _fitting(kind: type[Method[Any]], data: DataSize, profile: Profile, point: _Point) -> int:
    """The most clips per class that a method can store in a budget, up to the size of the largest class; at least 1.

    Hyper-parameters may depend on IPC, so each number of clips is tried with its own.
    """
    budget, most = point.budget or 0, data.largest
    if kind.fills_budget or not kind.uses_ipc:
        return most
    work = data.workload(point.setting, 1)

    def fits(ipc: int) -> bool:
        method = kind(_config(kind, data, profile, point, ipc))
        return needed_bytes(method, replace(work, ipc=ipc), point.storage) <= budget

    return max(1, largest(most, fits))


def _declines(method: Method[Any], work: Workload, network: Network, judge: Network) -> str | None:
    """Why the method, its network or the judging network cannot do the work; None if they can.

    Raises:
        BenchError: one of them gives neither a text nor None.
    """
    declined = method.declines(work)
    if declined is None and (work.setting.segments > 1 or method.clip_passes(work) > 0):  # it learns with the network
        declined = network.declines(replace(work.clip, frames=work.clip.frames // work.setting.segments))
    if declined is None:
        declined = judge.declines(work.clip)
    if not (declined is None or (isinstance(declined, str) and declined.strip())):
        raise BenchError(f"declines() gives {declined!r}; needed is a reason or None")
    return declined
