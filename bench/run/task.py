"""What a method sees while it distils one cell: the `Task` of the contracts, over a clip store."""

from __future__ import annotations

import contextlib
import copy
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from bench.api import Artefact, ClipShape, Metric, Network, Protocol, Recipe, Split, SyntheticSet, Task, Upstream
from bench.core import paths
from bench.core import rng as named
from bench.core.config import Value
from bench.core.files import canonical_json
from bench.core.precision import FULL
from bench.core.source import code_identity
from bench.core.temporal import TemporalSetting
from bench.data.pixels import SplitClips, normalise
from bench.results.cells import Cell
from bench.results.records import PhaseCost
from bench.run.checkpoints import FileCheckpoints
from bench.run.costs import PhaseMeter
from bench.run.upstream import PassingArtefact, has_room, open_or_make
from bench.sets.keyframes import as_matched, known_frames

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.data.clip_store import ClipStore
    from bench.nets.builder import Builder
from bench.core.reporter import Reporter
from bench.run.journal import Journal, load_journal

CHECKPOINT_SECONDS = 20.0
NUMERICS_VERSION = 3
"""Part of every upstream key. Raised when the suite's networks come to other numbers, be it by rounding: no cell then mixes the two."""

HISTORY_POINTS = 200
LOOK_SECONDS = 0.5


@final
class TrainedNetwork(Upstream):
    """A network trained on the training split."""

    name = "trained-network"
    parts = 1

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def key(self) -> Mapping[str, Value]:
        """The recipe."""
        return {"recipe": canonical_json(asdict(self.recipe))}

    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """The network's weights."""
        from bench.judging.training import train

        network = task.network(task.rng("trained network"))
        order, rendering = task.rng("trained network order"), task.rng("trained network render")
        train(network, task.real_set(), self.recipe, task.device, order, rendering, _as_progress(task), task)
        return network.state_dict()


def _shortened(recipe: Recipe) -> Recipe:
    """A protocol's recipe for a network that only has to know the data, not to be judged: 20 epochs, a third of the updates."""
    most = None if recipe.max_updates is None else recipe.max_updates // 3
    return replace(recipe, epochs=min(recipe.epochs, 20), max_updates=most)


def _as_progress(task: Task) -> Callable[[int, int, float], None]:
    return lambda step, total, loss: task.progress(step, total, loss=loss)


@final
class CellTask(Task):
    """The task of one cell.

    Args:
        cell: the cell.
        store: the decoded dataset.
        split: the split that may be seen: ``train``, or ``fit`` when judging on the validation part.
        clip, setting: shape of the clips and temporal setting.
        network, frame_network, protocol: parts of the profile.
        builder: of its networks, on the device where tensors live.
        checkpoint_path: file of this cell's checkpoint.
        cache: folder of upstream artefacts.
        reporter, journal: see there.
    """

    def __init__(
        self,
        cell: Cell,
        store: ClipStore,
        split: Split,
        clip: ClipShape,
        setting: TemporalSetting,
        network: Network,
        frame_network: Network,
        protocol: Protocol,
        builder: Builder,
        checkpoint_path: Path,
        cache: Path,
        reporter: Reporter,
        journal: Journal,
    ) -> None:
        self.classes = store.classes
        self.clip = clip
        self.ipc = cell.ipc or 0
        self.budget = cell.budget
        self.setting = setting
        self.device = builder.device
        self.seed = cell.seed or 0
        self._precision = cell.precision
        self.journal = journal
        self._data = SplitClips(store, split, self.device)
        self._by_class = [(self._data.labels == label).nonzero().flatten() for label in range(len(store.classes))]
        self._digest = store.digest
        self._split = split
        self._network = network
        self._frame_network = frame_network
        self._protocol = protocol
        self._cache = cache
        self._reporter = reporter
        self._builder = builder
        # What differs between the cell itself and the parts of its upstream artefacts:
        self._phase = "distil"
        self._meter: PhaseMeter | None = None
        self._look = 0.0  # when a number is shown again, by `time.monotonic`
        self._loss: float | None = None
        self._saved = self._file(checkpoint_path, cell.id())

    # ------------------------------------------------------------------------------------------------------------------
    # Real clips

    def indices(self, label: int) -> torch.Tensor:
        """See `Task`."""
        return self._by_class[label]

    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `Task`."""
        pixels = self._data.pixels(index, self._middle(index) if views is None else views, frame)
        if frame is not None:
            return normalise(pixels)
        return as_matched(normalise(known_frames(pixels, self.setting)), self.clip.frames, self.setting)

    def views(self) -> int:
        """See `Task`."""
        return self._data.views()

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        return self._data.pixels(index, self._middle(index))

    def real_set(self) -> SyntheticSet:
        """See `Task`."""
        from bench.sets.real import RealSet

        return RealSet(self._data)

    def _middle(self, index: torch.Tensor) -> torch.Tensor:
        return torch.full_like(index, self._data.middle())

    # ------------------------------------------------------------------------------------------------------------------
    # Networks and randomness

    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        """See `Task`."""
        return self._built(self._network, clip or self.clip, rng)

    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """See `Task`. Not keyed by the method: what two methods both draw under one name, they draw alike."""
        return named.generator("distil", self.seed, name, step)

    def frame_network(self, rng: torch.Generator) -> Classifier:
        """See `Task`."""
        return self._built(self._frame_network, replace(self.clip, frames=1), rng)

    def _built(self, kind: Network, clip: ClipShape, rng: torch.Generator) -> Classifier:
        return self._builder.build(kind, len(self.classes), clip, rng, "distil")

    def trained_network(self) -> Classifier:
        """See `Task`."""
        network = self.network(self.rng("trained network"))
        network.load_state_dict(self.upstream(TrainedNetwork(_shortened(self._protocol.recipe))).part(0))
        return network.eval()

    def upstream(self, what: Upstream) -> Artefact:
        """See `Task`."""
        key = {
            "what": what.name,
            "settings": dict(what.key()),
            "code": code_identity(type(what)),
            "data": self._digest,
            "split": self._split,
            "networks": [self._network.name, self._frame_network.name],
            "numbers": NUMERICS_VERSION,
            "seed": self.seed,
            "device": self.device.type,
        }
        if self.setting.n_real < self.clip.frames and not what.of_frames:  # real clips are not seen whole
            key["seen"] = [self.setting.n_real, self.setting.segments, self.setting.interpolation]
        if self._precision != FULL:
            key["precision"] = self._precision
        limit, expected = paths.cache_limit(), what.part_bytes * what.parts
        if not has_room(self._cache, expected, limit):
            self.log(
                f"{what.name} would take {expected / 2**30:.1f} GiB of the cache: made when needed, and not shared"
            )
            passing = self._saved.path.with_name("passing.safetensors")
            return PassingArtefact(lambda part: what.make(self._making(what, key, part, passing), part))
        make = functools.partial(self._make_part, what, key)
        with self._meter.paused() if self._meter is not None else contextlib.nullcontext():
            artefact, cost = open_or_make(
                self._cache, what.name, key, what.parts, make, self._wait, room=limit - expected
            )
        self.journal.upstream.setdefault(what.name, cost)  # else this cell made it itself, before it was resumed
        return artefact

    def _make_part(
        self, what: Upstream, key: Mapping[str, Any], part: int, checkpoint: Path
    ) -> tuple[Mapping[str, torch.Tensor], PhaseCost]:
        """One part, and its cost."""
        task = self._making(what, key, part, checkpoint)
        task._meter = PhaseMeter(self.device, task.journal.distil)
        self._reporter.log(f"making {what.name}" + (f", {part + 1} of {what.parts}" if what.parts > 1 else ""))
        try:
            with task._meter as meter:
                tensors = what.make(task, part)
        except BaseException:
            self.journal.upstream[what.name] = meter.cost  # what a cell that ends here took
            raise
        return tensors, meter.cost

    def _making(self, what: Upstream, key: Mapping[str, Any], part: int, checkpoint: Path) -> CellTask:
        """A copy of this task that makes a part, with a checkpoint and a journal of its own."""
        task = copy.copy(self)
        task._phase = "upstream"
        task._saved = task._file(checkpoint, canonical_json({**key, "part": part}))
        task.journal = load_journal(checkpoint, task._saved.owner)
        task._meter = None
        task._loss = None
        return task

    def _wait(self, message: str) -> None:
        self._reporter.log(message)
        self._reporter.check_time()

    # ------------------------------------------------------------------------------------------------------------------
    # Progress and checkpoints

    def measure(self, meter: PhaseMeter) -> None:
        """Tells the task which meter runs, so that checkpoints hold the cost up to them."""
        self._meter = meter

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """See `Task`. Due after `CHECKPOINT_SECONDS`, and when the time is up."""
        self._saved.checkpoint(step, state)

    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """See `Task`."""
        return self._saved.resume()

    def _file(self, path: Path, owner: str) -> FileCheckpoints:
        return FileCheckpoints(path, owner, self.device, self._reporter, CHECKPOINT_SECONDS, self._about)

    def _about(self) -> dict[str, Any]:
        """What a checkpoint holds beside the state: the journal, with the cost up to it."""
        if self._meter is not None:
            self.journal.distil = self._meter.so_far()
        return {"journal": self.journal.to_meta()}

    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        """See `Task`. A GPU is waited for where a number is kept, and twice a second."""
        kept = step % max(1, total // HISTORY_POINTS) == 0 or step == total
        if kept or self.device.type == "cpu" or time.monotonic() >= self._look:
            values = {"step": float(step)} | {name: _number(value) for name, value in metrics.items()}
            self._loss = values.get("loss")
            self._look = time.monotonic() + LOOK_SECONDS
            for name, value in values.items() if kept else ():
                self.journal.history.setdefault(name, []).append(value)
        self._reporter.step(self._phase, step, total, self._loss)
        if self._phase == "upstream":  # parts without checkpoints of their own stop in time, too
            self._reporter.check_time()

    def log(self, message: str) -> None:
        """See `Task`."""
        self._reporter.log(message)


def _number(value: Metric) -> float:
    return float(value.detach()) if isinstance(value, torch.Tensor) else value
