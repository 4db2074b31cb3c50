"""The conformance suite. Each check tests one clause of the contract that every method must keep, and explains it.

``python -m bench check NAME|FILE.py`` runs them all. In a plugin's own tests::

    import pytest
    from bench.testing import conformance

    @pytest.fixture(scope="module")
    def rehearsal():
        with conformance.rehearse("mine.py") as rehearsal:
            yield rehearsal

    @pytest.mark.parametrize("check", conformance.CHECKS, ids=str)
    def test_the_contract(rehearsal, check):
        check(rehearsal)

or, as one test, ``conformance.check_method("mine.py")``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import statistics
import traceback
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import torch

from bench.api import SyntheticSet, Workload
from bench.core import config, temporal
from bench.core.config import Value
from bench.core.errors import BenchError, DoesNotFit, OutOfTime
from bench.core.files import canonical_json
from bench.core.reporter import Reporter
from bench.core.rng import generator
from bench.core.text import first_paragraph
from bench.data.clip_table import ClipTable
from bench.results.artefacts import TENSORS, load_set, save_set
from bench.running.cell.checks import check_budget, check_set
from bench.running.cell.costs import count_set
from bench.running.plan.presets import resolve_config
from bench.testing import pretend
from bench.testing.rehearsal import (
    CLASSES,
    IPC,
    JUDGED_IPC,
    PROFILE,
    TRAIN,
    Rehearsal,
    TestClipsRead,
    alike,
    appearance_store,
    content,
    find,
    generator_states,
    global_generators,
    guarded,
    rehearse,
    same,
    shape_of,
)

__all__ = [
    "CHECKS",
    "Check",
    "NotApplicable",
    "Rehearsal",
    "Result",
    "Violation",
    "check_method",
    "find",
    "rehearse",
    "results",
]

Status = Literal["passed", "failed", "skipped"]

TOLERANCE = 12.0
"""How many points of accuracy a method may be below `random`. With two networks and few steps, chance can do this much."""


class Violation(AssertionError):
    """A method breaks the contract. The message says which clause, what was observed, and what to do."""


class NotApplicable(unittest.SkipTest):
    """A check does not apply to a method. The message says why. Under pytest, the test is skipped."""


@final
@dataclass(frozen=True)
class Check:
    """One clause of the contract.

    Attributes:
        name: the name that users see.
        holds: the clause, in one line.
        function: raises `Violation` or `NotApplicable`.
    """

    name: str
    holds: str
    function: Callable[[Rehearsal], None]

    def __str__(self) -> str:
        return self.name

    def __call__(self, rehearsal: Rehearsal) -> None:
        """Runs the check.

        Raises:
            Violation: the method fails the check, or raises an error of its own.
            NotApplicable: the check does not apply to the method.
        """
        try:
            with global_generators(None):  # undoes what a plugin does to them
                self.function(rehearsal)
        except (Violation, NotApplicable):
            raise
        except (Exception, SystemExit) as error:  # whatever a plugin raises
            raise Violation(f"the method raised {_described(error)}") from error


@dataclass(frozen=True)
class Result:
    """How a check ended. ``text`` is the clause if it passed, else what is wrong or why the check was skipped."""

    check: str
    status: Status
    text: str


def results(rehearsal: Rehearsal, checks: Sequence[Check] | None = None, debug: bool = False) -> Iterator[Result]:
    """Yields the result of each check when it ends. If the method makes no set at all, the other checks are skipped.

    Args:
        rehearsal: of the method.
        checks: the checks to run; all if None.
        debug: whether the first check that fails raises what it failed with.
    """
    broken = False
    for check in CHECKS if checks is None else checks:
        if broken:
            yield Result(check.name, "skipped", "the method makes no set")
            continue
        try:
            check(rehearsal)
            yield Result(check.name, "passed", check.holds)
        except Violation as violation:
            if debug:
                raise violation.__cause__ or violation from None
            yield Result(check.name, "failed", str(violation))
            broken = check.name == "distils"
        except NotApplicable as reason:
            yield Result(check.name, "skipped", str(reason))


def check_method(
    target: str | Path,
    plugin: tuple[str, ...] = (),
    values: Mapping[str, Value] | None = None,
    checks: Sequence[Check] | None = None,
) -> list[Result]:
    """Runs the suite against one method.

    Args:
        target: the name of a method, or a plugin file that defines exactly one.
        plugin: further plugin files.
        values: hyper-parameters that replace the small ones chosen for the method.
        checks: the checks to run; all if None.

    Returns:
        The results. None of them failed.

    Raises:
        Violation: some checks failed. The message has a line for each.
        BenchError: there is no such method.
    """
    with rehearse(target, plugin, values) as rehearsal:
        all_results = list(results(rehearsal, checks))
    failed = [f"{result.check}: {result.text}" for result in all_results if result.status == "failed"]
    if failed:
        raise Violation("\n".join(failed))
    return all_results


# ----------------------------------------------------------------------------------------------------------------------
# What lists and plans read


def _described_method(rehearsal: Rehearsal) -> None:
    kind = rehearsal.kind
    if not first_paragraph(kind.__doc__).endswith("."):
        raise Violation("the class needs a docstring whose first sentence says what it stores; `bench list` shows it")
    if not (dataclasses.is_dataclass(kind.Config) and kind.Config.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise Violation(
            "Config must be a frozen dataclass (@dataclass(frozen=True)), because it is part of a cell's identity"
        )
    defaults = config.as_dict(kind.Config())
    for name in kind.tuned:
        value = defaults.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise Violation(
                f"tuned names '{name}', which must be a field of Config with a positive float (or int, in decibels), "
                "because --tune scales it"
            )
    for preset in kind.presets:
        if not preset.source:
            raise Violation("a preset has no source; say which paper, script or experiment its values come from")
        try:
            resolve_config(kind, PROFILE, "tiny", 1, "dense", dict(preset.values))
        except BenchError as error:
            raise Violation(f"a preset does not fit Config: {error}") from error


def _plan(rehearsal: Rehearsal) -> None:
    method = rehearsal.method()
    small = Workload(3, 15, 1, shape_of(rehearsal.store), temporal.dense(4))
    large = Workload(6, 30, 2, shape_of(rehearsal.store), temporal.dense(4))
    declined = method.declines(small)
    if declined is not None:
        raise Violation(f"declines() refuses whole clips at IPC 1 ({declined}); every method must support this setting")
    stored = [method.stored_bytes(work) for work in (small, large)]
    passes = [method.clip_passes(work) for work in (small, large)]
    if not all(isinstance(number, int) for number in stored) or not 0 < stored[0] < stored[1]:
        raise Violation(
            f"stored_bytes() gives {stored[0]} for 3 classes at IPC 1 and {stored[1]} for 6 classes at IPC 2; "
            "it must be a whole number above 0 that grows with the work, because the plan and --budget rely on it"
        )
    if not 0 <= passes[0] <= passes[1] < math.inf:
        raise Violation(
            f"clip_passes() gives {passes[0]} for 3 classes at IPC 1 and {passes[1]} for 6 classes at IPC 2; "
            "it must be at least 0 and never fall as the work grows, because the time estimate relies on it"
        )


# ----------------------------------------------------------------------------------------------------------------------
# The set


def _distils(rehearsal: Rehearsal) -> None:
    synthetic = rehearsal.plain
    if not isinstance(synthetic, SyntheticSet):
        raise Violation(
            f"distill() returns {type(synthetic).__name__}; it must return a SyntheticSet, "
            "such as bench.sets.dense.DenseSet(clips, labels)"
        )
    rehearsal.registries.sets.get(synthetic.name)


def _shapes(rehearsal: Rehearsal) -> None:
    synthetic, shape = rehearsal.plain, shape_of(rehearsal.store)
    labels = synthetic.labels
    hard = labels.dim() == 1 and labels.dtype == torch.int64
    soft = labels.dim() == 2 and labels.is_floating_point() and labels.shape[1] == len(CLASSES)
    if not (hard or soft) or len(labels) == 0:
        raise Violation(
            f"labels are {tuple(labels.shape)} {_type(labels)}; they must be (N,) int64, or (N, {len(CLASSES)} classes) float"
        )
    index = torch.tensor([len(synthetic) - 1, 0, min(1, len(synthetic) - 1)])
    clips = synthetic.render(index, generator("render"))
    wanted = (len(index), *shape.dims())
    if tuple(clips.shape) != wanted or clips.dtype != torch.float32:
        raise Violation(
            f"render() gives {tuple(clips.shape)} {_type(clips)} for {len(index)} positions; it must give {wanted} "
            "(B, C, T, H, W) float32, in the shape of task.clip"
        )
    if not same([synthetic.render(index, generator("render"))], [clips]):
        raise Violation(
            "render() gives different clips for the same generator; everything it draws must come from its rng"
        )


def _finite(rehearsal: Rehearsal) -> None:
    synthetic = rehearsal.plain
    for name, tensor in synthetic.stored().items():
        if tensor.is_floating_point() and not tensor.is_meta and not bool(torch.isfinite(tensor).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise Violation(
                f"'{name}' holds {bad} numbers that are NaN or infinite; look for a division by zero, the gradient of the root "
                "of zero, or a learning rate that diverges"
            )
    if not bool(torch.isfinite(synthetic.render(torch.arange(len(synthetic)), generator("render"))).all()):
        raise Violation("render() gives NaN or infinite pixels although everything stored is finite")


def _require_finite(rehearsal: Rehearsal) -> None:
    """Skips the check if the set is not finite: any two such sets look the same, whatever the seed and the clips."""
    try:
        _finite(rehearsal)
    except Violation as violation:
        raise NotApplicable("what is stored or rendered is not finite; see `finite`") from violation


def _labels(rehearsal: Rehearsal) -> None:
    counts = torch.bincount(rehearsal.plain.hard_labels(), minlength=len(CLASSES)).tolist()
    if len(counts) > len(CLASSES):
        raise Violation(f"labels reach up to {len(counts) - 1}; valid are 0 to {len(CLASSES) - 1}, as task.classes")
    wanted = [IPC] * len(CLASSES) if rehearsal.kind.uses_ipc else list(TRAIN)
    if rehearsal.kind.fills_budget:
        wanted = [min(IPC, count) for count in TRAIN]
    if counts != wanted:
        raise Violation(
            f"the classes have {_listed(counts)} clips; at IPC {IPC} each must have {_listed(wanted)}: "
            "a class with fewer clips is at a disadvantage, and one with more takes room that the others lack"
        )


def _ipc(rehearsal: Rehearsal) -> None:
    if not rehearsal.kind.uses_ipc:
        raise NotApplicable("uses_ipc = False: one set serves every budget")
    for ipc in (1, 3, max(TRAIN) + 1):
        synthetic = rehearsal.distill(ipc=ipc)
        counts = torch.bincount(synthetic.hard_labels(), minlength=len(CLASSES)).tolist()
        least = min(ipc, *TRAIN)  # a coreset cannot have more clips than there are real ones
        if any(not least <= count <= ipc for count in counts):
            raise Violation(
                f"at IPC {ipc} the classes have {_listed(counts)} clips; task.ipc says how many to store "
                f"(fewer only if a class has fewer real ones: here {_listed(TRAIN)}). "
                "If the set does not depend on IPC, set uses_ipc = False"
            )


# ----------------------------------------------------------------------------------------------------------------------
# Bytes


def _bytes(rehearsal: Rehearsal) -> None:
    synthetic = rehearsal.plain
    stored = count_set(synthetic, None).storage_bytes
    planned = rehearsal.method().stored_bytes(rehearsal.work())
    if not rehearsal.kind.fills_budget and stored != planned:
        raise Violation(
            f"stored_bytes() says {planned:,} bytes, the set stores {stored:,}; the two must be equal to the byte: "
            "count every tensor at its own dtype, including decoder weights, learned labels and rates"
        )
    if not synthetic.archived:
        return
    folder = _archive(rehearsal)
    on_disk = _bytes_on_disk(folder / TENSORS)
    if on_disk != stored:
        raise Violation(f"the file on disk holds {on_disk:,} bytes of tensors, tensors() counts {stored:,}")
    try:
        restored, _ = load_set(folder, rehearsal.registries)
        restored_content = content(restored)
    except (Exception, SystemExit) as error:
        raise Violation(
            f"restore() cannot rebuild the set from the file on disk: {_described(error)}; "
            "everything that render() needs must be in tensors() or options()"
        ) from error
    if not same(restored_content, content(synthetic)) or restored.label_loss != synthetic.label_loss:
        raise Violation(
            "read back from the file on disk, the set renders other clips than before: "
            "render() uses something that tensors() does not hold, and that is therefore not counted"
        )
    if count_set(restored, None) != count_set(synthetic, None):
        raise Violation("read back from the file on disk, the set counts other bytes than before")


def _budget(rehearsal: Rehearsal) -> None:
    if not rehearsal.kind.uses_ipc:
        raise NotApplicable("uses_ipc = False: the method is a reference without a budget")
    if rehearsal.kind.fills_budget:
        ipc, budget = max(TRAIN), 3 * len(CLASSES) * shape_of(rehearsal.store).values() // 2
    else:
        ipc, budget = 1, rehearsal.method(ipc=1).stored_bytes(rehearsal.work(ipc=1))
    try:
        synthetic = rehearsal.distill(ipc=ipc, budget=budget)
    except DoesNotFit as reason:
        raise NotApplicable(str(reason)) from reason
    try:
        check_budget(synthetic, budget)
    except BenchError as error:
        raise Violation(
            f"with a budget in bytes (run --budget), {error}: store less, or raise bench.core.errors.DoesNotFit; "
            "a cell fails if its set takes a single byte more"
        ) from error


def _archive(rehearsal: Rehearsal) -> Path:
    folder = rehearsal.folder / "archive"
    if not folder.exists():
        save_set(folder, rehearsal.plain, {})
    return folder


def _bytes_on_disk(path: Path) -> int:
    """The tensor bytes in a safetensors file, without integer labels. Reads only its header."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(
        tensor["data_offsets"][1] - tensor["data_offsets"][0]
        for name, tensor in header.items()
        if name != "__metadata__" and not (name == "labels" and tensor["dtype"].startswith("I"))
    )


# ----------------------------------------------------------------------------------------------------------------------
# Randomness

_NOT_REPEATABLE = "even the same seed gives another set each time; see `seeds`"


def _seeds(rehearsal: Rehearsal) -> None:
    if not rehearsal.repeats:
        raise Violation(
            "the same seed gives another set each time; draw from task.rng(...) alone, and do not use a clock, "
            "os.urandom, the order of a Python set of strings, or anything left over from an earlier call"
        )
    _require_finite(rehearsal)
    first = rehearsal.content(0, ipc=1)
    differ = any(not same(rehearsal.content(0, seed=seed, ipc=1), first) for seed in (1, 2, 3))
    if differ and not rehearsal.kind.uses_seed:
        raise Violation("uses_seed = False, but other seeds give other sets; leave uses_seed as True")
    if not differ and rehearsal.kind.uses_seed:
        raise Violation(
            "four seeds give the same set; draw from task.rng(...), whose numbers depend on the seed, "
            "or say uses_seed = False; one cell then serves every seed, and no interval claims to be over seeds"
        )


def _touches(rehearsal: Rehearsal) -> None:
    with global_generators(3):
        before = generator_states()
        rehearsal.distill().render(torch.tensor([0]), generator("render"))
        moved = [name for name, state in generator_states().items() if state != before[name]]
    if moved:
        raise Violation(
            f"distill() or render() moves the global generator of {', '.join(moved)}: it seeds it or draws from it. "
            "Pass a generator of your own to every draw, such as torch.randn(..., generator=task.rng('start'))"
        )


def _reads(rehearsal: Rehearsal) -> None:
    if not rehearsal.repeats:
        raise NotApplicable(_NOT_REPEATABLE)
    if not same(rehearsal.seeded, rehearsal.content(2)):
        raise Violation(
            "the set depends on the global generators: after another torch.manual_seed, random.seed or numpy.random.seed "
            "the same task gives another set. Draw from task.rng(...), and build networks with task.network(rng), "
            "because modules of torch.nn draw their weights from the global generator"
        )


# ----------------------------------------------------------------------------------------------------------------------
# What a method may see


def _test_clips(rehearsal: Rehearsal) -> None:
    store, guard = guarded(rehearsal.store)
    sentence = (
        "distill() reads test clips; a method sees the training clips that task.clips, task.pixels and task.real give, "
        "and nothing else. Whatever it chooses, it chooses on a part of train"
    )
    try:
        rehearsal.distill(store=store)
    except Exception as error:
        if isinstance(error, TestClipsRead) or guard.caught:
            raise Violation(sentence) from error
        raise
    if guard.caught:
        raise Violation(sentence)
    if not rehearsal.repeats:
        return
    test = rehearsal.store.positions("test")
    clips = rehearsal.store.clips.copy()
    clips[test] = 255 - clips[test]
    refs = ClipTable(dataclasses.replace(ref, label=0) if ref.split == "test" else ref for ref in rehearsal.store.refs)
    other = dataclasses.replace(rehearsal.store, clips=clips, refs=refs)
    if not same(rehearsal.content(1, store=other), rehearsal.seeded):
        raise Violation(f"the set changes with the test clips or their labels: {sentence}")


def _training_clips(rehearsal: Rehearsal) -> None:
    _require_finite(rehearsal)
    other = dataclasses.replace(rehearsal.store, clips=255 - rehearsal.store.clips)
    if same(rehearsal.content(1, store=other), rehearsal.seeded):
        raise Violation(
            "the set is the same whatever the training clips show (the check tried their negatives); "
            "make it from task.real(...), task.clips(...) or task.pixels(...)"
        )


# ----------------------------------------------------------------------------------------------------------------------
# Learning and resuming


def _gradient(rehearsal: Rehearsal) -> None:
    synthetic = rehearsal.plain
    learnable = {name: tensor for name, tensor in synthetic.tensors().items() if tensor.is_floating_point()}
    if not learnable:
        raise NotApplicable("stores no float tensors: nothing is learned")
    inner = [name for name, tensor in learnable.items() if not tensor.is_leaf]
    if inner:
        raise Violation(
            f"{_listed(inner)} still belong to the graph that computed them; store them detached: tensor.detach()"
        )
    for tensor in learnable.values():
        tensor.requires_grad_(True)
    everything = torch.arange(len(synthetic))
    try:
        clips = [synthetic.render(everything, generator("gradient", number)) for number in range(8)]
        if not any(rendered.requires_grad for rendered in clips):
            gradients: tuple[torch.Tensor | None, ...] = (None,) * len(learnable)
        else:
            loss = torch.stack([rendered.square().mean() for rendered in clips]).sum()
            gradients = torch.autograd.grad(loss, list(learnable.values()), allow_unused=True)
    finally:
        for tensor in learnable.values():
            tensor.requires_grad_(False)
    missed = [name for name, grad in zip(learnable, gradients, strict=True) if grad is None or not bool(grad.any())]
    if missed:
        raise Violation(
            f"no gradient reaches {_listed(missed)} through render(): it must use every float tensor of tensors() and be "
            "differentiable in each, so write it without detach(), .data, numpy or rounding; tensors() must return "
            "the stored tensors themselves, not copies"
        )
    if rehearsal.is_stepwise():
        _moves(rehearsal)


def _moves(rehearsal: Rehearsal) -> None:
    """Checks that learning changes at least one stored tensor. Others may be meant to stay as they are."""
    try:
        untouched = rehearsal.unlearned()
    except ValueError:  # Config does not allow it
        return
    start = untouched.distill(rehearsal.task()).stored()
    end = rehearsal.plain.stored()
    floats = [name for name in end if end[name].is_floating_point() and name in start]
    if floats and all(torch.equal(start[name].detach(), end[name].detach()) for name in floats):
        raise Violation(
            f"after {rehearsal.method().config.steps} steps, {_listed(floats)} are the same as after none: nothing is learned; "
            "make sure that the loss depends on render() and that the optimiser has the stored tensors themselves"
        )


def _progress(rehearsal: Rehearsal) -> None:
    reports, _ = rehearsal.reported
    if not reports:
        if rehearsal.is_stepwise():
            raise Violation(
                "Config has steps, but task.progress(step, total, loss=...) is never called, so users see no progress"
            )
        raise NotApplicable("the method reports no steps: it does not learn step by step")
    steps = [step for step, _, _ in reports]
    total = reports[-1][1]
    if steps != list(range(1, total + 1)) or any(other != total for _, other, _ in reports):
        raise Violation(
            f"task.progress is called with steps {_listed(steps[:6])} of {total}; call it once after each step, "
            "from 1 to the total"
        )
    bad = [step for step, _, loss in reports if loss is not None and not math.isfinite(loss)]
    if bad:
        raise Violation(f"the loss is NaN or infinite at step {bad[0]}; perhaps the learning rate is too high")


def _resume(rehearsal: Rehearsal) -> None:
    if not rehearsal.repeats:
        raise NotApplicable(_NOT_REPEATABLE)
    reports, uninterrupted = rehearsal.reported
    if not reports:
        raise NotApplicable("the method reports no steps: it is quick and simply starts again")
    total = reports[-1][1]
    expected = content(uninterrupted)
    for stop in sorted({1, total - 1} - {0}):
        path = rehearsal.folder / f"stopped-{stop}" / "state.safetensors"
        reporter = Reporter(lambda *_: None, lambda _: None)

        def step(phase: str, done: int, *_: object, stop: int = stop, reporter: Reporter = reporter) -> None:
            if phase == "distil" and done == stop:
                reporter.deadline = 0.0  # the next checkpoint is saved and ends the run

        reporter.step = step
        stopped = rehearsal.task(path=path, reporter=reporter)
        try:
            rehearsal.method().distill(stopped)
        except OutOfTime:
            pass
        else:
            if not any(tensor.is_floating_point() for tensor in uninterrupted.stored().values()):
                raise NotApplicable("the method saves no checkpoints, but learns nothing that could be lost")
            if total > 1:
                raise Violation(
                    "task.checkpoint(step, state) is never called between steps, so a run that is stopped loses all of them. "
                    "Call it after task.progress, with a function that returns every tensor the next step needs"
                )
        later_reports, resumed = rehearsal.report(path)
        first = later_reports[0][0] if later_reports else total
        if later_reports and first != stop + 1:
            raise Violation(
                f"stopped after step {stop} and started again, it continues with step {first}; ask task.resume() for the last "
                "saved (step, state) before the loop, and start from that step"
            )
        if not same(content(resumed), expected):
            raise Violation(
                f"stopped after step {stop} and resumed, it ends with another set than without a stop; put everything that the "
                "next step needs in the checkpoint (momentum, too), and draw from task.rng(name, step), not from a generator "
                "made before the loop"
            )


# ----------------------------------------------------------------------------------------------------------------------
# Where it runs


def _settings(rehearsal: Rehearsal) -> None:
    frames = shape_of(rehearsal.store).frames
    for name, setting in temporal.presets(frames).items():
        if setting.is_dense(frames):
            continue  # the other checks use this setting
        work = rehearsal.work(name)
        declined = rehearsal.method(name).declines(work)
        if declined is not None:
            if not isinstance(declined, str) or len(declined) <= 10 or "\n" in declined:
                raise Violation(
                    f"declines() answers {declined!r} for {name}; return one sentence that says why the method declines "
                    "(tables show it as a footnote), or None if it supports the setting"
                )
            continue
        try:
            synthetic = rehearsal.distill(name)
            check_set(synthetic, len(CLASSES), shape_of(rehearsal.store), rehearsal.ipc_counted())
        except (Exception, SystemExit) as error:
            raise Violation(
                f"declines() accepts {name}, but then: {_described(error)}; support it (a subclass of "
                "bench.distill.matching.Matching or bench.distill.coresets.Coreset does), or decline it with a reason"
            ) from error
        _check_planned(rehearsal, name, synthetic)


def _check_planned(rehearsal: Rehearsal, setting: str, synthetic: SyntheticSet) -> None:
    """Checks that the set takes exactly the planned bytes, or at most these if learning decides which frames are stored."""
    if rehearsal.kind.fills_budget or not rehearsal.kind.uses_ipc:
        return
    stored = count_set(synthetic, None).storage_bytes
    planned = rehearsal.method(setting).stored_bytes(rehearsal.work(setting))
    if not (stored <= planned if setting == "keyframes-adaptive" else stored == planned):
        raise Violation(
            f"declines() accepts {setting}, where stored_bytes() says {planned:,} bytes and the set stores {stored:,}; "
            "store the frames that work.setting says (n_syn of T), or decline it with a reason"
        )


def _workers(rehearsal: Rehearsal) -> None:
    method = rehearsal.method()
    values = config.as_dict(method.config)
    try:
        canonical_json(values)
    except (TypeError, ValueError) as error:
        raise Violation(
            f"Config cannot be written to a record ({error}); its fields must be plain values: bool, int, float, str or None"
        ) from error
    try:
        pickle.dumps(method)
    except Exception as error:
        raise Violation(
            f"the method cannot be passed to a worker process: {_described(error)}; keep lambdas, open files and networks "
            "out of __init__ and Config, and define classes at the top level of the file"
        ) from error
    if config.build(rehearsal.kind.Config, values, rehearsal.name) != method.config:
        raise Violation("a Config rebuilt from its own fields is not equal to it; it must hold nothing but its fields")
    archive = _archive(rehearsal) if rehearsal.plain.archived else None
    try:
        made, read = rehearsal.distill_elsewhere(archive)
    except (Exception, SystemExit) as error:
        raise Violation(f"a worker process that loads the plugin fails: {_described(error)}") from error
    expected = content(rehearsal.plain)
    if archive is not None and not alike(read, expected):
        raise Violation(
            "another process reads other clips from the stored set: render() or restore() uses something "
            "that exists only in this process's memory, and is therefore not counted in bytes"
        )
    if not alike(made, expected):
        raise Violation(
            "a worker process (`run --jobs 2`) makes another set for the same seed; "
            "look for what differs between processes: the order of a set of strings, hash(), a clock, the process id"
        )


def _device(rehearsal: Rehearsal) -> None:
    pretended = not torch.cuda.is_available()
    if pretended and (reason := pretend.missing()) is not None:
        raise NotApplicable(f"there is no CUDA device, and {reason}")
    try:
        synthetic = rehearsal.distill(device=str(pretend.device()) if pretended else "cuda")
        made = content(synthetic)
    except pretend.MixedDevices as error:
        raise Violation(
            f"on a GPU it would mix tensors of the CPU and of the GPU: {error}. Make tensors with device=task.device, or send them "
            "there with bench.core.upload.upload"
        ) from error
    check_set(synthetic, len(CLASSES), shape_of(rehearsal.store), rehearsal.ipc_counted())
    if len(synthetic) != len(rehearsal.plain):
        raise Violation(f"on a GPU the set has {len(synthetic)} clips, on the CPU {len(rehearsal.plain)}")
    if pretended and not alike(made, content(rehearsal.plain)) and rehearsal.repeats:
        raise Violation("on a GPU it makes another set than on the CPU; look for what depends on task.device")
    if synthetic.archived:
        save_set(rehearsal.folder / "device", synthetic, {})


def _beats_random(rehearsal: Rehearsal) -> None:
    if rehearsal.name == "random":
        raise NotApplicable("the method is `random` itself")
    own, floor = (100 * statistics.fmean(rehearsal.accuracies(name)) for name in (None, "random"))
    if own < floor - TOLERANCE:
        chance = 100 / len(appearance_store().classes)
        raise Violation(
            f"on small shapes-appearance clips at IPC {JUDGED_IPC}, networks trained on the set reach {own:.1f} %, and {floor:.1f} % on "
            f"that of `random` (chance {chance:.1f} %, tolerance {TOLERANCE:.0f} points). Make sure that labels match their clips and "
            "that clips are in network units. If the method only needs more steps, use --set steps=N"
        )


# ----------------------------------------------------------------------------------------------------------------------
# Wording


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _described(error: BaseException) -> str:
    """An error on one line. Unless it is a BenchError, the line also says where the error comes from."""
    text = " ".join(str(error).split())
    if isinstance(error, BenchError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"


CHECKS = (
    Check("distils", "distill() returns a set of a registered kind", _distils),
    Check("described", "docstring, Config, presets and tuned fields are in order", _described_method),
    Check("plan", "bytes and passes are known before a run, and grow with the work", _plan),
    Check("shapes", "labels (N,), clips (B, C, T, H, W) float32, drawn from rng alone", _shapes),
    Check("finite", "everything stored and rendered is finite", _finite),
    Check("labels", "every class has its share of clips", _labels),
    Check("ipc", "the set has as many clips per class as task.ipc says", _ipc),
    Check("bytes", "planned, counted and stored bytes are equal; the file gives the same set", _bytes),
    Check("budget", "the set stays within a budget in bytes", _budget),
    Check("seeds", "one seed gives one set; other seeds give other sets, or no seed is used", _seeds),
    Check("global state", "the generators of random, numpy and torch are left alone", _touches),
    Check("global seed", "the set does not depend on how these generators are seeded", _reads),
    Check("test clips", "no test clip is read, and nothing depends on one", _test_clips),
    Check("training clips", "the set depends on the training clips", _training_clips),
    Check("gradient", "gradients reach every stored float tensor, and learning changes some", _gradient),
    Check("progress", "every step is reported, with a finite loss", _progress),
    Check("resume", "a stopped and resumed run ends with the same set", _resume),
    Check("settings", "each temporal setting is supported, or declined with a reason", _settings),
    Check("workers", "a worker process makes the same set and can read the stored one", _workers),
    Check("device", "the method runs on a GPU, or on a device that pretends to be one", _device),
    Check("accuracy", f"at most {TOLERANCE:.0f} points below `random` on small shapes-appearance clips", _beats_random),
)
"""All checks, the cheapest first."""
