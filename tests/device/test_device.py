"""Every part on a device that is not the CPU: the pretend one, or with BENCH_TEST_DEVICE=cuda a real one."""

from __future__ import annotations

import os

import pytest
import torch

from bench import plugins
from bench.testing import pretend
from tests.device import checks

NAME = os.environ.get("BENCH_TEST_DEVICE", pretend.NAME)
REGISTRIES = plugins.load()
pytestmark = pytest.mark.skipif(NAME == pretend.NAME and pretend.missing() is not None, reason=str(pretend.missing()))


@pytest.fixture(scope="module")
def device():
    return pretend.device() if NAME == pretend.NAME else torch.device(NAME)


@pytest.mark.parametrize("name", REGISTRIES.methods.names())
def test_a_method(name, device, tmp_path):
    checks.method(name, REGISTRIES, device, tmp_path)


@pytest.mark.parametrize("label", checks.SETTINGS)
def test_a_temporal_setting(label, device, tmp_path):
    checks.setting("dm", label, REGISTRIES, device, tmp_path)


@pytest.mark.parametrize("name", ["dm", "frepo"])
def test_a_method_that_is_resumed(name, device, tmp_path):
    checks.resumed(name, REGISTRIES, device, tmp_path)


@pytest.mark.parametrize("name", checks.SETS)
def test_a_kind_of_set(name, device):
    checks.kind_of_set(name, device)


def test_sets_under_way(device):
    checks.sets_under_way(device)


@pytest.mark.parametrize("name", REGISTRIES.networks.names())
def test_a_network(name, device):
    checks.network(name, REGISTRIES, device)


def test_masks(device):
    checks.masks(device)


@pytest.mark.parametrize("name", REGISTRIES.protocols.names())
def test_a_protocol_with_its_probes(name, device):
    checks.protocol(name, REGISTRIES, device)


def test_a_test_waits_once_a_batch(device):
    checks.tests_wait_once(device, REGISTRIES)


def test_motion(device):
    checks.motion_energy(device)
