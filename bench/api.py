"""The contracts of the suite. Authors of methods, datasets, networks and protocols need to read only this page.

A `SyntheticSet` says what is stored. A `Method` says how it is learned or chosen. A `Protocol` says how it is judged.
A plugin is a Python file with final subclasses of these classes (or of `Dataset` and `Network`), each with a ``name``.
The suite finds them; nothing else has to be edited.

Clips are float32 tensors ``(C, T, H, W)``, normalised per channel (`bench.data.pixels`), or uint8 arrays ``(T, H, W, C)``
as decoded. Write ``import torch`` (not ``from torch import ...``) at the top of a plugin. The suite can then list it and
plan with it without loading PyTorch.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, Generic, Literal, TypeAlias, TypeVar, final

import torch
from msgspec import Meta

from bench.core.config import Value
from bench.core.temporal import TemporalSetting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.core.classifier import Classifier

C = TypeVar("C")

Split = Literal["train", "fit", "validation", "test"]
"""``train`` is all training clips. ``fit`` and ``validation`` divide it group by group. No method ever sees ``test``."""


LabelLoss = Literal["cross-entropy", "squared"]

Metric: TypeAlias = "float | torch.Tensor"


# ----------------------------------------------------------------------------------------------------------------------
# Shapes


@dataclass(frozen=True)
class ClipShape:
    """The shape of the clips that a network sees: channels, frames, pixels."""

    channels: int
    frames: int
    height: int
    width: int

    def dims(self) -> tuple[int, int, int, int]:
        """``(C, T, H, W)``."""
        return self.channels, self.frames, self.height, self.width

    def values(self) -> int:
        """Numbers in one clip."""
        return self.channels * self.frames * self.height * self.width


@dataclass(frozen=True)
class Geometry:
    """How a video becomes clips.

    Attributes:
        frames: frames per clip, T.
        gap: source frames from one clip frame to the next; videos that are too short for it use ``length // frames``.
        scale: pixels of the shorter side after scaling.
        size: height and width of the centre crop.
        views: windows per video, at evenly spaced starts. Training draws one; testing averages over all.
    """

    frames: int
    gap: int
    scale: int
    size: int
    views: int = 1

    def shape(self) -> ClipShape:
        """The shape of the resulting clips."""
        return ClipShape(3, self.frames, self.size, self.size)


# ----------------------------------------------------------------------------------------------------------------------
# What is stored


class SyntheticSet(ABC):
    """A distilled set: tensors that are counted in bytes, and the way they turn into clips.

    Attributes:
        name: the name of the representation, written into the manifest.
        archived: False for a set that only refers to data stored elsewhere. Its tensors are counted but not written.
        labels: ``(N,)`` int64, or ``(N, classes)`` float for learned or soft labels, which count in bytes.
        label_loss: what float labels are: class probabilities for cross-entropy, or targets for a squared error.
        rate: a learned learning rate ``()`` for networks that train on the set (counted in bytes), or None.
        labels_counted: True if float labels are computed from ``tensors()``, and so are already counted there. `restore`
            computes them, too: an archive holds the class of each clip in their place.
        mirrors: True for real clips that a protocol may mirror in training (`Clips.mirrors`). Never of a distilled set.
    """

    name: ClassVar[str]
    archived: ClassVar[bool] = True
    labels: torch.Tensor
    label_loss: LabelLoss = "cross-entropy"
    rate: torch.Tensor | None = None
    labels_counted: bool = False
    mirrors: bool = False

    @classmethod
    @abstractmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        """Rebuilds the set from its ``tensors()``, ``labels`` and ``options()``."""

    def options(self) -> dict[str, Value]:
        """Plain values that ``restore`` needs besides the tensors. Default: none."""
        return {}

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that ``render`` needs: pixels, memories, decoder weights. Returns the tensors themselves, not copies."""

    @abstractmethod
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Clips ``(B, C, T, H, W)``, float32, normalised, differentiable in ``tensors()``.

        For clips that show the same frame throughout, use `bench.core.repeated_frames.repeat_frame`. Networks then compute
        equal frames only once.

        Args:
            index: ``(B,)`` int64 positions in the set.
            rng: for sets that render at random; others ignore it.
        """

    def updated(self) -> None:  # noqa: B027 (most sets have nothing to do)
        """Called after every update while the set is learned, so that it can change what it stores. Default: does nothing."""

    def buffers(self) -> dict[str, torch.Tensor]:
        """What a checkpoint needs besides the learned tensors. Resuming fills them in place. Default: none."""
        return {}

    def stored(self) -> dict[str, torch.Tensor]:
        """Everything that is counted in bytes: ``tensors()``, float labels and a learned rate. Integer labels are free."""
        counted = dict(self.tensors())
        if self.labels.is_floating_point() and not self.labels_counted:
            counted["labels"] = self.labels
        if self.rate is not None:
            counted["rate"] = self.rate
        return counted

    @final
    def hard_labels(self) -> torch.Tensor:
        """``(N,)`` the class of each clip; for float labels the one with the highest value."""
        return self.labels if self.labels.dim() == 1 else self.labels.argmax(dim=1)

    def streamed(self) -> bool:
        """Whether rendering reads from disk, so that reading ahead helps. Default: no."""
        return False

    def __len__(self) -> int:
        return int(self.labels.shape[0])


# ----------------------------------------------------------------------------------------------------------------------
# How it is learned


class Upstream(ABC):
    """Something that several cells share, such as expert trajectories. It is made once, part by part, and cached.

    The ``name``, ``version``, ``key()``, training clips, network and distillation seed identify an instance. In a plugin, so
    does the meaning of the module's source. No cell makes a finished part again.

    Attributes:
        name: what it is, for the record and the display.
        version: raise it when a change would make different parts.
        parts: how many parts there are; each is one file.
        part_bytes: roughly the size of one part. If all parts together exceed the cache's limit, none is cached and each is
            made when asked for. 0 if they never could.
        of_frames: True if `make` asks only for single frames, so that one artefact serves every temporal setting.
        of_protocol: True if `make` calls `Task.training_batch`, so that one artefact serves only protocols with equal batches.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    of_frames: ClassVar[bool] = False
    of_protocol: ClassVar[bool] = False
    parts: int
    part_bytes: int = 0

    @abstractmethod
    def key(self) -> Mapping[str, Value]:
        """The settings that the result depends on."""

    @abstractmethod
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """Makes one part.

        Args:
            task: the task of the first cell that needs it. Its checkpoints and progress are those of the part.
            part: the number of the part, from 0.
        """


class Artefact(ABC):
    """A finished `Upstream`, on disk."""

    @abstractmethod
    def part(self, number: int) -> dict[str, torch.Tensor]:
        """All tensors of one part, on the CPU."""

    @abstractmethod
    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        """Some rows of one tensor of one part, on the CPU. Reads no other rows."""


class Checkpoints(ABC):
    """Saves the state of a long computation, so that it can resume after an interruption."""

    @abstractmethod
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Offers a state to be saved. ``state`` is called, and its result written atomically, only when a checkpoint is due.

        Args:
            step: the number of finished steps.
            state: returns the tensors that step ``step`` needs to continue.
        """

    @abstractmethod
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """The last saved ``(step, state)`` of this computation, or None."""


class Task(Checkpoints):
    """Everything a method may see: training clips, the budget, networks and named random generators. Never the test split.

    Attributes:
        classes: class names in label order.
        clip: the shape of the clips that networks see.
        ipc: instances (clips) per class that the method may store.
        budget: bytes that the set may take; ``ipc`` then follows from it. None if IPC is the budget.
        setting: the temporal setting to store and match.
        device: where tensors live.
        seed: the distillation seed; all generators derive from it.
    """

    classes: tuple[str, ...]
    clip: ClipShape
    ipc: int
    budget: int | None
    setting: TemporalSetting
    device: torch.device
    seed: int

    @abstractmethod
    def indices(self, label: int) -> torch.Tensor:
        """Positions ``(n,)`` of the training clips of one class, in a fixed order."""

    @abstractmethod
    def clips(
        self, index: torch.Tensor, views: torch.Tensor | None = None, frame: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Training clips ``(B, C, T, H, W)``, float32, normalised, on the device, as matching sees them.

        If the temporal setting has ``n_real`` below T, only that many frames are real; they are expanded back to T.

        Args:
            index: ``(B,)`` positions, as `indices` returns them.
            views: ``(B,)`` the stored window of each clip; the middle one if None.
            frame: ``(B,)`` one frame of each clip, which gives ``(B, C, 1, H, W)``; all frames if None.
        """

    @abstractmethod
    def views(self) -> int:
        """Stored windows per training clip."""

    @abstractmethod
    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """The same clips as decoded: uint8 ``(B, C, T, H, W)``, middle window."""

    @final
    def draw(self, label: int, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions and windows ``(n,)`` of ``count`` random training clips of one class, for `clips`.

        No clip comes twice: a class that has fewer than ``count`` gives all that it has.
        """
        own = self.indices(label)
        own = own[torch.randperm(len(own), generator=rng)[:count]]
        return own, torch.randint(self.views(), own.shape, generator=rng)

    @final
    def real(self, label: int, count: int, rng: torch.Generator) -> torch.Tensor:
        """Random training clips of one class in random windows, as `draw` picks them: ``(n, C, T, H, W)``."""
        return self.clips(*self.draw(label, count, rng))

    @final
    def draw_classes(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Calls `draw` for each class in turn: positions and windows ``(N,)``, class after class."""
        drawn = [self.draw(label, count, rng) for label in range(len(self.classes))]
        return torch.cat([index for index, _ in drawn]), torch.cat([views for _, views in drawn])

    @abstractmethod
    def training_batch(self, clips: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Real clips as networks see them that the cell's protocol trains on real clips (`Protocol.training_batch`).

        What is made with it upstream differs between protocols: see `Upstream.of_protocol`.

        Args:
            clips: ``(B, C, T, H, W)``, as `clips` gives them.
            rng: for what the protocol draws, such as which clips are mirrored.
        """

    @abstractmethod
    def real_set(self) -> SyntheticSet:
        """All training clips as a set that refers to them: the upper reference."""

    @abstractmethod
    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        """A newly initialised network of the profile, on the device, for clips of shape ``clip`` (default: the task's)."""

    @abstractmethod
    def frame_network(self, rng: torch.Generator) -> Classifier:
        """A newly initialised image network of the profile, for clips ``(B, C, 1, H, W)``, on the device."""

    @abstractmethod
    def upstream(self, what: Upstream) -> Artefact:
        """The finished artefact. Makes it if the cache lacks it; the record is charged for it either way."""

    @abstractmethod
    def trained_network(self) -> Classifier:
        """A network trained on the training split with a shortened form of the protocol's recipe.

        It trains for 20 epochs and a third of the updates, because it has to know the data but is not judged. It is on the
        device, in evaluation mode.

        It is trained once per (data, network, recipe, seed), cached, and shared by all cells. Each record is charged for it
        as upstream.
        """

    @abstractmethod
    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """The generator for one purpose (and step). A resumed run gets the same one as a fresh run."""

    @abstractmethod
    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        """Reports a finished step, with its loss for example. The user sees it, and the record's history has some of them.

        Pass metrics as they are, as tensors ``()`` on the device. The run then waits only for those that are shown.
        """

    @abstractmethod
    def log(self, message: str) -> None:
        """Shows the user one line."""


@dataclass(frozen=True)
class Preset:
    """Hyper-parameter values and where they come from. An empty condition matches anything; the most specific match wins.

    Attributes:
        values: field name of the method's Config to value.
        source: the paper, script or experiment that the values come from.
        note: what the source leaves open.
        lends: whether other datasets and IPCs of the profile take the values that no preset of theirs gives. They take those of
            the nearest IPC; plans and tables then say so.
    """

    values: Mapping[str, Value]
    source: str
    profile: str | None = None
    dataset: str | None = None
    ipc: int | None = None
    setting: str | None = None
    note: str = ""
    lends: bool = False

    def matches(self, profile: str, dataset: str, ipc: int, setting: str) -> bool:
        """Whether the preset applies to these."""
        wanted = (self.profile, self.dataset, self.ipc, self.setting)
        return all(
            want is None or want == have for want, have in zip(wanted, (profile, dataset, ipc, setting), strict=True)
        )

    def specificity(self) -> int:
        """Number of conditions."""
        return sum(want is not None for want in (self.profile, self.dataset, self.ipc, self.setting))


# What numbers a field of Config may hold. Any other bound is written the same way.
Count: TypeAlias = Annotated[int, Meta(ge=1)]
"""A whole number of at least 1: steps, batch sizes, epochs."""

CountOrZero: TypeAlias = Annotated[int, Meta(ge=0)]
"""A whole number of at least 0."""

Positive: TypeAlias = Annotated[float, Meta(gt=0)]
"""A number above 0: learning rates."""

PositiveOrZero: TypeAlias = Annotated[float, Meta(ge=0)]
"""A number of at least 0: learning rates of what may also stay as it is, weights of a loss."""

Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
"""A number from 0 to 1."""

Momentum: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
"""A number of at least 0 and below 1: the momentum of SGD."""


@dataclass(frozen=True)
class NoOptions:
    """The Config of a part without options."""


@dataclass(frozen=True)
class Start:
    """What a learned set was before it was learned: the set of another method, which learns nothing and stores as much.

    A run adds that method's cells, and tables show the gain over it: what learning added, and nothing else.

    Attributes:
        method: the name of the method that makes it.
        values: its hyper-parameters; the rest have their defaults.
    """

    method: str
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """The sizes of what a method is about to do, for the plan.

    Attributes:
        classes: number of classes.
        train: number of training clips.
        ipc: clips per class.
        clip: clip shape.
        setting: temporal setting.
        views: stored windows per training clip.
    """

    classes: int
    train: int
    ipc: int
    clip: ClipShape
    setting: TemporalSetting
    views: int = 1


@dataclass(frozen=True)
class Footprint:
    """The most that distilling has in memory at a time, for the plan: clips in a pass of a network, and copies of its weights.

    Attributes:
        forward: clips in a pass without gradient. Of these, and of ``through``, fewer are taken at a time where memory is short.
        through: clips in a pass whose gradient goes to the clips alone, because the weights are fixed.
        training: clips in a pass whose gradient goes to weights.
        double: clips in a pass whose gradient is itself differentiated.
        frames: single frames in a pass of the frame network whose gradient goes to weights.
        networks: copies of a network's weights on the device: itself, gradients, moments, targets.
        host_networks: copies of them in the CPU's memory.
    """

    forward: float = 0.0
    through: float = 0.0
    training: float = 0.0
    double: float = 0.0
    frames: float = 0.0
    networks: float = 1.0
    host_networks: float = 0.0


class Method(ABC, Generic[C]):
    """A way to learn or choose a small training set.

    Attributes:
        name: the name that users type.
        version: part of every cell's identity. Raise it when the method's results change. A test compares the suite's own
            methods with recorded results and fails if that was forgotten. A method of a plugin runs again whenever the
            meaning of its source changes, whatever its version.
        Config: a frozen dataclass of its hyper-parameters; the defaults are the paper's.
        presets: values for particular profiles, datasets and budgets, with their sources.
        paper: citation, or "" if there is none.
        uses_ipc: False if the set does not depend on IPC (one cell then serves every budget).
        uses_seed: False if nothing is random (one cell then serves every distillation seed).
        in_all: False for ablations and controls, which ``--methods all`` leaves out (``everything`` includes them).
        fills_budget: True if the method itself finds out how many clips fit into ``task.budget``. ``task.ipc`` is then the
            number of clips of the largest class. ``--methods all`` includes the method if there is a budget in bytes.
        tuned: fields of Config that ``run --tune`` may scale by one common factor. Positive floats (learning rates) are
            multiplied by it. Whole numbers are decibels (quality of a codec), to which 20 log10 of it is added.
        shares: names of the upstream artefacts that hold the part of its work that does not grow with IPC. A plan needs
            them to count that part once while there are no records to learn it from.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Config: ClassVar[type] = NoOptions
    presets: ClassVar[tuple[Preset, ...]] = ()
    paper: ClassVar[str] = ""
    uses_ipc: ClassVar[bool] = True
    uses_seed: ClassVar[bool] = True
    in_all: ClassVar[bool] = True
    fills_budget: ClassVar[bool] = False
    tuned: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def distill(self, task: Task) -> SyntheticSet:
        """Makes the set. Calls ``task.progress`` after each step, and ``task.checkpoint`` wherever it could resume."""

    @abstractmethod
    def stored_bytes(self, work: Workload) -> int:
        """Bytes that the set will take, for the plan."""

    @abstractmethod
    def clip_passes(self, work: Workload) -> float:
        """Passes of single clips through a network that distilling takes (forward = 1, backward = 2), for the estimate."""

    def footprint(self, work: Workload) -> Footprint:
        """What distilling has in memory at its peak, beside the set. Default: a training pass of the whole set, and 64 real clips."""
        return Footprint(forward=64.0, training=float(work.classes * work.ipc), networks=3.0)

    def start(self) -> Start | None:
        """What its set was before anything was learned, or None if nothing is learned. Default: nothing is."""
        return None

    def declines(self, work: Workload) -> str | None:
        """Why the method cannot do this work (its temporal setting or budget), or None if it can. Default: whole clips only."""
        if not work.setting.is_dense(work.clip.frames):
            return f"{self.name} stores whole clips only"
        return None


# ----------------------------------------------------------------------------------------------------------------------
# How it is judged


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum on the cross-entropy, with the learning rate cut at milestones.

    Attributes:
        epochs: passes over the set; training ends earlier after ``max_updates`` updates.
        batch: clips per update.
        lr, momentum, weight_decay: of SGD.
        milestones: fractions of the training; after each, the learning rate is multiplied by ``decay``.
        max_updates: cap on optimiser updates, or None.
    """

    epochs: int
    batch: int
    lr: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    milestones: tuple[float, ...] = (0.5,)
    decay: float = 0.1
    max_updates: int | None = None

    def updates(self, clips: int) -> int:
        """Optimiser updates for a set of ``clips`` clips."""
        wanted = self.epochs * -(-clips // self.batch)
        return wanted if self.max_updates is None else min(wanted, self.max_updates)


@dataclass(frozen=True)
class Evaluation:
    """One network, trained on a set and tested. Holds raw counts, from which every mean is derived.

    Attributes:
        network: which of the protocol's networks it is (its seed).
        confusion: ``[true][predicted]`` counts over the test clips.
        top5: clips whose true class is among the first five, or None if there are at most 10 classes.
        train_accuracy: on the clips it was trained on, in [0, 1].
        fitted: whether it fit them (see the protocol). If not, its test figure says nothing about the set.
        loss: training loss at the end; None if it was not finite.
        updates: optimiser updates done.
        probes: correct count of the same network on the same test clips under each temporal probe (`bench.judging.probes`).
            Empty if there were no probes.
        frozen_trained: correct count, on unaltered test clips, of a network with the same number that was trained on the set
            with its time frozen. None if there was no such training.
        frozen_both: correct count of that network on test clips with their time frozen too, or None.
        correct_clips: whether each tested clip was classified correctly, in test order, packed by `bench.core.bitstrings`. A
            protocol with several test passes puts them one after another. Empty if it was not recorded.
        checkpoints: correct counts at evenly spaced points of the training, the last at its end. Empty if only the end was
            tested.
    """

    network: int
    confusion: tuple[tuple[int, ...], ...]
    top5: int | None
    train_accuracy: float
    fitted: bool
    loss: float | None
    updates: int
    probes: Mapping[str, int] = field(default_factory=dict)
    frozen_trained: int | None = None
    frozen_both: int | None = None
    correct_clips: str = ""
    checkpoints: tuple[int, ...] = ()

    def tested(self) -> int:
        """Number of test clips."""
        return self._counts[0]

    def correct(self) -> int:
        """Number of test clips classified correctly."""
        return self._counts[1]

    @functools.cached_property
    def _counts(self) -> tuple[int, int]:
        return sum(map(sum, self.confusion)), sum(row[i] for i, row in enumerate(self.confusion))

    def accuracy(self) -> float:
        """Share of test clips classified correctly."""
        return self.correct() / max(1, self.tested())

    def selection_inflation(self) -> float | None:
        """What choosing the best checkpoint on the test clips would add to the accuracy; None if only the end was tested."""
        return (max(self.checkpoints) - self.checkpoints[-1]) / max(1, self.tested()) if self.checkpoints else None


class Clips(ABC):
    """Labelled clips to train or test on."""

    labels: torch.Tensor

    @abstractmethod
    def views(self) -> int:
        """Stored windows per clip."""

    @abstractmethod
    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """Clips ``(B, C, T, H, W)``, float32, normalised, on the device, all from window ``view``."""

    def mirrors(self) -> bool:
        """Whether a clip that is mirrored left to right still shows its class (`ClipIndex.mirrors`). Default: no."""
        return False

    def streamed(self) -> bool:
        """Whether a batch is read from disk, so that reading ahead helps. Default: no."""
        return False

    def __len__(self) -> int:
        return int(self.labels.shape[0])


class Protocol(ABC):
    """How a set is judged: networks are trained on it and tested on real clips. Figures of two protocols are never mixed.

    Attributes:
        name, version: the identity. Raise the version when a change would give other figures.
        networks: how many networks are trained. All methods and distillation seeds share their seeds.
        recipe: the training recipe.
        fit_threshold: the training accuracy from which a network counts as having fit its set.
        frozen_training: whether each network is trained a second time, on the set with its time frozen (temporal gain).
    """

    name: ClassVar[str]
    version: ClassVar[int]
    networks: ClassVar[int]
    recipe: ClassVar[Recipe]
    fit_threshold: ClassVar[float]
    frozen_training: ClassVar[bool] = True

    def training_batch(self, clips: torch.Tensor, mirrors: bool, rng: torch.Generator) -> torch.Tensor:
        """What a network sees of a batch of real clips that it is trained on. Default: the clips as they are.

        Args:
            clips: ``(B, C, T, H, W)``, normalised.
            mirrors: whether a mirrored clip still shows its class.
            rng: for what is drawn.
        """
        return clips

    @abstractmethod
    def evaluate(
        self,
        train: SyntheticSet,
        test: Clips,
        classes: int,
        build: Callable[[torch.Generator], Classifier],
        network: int,
        progress: Callable[[int, int, float], None],
        probes: Mapping[str, Clips] | None = None,
        saved: Checkpoints | None = None,
    ) -> Evaluation:
        """Trains network number ``network`` on ``train`` and tests it.

        Args:
            train: the set; rendered anew for each batch.
            test: real clips the method never saw.
            classes: number of classes.
            build: makes a newly initialised network from a generator.
            network: index of the network. All its randomness (weights, order, rendering) derives from it.
            progress: called with (updates done, updates in all, loss).
            probes: altered test clips by name. The trained network is tested on them in the same way; nothing else may
                depend on them.
            saved: saves the state of this training, so that a killed run resumes and ends with the same figures. A protocol
                that ignores it trains this network from the start again.
        """


class Network(ABC):
    """An architecture.

    Attributes:
        name: the name that users type.
        channels_last: whether its clips have their channels next to each other in memory, as in the clip store, or are in
            PyTorch's default layout. This affects only speed.
    """

    name: ClassVar[str]
    channels_last: ClassVar[bool] = True

    @abstractmethod
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A newly initialised network; every weight is drawn from ``rng``.

        Raises:
            BenchError: the network `declines` such clips.
        """

    def declines(self, clip: ClipShape) -> str | None:
        """Why the network cannot take clips of that shape, or None if it can. Default: it can."""
        return None

    def flops(self, classes: int, clip: ClipShape) -> float | None:
        """Floating-point operations of one clip's forward pass (a multiply-add is two), for the estimate.

        Default: None; `bench.nets.flops` then counts them.
        """
        return None


# ----------------------------------------------------------------------------------------------------------------------
# Data


@dataclass(frozen=True, slots=True)
class ClipRef:
    """One video of a dataset, not yet decoded.

    Attributes:
        key: path relative to the dataset's root with ``/``, or a procedural clip's name.
        label: class index.
        split: ``train`` or ``test``.
        group: clips of one group (same footage, same actor) stay together, in fit or in validation.
        size: bytes of the file; 0 for procedural clips.
    """

    key: str
    label: int
    split: Literal["train", "test"]
    group: str
    size: int = 0


@dataclass(frozen=True)
class ClipIndex:
    """What a dataset holds. It is known before anything is decoded.

    Attributes:
        dataset: the name shown in tables. It has ``(stand-in)`` in it if procedural clips replace a real dataset.
        classes: class names in label order.
        clips: all videos, in a fixed order: a tuple, or a `bench.data.clip_table.ClipTable` if there are many.
        fingerprint: SHA-256 that changes when the data do.
        notes: what the user should know (a split that was drawn, a ceiling that was computed), one sentence each.
        stamp: changes whenever a file may have changed; empty where clips are not read from files. It says which decoded clips
            are still those of the files. It is no part of any cell: a copy of the data has another one.
        mirrors: whether a clip that is mirrored left to right still shows its class, so that a protocol may mirror it. False
            where left and right mean something, or where nobody knows.
    """

    dataset: str
    classes: tuple[str, ...]
    clips: Sequence[ClipRef]
    fingerprint: str
    notes: tuple[str, ...] = ()
    stamp: str = ""
    mirrors: bool = False


@dataclass(frozen=True)
class DeclaredSize:
    """The size of a dataset, known without having it."""

    classes: int
    train: int
    test: int


class Dataset(ABC, Generic[C]):
    """A source of labelled videos. Instances are small and picklable, because decoding workers get copies.

    Attributes:
        name: the name that users type: ``name``, ``name[option=value]`` or ``name:argument``.
        Config: a frozen dataclass of the options in brackets.
        default_profile: the profile used unless the user names one.
        takes_argument: whether users write ``name:argument`` (a folder's path, for example).
    """

    name: ClassVar[str]
    Config: ClassVar[type] = NoOptions
    default_profile: str = "quick"
    takes_argument: ClassVar[bool] = False

    def __init__(self, options: C, root: str, argument: str = "") -> None:
        """Args:
        options: an instance of ``Config``.
        root: the folder that holds the dataset (it need not exist for procedural ones).
        argument: what the user wrote after the colon.
        """
        self.options = options
        self.root = root
        self.argument = argument

    def declared(self) -> DeclaredSize | None:
        """Class and clip counts, if they are known without the data; ``--stand-in`` needs them. Default: None."""
        return None

    @abstractmethod
    def geometry(self, profile: Geometry) -> Geometry:
        """The profile's geometry, changed by this dataset's options if it has any."""

    @abstractmethod
    def index(self, geometry: Geometry) -> ClipIndex:
        """Lists the videos without decoding any.

        Raises:
            MissingData: the data is not there. The message says what to do.
        """

    @abstractmethod
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        """Decodes or draws one video: uint8 ``(views, T, H, W, 3)``.

        Raises:
            UnreadableClip: the clip cannot be decoded. The message says why.
        """


# ----------------------------------------------------------------------------------------------------------------------
# Profiles


@dataclass(frozen=True)
class Profile:
    """A named bundle of clip geometry, networks and protocol. Presets of methods refer to it by name.

    A plugin adds a profile by defining an instance at the top level of its module. The profile is part of every cell, and
    no table mixes two.

    Attributes:
        name: the name that users type.
        geometry: the geometry of the clips.
        network: the network that sees clips, both in distilling and in judging.
        protocol: how sets are judged.
        summary: a line for lists.
        frame_network: the network that sees single frames, for methods that learn still images.
    """

    name: str
    geometry: Geometry
    network: str
    protocol: str
    summary: str
    frame_network: str
