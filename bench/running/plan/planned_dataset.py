"""A data set as the plan sees it: its clips in the geometry of a profile, and the temporal settings for them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.api import ClipIndex, Dataset, Geometry, Profile, Workload
from bench.core import temporal
from bench.core.apart import Faulty
from bench.core.config import Value
from bench.core.errors import BenchError, Mistakes
from bench.core.temporal import TemporalSetting
from bench.core.traces import Fault
from bench.data.clip_table import number, per_class
from bench.data.spec import as_written
from bench.plugins import Registries
from bench.running.asking import ask
from bench.running.options.options import JudgedOn
from bench.running.options.request import Request
from bench.running.plan.presets import resolve_config


@dataclass(frozen=True)
class PlannedDataset:
    """A data set and all that its cells have in common.

    Attributes:
        dataset, index, geometry: its clips.
        profile: how its cells are distilled and judged, with the protocol that was asked for.
        judged_on: the split that networks are tested on.
        written: the data set with its options, as a user writes it.
        fault: what a plugin's dataset did wrong when it was asked for its clips, or None. There are then no clips.
    """

    dataset: Dataset[Any]
    index: ClipIndex
    geometry: Geometry
    profile: Profile
    judged_on: JudgedOn
    written: str
    fault: Fault | None = None

    @functools.cached_property
    def size(self) -> DataSize:
        """All that cells of these data depend on in size."""
        train, tested = self._clips()
        largest = max(per_class(self.index.clips, "train").values(), default=1)
        return DataSize(self.dataset.name, len(self.index.classes), train, tested, largest, self.geometry)

    def _clips(self) -> tuple[int, int]:
        """How many clips are for training and for testing."""
        train = number(self.index.clips, "train")
        if self.judged_on == "test":
            return train, len(self.index.clips) - train
        return train - train // 5, train // 5


@dataclass(frozen=True)
class DataSize:
    """How much data there is.

    Attributes:
        name: of the dataset, as presets know it.
        classes, train, tested: how many classes there are, and clips to learn from and to test on.
        largest: training clips of the largest class.
        geometry: of the clips.
    """

    name: str
    classes: int
    train: int
    tested: int
    largest: int
    geometry: Geometry

    def workload(self, setting: TemporalSetting, ipc: int) -> Workload:
        """What a method has before it."""
        return Workload(self.classes, self.train, ipc, self.geometry.shape(), setting, self.geometry.views)


def profile_with(profile: Profile, protocol: str | None) -> Profile:
    """The profile, with another protocol than its own if one is given."""
    return profile if protocol is None else replace(profile, protocol=protocol)


def plan_datasets(
    request: Request, registries: Registries, mistakes: Mistakes
) -> list[tuple[PlannedDataset, list[TemporalSetting]]]:
    """The data sets of a request, each with the temporal settings for its clips.

    Raises:
        BenchError: all mistakes, those in the hyper-parameters too: most of them depend on no data set or setting.
    """
    unused = set(request.overrides) - set(request.methods)
    if unused:
        asked = ", ".join(request.methods)
        mistakes.add(BenchError(f"--set: {', '.join(sorted(unused))} is not among the methods to run ({asked})"))
    planned: list[tuple[PlannedDataset, list[TemporalSetting]]] = []
    for dataset in request.datasets:
        profile = profile_with(registries.profiles.get(request.profile or dataset.default_profile), request.protocol)
        wrong: Fault | None = None
        geometry, index, written = profile.geometry, ClipIndex(dataset.name, (), (), ""), dataset.name
        try:
            indexed = mistakes.attempt(ask, registries, modules_of(dataset, registries), _listed, dataset, geometry)
            if indexed is None:
                _settings(request, registries, profile.name, dataset.name, geometry.frames, mistakes)
                continue
            geometry, index, written = indexed
            mistakes.attempt(check_tested, index, request.judged_on)
            mistakes.attempt(_check_ipcs, index, written, request)
        except Faulty as error:
            wrong = replace(error.fault, reason=f"when its clips were listed: {error.fault.reason}")
        settings = _settings(request, registries, profile.name, dataset.name, geometry.frames, mistakes)
        data = PlannedDataset(dataset, index, geometry, profile, request.judged_on, written, wrong)
        planned.append((data, settings))
    if not request.datasets:  # all of them were wrong; the rest is looked at as on clips of the profile
        profile = registries.profiles.get(request.profile or Dataset.default_profile)
        _settings(request, registries, profile.name, "", profile.geometry.frames, mistakes)
    mistakes.tell()
    return planned


def modules_of(dataset: Dataset[Any], registries: Registries) -> frozenset[str]:
    """The module of a plugin that a dataset comes from; none for one of the suite."""
    return registries.plugin_modules(dataset=dataset.name if dataset.name in registries.datasets.names() else None)


def _listed(registries: Registries, dataset: Dataset[Any], profile: Geometry) -> tuple[Geometry, ClipIndex, str]:
    """The geometry and the clips of a dataset, and how it is written.

    Raises:
        BenchError: as the dataset raises it.
        TypeError: it gives something else.
    """
    geometry = dataset.geometry(profile)
    index = dataset.index(geometry)
    if not (isinstance(geometry, Geometry) and isinstance(index, ClipIndex)):
        raise TypeError(f"geometry() gives {type(geometry).__name__}, index() {type(index).__name__}")
    return geometry, index, as_written(dataset, index.dataset)


def _settings(
    request: Request, registries: Registries, profile: str, dataset: str, frames: int, mistakes: Mistakes
) -> list[TemporalSetting]:
    """The temporal settings for clips of so many frames; hyper-parameters are looked at, too."""
    settings = [
        setting for text in request.settings for setting in mistakes.attempt(temporal.parse_all, (text,), frames) or ()
    ]
    label = (settings[0] if settings else temporal.dense(frames)).label(frames)
    for name in request.methods:
        if name in request.overrides:
            modules, values = registries.plugin_modules(method=name), request.overrides[name]
            with contextlib.suppress(Faulty):  # its cells say so
                mistakes.attempt(
                    ask, registries, modules, _try_config, name, profile, dataset, request.ipcs[0], label, values
                )
    return list(dict.fromkeys(settings))


def _try_config(
    registries: Registries,
    name: str,
    profile: str,
    dataset: str,
    ipc: int,
    setting: str,
    values: Mapping[str, Value],
) -> None:
    """Makes the hyper-parameters of a method.

    Raises:
        BenchError: they are wrong.
    """
    resolve_config(registries.methods.get(name), profile, dataset, ipc, setting, values)


def check_tested(index: ClipIndex, judged_on: JudgedOn) -> None:
    """Refuses data without test clips, or without a clip to hold out of train, where these judge.

    Raises:
        BenchError: there is none.
    """
    if judged_on == "validation" and not _can_hold_out(index):
        raise BenchError(
            f"{index.dataset}: no training clip can be held out to judge on (--judge-on validation, --tune); "
            "some class needs two groups of training clips"
        )
    if judged_on == "test" and not number(index.clips, "test"):
        raise BenchError(
            f"{index.dataset}: no test clip; give some the split 'test', or more than one group to a class, "
            "or use --judge-on validation"
        )


def _check_ipcs(index: ClipIndex, written: str, request: Request) -> None:
    """Refuses to store more clips of one class than there are training clips of all.

    Raises:
        BenchError: so many are asked for.
    """
    train, ipc = number(index.clips, "train"), max(request.ipcs)
    if not request.budgets and ipc > train:
        raise BenchError(
            f"--ipc: {ipc:,} clips of each class; {written} has {train:,} training clips of all classes together"
        )


def _can_hold_out(index: ClipIndex) -> bool:
    """Whether some class has training clips of two groups. It ends at the first such class."""
    first: dict[int, str] = {}
    return any(first.setdefault(clip.label, clip.group) != clip.group for clip in index.clips if clip.split == "train")
