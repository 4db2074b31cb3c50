"""A data set as the plan sees it: its clips in the geometry of a profile, and the temporal settings for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bench.api import ClipIndex, ClipShape, Dataset, Geometry, Profile, Workload
from bench.core import temporal
from bench.core.errors import BenchError, Mistakes
from bench.core.temporal import TemporalSetting
from bench.data.clip_table import number
from bench.plugins import Registries
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
    """

    dataset: Dataset[Any]
    index: ClipIndex
    geometry: Geometry
    profile: Profile
    judged_on: JudgedOn

    @property
    def clip(self) -> ClipShape:
        """The shape of a clip."""
        return self.geometry.shape()

    def workload(self, setting: TemporalSetting, ipc: int) -> Workload:
        """What a method has before it."""
        return Workload(len(self.index.classes), self._clips()[0], ipc, self.clip, setting, self.geometry.views)

    def test_clips(self) -> int:
        """How many clips networks are tested on."""
        return self._clips()[1]

    def _clips(self) -> tuple[int, int]:
        """How many clips are for training and for testing."""
        train = number(self.index.clips, "train")
        if self.judged_on == "test":
            return train, len(self.index.clips) - train
        return train - train // 5, train // 5


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
        geometry = mistakes.attempt(dataset.geometry, profile.geometry)
        if geometry is None:
            continue
        settings = _settings(request, registries, profile.name, dataset.name, geometry.frames, mistakes)
        index = mistakes.attempt(dataset.index, geometry)
        if index is not None:
            mistakes.attempt(check_tested, index, request.judged_on)
            planned.append((PlannedDataset(dataset, index, geometry, profile, request.judged_on), settings))
    if not request.datasets:  # all of them were wrong; the rest is looked at as on clips of the profile
        profile = registries.profiles.get(request.profile or Dataset.default_profile)
        _settings(request, registries, profile.name, "", profile.geometry.frames, mistakes)
    mistakes.tell()
    return planned


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
            fields, method = request.overrides[name], registries.methods.get(name)
            mistakes.attempt(resolve_config, method, profile, dataset, request.ipcs[0], label, fields)
    return list(dict.fromkeys(settings))


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


def _can_hold_out(index: ClipIndex) -> bool:
    """Whether some class has training clips of two groups. It ends at the first such class."""
    first: dict[int, str] = {}
    return any(first.setdefault(clip.label, clip.group) != clip.group for clip in index.clips if clip.split == "train")
