"""Splits are by group, near their share, and depend on nothing but the data."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from bench.data.splits import draw_split, held_out, validation_groups


@st.composite
def own_groups(draw):
    """Labels and groups of clips where no group spans classes."""
    sizes = draw(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=5))
    clips = [(c, f"{c}-{g}") for c, groups in enumerate(sizes) for g, size in enumerate(groups) for _ in range(size)]
    return [label for label, _ in clips], [group for _, group in clips]


spanning_groups = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 11)), min_size=1, max_size=80).map(
    lambda clips: ([label for label, _ in clips], [f"g{group}" for _, group in clips])
)


def _by_class(labels, groups):
    members = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[label][group] += 1
    return members


@given(own_groups(), st.sampled_from([0.1, 0.2, 0.3, 0.5]))
def test_each_class_gives_about_its_share(clips, share):
    held = held_out(*clips, share, "any")
    for sizes in _by_class(*clips).values():
        taken = sum(size for group, size in sizes.items() if group in held)
        chosen = sum(group in held for group in sizes)
        if len(sizes) == 1:
            assert chosen == 0
            continue
        assert 1 <= chosen < len(sizes)
        off = abs(taken - share * sum(sizes.values()))
        assert off <= max(sizes.values()) / 2 or (chosen == 1 and taken == min(sizes.values()))


@given(spanning_groups)
def test_no_class_is_emptied_though_groups_span_classes(clips):
    held = validation_groups(*clips)
    for sizes in _by_class(*clips).values():
        assert set(sizes) - held
    assert held <= set(clips[1])


@given(spanning_groups, st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(clips, rng: random.Random):
    pairs = list(zip(*clips, strict=True))
    rng.shuffle(pairs)
    assert validation_groups(*clips) == validation_groups(*zip(*pairs, strict=True))


@given(spanning_groups, st.integers(0, 3))
def test_a_drawn_split_never_parts_a_group(clips, seed):
    splits = draw_split(*clips, seed=seed)
    sides = {(group, split) for group, split in zip(clips[1], splits, strict=True)}
    assert len(sides) == len(set(clips[1]))


def test_groups_are_taken_in_the_order_of_their_hash():
    """Every published figure depends on this order, so the values are written out beside the rule."""
    labels, groups = [0] * 10 + [1] * 10, [f"g{i}" for i in range(20)]

    def first(key, count):
        ranked = sorted(range(20), key=lambda i: hashlib.sha256(f"{key}\0g{i}".encode()).digest())
        return sorted(i for half in (range(10), range(10, 20)) for i in [i for i in ranked if i in half][:count])

    def drawn(seed):
        return [i for i, split in enumerate(draw_split(labels, groups, seed)) if split == "test"]

    assert sorted(validation_groups(labels, groups)) == ["g17", "g18", "g4", "g9"]
    assert first("validation", 2) == [4, 9, 17, 18]
    assert drawn(0) == first("test 0", 3) == [0, 2, 7, 13, 14, 18]
    assert drawn(1) == first("test 1", 3) == [1, 5, 7, 11, 13, 17]
