"""What a method sees while it distils one cell: the `Task` of the contracts, over a clip store."""

from __future__ import annotations

import contextlib
import copy
import functools
import numbers
import operator
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch
from typing_extensions import override

from bench.api import Artefact, ClipShape, Metric, Network, Protocol, Split, SyntheticSet, Task, Upstream
from bench.core import paths
from bench.core import rng as named
from bench.core.files import canonical_json
from bench.core.precision import FULL
from bench.core.source import code_identity
from bench.core.temporal import TemporalSetting
from bench.data.pixels import SplitClips, normalise
from bench.results.cells import Cell
from bench.results.records import PhaseCost
from bench.running.cell import checkpoints
from bench.running.cell.checkpoints import FileCheckpoints
from bench.running.cell.costs import PhaseMeter
from bench.running.cell.journal import Journal, load_journal
from bench.running.cell.provenance import processor
from bench.running.cell.trained_network import TrainedNetwork, shortened
from bench.running.cell.upstream import PassingArtefact, has_room, open_or_make
from bench.sets.keyframes import as_matched, known_frames

if TYPE_CHECKING:
    from bench.core.classifier import Classifier
    from bench.core.reporter import Reporter
    from bench.data.clip_store import ClipStore
    from bench.nets.builder import Builder

NUMERICS_VERSION = 3
"""Part of every upstream key. Raised when the suite's networks come to other numbers, be it by rounding: no cell then mixes the two."""

HISTORY_POINTS = 200
MOST_LOGGED = 2000
LOOK_SECONDS = 0.5


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

    @override
    def indices(self, label: int) -> torch.Tensor:
        return self._by_class[label]

    @override
    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        pixels = self._data.pixels(index, self._middle(index) if views is None else views, frame)
        if frame is not None:
            return normalise(pixels)
        return as_matched(normalise(known_frames(pixels, self.setting)), self.clip.frames, self.setting)

    @override
    def views(self) -> int:
        return self._data.views()

    @override
    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        return self._data.pixels(index, self._middle(index))

    @override
    def training_batch(self, clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self._protocol.training_batch(clips, self._data.mirrors(), rng)

    @override
    def real_set(self) -> SyntheticSet:
        from bench.sets.real import RealSet

        return RealSet(self._data)

    def _middle(self, index: torch.Tensor) -> torch.Tensor:
        return torch.full_like(index, self._data.middle())

    # ------------------------------------------------------------------------------------------------------------------
    # Networks and randomness

    @override
    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        return self._built(self._network, clip or self.clip, rng)

    @override
    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """Not keyed by the method: what two methods both draw under one name, they draw alike."""
        return named.generator("distil", self.seed, name, step)

    @override
    def frame_network(self, rng: torch.Generator) -> Classifier:
        return self._built(self._frame_network, replace(self.clip, frames=1), rng)

    def _built(self, kind: Network, clip: ClipShape, rng: torch.Generator) -> Classifier:
        return self._builder.build(kind, len(self.classes), clip, rng, "distil")

    @override
    def trained_network(self) -> Classifier:
        network = self.network(self.rng("trained network"))
        network.load_state_dict(self.upstream(TrainedNetwork(shortened(self._protocol.recipe))).part(0))
        return network.eval()

    @override
    def upstream(self, what: Upstream) -> Artefact:
        key = self._key(what)
        limit, expected = paths.cache_limit(), what.part_bytes * what.parts
        if not has_room(self._cache, expected, limit):
            self.log(
                f"{what.name} would take {expected / 2**30:.1f} GiB of the cache: made when needed, and not shared"
            )
            passing = self._saved.path.with_name("passing.safetensors")
            return PassingArtefact(lambda part: what.make(self._making(key, part, passing), part))
        make = functools.partial(self._make_part, what, key)
        with self._meter.paused() if self._meter is not None else contextlib.nullcontext():
            artefact, cost = open_or_make(
                self._cache, what.name, key, what.parts, make, self._reporter.wait, limit - expected,
                processor(str(self.device)),
            )  # fmt: skip
        for kind in artefact.processors():
            self.journal.go_on(kind)
        self.journal.upstream.setdefault(what.name, cost)  # else this cell made it itself, before it was resumed
        return artefact

    def _key(self, what: Upstream) -> dict[str, Any]:
        """All that the content of an artefact depends on."""
        key: dict[str, Any] = {
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
        if what.of_protocol and type(self._protocol).training_batch is not Protocol.training_batch:
            kind = type(self._protocol)
            key["batches"] = {"protocol": kind.name, "mirrors": self._data.mirrors(), **code_identity(kind)}
        return key

    def _make_part(
        self, what: Upstream, key: Mapping[str, Any], part: int, checkpoint: Path
    ) -> tuple[Mapping[str, torch.Tensor], PhaseCost]:
        """One part, and its cost."""
        task = self._making(key, part, checkpoint)
        task._meter = PhaseMeter(self.device, task.journal.distil)
        self._reporter.log(f"making {what.name}" + (f", {part + 1} of {what.parts}" if what.parts > 1 else ""))
        try:
            with task._meter as meter:
                tensors = what.make(task, part)
        except BaseException:
            self.journal.upstream[what.name] = meter.cost  # what a cell that ends here took
            raise
        return tensors, meter.cost

    def _making(self, key: Mapping[str, Any], part: int, checkpoint: Path) -> CellTask:
        """A copy of this task that makes a part, with a checkpoint and a journal of its own."""
        task = copy.copy(self)
        task._phase = "upstream"
        task._saved = task._file(checkpoint, canonical_json({**key, "part": part}))
        task.journal = load_journal(checkpoint, task._saved.owner)
        task._meter = None
        task._loss = None
        return task

    # ------------------------------------------------------------------------------------------------------------------
    # Progress and checkpoints

    def measure(self, meter: PhaseMeter) -> None:
        """Tells the task which meter runs, so that checkpoints hold the cost up to them."""
        self._meter = meter

    @override
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Due after `checkpoints.CHECKPOINT_SECONDS`, and when the time is up."""
        self._saved.checkpoint(step, state)

    @override
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        return self._saved.resume()

    def _file(self, path: Path, owner: str) -> FileCheckpoints:
        return FileCheckpoints(path, owner, self.device, self._reporter, checkpoints.CHECKPOINT_SECONDS, self._about)

    def _about(self) -> dict[str, Any]:
        """What a checkpoint holds beside the state: the journal, with the cost up to it."""
        if self._meter is not None:
            self.journal.distil = self._meter.so_far()
        return {"journal": self.journal.to_meta()}

    @override
    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        """A GPU is waited for where a number is recorded, and twice a second."""
        step, total = _whole("step", step), _whole("total", total)
        recorded = step % max(1, total // HISTORY_POINTS) == 0 or step == total
        if recorded or self.device.type == "cpu" or time.monotonic() >= self._look:
            values = {"step": float(step)} | {name: _number(name, value) for name, value in metrics.items()}
            self._loss = values.get("loss")
            self._look = time.monotonic() + LOOK_SECONDS
            if recorded:
                self.journal.note(values)
        self._reporter.step(self._phase, step, total, self._loss)
        if self._phase == "upstream":  # parts without checkpoints of their own stop in time, too
            self._reporter.check_time()

    @override
    def log(self, message: str) -> None:
        if not isinstance(message, str):
            raise TypeError(f"task.log(): the message is text, not {type(message).__name__}")
        self._reporter.log(message if len(message) <= MOST_LOGGED else f"{message[:MOST_LOGGED]} ...")


def _whole(name: str, value: int) -> int:
    """Raises:
    TypeError, ValueError: a method has told something else than a number of steps.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"task.progress(): {name} is a whole number, not {type(value).__name__}") from None
    if not 0 <= number < 2**63:
        raise ValueError(f"task.progress(): {name} is {number}; it cannot be negative or that large")
    return number


def _number(name: str, value: Any) -> float:
    """Raises:
    TypeError: a method has told something else than a number.
    """
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return float(value.detach())
    if isinstance(value, numbers.Real):
        return float(value)
    what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
    raise TypeError(f"task.progress(): {name} is a number or a tensor of one, not {what}")
