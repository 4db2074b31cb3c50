"""Runs one planned cell: data, distillation, counting, evaluation, record. Whatever happens, a record comes out."""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import shutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bench import config, motion
from bench.api import Clips, ClipShape, Evaluation, Method, Network, Protocol, Split, SyntheticSet
from bench.budget import PLAIN
from bench.costs import PhaseMeter, count_set
from bench.data.pixels import SplitClips
from bench.data.store import ClipStore, open_or_build
from bench.errors import BenchError, DoesNotFit, OutOfTime
from bench.grid import PlannedCell
from bench.plugins import Registries
from bench.probes import PROBES, probed
from bench.profiles import PROFILES
from bench.provenance import environment
from bench.rng import generator
from bench.store import tested
from bench.store.artefacts import load_set, save_set
from bench.store.records import Motion, PhaseCost, Record, SetReport, Status, total, write_atomic
from bench.synthetic.coded import coded, loss_of
from bench.synthetic.frozen import FrozenSet
from bench.task import CellTask, Journal, Reporter, load_journal


@dataclass(frozen=True)
class Context:
    """Where and on what cells run.

    Attributes:
        out: folder of records, artefacts and checkpoints.
        cache: folder of clip stores and upstream artefacts.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...
        workers: decoding processes.
        keep_sets: whether distilled sets are archived.
        gain_of_full: whether networks are also trained on the full data with its time frozen: its temporal gain, for as
            much again as judging it takes.
    """

    out: Path
    cache: Path
    device: str
    workers: int
    keep_sets: bool = True
    gain_of_full: bool = False


def run_cell(planned: PlannedCell, registries: Registries, context: Context, reporter: Reporter) -> Record:
    """Carries out a cell, going on from its checkpoint if there is one.

    Returns:
        The record (not yet written): ``ok``, or ``skipped``, ``failed``, ``oom``, ``timeout`` with the reason.

    Raises:
        KeyboardInterrupt: with what was kept of the cell in its checkpoint.
    """
    if planned.declined is not None:
        return Record(planned.cell, "skipped", planned.declined)
    started = datetime.datetime.now(datetime.timezone.utc)
    run = _CellRun(planned, registries, context, reporter)
    status: Status = "ok"
    reason = ""
    try:
        run.carry_out()
    except (Exception, SystemExit) as error:  # whatever a method does, the record says it
        status, reason = _classify(error)
    ended = datetime.datetime.now(datetime.timezone.utc)
    provenance = {
        **environment(context.device),
        "method": registries.methods.origin(planned.cell.method).where,
        "planned_flops": planned.flops,
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
    }
    if status in ("ok", "failed", "oom"):
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    return Record(
        planned.cell,
        status,
        reason,
        run.report,
        tuple(run.evaluations),
        run.costs,
        run.journal.history,
        run.data,
        provenance,
        run.motion,
    )


def _classify(error: BaseException) -> tuple[Status, str]:
    """The status that an error gives a cell, and the reason in one line."""
    if isinstance(error, OutOfTime):
        return "timeout", str(error)
    text = " ".join(str(error).split())
    # PyTorch's CPU allocator raises a plain RuntimeError.
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in text:
        return "oom", text or "out of memory"
    if isinstance(error, DoesNotFit):
        return "skipped", text
    if isinstance(error, BenchError):
        return "failed", text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "failed", f"{type(error).__name__}: {text} ({Path(frame.filename).name}:{frame.lineno})"


class _CellRun:
    """The state of one cell under way; its fields are what the record is made of, however far it gets."""

    def __init__(self, planned: PlannedCell, registries: Registries, context: Context, reporter: Reporter) -> None:
        self.planned = planned
        self.cell = planned.cell
        self.registries = registries
        self.context = context
        self.reporter = reporter
        self.device = torch.device(context.device)
        self.checkpoints = context.out / "checkpoints" / self.cell.id()
        self.artefact = context.out / "artefacts" / self.cell.id()
        self.journal = Journal()
        self.report: SetReport | None = None
        self.evaluations: list[Evaluation] = []
        self.costs: dict[str, PhaseCost] = {}
        self.data: dict[str, Any] = {}
        self.motion: Motion | None = None

    def carry_out(self) -> None:
        """Distils and evaluates; fields are filled as far as it gets."""
        store = open_store(self.planned, self.context, self.reporter)
        judged_on = self.cell.judged_on
        train_split: Split = "train" if judged_on == "test" else "fit"
        test = SplitClips(store, judged_on, self.device)
        if len(test) == 0:
            raise BenchError(
                f"no {judged_on} clip: every class needs two groups of training clips for a validation part"
            )
        self.data = {
            "classes": len(store.classes),
            "class_names": list(store.classes),
            "train": len(store.positions(train_split)),
            "test": len(test),
            "digest": store.digest,
            "test_keys_digest": tested.keep(self.context.out, [store.keys[place] for place in test.positions]),
            "left_out": [list(entry) for entry in store.left_out],
            "notes": list(self.planned.index.notes),
        }
        network = self.registries.networks.get(self.cell.network)()
        protocol = self.registries.protocols.get(self.cell.protocol.partition("/")[0])()
        synthetic = self._distilled(store, train_split, network, protocol)
        self.report = count_set(
            synthetic, self.artefact.name if synthetic.archived and self.context.keep_sets else None
        )
        self._evaluate(synthetic, test, store.classes, network, protocol)
        self._probe(synthetic, test, store, train_split, network, protocol)

    def _distilled(self, store: ClipStore, split: Split, network: Network, protocol: Protocol) -> SyntheticSet:
        """The set: from the archive if an earlier part of this cell got that far, else distilled now."""
        marker = self.checkpoints / "distilled.json"
        if marker.exists() and self.artefact.exists():
            with contextlib.suppress(BenchError, ValueError, KeyError, TypeError):  # damaged: distilled anew
                synthetic = load_set(self.artefact, self.registries)[0]
                kept = json.loads(marker.read_text(encoding="utf-8"))
                self.journal = Journal.from_meta(kept["journal"])
                self.data |= kept.get("data", {})
                self._note_costs()
                return synthetic
        state = self.checkpoints / "distil.safetensors"
        self.journal = load_journal(state, self.cell.id())
        method_type = self.registries.methods.get(self.cell.method)
        method: Method[Any] = method_type(config.build(method_type.Config, self.cell.config, self.cell.method))
        clip = self.planned.geometry.shape()
        task = CellTask(
            self.cell, store, split, clip, self.planned.setting, network,
            self.registries.networks.get(PROFILES[self.cell.profile].frame_network)(), protocol, self.device, state,
            self.context.cache, self.reporter, self.journal,
        )  # fmt: skip
        meter = PhaseMeter(self.device, self.journal.distil)
        task.measure(meter)
        try:
            with meter:
                synthetic = method.distill(task)
        finally:
            self.journal.distil = meter.cost
            self._note_costs()
        check_set(synthetic, len(store.classes), clip, self.cell.ipc)
        found: dict[str, Any] = {}
        if self.cell.storage != PLAIN and (stored := coded(synthetic, self.cell.storage)) is not synthetic:
            check_set(stored, len(store.classes), clip, self.cell.ipc)
            found["storage_loss"] = loss_of(synthetic, stored)
            synthetic = stored
        check_budget(synthetic, self.cell.budget)
        self.data |= found
        if synthetic.archived and self.context.keep_sets:
            save_set(self.artefact, synthetic, self._manifest(store))
            write_atomic(marker, json.dumps({"journal": self.journal.to_meta(), "data": found}).encode())
        return synthetic

    def _note_costs(self) -> None:
        upstream = self.journal.upstream
        if upstream:
            self.costs["upstream"] = total(list(upstream.values()))
            self.data["upstream"] = {name: asdict(cost) for name, cost in upstream.items()}
        self.costs["distil"] = self.journal.distil

    def _manifest(self, store: ClipStore) -> dict[str, Any]:
        dataset = self.planned.dataset
        return {
            "cell": asdict(self.cell),
            "classes": list(store.classes),
            "clip": list(self.planned.geometry.shape().dims()),
            "dataset": {"name": dataset.name, "options": config.as_dict(dataset.options), "digest": store.digest},
        }

    def _evaluate(
        self, synthetic: SyntheticSet, test: SplitClips, classes: tuple[str, ...], network: Network, protocol: Protocol
    ) -> None:
        clip = self.planned.geometry.shape()
        partial = _PartialEvaluations(self.checkpoints / "evaluations.json")
        meter = PhaseMeter(self.device, partial.cost)
        with meter:
            self.evaluations += evaluate_set(
                synthetic, test, classes, clip, network, protocol, self.device, self.reporter,
                done=partial.evaluations, keep=lambda done: partial.keep(done, meter.so_far()), probes=PROBES,
            )  # fmt: skip
        self.costs["evaluate"] = meter.cost

    def _probe(
        self,
        synthetic: SyntheticSet,
        test: SplitClips,
        store: ClipStore,
        split: Split,
        network: Network,
        protocol: Protocol,
    ) -> None:
        """Measures the set's motion and what it is worth: the same networks, trained with the set's time frozen."""
        clip = self.planned.geometry.shape()
        partial = _PartialEvaluations(self.checkpoints / "frozen.json")
        meter = PhaseMeter(self.device, partial.cost)
        with meter:
            self.motion = motion.measure(synthetic, store, split)
            if protocol.frozen_training and (synthetic.archived or self.context.gain_of_full):
                frozen = evaluate_set(
                    FrozenSet(synthetic), test, store.classes, clip, network, protocol, self.device, self.reporter,
                    done=partial.evaluations, keep=lambda done: partial.keep(done, meter.so_far()), phase="probe", probes=("frozen",),
                )  # fmt: skip
                self.evaluations = [
                    replace(entry, frozen_trained=still.correct(), frozen_both=still.probes.get("frozen"))
                    for entry, still in zip(self.evaluations, frozen, strict=True)
                ]
        self.costs["probe"] = meter.cost


class _PartialEvaluations:
    """The evaluations of an unfinished cell, on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.evaluations: list[Evaluation] = []
        self.cost: PhaseCost | None = None
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            self.evaluations = [
                Evaluation(
                    **{
                        **entry,
                        "confusion": tuple(map(tuple, entry["confusion"])),
                        "checkpoints": tuple(entry["checkpoints"]),
                    }
                )
                for entry in kept["evaluations"]
            ]
            self.cost = PhaseCost(**kept["cost"])
        except (OSError, ValueError, KeyError, TypeError):
            self.evaluations, self.cost = [], None

    def keep(self, done: list[Evaluation], cost: PhaseCost) -> None:
        """Writes what is done."""
        body = {"evaluations": [asdict(entry) for entry in done], "cost": asdict(cost)}
        write_atomic(self.path, json.dumps(body).encode())


def open_store(planned: PlannedCell, context: Context, reporter: Reporter) -> ClipStore:
    """The decoded clips of a planned cell; decodes them now if the cache has none."""
    return open_or_build(
        planned.dataset,
        planned.index,
        planned.geometry,
        context.cache,
        context.workers,
        lambda done, total: reporter.step("data", done, total, None),
        reporter.log,
    )


def evaluate_set(
    synthetic: SyntheticSet,
    test: Clips,
    classes: tuple[str, ...],
    clip: ClipShape,
    network: Network,
    protocol: Protocol,
    device: torch.device,
    reporter: Reporter,
    done: list[Evaluation] | None = None,
    keep: Callable[[list[Evaluation]], None] = lambda done: None,
    phase: str = "evaluate",
    probes: Sequence[str] = (),
) -> list[Evaluation]:
    """Trains and tests each of the protocol's networks on a set.

    Args:
        synthetic, test: what to train on and what to test on.
        classes, clip: class names and clip shape.
        network, protocol, device: see there.
        reporter: told of each step.
        done: evaluations that an earlier part of the cell finished.
        keep: called with all finished evaluations after each network.
        phase: what the reporter is told.
        probes: temporal probes under which the networks are tested too.
    """
    evaluations = list(done or [])

    def build(rng: torch.Generator) -> Any:
        return network.build(len(classes), clip, rng).to(device)

    def progress(number: int, update: int, total: int, loss: float) -> None:
        reporter.step(phase, number * total + update, protocol.networks * total, loss)
        reporter.check_time()

    for number in range(len(evaluations), protocol.networks):
        altered = probed(test, number, probes)
        told = functools.partial(progress, number)
        evaluations.append(protocol.evaluate(synthetic, test, len(classes), build, number, told, altered))
        keep(evaluations)
    return evaluations


def check_budget(synthetic: SyntheticSet, budget: int | None) -> None:
    """Refuses a set that takes more bytes than it may, be it by one.

    Raises:
        BenchError: with both figures.
    """
    taken = count_set(synthetic, None).storage_bytes
    if budget is not None and taken > budget:
        raise BenchError(f"the set takes {taken:,} bytes; the budget is {budget:,} bytes")


def check_set(synthetic: SyntheticSet, classes: int, clip: ClipShape, ipc: int | None) -> None:
    """Refuses a set that breaks its contract, in a sentence that says how.

    Raises:
        BenchError: wrong labels, more clips than the budget, numbers that are not finite, or clips of the wrong shape.
    """
    labels = synthetic.labels
    hard = labels if labels.dim() == 1 else labels.argmax(dim=1)
    if len(synthetic) == 0:
        raise BenchError("the method returned an empty set")
    if labels.dim() == 1 and labels.dtype != torch.int64:
        raise BenchError(f"labels must be int64 of shape (N,), or float (N, classes); they are {labels.dtype}")
    if labels.dim() == 2 and labels.shape[1] != classes:
        raise BenchError(f"soft labels have {labels.shape[1]} columns for {classes} classes")
    if int(hard.min()) < 0 or int(hard.max()) >= classes:
        raise BenchError(f"labels must lie in 0..{classes - 1}; they reach from {int(hard.min())} to {int(hard.max())}")
    if ipc is not None and len(synthetic) > ipc * classes:
        raise BenchError(f"the set has {len(synthetic)} clips; the budget is {ipc} a class, {ipc * classes} in all")
    if ipc is not None and labels.dim() == 1 and (most := int(labels.bincount().max())) > ipc:
        raise BenchError(f"class {int(labels.bincount().argmax())} has {most} clips; the budget is {ipc} a class")
    for name, tensor in synthetic.stored().items():
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            raise BenchError(f"'{name}' holds numbers that are not finite (a learning rate that is too high diverges)")
    with torch.no_grad():
        rendered = synthetic.render(torch.zeros(1, dtype=torch.int64), generator("check"))
    if tuple(rendered.shape) != (1, *clip.dims()) or rendered.dtype != torch.float32:
        raise BenchError(
            f"render() gives {tuple(rendered.shape)} {rendered.dtype}; needed is (1, {', '.join(map(str, clip.dims()))}) float32"
        )
