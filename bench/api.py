"""The contracts of the suite: the one page that the author of a method, dataset, network or protocol reads.

Three questions, three kinds of part. *What is stored?* a `SyntheticSet`. *How is it learned or chosen?* a `Method`.
*How is it judged?* a `Protocol`. A plugin is a Python file with final subclasses of these classes (or of `Dataset` and
`Network`), each with a ``name``; the suite finds them, nothing else has to be edited.

Clips are float32 tensors ``(C, T, H, W)``, normalised per channel (`bench.data.pixels`), or uint8 arrays ``(T, H, W, C)``
as decoded. Write ``import torch`` (not ``from torch import ...``) at the top of a plugin: the suite then lists and plans
without loading it.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeAlias, TypeVar, final

import torch

from bench.core.config import Value
from bench.core.temporal import TemporalSetting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.core.classifier import Classifier

C = TypeVar("C")

Split = Literal["train", "fit", "validation", "test"]
"""``train`` is all training clips; ``fit`` and ``validation`` part it group by group; ``test`` is never seen by a method."""


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
        gap: source frames from one clip frame to the next; shorter videos use ``length // frames``.
        scale: pixels of the shorter side after scaling.
        size: height and width of the centre crop.
        views: windows per video at evenly spaced starts; training draws one, testing averages over all.
    """

    frames: int
    gap: int
    scale: int
    size: int
    views: int = 1

    def shape(self) -> ClipShape:
        """The shape of the clips that result."""
        return ClipShape(3, self.frames, self.size, self.size)


# ----------------------------------------------------------------------------------------------------------------------
# What is stored


class SyntheticSet(ABC):
    """A distilled set: tensors that are counted in bytes, and how they turn into clips.

    Attributes:
        name: the name of the representation, written into the manifest.
        archived: False for a set that only refers to data kept elsewhere; its tensors are counted, not written.
        labels: ``(N,)`` int64, or ``(N, classes)`` float for learned or soft labels (which then count in bytes).
        label_loss: what float labels are: class probabilities for cross-entropy, or targets for a squared error.
        rate: a learned learning rate ``()`` for networks that train on the set (counted in bytes), or None.
        labels_counted: True if float labels are made from ``tensors()``, and so are counted there.
    """

    name: ClassVar[str]
    archived: ClassVar[bool] = True
    labels: torch.Tensor
    label_loss: LabelLoss = "cross-entropy"
    rate: torch.Tensor | None = None
    labels_counted: bool = False

    @classmethod
    @abstractmethod
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        """The set that gave these ``tensors()``, ``labels`` and ``options()``; the inverse of archiving it."""

    def options(self) -> dict[str, Value]:
        """Plain values that ``restore`` needs beside the tensors. Default: none."""
        return {}

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that ``render`` needs: pixels, memories, decoder weights. The tensors themselves, not copies."""

    @abstractmethod
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Clips ``(B, C, T, H, W)``, float32, normalised, differentiable in ``tensors()``.

        Clips that show one frame all the time are best made by `bench.core.repeated_frames.repeat_frame`: networks then
        compute equal frames once.

        Args:
            index: ``(B,)`` int64 positions in the set.
            rng: for sets that render at random; others ignore it.
        """

    def updated(self) -> None:  # noqa: B027 (most sets have nothing to do)
        """Told after every update while the set is learned: a set may change what it stores. Default: nothing."""

    def buffers(self) -> dict[str, torch.Tensor]:
        """What a checkpoint of learning needs beside what is learned; filled in place on resuming. Default: nothing."""
        return {}

    def stored(self) -> dict[str, torch.Tensor]:
        """All that is counted in bytes: ``tensors()``, float labels and a learned rate. Integer labels are free."""
        kept = dict(self.tensors())
        if self.labels.is_floating_point() and not self.labels_counted:
            kept["labels"] = self.labels
        if self.rate is not None:
            kept["rate"] = self.rate
        return kept

    def streamed(self) -> bool:
        """Whether rendering reads the disk, so that reading ahead pays. Default: no."""
        return False

    def __len__(self) -> int:
        return int(self.labels.shape[0])


# ----------------------------------------------------------------------------------------------------------------------
# How it is learned


class Upstream(ABC):
    """Something that several cells share, such as expert trajectories: made once, part by part, kept in the cache.

    Instances are identified by ``name``, ``version``, ``key()``, the training clips, the network and the distillation seed;
    those of a plugin also by the meaning of their module's source. A part that is finished is never made again, by
    whatever cell.

    Attributes:
        name: what it is, for the record and the display.
        version: rises when the parts that are made would change.
        parts: how many parts it is made in; each is one file.
        part_bytes: about what one part takes. Where all parts together take more than the cache may hold, none is kept:
            each is made when it is asked for. 0 where this cannot be.
        of_frames: True if `make` asks for single frames alone, so that the same artefact serves every temporal setting.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    of_frames: ClassVar[bool] = False
    parts: int
    part_bytes: int = 0

    @abstractmethod
    def key(self) -> Mapping[str, Value]:
        """The settings that the result depends on."""

    @abstractmethod
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        """Makes one part. ``task`` is that of the cell that needs it first; its checkpoints and progress are the part's."""


class Artefact(ABC):
    """A finished `Upstream`, on disk."""

    @abstractmethod
    def part(self, number: int) -> dict[str, torch.Tensor]:
        """All tensors of one part, on the CPU."""

    @abstractmethod
    def rows(self, number: int, name: str, rows: slice) -> torch.Tensor:
        """Some rows of one tensor of one part, on the CPU; no other is read."""


class Checkpoints(ABC):
    """Where a long computation keeps its state, from which it goes on after an interruption."""

    @abstractmethod
    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Offers a state to be kept. ``state`` is called, and written atomically, only when a checkpoint is due.

        Args:
            step: the number of finished steps.
            state: gives the tensors from which step ``step`` can go on.
        """

    @abstractmethod
    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """The last kept ``(step, state)`` of this computation, or None."""


class Task(Checkpoints):
    """All that a method may see: training clips, the budget, networks and named random generators. Never the test split.

    Attributes:
        classes: class names in label order.
        clip: the shape of the clips that networks see.
        ipc: instances (clips) per class that the method may store.
        budget: bytes that the set may take, of which ``ipc`` is then the consequence; None where IPC is the budget.
        setting: the temporal setting to be stored and matched.
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

        (Where the temporal setting has ``n_real`` below T, only so many of their frames are known, expanded to T again.)

        Args:
            index: ``(B,)`` positions as `indices` gives them.
            views: ``(B,)`` which stored window of each; the middle one if None.
            frame: ``(B,)`` which single frame of each, for clips ``(B, C, 1, H, W)``; all frames if None.
        """

    @abstractmethod
    def views(self) -> int:
        """Stored windows per training clip."""

    @abstractmethod
    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """The same clips as stored: uint8 ``(B, C, T, H, W)``, middle window."""

    @final
    def draw(self, label: int, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Random positions and windows ``(count,)`` of training clips of one class, for `clips`.

        Without repetition unless the class has fewer than ``count``.
        """
        own = self.indices(label)
        if count > len(own):
            own = own[torch.randint(len(own), (count,), generator=rng)]
        else:
            own = own[torch.randperm(len(own), generator=rng)[:count]]
        return own, torch.randint(self.views(), (count,), generator=rng)

    @final
    def real(self, label: int, count: int, rng: torch.Generator) -> torch.Tensor:
        """Random training clips of one class, random windows, as `draw` gives them: ``(count, C, T, H, W)``."""
        return self.clips(*self.draw(label, count, rng))

    @final
    def draw_classes(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for all classes, class after class: ``(classes * count,)`` each."""
        drawn = [self.draw(label, count, rng) for label in range(len(self.classes))]
        return torch.cat([index for index, _ in drawn]), torch.cat([views for _, views in drawn])

    @abstractmethod
    def real_set(self) -> SyntheticSet:
        """All training clips as a set, by reference: the upper reference."""

    @abstractmethod
    def network(self, rng: torch.Generator, clip: ClipShape | None = None) -> Classifier:
        """A newly initialised network of the profile, on the device, for clips of the task's shape or of another."""

    @abstractmethod
    def frame_network(self, rng: torch.Generator) -> Classifier:
        """A newly initialised image network of the profile, for clips ``(B, C, 1, H, W)``, on the device."""

    @abstractmethod
    def upstream(self, what: Upstream) -> Artefact:
        """The finished artefact, made now where the cache lacks it; its cost is charged to the record either way."""

    @abstractmethod
    def trained_network(self) -> Classifier:
        """A network trained on the training split by the protocol's recipe, shortened; on the device, in evaluation mode.

        Shortened to 20 epochs and a third of the updates: it has to know the data, it is not judged.

        Trained once per (data, network, recipe, seed), kept in the cache and shared by all cells; its cost is charged to
        each record as upstream.
        """

    @abstractmethod
    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """The generator for one purpose (and step): the same in a fresh and in a resumed run."""

    @abstractmethod
    def progress(self, step: int, total: int, **metrics: Metric) -> None:
        """Reports a finished step (its loss, say): shown to the user, thinned into the record's history.

        Give the numbers as they are, as tensors ``()`` on the device: those that nobody looks at are then not waited for.
        """

    @abstractmethod
    def log(self, message: str) -> None:
        """One line for the user."""


@dataclass(frozen=True)
class Preset:
    """Hyper-parameter values with their source. Empty conditions match anything; the most specific match wins.

    Attributes:
        values: field name of the method's Config to value.
        source: paper, script or experiment the values come from.
        note: what the source leaves open.
    """

    values: Mapping[str, Value]
    source: str
    profile: str | None = None
    dataset: str | None = None
    ipc: int | None = None
    setting: str | None = None
    note: str = ""

    def matches(self, profile: str, dataset: str, ipc: int, setting: str) -> bool:
        """Whether the preset applies there."""
        wanted = (self.profile, self.dataset, self.ipc, self.setting)
        return all(
            want is None or want == have for want, have in zip(wanted, (profile, dataset, ipc, setting), strict=True)
        )

    def specificity(self) -> int:
        """Number of conditions."""
        return sum(want is not None for want in (self.profile, self.dataset, self.ipc, self.setting))


@dataclass(frozen=True)
class NoOptions:
    """The Config of a part without options."""


@dataclass(frozen=True)
class Workload:
    """What a method is about to do, for the plan: sizes only.

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


class Method(ABC, Generic[C]):
    """A way to learn or choose a small training set.

    Attributes:
        name: how users ask for it.
        version: part of every cell's identity; it rises when the method's results change. The suite's own methods raise it by
            hand, and a test with recorded results fails where it was forgotten. Methods of plugins run again when the meaning
            of their source changes, whatever their version.
        Config: a frozen dataclass of its hyper-parameters; the defaults are the paper's.
        presets: values for particular profiles, datasets and budgets, with their sources.
        paper: citation, or "" where there is none.
        uses_ipc: False if the set does not depend on IPC (one cell then serves every budget).
        uses_seed: False if nothing is random (one cell then serves every distillation seed).
        in_all: False for ablations and controls, which ``--methods all`` leaves out (``everything`` does not).
        fills_budget: True if it finds out itself how many clips fit into ``task.budget``; ``task.ipc`` is then all clips of
            the largest class. ``--methods all`` takes it wherever there is a budget in bytes.
        tuned: fields of Config that ``run --tune`` may move by one common factor: positive floats (learning rates) are
            multiplied by it; whole numbers are decibels (quality of a codec), to which 20 log10 of it is added.
        shares: names of the upstream artefacts that make up the part of its work that does not grow with IPC, so that a plan
            counts them once before any record tells it.
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
        """Makes the set. Calls ``task.progress`` each step and ``task.checkpoint`` where it can go on from."""

    @abstractmethod
    def stored_bytes(self, work: Workload) -> int:
        """Bytes that the set will take, for the plan."""

    @abstractmethod
    def clip_passes(self, work: Workload) -> float:
        """Network passes of single clips that distilling takes (forward = 1, backward = 2), for the plan's estimate."""

    def declines(self, work: Workload) -> str | None:
        """Why this method cannot do that (temporal setting, budget), or None if it can. Default: whole clips only."""
        if not work.setting.is_dense(work.clip.frames):
            return f"{self.name} stores whole clips only"
        return None


# ----------------------------------------------------------------------------------------------------------------------
# How it is judged


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum, learning rate cut at milestones, cross-entropy.

    Attributes:
        epochs: passes over the set; training ends earlier after ``max_updates`` updates.
        batch: clips per update.
        lr, momentum, weight_decay: of SGD.
        milestones: fractions of the training after which the learning rate is multiplied by ``decay``.
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
    """One network trained on a set and tested: raw counts, from which every mean is derived.

    Attributes:
        network: which of the protocol's networks (its seed).
        confusion: ``[true][predicted]`` counts over the test clips.
        top5: correct-in-five count, or None where there are at most 10 classes.
        train_accuracy: on the clips it was trained on, in [0, 1].
        fitted: whether it fit them (see the protocol); if not, its test figure says nothing about the set.
        loss: training loss at the end; None if it was not finite.
        updates: optimiser updates done.
        probes: correct count of the same network on the same test clips under each temporal probe (`bench.judging.probes`);
            empty where none were asked for.
        frozen_trained: correct count, on the test clips as they are, of a network of the same number trained on the set with
            its time frozen; None where there was no such training.
        frozen_both: correct count of that network on the test clips with their time frozen too, or None.
        correct_clips: whether each tested clip was classified correctly, in test order, packed by `bench.core.bitstrings`; a protocol
            that tests in several passes has them one after another. Empty where it was not kept.
        checkpoints: correct counts at evenly spaced points of the training, the last at its end; empty where only its end was
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
        """What taking the best checkpoint by its accuracy on the test clips would add; None where only the end was tested."""
        return (max(self.checkpoints) - self.checkpoints[-1]) / max(1, self.tested()) if self.checkpoints else None


class Clips(ABC):
    """Labelled clips to train on or to be tested on."""

    labels: torch.Tensor

    @abstractmethod
    def views(self) -> int:
        """Stored windows per clip."""

    @abstractmethod
    def batch(self, index: torch.Tensor, view: int) -> torch.Tensor:
        """Clips ``(B, C, T, H, W)``, float32, normalised, on the device, of one window each."""

    def streamed(self) -> bool:
        """Whether a batch reads the disk, so that reading ahead pays. Default: no."""
        return False

    def __len__(self) -> int:
        return int(self.labels.shape[0])


class Protocol(ABC):
    """How a set is judged: networks trained on it, tested on real clips. Numbers of two protocols are never mixed.

    Attributes:
        name, version: the identity; the version rises when figures would change.
        networks: how many networks are trained; their seeds are shared by all methods and all distillation seeds.
        recipe: the training recipe.
        fit_threshold: training accuracy from which a network counts as having fit its set.
        frozen_training: whether each network is trained a second time, on the set with its time frozen (temporal gain).
    """

    name: ClassVar[str]
    version: ClassVar[int]
    networks: ClassVar[int]
    recipe: ClassVar[Recipe]
    fit_threshold: ClassVar[float]
    frozen_training: ClassVar[bool] = True

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
            network: index of the network; all its randomness (weights, order, rendering) derives from it.
            progress: called with (updates done, updates in all, loss).
            probes: altered test clips by name, on which the trained network is tested in the same way; nothing else may
                depend on them.
            saved: keeps the state of this training, so that a killed one goes on to the same figures; a protocol that does
                without starts this network again.
        """


class Network(ABC):
    """An architecture.

    Attributes:
        name: how users ask for it.
        channels_last: whether it is given clips whose channels lie together in memory, as they do in the clip store, or else
            in PyTorch's own order; a matter of speed alone.
    """

    name: ClassVar[str]
    channels_last: ClassVar[bool] = True

    @abstractmethod
    def build(self, classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
        """A newly initialised network; every weight is drawn from ``rng``.

        Raises:
            BenchError: it `declines` such clips.
        """

    def declines(self, clip: ClipShape) -> str | None:
        """Why it cannot take clips of that shape, or None if it can. Default: it can."""
        return None

    def flops(self, classes: int, clip: ClipShape) -> float | None:
        """Floating-point operations of one clip's forward pass (a multiply-add is two), for the plan's estimate.

        Default: None, and `bench.nets.flops` counts them.
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
        group: clips of one group (same footage, same actor) never part into fit and validation.
        size: bytes of the file; 0 for procedural clips.
    """

    key: str
    label: int
    split: Literal["train", "test"]
    group: str
    size: int = 0


@dataclass(frozen=True)
class ClipIndex:
    """What a dataset holds: known before anything is decoded.

    Attributes:
        dataset: the name shown in tables; holds ``(stand-in)`` where clips are procedural ones in a real dataset's place.
        classes: class names in label order.
        clips: all videos, in a fixed order: a tuple, or a `bench.data.clip_table.ClipTable` where there are many.
        fingerprint: SHA-256 that changes when the data do.
        notes: what the user should know (a split that was drawn, a ceiling that was computed), one sentence each.
    """

    dataset: str
    classes: tuple[str, ...]
    clips: Sequence[ClipRef]
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeclaredSize:
    """What is known of a dataset without having it."""

    classes: int
    train: int
    test: int


class Dataset(ABC, Generic[C]):
    """A source of labelled videos. Instances are small and picklable: decoding workers get a copy.

    Attributes:
        name: how users ask for it: ``name``, ``name[option=value]`` or ``name:argument``.
        Config: a frozen dataclass of the options in brackets.
        default_profile: the profile used unless the user names one.
        takes_argument: whether ``name:argument`` is its form (a folder's path, say).
    """

    name: ClassVar[str]
    Config: ClassVar[type] = NoOptions
    default_profile: str = "quick"
    takes_argument: ClassVar[bool] = False

    def __init__(self, options: C, root: str, argument: str = "") -> None:
        """Args:
        options: an instance of ``Config``.
        root: the folder the dataset is looked for in (absent for procedural ones).
        argument: what stood behind the colon.
        """
        self.options = options
        self.root = root
        self.argument = argument

    def declared(self) -> DeclaredSize | None:
        """Class and clip counts where they are known without the data; makes ``--stand-in`` possible. Default: None."""
        return None

    @abstractmethod
    def geometry(self, profile: Geometry) -> Geometry:
        """The profile's geometry, or what this dataset's options make of it."""

    @abstractmethod
    def index(self, geometry: Geometry) -> ClipIndex:
        """Lists the videos without decoding any.

        Raises:
            MissingData: it is not there; the message is complete.
        """

    @abstractmethod
    def read(self, clip: ClipRef, geometry: Geometry) -> NDArray[np.uint8]:
        """Decodes or draws one video: uint8 ``(views, T, H, W, 3)``.

        Raises:
            UnreadableClip: with the reason.
        """


# ----------------------------------------------------------------------------------------------------------------------
# Profiles


@dataclass(frozen=True)
class Profile:
    """A named bundle of clip geometry, networks and protocol. Methods key their own budgets by its name.

    A plugin adds one by an instance at the top of its module. A profile is part of every cell, and no table mixes two.

    Attributes:
        name: how users ask for it.
        geometry: of the clips.
        network: the network that sees clips, distilling and judging.
        protocol: how sets are judged.
        summary: a line for lists.
        frame_network: the network that sees single frames, where a method learns still images.
    """

    name: str
    geometry: Geometry
    network: str
    protocol: str
    summary: str
    frame_network: str
