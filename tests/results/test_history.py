"""The objective at both ends of learning."""

from __future__ import annotations

import pytest

from bench.results.history import Objective, ends, objective


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([5.0, 1.0], Objective(5.0, 1.0)),
        ([5.0, *[9.0] * 17, 1.0, 3.0], Objective(5.0, 2.0)),  # two of twenty
        ([5.0, *[9.0] * 18, 1.0, 3.0], Objective(5.0, 2.0)),  # a tenth of 21, rounded down
        ([1.0, 1.0], Objective(1.0, 1.0)),
        ([5.0], None),
        ([], None),
        ([None, 1.0], None),
        ([5.0, *[1.0] * 18, None], None),
    ],
)
def test_it_is_the_first_loss_and_the_mean_of_the_last_tenth(losses, expected):
    history = {"step": [float(number) for number in range(len(losses))], "loss": losses}
    assert objective(history) == expected
    assert objective(ends(history)) == expected
    assert objective({"step": history["step"]}) is None


def test_only_less_is_a_fall():
    assert Objective(2.0, 1.0).fell()
    assert not Objective(1.0, 1.0).fell()
    assert not Objective(1.0, 2.0).fell()
