"""The contract, checked for `new-method`; ``python -m bench check new_method.py`` prints the same as a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.testing import conformance


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[conformance.Rehearsal]:
    """The method, to be distilled again and again on tiny clips."""
    with conformance.rehearse(Path(__file__).with_name("new_method.py")) as rehearsal:
        yield rehearsal


@pytest.mark.parametrize("check", conformance.CHECKS, ids=str)
def test_the_contract(rehearsal: conformance.Rehearsal, check: conformance.Check) -> None:
    """One clause of the contract; its message says what to do."""
    check(rehearsal)
