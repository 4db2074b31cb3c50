"""A rehearsal distils one method again and again on tiny clips in memory, each time with an empty cache."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
import random
import re
import shutil
import tempfile
import typing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch

from bench import plugins
from bench.api import (
    ClipRef,
    ClipShape,
    Geometry,
    Method,
    Protocol,
    Recipe,
    SyntheticSet,
    Workload,
)
from bench.core import config, temporal
from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.precision import FULL
from bench.core.reporter import Reporter
from bench.core.rng import derive_seed, generator
from bench.data.clip_store import ClipStore
from bench.data.clip_table import ClipTable
from bench.data.pixels import SplitClips
from bench.data.sources.shapes import ShapesAppearance, ShapesOptions
from bench.judging.evaluate import evaluate_set
from bench.judging.final_epoch import FinalEpoch
from bench.nets.builder import Builder
from bench.plugins import Registries
from bench.results.artefacts import load_set, load_tensors, save_tensors
from bench.results.cells import Cell
from bench.running.cell.journal import load_journal
from bench.running.cell.task import CellTask
from bench.running.plan.presets import resolve_config
from bench.testing import pretend

IPC = 2
CLASSES = ("amber", "blue", "coral")
TRAIN = (4, 5, 6)
"""Training clips of each class. The counts differ, so that methods cannot rely on equal ones."""

PROFILE = "quick"
_NETWORK, _FRAME_NETWORK = "convnet3d-small", "cnn-mean-small"
_FRAMES, _SIZE, _VIEWS, _TEST = 4, 16, 2, 2

_STEPS = 4
_JUDGED_STEPS = 60  # for comparing accuracy

# Upper limits for other integer fields of a config. The first pattern found in the field's name applies.
_CAPS = (
    (r"batch", 4),
    (r"updates", 3),
    (r"loops", 1),
    (r"steps|iterations|epochs?$|experts|pool|networks", 2),
)

JUDGED_IPC = 10
"""Clips per class for comparing accuracy."""


@final
class RehearsalProtocol(FinalEpoch):
    """Two networks and few updates: enough to tell classes apart, but not for figures."""

    name: ClassVar[str] = "rehearsal"
    version: ClassVar[int] = 1
    networks: ClassVar[int] = 2
    recipe: ClassVar[Recipe] = Recipe(epochs=100, batch=64, lr=0.03, max_updates=100)
    fit_threshold: ClassVar[float] = 0.5


@final
class BriefProtocol(FinalEpoch):
    """So few updates that `task.trained_network` takes almost no time."""

    name: ClassVar[str] = "brief"
    version: ClassVar[int] = 1
    networks: ClassVar[int] = 2
    recipe: ClassVar[Recipe] = Recipe(epochs=6, batch=4, lr=0.05, max_updates=6)
    fit_threshold: ClassVar[float] = 0.5


@final
class Rehearsal:
    """Distils one method in milliseconds, on three classes of a few clips of tinted noise, 4 frames of 16x16.

    Args:
        name: the method.
        registries: all parts.
        folder: for caches and checkpoints; each run gets its own subfolder.
        plugin_files: files from which a worker process loads the method, if it is not installed.
        values: hyper-parameters that replace the small ones a rehearsal chooses.
    """

    def __init__(
        self,
        name: str,
        registries: Registries,
        folder: Path,
        plugin_files: tuple[str, ...] = (),
        values: Mapping[str, Value] | None = None,
    ) -> None:
        self.name = name
        self.registries = registries
        self.folder = folder
        self.plugin_files = plugin_files
        self.values = dict(values or {})
        self.kind: type[Method[Any]] = registries.methods.get(name)
        self.store = tiny_store()
        self._runs = 0

    def small(self, steps: int = _STEPS, ipc: int = IPC) -> dict[str, Value]:
        """Hyper-parameters that make the method quick: those of its presets for the profile, with upper limits."""
        preset = resolve_config(self.kind, PROFILE, "tiny", ipc, "dense", {})
        limited: dict[str, Value] = {}
        for name, kind in typing.get_type_hints(self.kind.Config).items():
            value = getattr(preset, name)
            cap = next((cap for pattern, cap in _CAPS if re.search(pattern, name)), None)
            cap = steps if name == "steps" else cap
            is_integer = kind is int or int in typing.get_args(kind)
            if cap is not None and is_integer and (value is None or value > cap):  # None: another field decides
                allowed = (
                    n
                    for n in range(cap, cap + 1 if value is None else value)
                    if config.allows(self.kind.Config, name, n)
                )
                limited[name] = next(allowed, value)
        return limited | self.values

    def is_stepwise(self) -> bool:
        """Whether Config has ``steps``, which means that the method learns."""
        return any(field.name == "steps" for field in dataclasses.fields(self.kind.Config))

    def method(self, setting: str = "dense", ipc: int = IPC, values: Mapping[str, Value] | None = None) -> Method[Any]:
        """The method with `small` hyper-parameters.

        Raises:
            BenchError: its Config refuses the values.
        """
        return self.kind(
            resolve_config(self.kind, PROFILE, "tiny", ipc, setting, {**self.small(ipc=ipc), **(values or {})})
        )

    def unlearned(self, setting: str = "dense") -> Method[Any]:
        """The same method with no steps, which users cannot ask for: it gives the start.

        Raises:
            ValueError: Config refuses it.
        """
        method = self.method(setting)
        return self.kind(dataclasses.replace(method.config, steps=0))

    def task(
        self,
        seed: int = 0,
        setting: str = "dense",
        ipc: int = IPC,
        budget: int | None = None,
        store: ClipStore | None = None,
        reporter: Reporter | None = None,
        path: Path | None = None,
        device: str = "cpu",
        protocol: Protocol | None = None,
    ) -> CellTask:
        """A task over the tiny clips (or others). With a path, it resumes from the checkpoint there."""
        self._runs += 1
        own = self.folder / f"run-{self._runs}"
        path = path or own / "state.safetensors"
        store = store or self.store
        frames = store.clips.shape[2]
        cell = Cell(
            self.name, 1, {}, "tiny", "", {"frames": frames}, PROFILE, _NETWORK, "rehearsal/1", ipc, setting, seed,
            budget=budget,
        )  # fmt: skip
        return CellTask(
            cell, store, "train", shape_of(store), temporal.parse(setting, frames),
            self.registries.networks.get(_NETWORK)(), self.registries.networks.get(_FRAME_NETWORK)(),
            protocol or BriefProtocol(), Builder(torch.device(device), FULL), path, own / "cache", reporter or silent(),
            load_journal(path, cell.id()),
        )  # fmt: skip

    def distill(self, setting: str = "dense", ipc: int = IPC, **task_options: Any) -> SyntheticSet:
        """Distils a set. Takes the arguments of `task`."""
        return self.method(setting, ipc).distill(self.task(setting=setting, ipc=ipc, **task_options))

    @functools.cached_property
    def plain(self) -> SyntheticSet:
        """The set of seed 0, whole clips and IPC 2. Made only once."""
        return self.distill()

    def content(self, global_seed: int, **task_options: Any) -> list[torch.Tensor]:
        """The `content` of a new set, made after seeding the global generators. Takes the arguments of `task`."""
        with global_generators(global_seed):
            return content(self.distill(**task_options))

    @functools.cached_property
    def seeded(self) -> list[torch.Tensor]:
        """The content of the set for global seed 1. Made only once."""
        return self.content(1)

    @functools.cached_property
    def repeats(self) -> bool:
        """Whether the same task gives the same set again."""
        return same(self.content(1), self.seeded)

    def report(self, path: Path | None = None) -> tuple[list[tuple[int, int, float | None]], SyntheticSet]:
        """(step, total, loss) of each progress report of a distillation, and the set."""
        reports: list[tuple[int, int, float | None]] = []

        def step(phase: str, done: int, total: int, loss: float | None) -> None:
            if phase == "distil":
                reports.append((done, total, loss))

        task = self.task(path=path, reporter=Reporter(step, lambda _: None))
        with global_generators(1):
            return reports, self.method().distill(task)

    @functools.cached_property
    def reported(self) -> tuple[list[tuple[int, int, float | None]], SyntheticSet]:
        """The result of `report` without a checkpoint to resume from. Made only once."""
        return self.report()

    def work(self, setting: str = "dense", ipc: int = IPC) -> Workload:
        """The sizes of a task, as the plan passes them to the method."""
        return Workload(
            len(CLASSES), sum(TRAIN), ipc, shape_of(self.store), temporal.parse(setting, _FRAMES), _VIEWS
        )  # fmt: skip

    def ipc_counted(self, ipc: int = IPC) -> int | None:
        """Clips per class that the set may have; None if it does not depend on IPC."""
        return ipc if self.kind.uses_ipc else None

    def distill_elsewhere(self, archive: Path | None) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Makes the same set in a worker process, which also reads an archived set.

        Args:
            archive: a folder that `save_set` wrote, or None.

        Returns:
            The `content` of both sets; the second is empty if there is no archive.
        """
        to = self.folder / "elsewhere"
        job = (self.name, self.plugin_files, self.values, archive, to, torch.get_num_threads())
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            pool.submit(_work, *job).result()
        return _written_content(to / "distilled"), _written_content(to / "archived")

    def accuracies(self, name: str | None = None) -> list[float]:
        """Test accuracy of each network trained on a set of small ``shapes-appearance`` clips, 10 per class.

        Args:
            name: another method to judge in the same way, instead of this one.
        """
        judged = Rehearsal(name, self.registries, self.folder / name, self.plugin_files) if name else self
        store = appearance_store()
        synthetic = judged.method(ipc=JUDGED_IPC, values=judged.small(_JUDGED_STEPS, JUDGED_IPC)).distill(
            judged.task(ipc=JUDGED_IPC, store=store, protocol=RehearsalProtocol())
        )
        evaluations = evaluate_set(
            synthetic, SplitClips(store, "test", torch.device("cpu")), store.classes, shape_of(store),
            self.registries.networks.get(_NETWORK)(), RehearsalProtocol(), Builder(torch.device("cpu"), FULL), silent(),
        )  # fmt: skip
        return [evaluation.accuracy() for evaluation in evaluations]


@contextlib.contextmanager
def rehearse(
    target: str | Path, plugin: tuple[str, ...] = (), values: Mapping[str, Value] | None = None
) -> Iterator[Rehearsal]:
    """A rehearsal of one method, in a temporary folder.

    Args:
        target: the name of a method, or a plugin file that defines exactly one.
        plugin: further plugin files.
        values: hyper-parameters that replace the small ones.

    Raises:
        BenchError: there is no such method, or the file defines none or several.
    """
    pretend.missing()  # sets it up, which cannot be done any more after the method's first backward pass
    names, files = find(target, plugin)
    if len(names) > 1:
        raise BenchError(f"{target} defines several methods; name one of them: {', '.join(names)}")
    folder = Path(tempfile.mkdtemp(prefix="bench-rehearsal-"))
    try:
        yield Rehearsal(names[0], plugins.load(files), folder, files, values)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find(target: str | Path, plugin: tuple[str, ...] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the methods that ``target`` means, and the plugin files that they need.

    Raises:
        BenchError: no such method or file, or a file without a method.
    """
    text = str(target)
    if not text.endswith(".py"):
        registries = plugins.load(plugin)
        registries.methods.get(text)
        return (text,), tuple(plugin)
    package = plugins.package_in(Path(text).parent)
    where = text if package is None else f"{package}.{Path(text).stem}"
    files = tuple(plugin) if package is not None else tuple(dict.fromkeys((*plugin, text)))
    registries = plugins.load(files)
    broken = [plugin_file for plugin_file in registries.methods.unavailable() if plugin_file.where == where]
    if broken:
        raise BenchError(f"{text}: {broken[0].reason}")
    names = tuple(name for name in registries.methods.names() if registries.methods.origin(name).where == where)
    if not names:
        raise BenchError(f"{text} defines no method: a final subclass of bench.api.Method with a name")
    return names, files


# ----------------------------------------------------------------------------------------------------------------------
# Clips


def tiny_store() -> ClipStore:
    """Clips of noise whose tint is the class: 4, 5 and 6 training clips, two test clips per class, two windows per clip."""
    rng = np.random.default_rng(0)
    rows = [("train", label, number) for label, count in enumerate(TRAIN) for number in range(count)]
    rows += [("test", label, number) for label in range(len(CLASSES)) for number in range(_TEST)]
    clips = rng.integers(0, 160, (len(rows), _VIEWS, _FRAMES, _SIZE, _SIZE, 3), np.uint8)
    for clip, (_, label, _) in zip(clips, rows, strict=True):
        clip[..., label] += 90
    keys = tuple(f"{split}/{CLASSES[label]}/{number}" for split, label, number in rows)
    return ClipStore(
        classes=CLASSES,
        clips=clips,
        refs=ClipTable(
            ClipRef(key, label, "train" if split == "train" else "test", key)
            for key, (split, label, _) in zip(keys, rows, strict=True)
        ),
        left_out=(),
        digest="tiny",
    )


@functools.cache
def appearance_store() -> ClipStore:
    """Small ``shapes-appearance`` clips: 4 frames of 16x16, with 40 training and 25 test clips in each of eight classes."""
    dataset = ShapesAppearance(ShapesOptions(frames=_FRAMES, size=_SIZE, train=40, test=25), "")
    geometry = dataset.geometry(Geometry(_FRAMES, 1, _SIZE, _SIZE))
    index = dataset.index(geometry)
    return ClipStore(
        classes=index.classes,
        clips=np.stack([dataset.read(clip, geometry) for clip in index.clips]),
        refs=ClipTable(index.clips),
        left_out=(),
        digest="small appearance",
    )


def shape_of(store: ClipStore) -> ClipShape:
    """The shape of a store's clips."""
    _, _, frames, height, width, channels = store.clips.shape
    return ClipShape(channels, frames, height, width)


class TestClipsRead(Exception):
    """A test clip was read."""

    __test__ = False  # not a pytest class


@final
class GuardedClips:
    """The clips of a store. Reading a test clip raises `TestClipsRead`.

    Attributes:
        caught: True once somebody tried, even if the error was caught.
    """

    def __init__(self, store: ClipStore) -> None:
        self._clips = store.clips
        self._test = frozenset(store.positions("test").tolist())
        self.caught = False
        self.shape, self.dtype, self.ndim = store.clips.shape, store.clips.dtype, store.clips.ndim

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: Any) -> Any:
        first = index[0] if isinstance(index, tuple) else index
        if first is not None:
            self.read(np.arange(len(self._clips))[first])
        return self._clips[index]

    def read(self, positions: Any) -> None:
        """Raises `TestClipsRead` if one of the positions is that of a test clip."""
        if self._test & set(np.atleast_1d(positions).ravel().tolist()):
            self._refuse()

    def reshape(self, *shape: int) -> Any:
        """The same clips as rows, several per clip, from which `numpy.take` may take some."""
        return GuardedRows(self, self._clips.reshape(*shape))

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self._refuse()

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    def copy(self) -> Any:
        """Refuses, because this would read all clips."""
        return self._refuse()

    def _refuse(self) -> Any:
        self.caught = True
        raise TestClipsRead("a test clip was read")


@final
class GuardedRows:
    """Rows of guarded clips. Only `numpy.take` can read them."""

    def __init__(self, clips: GuardedClips, rows: Any) -> None:
        self._clips = clips
        self._rows = rows

    def __array_function__(self, function: Any, _: Any, arguments: Any, options: Any) -> Any:
        if function is not np.take:
            return np.asarray(self._clips)  # raises TestClipsRead
        _, index, *more = arguments
        self._clips.read(np.asarray(index) // (len(self._rows) // len(self._clips)))
        return np.take(self._rows, index, *more, **options)


def guarded(store: ClipStore) -> tuple[ClipStore, GuardedClips]:
    """The store with its test clips guarded, and the guard, which knows whether somebody tried to read one."""
    guard = GuardedClips(store)
    return dataclasses.replace(store, clips=guard), guard  # type: ignore[arg-type]  # it has all that a task uses


# ----------------------------------------------------------------------------------------------------------------------
# Contents


def content(synthetic: SyntheticSet) -> list[torch.Tensor]:
    """Everything a set stores and renders. A set that refers to data stored elsewhere gives only what it renders."""
    stored = [tensor for tensor in synthetic.stored().values() if not tensor.is_meta]
    rendered = synthetic.render(torch.arange(len(synthetic)), generator("content"))
    return [tensor.detach().cpu() for tensor in (synthetic.labels, rendered, *stored)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether two contents are equal bit for bit, including dtypes and shapes."""
    return len(one) == len(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.isnan(), b.isnan()) and torch.equal(*_numbers(a, b))
        for a, b in zip(one, other, strict=True)
    )


def _numbers(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors with 0 instead of NaN, because NaN does not equal itself."""
    return tuple(tensor.nan_to_num() if tensor.is_floating_point() else tensor for tensor in tensors)


def alike(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether two contents are equal up to rounding, which may differ between processes."""
    return len(one) == len(other) and all(
        a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )


def silent() -> Reporter:
    """A reporter that ignores everything."""
    return Reporter(lambda phase, step, total, loss: None, lambda line: None)


@contextlib.contextmanager
def global_generators(seed: int | None) -> Iterator[None]:
    """Seeds the global generators of Python, NumPy and PyTorch (unless ``seed`` is None), and restores them afterwards."""
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(derive_seed("global generators", seed))
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])


def generator_states() -> dict[str, bytes]:
    """The states of the global generators, by name."""
    return {
        "random": repr(random.getstate()).encode(),
        "numpy.random": np.random.get_state()[1].tobytes() + repr(np.random.get_state()[2:]).encode(),  # type: ignore[index]
        "torch": torch.random.get_rng_state().numpy().tobytes(),
    }


def _written_content(path: Path) -> list[torch.Tensor]:
    """A content that `_work` wrote; empty if there is none."""
    loaded = load_tensors(path)
    return [] if loaded is None else [loaded[0][key] for key in sorted(loaded[0])]


def _work(
    name: str,
    plugin_files: tuple[str, ...],
    values: Mapping[str, Value],
    archive: Path | None,
    to: Path,
    threads: int,
) -> None:
    """Runs in a worker process: loads all parts, distils, reads the archive, and writes the contents of both."""
    torch.set_num_threads(threads)
    registries = plugins.load(plugin_files)
    rehearsal = Rehearsal(name, registries, to / "work", plugin_files, values)
    contents = {}
    if archive is not None:  # before distilling, which might restore what the file does not hold
        contents["archived"] = content(load_set(archive, registries)[0])
    contents["distilled"] = content(rehearsal.distill())
    for kind, tensors in contents.items():
        save_tensors(to / kind, {f"{number:03}": tensor for number, tensor in enumerate(tensors)}, {})
