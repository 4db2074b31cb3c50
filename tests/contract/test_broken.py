"""Plugins that are broken on purpose: each is caught by its own check, with the sentence that teaches the clause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.testing import conformance

FOLDER = Path(__file__).parent.parent / "broken"

# For each file the checks that fail, and words of what the first that is named says. Checks that take seconds run where they are due.
BROKEN = {
    "crashes": (["distils"], r"raised ZeroDivisionError: no such luck \(crashes.py:\d+\)"),
    "declines_without_reason": (["settings"], r"declines\(\) answers '' for keyframes-2; .*one sentence that says why"),
    "does_not_resume": (["resume"], r"after step 1 and started again, it continues with step 1; ask task.resume\(\)"),
    "forgets_its_decoder": (["bytes"], r"renders other clips .* uses something that tensors\(\) does not hold"),
    "forgets_momentum": (["resume"], r"after step 1 and resumed, it ends with another set .* \(momentum, too\)"),
    "global_seed": (["global state"], r"moves the global generator of torch: it seeds it or draws from it"),
    "ignores_ipc": (["ipc", "labels", "bytes", "settings"], r"at IPC 3 the classes have 1, 1, 1 clips; task.ipc says how many to store"),
    "ignores_the_clips": (["training clips"], r"the same whatever the training clips show"),
    "ignores_the_seed": (["seeds"], r"four seeds give the same set; .* or say uses_seed = False"),
    "learns_nothing": (["gradient"], r"after 4 steps, clips are the same as after none: nothing is learned"),
    "mixes_devices": (["device"], r"mix tensors of the CPU and of the GPU: .* Make tensors with device=task.device"),
    "no_checkpoints": (["resume"], r"task.checkpoint\(step, state\) is never called"),
    "no_gradient": (["gradient"], r"no gradient reaches clips through render\(\): .* without detach\(\)"),
    "not_a_number": (["finite"], r"'clips' holds 18432 numbers that are NaN"),
    "not_deterministic": (["seeds"], r"the same seed gives another set each time; draw from task.rng\(...\) alone"),
    "only_in_this_process": (["workers"], r"a worker process .* makes another set for the same seed; .* the process id"),
    "over_budget": (["budget"], r"\(run --budget\), the set takes 46,080 bytes; the budget is 13,824 bytes: store less"),
    "peeks_at_test": (["test clips"], r"reads test clips; a method sees the training clips .* chooses on a part of train"),
    "plans_too_few_bytes": (["bytes", "budget"], r"stored_bytes\(\) says 18,432 bytes, the set stores 73,728; .* equal to the byte"),
    "reads_global_rng": (["global seed"], r"after another torch.manual_seed, .* the same task gives another set"),
    "supports_what_it_cannot": (["settings"], r"accepts keyframes-2, where stored_bytes\(\) says .* or decline it with a reason"),
    "swallows_the_guard": (["test clips"], r"reads test clips"),
    "touches_global_rng": (["global state", "global seed", "seeds"], r"moves the global generator of numpy.random"),
    "unbalanced_labels": (["labels", "ipc"], r"the classes have .* clips; at IPC 2 each must have 2, 2, 2: a class with fewer"),
    "undercounted_bytes": (["workers"], r"another process reads other clips from the stored set: .* not counted in bytes"),
    "unpicklable": (["workers"], r"cannot be passed to a worker process: .*lambda"),
    "wrong_label_type": (["shapes"], r"labels are \(6,\) int32; they must be \(N,\) int64, or \(N, 3 classes\) float"),
    "wrong_labels": (["accuracy"], r"reach \d+\.\d %, and \d+\.\d % on that of `random` .* labels match their clips"),
    "wrong_shape": (["shapes"], r"render\(\) gives \(3, 4, 3, 16, 16\) float32 .*; it must give \(3, 3, 4, 16, 16\) \(B, C, T, H, W\)"),
}  # fmt: skip
SLOW = ("workers", "accuracy", "device")


def test_every_broken_plugin_is_here():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(BROKEN)


@pytest.mark.parametrize(
    "stem", [pytest.param(s, marks=pytest.mark.slow if "accuracy" in BROKEN[s][0] else ()) for s in BROKEN]
)
def test_a_broken_plugin_is_caught_with_the_right_sentence(stem):
    expected, words = BROKEN[stem]
    checks = [check for check in conformance.CHECKS if check.name not in SLOW or check.name in expected]
    with conformance.rehearse(FOLDER / f"{stem}.py") as rehearsal:
        found = [result for result in conformance.results(rehearsal, checks) if result.status == "failed"]
    print(*found, sep="\n")
    assert [result.check for result in found] == [check.name for check in checks if check.name in expected]
    sentence = next(result.text for result in found if result.check == expected[0])
    assert re.search(words, sentence)
    assert "\n" not in sentence
