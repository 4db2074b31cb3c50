"""The plan of a run: which cells there are, what each would store and cost, and which have to be run. Pure; no torch."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.api import ClipIndex, Dataset, Geometry, Method, Profile, Workload
from bench.core import config, temporal
from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.precision import FULL, Precision
from bench.core.storage import PLAIN, Storage
from bench.data.clip_table import number, per_class
from bench.distill.fitting import does_not_fit, largest
from bench.nets.flops import flops
from bench.plugins import Registries
from bench.results.cells import Cell
from bench.run.budget import needed_bytes, stores_float32
from bench.run.work import Work, passes

JudgedOn = Literal["test", "validation"]


@dataclass(frozen=True)
class Request:
    """What a user asked for.

    Attributes:
        methods: names, in the order of the table's first appearance.
        datasets: parsed datasets.
        ipcs, seeds, settings: the axes; settings as the user wrote them.
        profile: a profile's name, or None for each dataset's default.
        overrides: method name to hyper-parameters given by the user.
        judged_on: the split to test on.
        protocol: a protocol's name, or None for the profile's.
        budgets: bytes that a set may take, in the place of ``ipcs``; each method then stores as many clips a class as fit.
        storages: how float tensors are stored; what a method stores as uint8 pixels is the same in each.
        nets: networks to train on each set, or none for the profile's.
        precision: in which number format networks compute.
    """

    methods: tuple[str, ...]
    datasets: tuple[Dataset[Any], ...]
    ipcs: tuple[int, ...]
    seeds: tuple[int, ...]
    settings: tuple[str, ...]
    profile: str | None
    overrides: Mapping[str, Mapping[str, Value]]
    judged_on: JudgedOn = "test"
    protocol: str | None = None
    budgets: tuple[int, ...] = ()
    storages: tuple[Storage, ...] = (PLAIN,)
    nets: tuple[str, ...] = ()
    precision: Precision = FULL


@dataclass(frozen=True)
class _Size:
    """How much a cell may store: clips a class, or bytes, from which the clips follow; and how its floats are stored."""

    ipc: int
    budget: int | None = None
    storage: Storage = PLAIN


@dataclass(frozen=True)
class PlannedCell:
    """A cell and what is known of it before it runs.

    Attributes:
        cell: its identity.
        dataset, index, geometry: the data it needs.
        setting: its temporal setting.
        stored_bytes: what its set will take; with a storage codec or a budget at most that.
        clip_passes: network passes of single clips it takes, distilling and evaluating.
        work: floating-point operations of these.
        declined: why its method cannot do it, or its network, or None.
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
        """All of ``work``."""
        return self.work.total()


def plan(request: Request, registries: Registries, mistakes: Mistakes | None = None) -> list[PlannedCell]:
    """All cells of a request, cheap ones of one dataset and budget together, each once.

    Args:
        request: what was asked for.
        registries: all parts.
        mistakes: what is known to be wrong already, to be told with what is found here.

    Raises:
        BenchError: anything that was asked for does not exist or does not fit.
        MissingData: a dataset is not there.
    """
    grounds = _grounds(request, registries, Mistakes() if mistakes is None else mistakes)
    cells: dict[str, PlannedCell] = {}
    amounts = request.budgets or request.ipcs
    distilled: set[str] = set()
    shared = len(request.nets) > 1
    for dataset, profile, geometry, index, settings in grounds:
        for setting in settings:
            label = setting.label(geometry.frames)
            axes = itertools.product(request.nets or (profile.network,), amounts, request.storages, request.methods)
            for net, amount, storage, name in axes:
                method_type = registries.methods.get(name)
                values_at = functools.partial(
                    resolve_config, method_type, profile.name, dataset.name, setting=label,
                    overrides=request.overrides.get(name, {}),
                )  # fmt: skip
                size = _Size(amount, None, storage)
                if request.budgets:
                    work = _workload(index, geometry, setting, 1, request.judged_on)
                    size = _Size(_fitting(method_type, values_at, work, index, amount, storage), amount, storage)
                planned, again = _planned(
                    registries, dataset, index, geometry, profile, setting, size, name, values_at(size.ipc),
                    request.seeds[0], request.judged_on, request.precision, None if net == profile.network else net,
                )  # fmt: skip
                for seed in request.seeds if method_type.uses_seed else (None,):  # all else is the same
                    cell = planned.cell if seed == planned.cell.seed else dataclasses.replace(planned.cell, seed=seed)
                    known = planned
                    if shared:
                        set_id = cell.distillation().id()
                        known = again if set_id in distilled else planned
                        distilled.add(set_id)
                    cells.setdefault(cell.id(), dataclasses.replace(known, cell=cell, shared=shared))
    return list(cells.values())


_Ground = tuple[Dataset[Any], Profile, Geometry, ClipIndex, list[temporal.TemporalSetting]]


def _grounds(request: Request, registries: Registries, mistakes: Mistakes) -> list[_Ground]:
    """What each dataset gives the cells to stand on.

    Raises:
        BenchError: all mistakes, those in the hyper-parameters too: most of them depend on no dataset or setting.
    """
    unused = set(request.overrides) - set(request.methods)
    if unused:
        mistakes.add(
            BenchError(
                f"--set: {', '.join(sorted(unused))} is not among the methods to run ({', '.join(request.methods)})"
            )
        )
    found: list[_Ground] = []
    for dataset in request.datasets:
        profile = _judged_by(registries.profiles.get(request.profile or dataset.default_profile), request.protocol)
        geometry = mistakes.attempt(dataset.geometry, profile.geometry)
        if geometry is None:
            continue
        settings = _settings(request, registries, profile.name, dataset.name, geometry.frames, mistakes)
        index = mistakes.attempt(dataset.index, geometry)
        if index is not None:
            mistakes.attempt(check_tested, index, request.judged_on)
            found.append((dataset, profile, geometry, index, settings))
    if not request.datasets:  # all of them were wrong; the rest is looked at as on clips of the profile
        profile = registries.profiles.get(request.profile or Dataset.default_profile)
        _settings(request, registries, profile.name, "", profile.geometry.frames, mistakes)
    mistakes.tell()
    return found


def _settings(
    request: Request, registries: Registries, profile: str, dataset: str, frames: int, mistakes: Mistakes
) -> list[temporal.TemporalSetting]:
    """The temporal settings for clips of so many frames; hyper-parameters are looked at, too."""
    texts = request.settings
    found = [setting for text in texts for setting in mistakes.attempt(temporal.parse_all, (text,), frames) or ()]
    label = found[0].label(frames) if found else temporal.dense(frames).label(frames)
    for name in request.methods:
        if name in request.overrides:
            values, method = request.overrides[name], registries.methods.get(name)
            mistakes.attempt(resolve_config, method, profile, dataset, request.ipcs[0], label, values)
    return list(dict.fromkeys(found))


def check_tested(index: ClipIndex, judged_on: JudgedOn) -> None:
    """Refuses data without test clips where these judge.

    Raises:
        BenchError: there is none.
    """
    if judged_on == "test" and not number(index.clips, "test"):
        raise BenchError(
            f"{index.dataset}: no test clip; give some the split 'test', or more than one group to a class, "
            "or use --judge-on validation"
        )


def _fitting(
    method_type: type[Method[Any]],
    values_at: Callable[[int], Any],
    work: Workload,
    index: ClipIndex,
    budget: int,
    storage: Storage,
) -> int:
    """The most clips a class, up to all of the largest one, that a method stores in a budget; 1 where not even that fits.

    Hyper-parameters may depend on IPC, so those of each number are asked.
    """
    counts = per_class(index.clips, "train")
    most = max(counts.values(), default=1)
    if method_type.fills_budget or not method_type.uses_ipc:
        return most

    def fits(ipc: int) -> bool:
        return needed_bytes(method_type(values_at(ipc)), dataclasses.replace(work, ipc=ipc), storage) <= budget

    return max(1, largest(most, fits))


def variant(
    planned: PlannedCell, registries: Registries, values: Mapping[str, Value], seed: int | None, judged_on: JudgedOn
) -> PlannedCell:
    """The cell with some hyper-parameters, the seed and the split replaced, as if it had been asked for so.

    Raises:
        BenchError: its method's config refuses the values.
    """
    cell = planned.cell
    config_type = registries.methods.get(cell.method).Config
    built: Any = config.build(config_type, {**cell.config, **values}, cell.method)
    profile = _judged_by(registries.profiles.get(cell.profile), cell.protocol.partition("/")[0])
    return _planned(
        registries, planned.dataset, planned.index, planned.geometry, profile, planned.setting,
        _Size(cell.ipc or 1, cell.budget, cell.storage), cell.method, built, seed or 0, judged_on, cell.precision,
        cell.evaluation_network,
    )[0]  # fmt: skip


def _judged_by(profile: Profile, protocol: str | None) -> Profile:
    return profile if protocol is None else dataclasses.replace(profile, protocol=protocol)


def _planned(
    registries: Registries,
    dataset: Dataset[Any],
    index: ClipIndex,
    geometry: Geometry,
    profile: Profile,
    setting: temporal.TemporalSetting,
    size: _Size,
    name: str,
    values: Any,
    seed: int,
    judged_on: JudgedOn,
    precision: Precision,
    net: str | None,
) -> tuple[PlannedCell, PlannedCell]:
    """One cell, and the same where another cell has distilled its set.

    ``net`` is the network to judge with, or None for the profile's.
    """
    method_type = registries.methods.get(name)
    network = registries.networks.get(profile.network)()
    judge = network if net is None else registries.networks.get(net)()
    protocol = registries.protocols.get(profile.protocol)
    clip = geometry.shape()
    method = method_type(values)
    if not method_type.uses_ipc:  # one cell serves every budget and every setting
        setting, size = temporal.dense(geometry.frames), _Size(size.ipc)
    if size.storage != PLAIN and not stores_float32(method):  # the codec changes nothing
        size = dataclasses.replace(size, storage=PLAIN)
    ipc = size.ipc
    work = _workload(index, geometry, setting, ipc, judged_on)
    _, test = _sizes(index, judged_on)
    declined = method.declines(work)
    if declined is None and setting.segments > 1:
        declined = network.declines(dataclasses.replace(clip, frames=clip.frames // setting.segments))
    if declined is None and judge is not network:
        declined = judge.declines(clip)
    needed = 0 if declined else needed_bytes(method, work, size.storage)
    if declined is None and method_type.fills_budget and size.budget is not None:
        needed = size.budget  # at most; how much it is will show
    if declined is None and size.budget is not None and needed > size.budget:
        declined, needed = does_not_fit(name, needed, size.budget), 0
    cell = Cell(
        method=name,
        version=method_type.version,
        config=config.as_dict(values),
        dataset=index.dataset,
        fingerprint=index.fingerprint,
        geometry=dataclasses.asdict(geometry),
        profile=profile.name,
        network=profile.network,
        protocol=f"{protocol.name}/{protocol.version}",
        ipc=ipc if method_type.uses_ipc else None,
        setting=str(setting),
        seed=seed if method_type.uses_seed else None,
        judged_on=judged_on,
        budget=size.budget,
        storage=size.storage,
        evaluation_network=net,
        precision=precision,
        plugins=registries.meanings(
            method=name, network=profile.network, frame_network=profile.frame_network, evaluation_network=net,
            protocol=profile.protocol,
        ),
    )  # fmt: skip
    passing = operations = Work()
    if declined is None:
        passing, classes = passes(method, work, protocol, test), len(index.classes)
        operations = passing.times(flops(network, classes, clip), flops(judge, classes, clip))
    planned = PlannedCell(
        cell=cell,
        dataset=dataset,
        index=index,
        geometry=geometry,
        setting=setting,
        stored_bytes=needed,
        clip_passes=passing.total(),
        work=operations,
        declined=declined,
    )
    judged = Work(judging=operations.judging)
    return planned, dataclasses.replace(planned, clip_passes=passing.judging, work=judged)


def _workload(
    index: ClipIndex, geometry: Geometry, setting: temporal.TemporalSetting, ipc: int, judged_on: str
) -> Workload:
    train, _ = _sizes(index, judged_on)
    return Workload(len(index.classes), train, ipc, geometry.shape(), setting, geometry.views)


def _sizes(index: ClipIndex, judged_on: str) -> tuple[int, int]:
    train = number(index.clips, "train")
    if judged_on == "test":
        return train, len(index.clips) - train
    return train - train // 5, train // 5


def resolve_config(
    method: type[Method[Any]],
    profile: str,
    dataset: str,
    ipc: int,
    setting: str,
    overrides: Mapping[str, Value],
) -> Any:
    """A method's hyper-parameters: its defaults, then matching presets from general to specific, then the user's.

    Raises:
        BenchError: unknown or ill-typed overrides, listed with the valid fields.
    """
    values: dict[str, Value] = {}
    matching = [preset for preset in method.presets if preset.matches(profile, dataset, ipc, setting)]
    for preset in sorted(matching, key=lambda preset: preset.specificity()):
        values |= preset.values
    built: Any = config.build(method.Config, {**values, **overrides}, f"--set {method.name}")
    return built
