"""Items made in advance are the same items; errors and an early end stay what they are without the thread."""

from __future__ import annotations

import threading

import pytest
import torch

from bench.data.prefetch import ahead


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_the_same_items_in_the_same_order(wanted, count):
    assert list(ahead(iter(range(count)), wanted)) == list(range(count))
    assert list(ahead([None] * count, wanted)) == [None] * count


def test_draws_are_those_without_the_thread():
    def drawn(wanted):
        rng = torch.Generator().manual_seed(3)
        found = list(ahead((torch.rand(3, generator=rng) for _ in range(20)), wanted))
        return torch.stack([*found, torch.rand(3, generator=rng)])

    assert torch.equal(drawn(True), drawn(False))


def test_items_are_made_by_one_other_thread_before_they_are_asked_for():
    made, makers = threading.Event(), set()

    def items():
        for number in range(4):
            makers.add(threading.get_ident())
            if number == 1:
                made.set()
            yield number

    items_ahead = ahead(items(), depth=2)
    assert next(items_ahead) == 0
    assert made.wait(10)  # the second one, which nobody has asked for
    assert list(items_ahead) == [1, 2, 3]
    assert len(makers) == 1
    assert makers != {threading.get_ident()}


def test_an_error_comes_in_its_items_place():
    def items():
        yield 1
        yield 2
        raise ValueError("the third")

    found = []
    with pytest.raises(ValueError, match="the third"):
        found.extend(ahead(items()))
    for item in (items_ahead := ahead(items())):
        found.append(item)
        if item == 2:
            break
    assert found[-2:] == [1, 2]
    items_ahead.close()


def test_no_more_than_asked_for_and_the_depth_are_made_and_the_thread_ends():
    made = []
    items_ahead = ahead((made.append(i) or i for i in range(100)), depth=3)
    assert [next(items_ahead), next(items_ahead)] == [0, 1]
    items_ahead.close()
    assert len(made) <= 2 + 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
