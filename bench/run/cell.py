"""Runs one planned cell: data, distillation, counting, evaluation, record. Whatever happens, a record comes out."""

from __future__ import annotations

import contextlib
import datetime
import gc
import json
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bench.api import Checkpoints, Clips, Evaluation, Method, Network, Protocol, Split, SyntheticSet
from bench.core import config
from bench.core.errors import BenchError, DoesNotFit, OutOfTime
from bench.core.files import locked, set_aside, write_atomic
from bench.core.frame_order import PROBES
from bench.core.precision import computing
from bench.core.registry import Registry
from bench.core.reporter import Reporter
from bench.core.storage import PLAIN
from bench.data.clip_store import ClipStore, open_or_build
from bench.data.pixels import SplitClips
from bench.judging import motion
from bench.judging.cached_clips import kept_clips
from bench.judging.evaluate import _layout, evaluate_set
from bench.judging.frozen import FrozenSet
from bench.nets.builder import Builder
from bench.nets.microbatch import MICRO_BATCH
from bench.plugins import Registries
from bench.results import test_clips as tested
from bench.results.artefacts import load_meta, load_set, save_set
from bench.results.cells import Cell
from bench.results.records import Motion, PhaseCost, Record, RecordStore, SetReport, Status, total
from bench.run import task as tasks
from bench.run.checkpoints import FileCheckpoints, once
from bench.run.checks import check_budget, check_set
from bench.run.costs import PhaseMeter, count_set
from bench.run.journal import Journal, load_journal
from bench.run.plan import PlannedCell
from bench.run.provenance import environment
from bench.run.task import CellTask
from bench.sets.coded import coded, loss_of


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
        anew: whether the cells that sets are named after distil them anew, though they are stored.
    """

    out: Path
    cache: Path
    device: str
    workers: int
    keep_sets: bool = True
    gain_of_full: bool = False
    anew: bool = False


def run_cell(
    planned: PlannedCell,
    registries: Registries,
    context: Context,
    reporter: Reporter,
    write: Callable[[Record], None] = lambda record: None,
) -> Record:
    """Carries out a cell, going on from its checkpoint if there is one.

    Args:
        planned, registries, context, reporter: see there.
        write: keeps the record; only then are the cell's checkpoints removed. What it raises is passed on.

    Returns:
        The record: ``ok``, or ``skipped``, ``failed``, ``oom``, ``timeout`` with the reason.

    Raises:
        KeyboardInterrupt: with what was kept of the cell in its checkpoint.
    """
    if planned.declined is not None:
        record = Record(planned.cell, "skipped", planned.declined)
        write(record)
        return record
    started = datetime.datetime.now(datetime.timezone.utc)
    run = _CellRun(planned, registries, context, reporter)
    status, reason = run.attempt()
    if status == "oom" and run.retried is None:
        reporter.log(f"{reason}; once more with at most {MICRO_BATCH} clips at a time")
        told = run.note_retry(reason)
        run = _CellRun(planned, registries, context, reporter, told)
        _free(run.device)
        status, reason = run.attempt()
    ended = datetime.datetime.now(datetime.timezone.utc)
    provenance = {
        **environment(context.device),
        **_origins(planned, registries),
        "planned_flops": planned.flops,
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
    }
    record = Record(
        planned.cell,
        status,
        reason,
        run.report,
        tuple(run.evaluations),
        run.costs,
        run.journal.history,
        run.data if run.retried is None else {**run.data, "retried": run.retried},
        provenance,
        run.motion,
    )
    write(record)
    if status in ("ok", "failed", "oom"):
        run.clear()
    return record


def _free(device: torch.device) -> None:
    """Gives memory back: what an error held in its frames is gone with the error."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _origins(planned: PlannedCell, registries: Registries) -> dict[str, str]:
    """Where each part comes from: a module, ``package version``, or the name of a ``--plugin`` file, without its folder.

    ``source`` is the digest of the method's source.
    """
    cell = planned.cell
    parts: tuple[tuple[str, Registry[Any], str], ...] = (
        ("method", registries.methods, cell.method),
        ("dataset", registries.datasets, planned.dataset.name),
        ("network", registries.networks, cell.network),
        ("protocol", registries.protocols, cell.protocol.partition("/")[0]),
    )
    known = [(kind, registry.origin(name).where) for kind, registry, name in parts if name in registry.names()]
    origins = {kind: Path(where).name if where.endswith(".py") else where for kind, where in known}
    return {**origins, "source": registries.methods.origin(cell.method).source}


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
    if isinstance(error, OSError) and error.filename is not None:
        return "failed", f"{error.filename}: {error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return "failed", f"{type(error).__name__}: {text} ({Path(frame.filename).name}:{frame.lineno})"


class _CellRun:
    """The state of one cell under way; its fields are what the record is made of, however far it gets."""

    def __init__(
        self,
        planned: PlannedCell,
        registries: Registries,
        context: Context,
        reporter: Reporter,
        retried: dict[str, Any] | None = None,
    ) -> None:
        self.planned = planned
        self.cell = planned.cell
        self.registries = registries
        self.context = context
        self.reporter = reporter
        self.say = once(reporter.log)
        self.device = torch.device(context.device)
        self.checkpoints = context.out / "checkpoints" / self.cell.id()
        self.training = self.checkpoints / "training.safetensors"
        self.distillation = self.cell.distillation()
        self.artefact = context.out / "artefacts" / self.distillation.id()
        self.state = context.out / "checkpoints" / self.distillation.id() / "distil.safetensors"
        self.distils = False
        self.journal = Journal()
        self.report: SetReport | None = None
        self.evaluations: list[Evaluation] = []
        self.costs: dict[str, PhaseCost] = {}
        self.data: dict[str, Any] = {}
        self.motion: Motion | None = None
        self.retried = retried or _read_json(self.checkpoints / "retried.json")
        self.most_clips: int | None = None if self.retried is None else MICRO_BATCH
        self.builder = Builder(self.device, self.cell.precision, self.most_clips, self.say)

    def attempt(self) -> tuple[Status, str]:
        """Carries the cell out; how it ended, and why."""
        try:
            with computing(self.cell.precision):
                self.carry_out()
        except (Exception, SystemExit) as error:  # whatever a method does, the record says it
            status, reason = _classify(error)
            return status, f"{reason}{self._peaks()}" if status == "oom" else reason
        return "ok", ""

    def _peaks(self) -> str:
        """The most memory that any phase had in use, in brackets."""
        whole = total(list(self.costs.values()))
        sizes = {"GPU memory": whole.peak_device_bytes, "memory of the process": whole.peak_host_bytes}
        told = [f"{size / 2**30:.2f} GiB {what}" for what, size in sizes.items() if size]
        also = "" if self.most_clips is None else f"; also with {self.most_clips} clips at a time"
        return f"{also} (at its peak {', '.join(told)})" if told else also

    def note_retry(self, reason: str) -> dict[str, Any]:
        """Keeps, and gives back, that this cell ran out of memory, so that it goes on with fewer clips at a time, also after a break."""
        peaks = total(list(self.costs.values()))
        told = {
            "reason": reason,
            "clips_at_a_time": MICRO_BATCH,
            "peak_device_bytes": peaks.peak_device_bytes,
            "peak_host_bytes": peaks.peak_host_bytes,
        }
        with contextlib.suppress(OSError):  # it would run out of memory again, and be tried again
            write_atomic(self.checkpoints / "retried.json", json.dumps(told).encode())
        return told

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
        judge = self.registries.networks.get(self.cell.judge())()
        judged = kept_clips(test, _layout(judge))  # for all networks of both
        self._evaluate(synthetic, judged, store.classes, judge, protocol)
        self._probe(synthetic, judged, store, train_split, judge, protocol)

    def clear(self) -> None:
        """Removes what going on would have needed."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        if self.distils:
            with contextlib.suppress(OSError):  # another cell of the same set has checkpoints there, or it is no folder
                self.state.unlink(missing_ok=True)
                self.state.parent.rmdir()

    def _distilled(self, store: ClipStore, split: Split, network: Network, protocol: Protocol) -> SyntheticSet:
        """The set: from the archive if an earlier part of this cell got that far, or another cell made it; else distilled now."""
        marker = self.checkpoints / "distilled.json"
        if marker.exists() and self.artefact.exists():
            try:
                synthetic = load_set(self.artefact, self.registries)[0]
                kept = json.loads(marker.read_text(encoding="utf-8"))
                self.journal = Journal.from_meta(kept["journal"])
                self.data |= kept.get("data", {})
                self._note_costs()
                return synthetic
            except (BenchError, ValueError, KeyError, TypeError) as error:
                moved = set_aside(self.artefact)
                self.reporter.log(f"{' '.join(str(error).split())}; it is now {moved.name}, and distilled again")
        with self._alone():
            stored = self._stored(store)
            return self._distil(store, split, network, protocol, marker) if stored is None else stored

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Lets no other cell distil the same set meanwhile."""
        if not (self.planned.shared and self.context.keep_sets):
            yield
            return

        def wait(message: str) -> None:
            self.reporter.log(message)
            self.reporter.check_time()

        with locked(self.context.cache / "distilling" / f"the set-{self.distillation.id()}", wait):
            yield

    def _stored(self, store: ClipStore) -> SyntheticSet | None:
        """The set that another cell made of the same clips, with the account of what it took; None if there is none."""
        if self.context.anew and self.cell == self.distillation:
            return None
        try:
            synthetic, manifest = load_set(self.artefact, self.registries)
            same = Cell(**manifest["cell"]) == self.distillation and manifest["dataset"]["digest"] == store.digest
            account = manifest.get("distilled") or self._recorded()
            if not same or account is None or account["by"] == self.cell.id():  # its own: it is to be run again
                return None
            journal, found = Journal.from_meta(account["journal"]), dict(account["data"])
        except (BenchError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
            return None
        journal.distil = replace(journal.distil, shared=True)
        journal.upstream = {name: replace(cost, shared=True) for name, cost in journal.upstream.items()}
        self.journal = journal
        self.data |= found
        self._note_costs()
        self.reporter.log("its set is stored already")
        return synthetic

    def _recorded(self) -> dict[str, Any] | None:
        """The account of a set whose manifest has none, from the record of the cell that it is named after."""
        record = RecordStore(self.context.out).read(self.artefact.name)
        if record is None or "distil" not in record.costs:
            return None
        upstream = record.data.get("upstream", {})
        journal = {"history": record.history, "distil": asdict(record.costs["distil"]), "upstream": upstream}
        found = {name: value for name, value in record.data.items() if name == "storage_loss"}
        return {"journal": journal, "data": found, "by": record.id}

    def _distil(
        self, store: ClipStore, split: Split, network: Network, protocol: Protocol, marker: Path
    ) -> SyntheticSet:
        self.distils = True
        state = self.state
        self.journal = load_journal(state, self.distillation.id())
        method_type = self.registries.methods.get(self.cell.method)
        method: Method[Any] = method_type(config.build(method_type.Config, self.cell.config, self.cell.method))
        clip = self.planned.geometry.shape()
        task = CellTask(
            self.distillation, store, split, clip, self.planned.setting, network,
            self.registries.networks.get(self.registries.profiles.get(self.cell.profile).frame_network)(), protocol, self.builder, state,
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
            account = {"journal": self.journal.to_meta(), "data": found, "by": self.cell.id()}
            save_set(self.artefact, synthetic, {**self._manifest(store), "distilled": account})
            try:
                write_atomic(marker, json.dumps(account).encode())
            except OSError as error:
                self.reporter.log(f"cannot keep in {marker} that it is distilled ({error.strerror}); going on without")
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
            "cell": asdict(self.distillation),
            "classes": list(store.classes),
            "clip": list(self.planned.geometry.shape().dims()),
            "dataset": {"name": dataset.name, "options": config.as_dict(dataset.options), "digest": store.digest},
        }

    def _evaluate(
        self, synthetic: SyntheticSet, test: Clips, classes: tuple[str, ...], network: Network, protocol: Protocol
    ) -> None:
        clip = self.planned.geometry.shape()
        partial = _PartialEvaluations(self.checkpoints / "evaluations.json", self.say)
        meter = PhaseMeter(self.device, self._cost_so_far("evaluate", partial))
        with self._charged("evaluate", meter):
            self.evaluations += evaluate_set(
                synthetic, test, classes, clip, network, protocol, self.builder, self.reporter,
                done=partial.evaluations, keep=self._keeping(partial, meter), probes=PROBES,
                saved=self._saving("evaluate", meter),
            )  # fmt: skip

    def _probe(
        self,
        synthetic: SyntheticSet,
        test: Clips,
        store: ClipStore,
        split: Split,
        network: Network,
        protocol: Protocol,
    ) -> None:
        """Measures the set's motion and what it is worth: the same networks, trained with the set's time frozen."""
        clip = self.planned.geometry.shape()
        partial = _PartialEvaluations(self.checkpoints / "frozen.json", self.say)
        meter = PhaseMeter(self.device, self._cost_so_far("probe", partial))
        with self._charged("probe", meter):
            self.motion = motion.measure(synthetic, store, split)
            if protocol.frozen_training and (synthetic.archived or self.context.gain_of_full):
                frozen = evaluate_set(
                    FrozenSet(synthetic), test, store.classes, clip, network, protocol, self.builder, self.reporter,
                    done=partial.evaluations, keep=self._keeping(partial, meter), phase="probe", probes=("frozen",),
                    saved=self._saving("probe", meter),
                )  # fmt: skip
                self.evaluations = [
                    replace(entry, frozen_trained=still.correct(), frozen_both=still.probes.get("frozen"))
                    for entry, still in zip(self.evaluations, frozen, strict=True)
                ]

    @contextlib.contextmanager
    def _charged(self, phase: str, meter: PhaseMeter) -> Iterator[None]:
        """Measures a phase; what it took is in the record however it ends."""
        try:
            with meter:
                yield
        finally:
            self.costs[phase] = meter.cost

    def _owner(self, phase: str, number: int) -> str:
        """Whose state the file of the training under way holds. States are not shared between versions of PyTorch."""
        return f"{self.cell.id()} {phase} {number} torch {torch.__version__}"

    def _saving(self, phase: str, meter: PhaseMeter) -> Callable[[int], Checkpoints]:
        """Gives each of a phase's trainings its checkpoints: all in one file, with the cost of the phase so far."""

        def saving(number: int) -> Checkpoints:
            return FileCheckpoints(
                self.training, self._owner(phase, number), self.device, self.reporter, tasks.CHECKPOINT_SECONDS,
                lambda: {"cost": asdict(meter.so_far())}, self.say,
            )  # fmt: skip

        return saving

    def _keeping(self, partial: _PartialEvaluations, meter: PhaseMeter) -> Callable[[list[Evaluation]], None]:
        """Keeps finished evaluations; the state of the training that led to the last one is not needed any more."""

        def keep(done: list[Evaluation]) -> None:
            partial.keep(done, meter.so_far())
            self.training.unlink(missing_ok=True)

        return keep

    def _cost_so_far(self, phase: str, partial: _PartialEvaluations) -> PhaseCost | None:
        """What earlier parts of this cell spent on a phase: up to the training under way, else up to the last finished one."""
        meta = load_meta(self.training)
        if meta is not None and meta.get("cell") == self._owner(phase, len(partial.evaluations)):
            return PhaseCost(**meta["cost"])
        return partial.cost


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


class _PartialEvaluations:
    """The evaluations of an unfinished cell, on disk."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path = path
        self.say = say
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
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError):
            self.evaluations, self.cost = [], None
            say(f"{path} is damaged, now {set_aside(path).name}; what it held is done again")

    def keep(self, done: list[Evaluation], cost: PhaseCost) -> None:
        """Writes what is done; says so where it cannot."""
        body = {"evaluations": [asdict(entry) for entry in done], "cost": asdict(cost)}
        try:
            write_atomic(self.path, json.dumps(body).encode())
        except OSError as error:
            self.say(f"cannot keep finished networks in {self.path} ({error.strerror}); going on without")


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
