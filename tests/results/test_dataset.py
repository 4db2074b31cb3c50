"""A stored set in a data loader: copied, pickled, and drawn from by several workers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from bench.api import SyntheticSet
from bench.results.dataset import DistilledClips


class Noise(SyntheticSet):
    """Renders noise, so that every draw shows."""

    name = "noise-of-a-test"

    def __init__(self):
        self.labels = torch.zeros(8, dtype=torch.int64)

    @classmethod
    def restore(cls, tensors, labels, options):
        return cls()

    def tensors(self):
        return {}

    def render(self, index, rng):
        return torch.rand((len(index), 3, 1, 1, 1), generator=rng)


def clips(seed=5):
    return DistilledClips(Noise(), ["a"], torch.Generator().manual_seed(seed))


def drawn(dataset, seed=0, **options):
    torch.manual_seed(seed)
    loader = DataLoader(dataset, batch_size=4, **options)
    return torch.cat([batch for batch, _ in loader]).flatten(1)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_draw_other_clips_and_the_same_ones_for_the_same_seeds(start):
    options = {"num_workers": 2, "multiprocessing_context": start}
    first = drawn(clips(), **options)
    assert len(first.unique(dim=0)) == 8  # were the workers alike, there would be four
    assert torch.equal(drawn(clips(), **options), first)
    assert not torch.equal(drawn(clips(6), **options), first)
    assert not torch.equal(drawn(clips(), seed=1, **options), first)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))])
def test_a_copy_goes_on_where_the_original_is(again):
    dataset = clips()
    dataset[0]
    twin = again(dataset)
    assert torch.equal(torch.stack([twin[i][0] for i in range(4)]), torch.stack([dataset[i][0] for i in range(4)]))
    assert again(DistilledClips(Noise(), ["a"])).rng is None
