"""What a method sees while it distils one cell: the `Task` of the contracts, over a clip store."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

import torch

from bench import rng as named
from bench.api import ClipShape, Network, Protocol, Split, SyntheticSet, Task
from bench.costs import PhaseMeter
from bench.data.pixels import SplitClips, normalise
from bench.errors import OutOfTime
from bench.store.artefacts import load_tensors, save_tensors
from bench.store.records import Cell, PhaseCost, canonical_json
from bench.temporal import TemporalSetting

if TYPE_CHECKING:
    from bench.data.store import ClipStore
    from bench.nets.classifier import Classifier

CHECKPOINT_SECONDS = 20.0
HISTORY_POINTS = 200


@dataclass
class Reporter:
    """How a running cell tells the outside what happens.

    Attributes:
        step: called with (phase, step, total, loss).
        log: called with a line for the user.
        deadline: the wall-clock time (``time.time``) after which the cell stops, or None.
    """

    step: Callable[[str, int, int, float | None], None]
    log: Callable[[str], None]
    deadline: float | None = None

    def check_time(self) -> None:
        """Raises:
        OutOfTime: the deadline has passed.
        """
        if self.deadline is not None and time.time() > self.deadline:
            raise OutOfTime("the run's time limit passed")


@dataclass
class Journal:
    """What a cell has gathered so far, kept in its checkpoint so that a resumed cell goes on as if unbroken."""

    history: dict[str, list[float]] = field(default_factory=dict)
    distil: PhaseCost = field(default_factory=lambda: PhaseCost(0.0, 0.0, 0, 0))
    upstream: PhaseCost | None = None

    def to_meta(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)

    @staticmethod
    def from_meta(meta: Mapping[str, object]) -> Journal:
        """The inverse of `to_meta`."""
        upstream = meta["upstream"]
        return Journal(
            history=meta["history"],  # type: ignore[arg-type]
            distil=PhaseCost(**meta["distil"]),  # type: ignore[arg-type]
            upstream=None if upstream is None else PhaseCost(**upstream),  # type: ignore[arg-type]
        )


@final
class CellTask(Task):
    """The task of one cell.

    Args:
        cell: the cell.
        store: the decoded dataset.
        split: the split that may be seen: ``train``, or ``fit`` when judging on the validation part.
        clip, setting: shape of the clips and temporal setting.
        network, protocol: parts of the profile.
        device: where tensors live.
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
        protocol: Protocol,
        device: torch.device,
        checkpoint_path: Path,
        cache: Path,
        reporter: Reporter,
        journal: Journal,
    ) -> None:
        self.classes = store.classes
        self.clip = clip
        self.ipc = cell.ipc or 0
        self.setting = setting
        self.device = device
        self.seed = cell.seed or 0
        self.journal = journal
        self._cell = cell
        self._data = SplitClips(store, split, device)
        self._by_class = [(self._data.labels == label).nonzero().flatten() for label in range(len(store.classes))]
        self._digest = store.digest
        self._split = split
        self._network = network
        self._protocol = protocol
        self._checkpoint_path = checkpoint_path
        self._cache = cache
        self._reporter = reporter
        self._meter: PhaseMeter | None = None
        self._last_checkpoint = time.monotonic()

    # ------------------------------------------------------------------------------------------------------------------
    # Real clips

    def indices(self, label: int) -> torch.Tensor:
        """See `Task`."""
        return self._by_class[label]

    def clips(self, index: torch.Tensor, views: torch.Tensor | None = None) -> torch.Tensor:
        """See `Task`."""
        return normalise(self._data.pixels(index, self._middle(index) if views is None else views))

    def pixels(self, index: torch.Tensor) -> torch.Tensor:
        """See `Task`."""
        return self._data.pixels(index, self._middle(index))

    def real(self, label: int, count: int, rng: torch.Generator) -> torch.Tensor:
        """See `Task`."""
        own = self._by_class[label]
        if count <= len(own):
            chosen = own[torch.randperm(len(own), generator=rng)[:count]]
        else:
            chosen = own[torch.randint(len(own), (count,), generator=rng)]
        return self.clips(chosen, torch.randint(self._data.views(), (count,), generator=rng))

    def real_set(self) -> SyntheticSet:
        """See `Task`."""
        from bench.synthetic.real import RealSet

        return RealSet(self._data)

    def _middle(self, index: torch.Tensor) -> torch.Tensor:
        return torch.full_like(index, self._data.middle())

    # ------------------------------------------------------------------------------------------------------------------
    # Networks and randomness

    def network(self, rng: torch.Generator) -> Classifier:
        """See `Task`."""
        return self._network.build(len(self.classes), self.clip, rng).to(self.device)

    def rng(self, name: str, step: int = 0) -> torch.Generator:
        """See `Task`. Not keyed by the method: what two methods both draw under one name, they draw alike."""
        return named.generator("distil", self.seed, name, step)

    def trained_network(self) -> Classifier:
        """See `Task`."""
        from bench.training import train

        network = self.network(self.rng("trained network"))
        key = {
            "what": "trained network",
            "data": self._digest,
            "split": self._split,
            "network": self._network.name,
            "recipe": asdict(self._protocol.recipe),
            "seed": self.seed,
            "device": self.device.type,
        }
        path = self._cache / "upstream" / f"{named.derive_seed(canonical_json(key)):016x}.safetensors"
        kept = load_tensors(path)
        if kept is not None and canonical_json(kept[1].get("key")) == canonical_json(key):
            network.load_state_dict(kept[0])
            if self.journal.upstream is None:  # else this cell trained it itself, before it was resumed
                self.journal.upstream = PhaseCost(**{**kept[1]["cost"], "shared": True})
            return network.eval()
        with PhaseMeter(self.device) as meter:
            train(
                network,
                self.real_set(),
                self._protocol.recipe,
                self.device,
                self.rng("trained network order"),
                self.rng("trained network render"),
                lambda step, total, loss: self._step("upstream", step, total, loss),
            )
        self.journal.upstream = meter.cost
        save_tensors(path, network.state_dict(), {"key": key, "cost": asdict(meter.cost)})
        return network.eval()

    # ------------------------------------------------------------------------------------------------------------------
    # Progress and checkpoints

    def measure(self, meter: PhaseMeter) -> None:
        """Tells the task which meter runs, so that checkpoints hold the cost up to them."""
        self._meter = meter

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """See `Task`. Due after `CHECKPOINT_SECONDS`, and when the time is up."""
        late = self._reporter.deadline is not None and time.time() > self._reporter.deadline
        if late or time.monotonic() - self._last_checkpoint >= CHECKPOINT_SECONDS:
            if self._meter is not None:
                self.journal.distil = self._meter.so_far()
            meta = {"cell": self._cell.id(), "step": step, "journal": self.journal.to_meta()}
            save_tensors(self._checkpoint_path, state(), meta)
            self._last_checkpoint = time.monotonic()
        self._reporter.check_time()

    def resume(self) -> tuple[int, dict[str, torch.Tensor]] | None:
        """See `Task`."""
        kept = load_tensors(self._checkpoint_path)
        if kept is None or kept[1].get("cell") != self._cell.id():
            return None
        tensors, meta = kept
        return int(meta["step"]), {name: tensor.to(self.device) for name, tensor in tensors.items()}

    def progress(self, step: int, total: int, **metrics: float) -> None:
        """See `Task`."""
        if step % max(1, total // HISTORY_POINTS) == 0 or step == total:
            for name, value in {"step": float(step), **metrics}.items():
                self.journal.history.setdefault(name, []).append(value)
        self._reporter.step("distil", step, total, metrics.get("loss"))

    def log(self, message: str) -> None:
        """See `Task`."""
        self._reporter.log(message)

    def _step(self, phase: str, step: int, total: int, loss: float | None) -> None:
        self._reporter.step(phase, step, total, loss)
        self._reporter.check_time()


def load_journal(path: Path, cell_id: str) -> Journal:
    """The journal in a cell's checkpoint; a new one if there is none."""
    kept = load_tensors(path)
    if kept is None or kept[1].get("cell") != cell_id:
        return Journal()
    return Journal.from_meta(kept[1]["journal"])
