"""No result of the suite's own parts changes without a new version."""

from __future__ import annotations

import json

import pytest

from bench import plugins
from tests.golden import runs
from tests.golden.record import RESULTS, differences, own

REGISTRIES = plugins.load()
RECORDED = json.loads(RESULTS.read_text())


def check(part, version, numbers):
    assert part in RECORDED, f"{part} has no recorded result: python -m tests.golden.record"
    assert RECORDED[part]["version"] == version, f"{part} has a new version: python -m tests.golden.record"
    found = differences(RECORDED[part]["numbers"], numbers)
    raise_it = "raise its version" if version is not None else "raise the version of each method that stores it"
    assert not found, f"{part} gives other results than recorded; if that is meant, {raise_it}:\n" + "\n".join(found)


@pytest.mark.parametrize("name", own(REGISTRIES.methods))
def test_a_method_gives_what_its_version_gave(name, tmp_path):
    method = REGISTRIES.methods.get(name)
    check(f"method {name}", method.version, runs.of_a_method(name, REGISTRIES, tmp_path))


@pytest.mark.parametrize("name", runs.SETS)
def test_a_kind_of_set_renders_what_it_did(name):
    check(f"set {name}", None, runs.of_a_set(runs.SETS[name]()))


@pytest.mark.parametrize("name", own(REGISTRIES.protocols))
def test_a_protocol_trains_as_its_version_did(name):
    protocol = REGISTRIES.protocols.get(name)
    check(f"protocol {name}", protocol.version, runs.of_a_protocol(protocol, REGISTRIES))


def test_every_kind_of_set_that_is_archived_has_a_recorded_result():
    made = {make().name for make in runs.SETS.values()}
    archived = {name for name in own(REGISTRIES.sets) if REGISTRIES.sets.get(name).archived}
    assert made == archived


def test_nothing_is_recorded_of_what_is_gone():
    parts = {f"method {name}" for name in own(REGISTRIES.methods)} | {f"set {name}" for name in runs.SETS}
    assert set(RECORDED) == parts | {f"protocol {name}" for name in own(REGISTRIES.protocols)}


@pytest.mark.parametrize(
    ("changed", "seen"), [({"momentum": 0.51}, True), ({"batch_real": 3}, True), ({"lr": 3.03}, True), ({}, False)]
)
def test_a_constant_of_dm_that_moves_by_a_little_is_noticed(changed, seen, tmp_path, monkeypatch):
    before = runs.Rehearsal.method

    def method(self, setting="dense", ipc=2, values=None):
        return before(self, setting, ipc, {**changed, **(values or {})})

    monkeypatch.setattr(runs.Rehearsal, "method", method)
    numbers = runs.of_a_method("dm", REGISTRIES, tmp_path)
    assert bool(differences(RECORDED["method dm"]["numbers"], numbers)) is seen
