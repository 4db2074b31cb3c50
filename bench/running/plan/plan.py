"""The plan of a run: its cells, what each will store and cost, and which ones a method declines. Pure; needs no torch."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.api import ClipIndex, Dataset, Geometry, Method, Network, Workload
from bench.core import config, temporal
from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.precision import Precision
from bench.core.storage import PLAIN, Storage
from bench.core.temporal import TemporalSetting
from bench.data.clip_table import per_class
from bench.distill.fitting import does_not_fit, largest
from bench.nets.flops import flops
from bench.plugins import Registries
from bench.results.cells import Cell
from bench.running.options.options import JudgedOn
from bench.running.options.request import Request
from bench.running.plan.budget import needed_bytes, stores_float32
from bench.running.plan.controls import start_of
from bench.running.plan.planned_dataset import PlannedDataset, plan_datasets, profile_with
from bench.running.plan.presets import resolve_config
from bench.running.plan.work import Work, passes

MOST_CELLS = 100_000
"""How many cells one run may have."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell, and what is known about it before it runs.

    Attributes:
        cell: its identity.
        dataset, index, geometry: the data it needs.
        setting: its temporal setting.
        stored_bytes: the bytes its set will take; an upper limit if there is a storage codec or a budget.
        clip_passes: passes of single clips through networks, in distilling and evaluating.
        work: floating-point operations of these passes.
        declined: why its method or network cannot do it, or None.
        shared: whether other cells of the plan may have the same set (`Cell.distillation`).
    """

    cell: Cell
    dataset: Dataset[Any]
    index: ClipIndex
    geometry: Geometry
    setting: temporal.TemporalSetting
    stored_bytes: int
    clip_passes: float
    work: Work
    declined: str | None
    shared: bool = False

    @property
    def flops(self) -> float:
        """The sum of ``work``."""
        return self.work.total()


@dataclass(frozen=True)
class _Size:
    """How much a cell may store (clips per class, or a budget in bytes that they follow from), and how floats are stored."""

    ipc: int
    budget: int | None = None
    storage: Storage = PLAIN


@dataclass(frozen=True)
class _Point:
    """A point of the grid over one dataset.

    Attributes:
        method, config: the method's name and its hyper-parameters.
        setting, size, seed, precision: the coordinates.
        net: the judging network, or None for the profile's.
    """

    method: str
    config: Any
    setting: TemporalSetting
    size: _Size
    seed: int
    precision: Precision
    net: str | None


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
        for point in _points(request, registries, data, settings):
            first, again = _plan_cell(registries, data, point)
            uses_seed = registries.methods.get(point.method).uses_seed
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
    planned: PlannedCell, registries: Registries, values: Mapping[str, Value], seed: int | None, judged_on: JudgedOn
) -> PlannedCell:
    """The cell that would be planned with other hyper-parameters, another seed and another split.

    Raises:
        BenchError: its method's config refuses the values.
    """
    cell = planned.cell
    built: Any = config.build(registries.methods.get(cell.method).Config, {**cell.config, **values}, cell.method)
    profile = profile_with(registries.profiles.get(cell.profile), cell.protocol.partition("/")[0])
    data = PlannedDataset(planned.dataset, planned.index, planned.geometry, profile, judged_on)
    size = _Size(cell.ipc or 1, cell.budget, cell.storage)
    point = _Point(cell.method, built, planned.setting, size, seed or 0, cell.precision, cell.evaluation_network)
    return _plan_cell(registries, data, point)[0]


# ----------------------------------------------------------------------------------------------------------------------
# Points


def _points(
    request: Request, registries: Registries, data: PlannedDataset, settings: list[TemporalSetting]
) -> Iterator[_Point]:
    """The points over one dataset, for the first of the seeds; after each learned method its start."""
    amounts = request.budgets or request.ipcs
    profile = data.profile
    axes = itertools.product(settings, request.nets or (profile.network,), amounts, request.storages, request.methods)
    for setting, net, amount, storage, name in axes:
        method_type = registries.methods.get(name)
        config_at = functools.partial(
            resolve_config, method_type, profile.name, data.dataset.name, setting=setting.label(data.geometry.frames),
            overrides=request.overrides.get(name, {}),
        )  # fmt: skip
        size = _Size(amount, None, storage)
        if request.budgets:
            size = _Size(_fitting(method_type, config_at, data, setting, amount, storage), amount, storage)
        judge = None if net == profile.network else net
        point = _Point(name, config_at(size.ipc), setting, size, request.seeds[0], request.precision, judge)
        yield point
        if request.controls and (control := start_of(method_type(point.config), registries)) is not None:
            yield replace(point, method=control[0], config=control[1])


def _fitting(
    method_type: type[Method[Any]],
    config_at: Callable[[int], Any],
    data: PlannedDataset,
    setting: TemporalSetting,
    budget: int,
    storage: Storage,
) -> int:
    """The most clips per class that a method can store in a budget, up to the size of the largest class; at least 1.

    Hyper-parameters may depend on IPC, so each number of clips is tried with its own.
    """
    most = max(per_class(data.index.clips, "train").values(), default=1)
    if method_type.fills_budget or not method_type.uses_ipc:
        return most
    work = data.workload(setting, 1)

    def fits(ipc: int) -> bool:
        return needed_bytes(method_type(config_at(ipc)), replace(work, ipc=ipc), storage) <= budget

    return max(1, largest(most, fits))


# ----------------------------------------------------------------------------------------------------------------------
# One cell


def _plan_cell(registries: Registries, data: PlannedDataset, point: _Point) -> tuple[PlannedCell, PlannedCell]:
    """The cell of a point, and the same cell for when another one has already distilled its set."""
    method = registries.methods.get(point.method)(point.config)
    setting, size = _as_stored(method, point, data.geometry.frames)
    network = registries.networks.get(data.profile.network)()
    judge = network if point.net is None else registries.networks.get(point.net)()
    work = data.workload(setting, size.ipc)
    declined = _declines(method, work, network, judge)
    stored_bytes = 0 if declined else _stored_bytes(method, work, size)
    if declined is None and size.budget is not None and stored_bytes > size.budget:
        declined, stored_bytes = does_not_fit(point.method, stored_bytes, size.budget), 0
    passing = operations = Work()
    if declined is None:
        passing = passes(method, work, registries.protocols.get(data.profile.protocol), data.test_clips())
        operations = passing.times(flops(network, work.classes, work.clip), flops(judge, work.classes, work.clip))
    planned = PlannedCell(
        cell=_cell(registries, data, method, replace(point, setting=setting, size=size)),
        dataset=data.dataset,
        index=data.index,
        geometry=data.geometry,
        setting=setting,
        stored_bytes=stored_bytes,
        clip_passes=passing.total(),
        work=operations,
        declined=declined,
    )
    return planned, replace(planned, clip_passes=passing.judging, work=Work(judging=operations.judging))


def _as_stored(method: Method[Any], point: _Point, frames: int) -> tuple[TemporalSetting, _Size]:
    """The setting and size of a point, with defaults for everything that makes no difference to its method."""
    setting, size = point.setting, point.size
    if not method.uses_ipc:  # one cell serves every budget and every setting
        setting, size = temporal.dense(frames), _Size(size.ipc)
    if size.storage != PLAIN and not stores_float32(method):
        size = replace(size, storage=PLAIN)
    return setting, size


def _declines(method: Method[Any], work: Workload, network: Network, judge: Network) -> str | None:
    """Why the method, its network or the judging network cannot do the work; None if they can."""
    declined = method.declines(work)
    if declined is None and (work.setting.segments > 1 or method.clip_passes(work) > 0):  # it learns with the network
        declined = network.declines(replace(work.clip, frames=work.clip.frames // work.setting.segments))
    if declined is None:
        declined = judge.declines(work.clip)
    return declined


def _stored_bytes(method: Method[Any], work: Workload, size: _Size) -> int:
    """The bytes a set will take. A method that fills its budget takes all of it."""
    if method.fills_budget and size.budget is not None:
        return size.budget
    return needed_bytes(method, work, size.storage)


def _cell(registries: Registries, data: PlannedDataset, method: Method[Any], point: _Point) -> Cell:
    protocol = registries.protocols.get(data.profile.protocol)
    return Cell(
        method=point.method,
        version=method.version,
        config=config.as_dict(point.config),
        dataset=data.index.dataset,
        fingerprint=data.index.fingerprint,
        geometry=asdict(data.geometry),
        profile=data.profile.name,
        network=data.profile.network,
        protocol=f"{protocol.name}/{protocol.version}",
        ipc=point.size.ipc if method.uses_ipc else None,
        setting=str(point.setting),
        seed=point.seed if method.uses_seed else None,
        judged_on=data.judged_on,
        budget=point.size.budget,
        storage=point.size.storage,
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
