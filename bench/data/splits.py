"""Splits by group: clips of one group (same footage, same actor) are never on both sides, and nothing is random.

Groups are taken in the order of a SHA-256 of their names. So a split depends on the data alone, and not on a library's random
generator or the order in which files are listed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

VALIDATION_SHARE = 0.2
TEST_SHARE = 0.3


def validation_groups(labels: Sequence[int], groups: Sequence[str], share: float = VALIDATION_SHARE) -> frozenset[str]:
    """The groups of the training clips that are set aside for validation (see `held_out`).

    Args:
        labels, groups: of each training clip.
        share: part of each class's clips that is aimed at.
    """
    return held_out(labels, groups, share, "validation")


def draw_split(
    labels: Sequence[int], groups: Sequence[str], seed: int = 0, share: float = TEST_SHARE
) -> list[Literal["train", "test"]]:
    """A split for data that come without one: about ``share`` of each class's clips for testing (see `held_out`).

    Args:
        labels, groups: of each clip.
        seed: another seed draws another split.
        share: part of each class's clips that is aimed at.
    """
    test = held_out(labels, groups, share, f"test {seed}")
    return ["test" if group in test else "train" for group in groups]


def held_out(labels: Sequence[int], groups: Sequence[str], share: float, key: str) -> frozenset[str]:
    """Groups that together hold about ``share`` of each class's clips.

    Every class keeps at least one group. Every class with two groups or more gives at least one away, unless groups that span
    classes make this impossible. A class comes as near its share as taking groups one by one allows: where no other class
    shares its groups, within half of its largest group, or its smallest group alone is taken.

    Args:
        labels, groups: of each clip.
        share: in (0, 1).
        key: another key is another order of the groups.
    """
    clips: defaultdict[str, Counter[int]] = defaultdict(Counter)  # group -> class -> clips
    for label, group in zip(labels, groups, strict=True):
        clips[group][label] += 1
    order = sorted(clips, key=lambda group: hashlib.sha256(f"{key}\0{group}".encode()).digest())
    of_class: defaultdict[int, list[str]] = defaultdict(list)
    for group in order:
        for label in clips[group]:
            of_class[label].append(group)
    staying = {label: len(members) for label, members in of_class.items()}
    taken: Counter[int] = Counter()
    held: set[str] = set()

    def may_go(group: str) -> bool:
        return group not in held and all(staying[label] >= 2 for label in clips[group])

    def take(group: str) -> None:
        held.add(group)
        taken.update(clips[group])
        for label in clips[group]:
            staying[label] -= 1

    totals = Counter(labels)
    for label in sorted(of_class):
        wanted = share * totals[label]
        for group in of_class[label]:
            nearer = abs(taken[label] + clips[group][label] - wanted) <= abs(taken[label] - wanted)
            if nearer and may_go(group):
                take(group)
        if not taken[label]:
            smallest = min(filter(may_go, of_class[label]), key=lambda group: clips[group][label], default=None)
            if smallest is not None:
                take(smallest)
    return frozenset(held)
