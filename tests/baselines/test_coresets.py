"""Herding and k-center against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from bench.baselines.herding import herd
from bench.baselines.kcenter import k_center


def points(seed: int, n: int = 12, dims: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, dims)))


@pytest.mark.parametrize("seed", range(5))
def test_herding_is_the_greedy_choice_written_out(seed: int) -> None:
    features = points(seed).numpy()
    mean = features.mean(axis=0)
    picked: list[int] = []
    for _ in range(6):
        free = [i for i in range(len(features)) if i not in picked]
        picked.append(min(free, key=lambda i: np.linalg.norm(mean - features[[*picked, i]].mean(axis=0))))
    assert herd(points(seed), 6).tolist() == picked


@pytest.mark.parametrize("seed", range(5))
def test_herding_takes_the_nearest_first_not_the_farthest(seed: int) -> None:
    features = points(seed)
    distance = torch.linalg.vector_norm(features - features.mean(dim=0), dim=1)
    assert herd(features, 1).item() == distance.argmin().item()


def test_herding_follows_the_mean_better_than_random_choice() -> None:
    features = points(0, n=200, dims=8)
    mean = features.mean(dim=0)
    herded = torch.linalg.vector_norm(features[herd(features, 20)].mean(dim=0) - mean)
    drawn = torch.randperm(200, generator=torch.Generator().manual_seed(0))[:20]
    assert herded < 0.2 * torch.linalg.vector_norm(features[drawn].mean(dim=0) - mean)


@pytest.mark.parametrize("seed", range(5))
def test_k_center_is_the_farthest_first_traversal_written_out(seed: int) -> None:
    features = points(seed).numpy()
    picked = [int(np.linalg.norm(features - features.mean(axis=0), axis=1).argmin())]
    for _ in range(5):
        gaps = [min(np.linalg.norm(features[i] - features[c]) for c in picked) for i in range(len(features))]
        picked.append(int(np.argmax(gaps)))
    assert k_center(points(seed), 6).tolist() == picked


@pytest.mark.parametrize("seed", range(3))
def test_k_center_radius_is_within_twice_the_optimum(seed: int) -> None:
    """Gonzalez 1985: farthest-first traversal is a 2-approximation, from whichever start."""
    features = points(seed, n=10, dims=2)
    distance = torch.cdist(features, features)
    optimum = min(distance[:, list(c)].amin(dim=1).max().item() for c in itertools.combinations(range(10), 3))
    chosen = k_center(features, 3)
    assert distance[:, chosen].amin(dim=1).max().item() <= 2 * optimum + 1e-12


@pytest.mark.parametrize("choose", [herd, k_center])
def test_asked_for_more_than_there_is_gives_each_once(choose: object) -> None:
    features = torch.zeros(4, 2, dtype=torch.float64)  # duplicates: no distance tells them apart
    assert sorted(choose(features, 9).tolist()) == [0, 1, 2, 3]  # type: ignore[operator]
