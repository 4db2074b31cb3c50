"""What a process shares: each change is seen, and the suite itself makes none."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn.modules import module as modules
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from bench.results.records import RecordStore
from bench.running.cell import costs, surroundings


@pytest.mark.parametrize(
    ("change", "undo", "told"),
    [
        (lambda: torch.set_num_threads(3), lambda: torch.set_num_threads(1), "threads of torch: 1 -> 3"),
        (
            lambda: torch._C._set_mkldnn_enabled(False),
            lambda: torch._C._set_mkldnn_enabled(True),
            "oneDNN: True -> False",
        ),
        (
            lambda: torch.set_default_dtype(torch.float64),
            lambda: torch.set_default_dtype(torch.float32),
            "default type of numbers: torch.float32 -> torch.float64",
        ),
        (
            lambda: torch.use_deterministic_algorithms(True),
            lambda: torch.use_deterministic_algorithms(False),
            "deterministic algorithms: False -> True",
        ),
        (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True), "gradients: True -> False"),
        (
            lambda: torch.set_flush_denormal(True),
            lambda: torch.set_flush_denormal(False),
            "denormal numbers flushed: False -> True",
        ),
        (
            lambda: setattr(torch.backends.cudnn, "benchmark", True),
            lambda: setattr(torch.backends.cudnn, "benchmark", False),
            "cuDNN's benchmark: False -> True",
        ),
        (lambda: np.seterr(divide="raise"), lambda: np.seterr(divide="warn"), "numpy's handling of errors: "),
        (lambda: os.environ.update(SECRET="1"), lambda: os.environ.pop("SECRET"), "the variable SECRET"),
        (lambda: os.umask(0o077), lambda: os.umask(0o022), "umask: 022 -> 077"),
        (lambda: sys.setrecursionlimit(5000), lambda: sys.setrecursionlimit(1000), "limit of recursion: "),
        (
            lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
            lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL),
            "the handler of SIGUSR1",
        ),
    ],
)
def test_each_flag_is_seen(change, undo, told):
    threads, mask = torch.get_num_threads(), os.umask(0o022)
    torch.set_num_threads(1)
    before = surroundings.look()
    change()
    try:
        found = surroundings.changes(before)
    finally:
        undo()
        torch.set_num_threads(threads)
        os.umask(mask)
    assert any(each.startswith(told) for each in found)


@pytest.mark.parametrize(
    ("owner", "name", "told"),
    [
        (torch, "cdist", "torch.cdist replaced"),
        (torch.nn.functional, "relu", "torch.nn.functional.relu replaced"),
        (torch.Tensor, "mean", "torch.Tensor.mean replaced"),  # in front of the one that it inherits
        (torch.nn.Module, "forward", "torch.nn.modules.module.Module.forward replaced"),
        (np, "mean", "numpy.mean replaced"),
        (torch.nn.Conv3d, "forward", "torch.nn.modules.conv.Conv3d.forward replaced"),
        (torch.nn.Linear, "__call__", "torch.nn.modules.linear.Linear.__call__ replaced"),
        (torch.nn.modules.conv._ConvNd, "reset_parameters", "torch.nn.modules.conv._ConvNd.reset_parameters replaced"),
        (torch.optim.SGD, "step", "torch.optim.sgd.SGD.step replaced"),
        (
            torch.optim.lr_scheduler.CosineAnnealingLR,
            "get_lr",
            "torch.optim.lr_scheduler.CosineAnnealingLR.get_lr replaced",
        ),
        (torch.nn.init, "kaiming_normal_", "torch.nn.init.kaiming_normal_ replaced"),
        (torch.linalg, "solve", "torch.linalg.solve replaced"),
        (torch.autograd.Function, "apply", "torch.autograd.function.Function.apply replaced"),
        (pathlib.Path, "read_bytes", "pathlib.Path.read_bytes replaced"),
        (json, "dumps", "json.dumps replaced"),
        (sys, "excepthook", "sys.excepthook replaced"),
        (costs, "count_set", "bench.running.cell.costs.count_set replaced"),
        (costs.PhaseMeter, "so_far", "bench.running.cell.costs.PhaseMeter.so_far replaced"),
    ],
)
def test_a_replaced_function_is_seen(monkeypatch, owner, name, told):
    before = surroundings.look()
    monkeypatch.setattr(owner, name, lambda *args: None)
    assert surroundings.changes(before) == (told,)


def test_a_member_that_is_taken_away_and_a_module_that_another_stands_in_for_are_seen(monkeypatch):
    before = surroundings.look()
    monkeypatch.delattr(torch.nn.Conv3d, "forward")
    monkeypatch.setitem(sys.modules, "torch.nn.functional", ModuleType("other"))
    assert surroundings.changes(before) == (
        "torch.nn.functional replaced", "torch.nn.modules.conv.Conv3d.forward replaced",
    )  # fmt: skip


class Function(TorchFunctionMode):
    """Does nothing of its own."""


class Dispatch(TorchDispatchMode):
    """Does nothing of its own."""


@contextlib.contextmanager
def hooked(register):
    handle = register()
    yield
    handle.remove()


@contextlib.contextmanager
def traced():
    before = sys.getprofile()
    sys.setprofile(lambda *args: None)
    yield
    sys.setprofile(before)


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (lambda: hooked(lambda: modules.register_module_forward_hook(lambda *args: None)), "._global_forward_hooks"),
        (
            lambda: hooked(lambda: modules.register_module_full_backward_hook(lambda *args: None)),
            "._global_backward_hooks",
        ),
        (
            lambda: hooked(lambda: register_optimizer_step_pre_hook(lambda *args: None)),
            "torch.optim.optimizer._global_optimizer_pre_hooks",
        ),
        (Function, "a mode of torch functions left on"),
        (Dispatch, "a mode of dispatch left on"),
        (lambda: torch.device("meta"), "default device: cpu -> meta"),
        (lambda: torch.autograd.graph.saved_tensors_hooks(float, float), "hooks for saved tensors left on"),
        (traced, "a function set with sys.setprofile"),
    ],
)
def test_a_hook_or_a_mode_that_is_left_is_seen(left, told):
    before = surroundings.look()
    with left():
        found = surroundings.changes(before)
    assert [told in each for each in found] == [True]
    assert surroundings.changes(before) == ()


def test_what_torch_does_itself_at_the_first_use_of_its_parts_is_no_change():
    """In a fresh process, where nothing has been used yet."""
    code = """
import torch
from bench.running.cell import surroundings
before = surroundings.look()
weights = [torch.nn.Parameter(torch.ones(2))]
kinds = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.LBFGS, torch.optim.RMSprop)
for kind in kinds:
    optimizer = kind(weights, lr=0.1)
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2)
    weights[0].square().sum().backward()
    optimizer.step(lambda: weights[0].square().sum())
import torch._dynamo, torch.func, torch.fft, torch.testing, torch.utils.flop_counter, torch.utils.data, torch.distributions
torch.func.vmap(torch.func.grad(lambda x: x.square().sum()))(torch.ones(2, 3))
torch.manual_seed(0)
torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
print(surroundings.changes(before))
assert torch.optim.SGD.step.hooked
torch.optim.SGD.step = torch.no_grad()(torch.optim.SGD.step)
print(surroundings.changes(before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["()", "('torch.optim.sgd.SGD.step replaced',)"]


def test_a_thread_that_is_left_and_another_folder_are_seen_without_their_path(tmp_path, monkeypatch):
    before, end = surroundings.look(), threading.Event()
    monkeypatch.chdir(tmp_path)
    thread = threading.Thread(target=end.wait, name="left")
    thread.start()
    try:
        assert surroundings.changes(before) == (
            "the working folder", "a thread left running: left",
        )  # fmt: skip
    finally:
        end.set()
        thread.join()


def test_the_suite_itself_changes_nothing(finished):
    """Four methods, with their networks, probes and stored sets."""
    assert [record.changed for record in RecordStore(finished[0]).all()] == [()] * 4
