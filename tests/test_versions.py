"""The versions that are declared, tested and installed agree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_USERS = ("cluster", "completion", "notebook", "tensorboard")
EXTRAS = [text for name in OF_USERS for text in PROJECT["optional-dependencies"][name]]
DECLARED = {requirement.name: requirement for requirement in map(Requirement, [*PROJECT["dependencies"], *EXTRAS])}


def pins(file):
    """The versions in a file, by name; several where they depend on Python."""
    lines = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found: dict[str, list[Version]] = {}
    for requirement in map(Requirement, lines):
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found.setdefault(requirement.name, []).append(Version(pin.version))
    return found


@pytest.mark.parametrize("name", DECLARED)
def test_a_range_is_open_and_both_its_ends_are_tested(name):
    (bound,) = DECLARED[name].specifier
    assert bound.operator == ">="
    assert (
        pins("constraints-oldest.txt")[name][0].release[: len(Version(bound.version).release)]
        == Version(bound.version).release
    )
    assert all(version in DECLARED[name].specifier for version in pins("constraints.txt")[name])


def test_nothing_is_pinned_as_oldest_that_is_not_declared():
    assert pins("constraints-oldest.txt").keys() == DECLARED.keys()


def test_the_oldest_python_is_the_one_that_tox_runs():
    assert PROJECT["requires-python"] == ">=3.10"
    assert "[testenv:py310]" in (ROOT / "tox.ini").read_text(encoding="utf-8")
