"""What a process shares: each change is seen, and the suite itself makes none."""

from __future__ import annotations

import os
import signal
import sys
import threading

import numpy as np
import pytest
import torch

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
        found = surroundings.changes(before, surroundings.look())
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
        (costs, "count_set", "bench.running.cell.costs.count_set replaced"),
        (costs.PhaseMeter, "so_far", "bench.running.cell.costs.PhaseMeter.so_far replaced"),
    ],
)
def test_a_replaced_function_is_seen(monkeypatch, owner, name, told):
    before = surroundings.look()
    monkeypatch.setattr(owner, name, lambda *args: None)
    assert surroundings.changes(before, surroundings.look()) == (told,)


def test_a_thread_that_is_left_and_another_folder_are_seen_without_their_path(tmp_path, monkeypatch):
    before, end = surroundings.look(), threading.Event()
    monkeypatch.chdir(tmp_path)
    thread = threading.Thread(target=end.wait, name="left")
    thread.start()
    try:
        assert surroundings.changes(before, surroundings.look()) == (
            "the working folder", "a thread left running: left",
        )  # fmt: skip
    finally:
        end.set()
        thread.join()


def test_the_suite_itself_changes_nothing(finished):
    """Four methods, with their networks, probes and stored sets."""
    assert [record.changed for record in RecordStore(finished[0]).all()] == [()] * 4
