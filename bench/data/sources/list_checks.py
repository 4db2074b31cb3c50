"""What every list of clips must hold to, whichever dataset it is of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from bench.api import ClipRef
from bench.core.errors import BenchError
from bench.core.text import first_few
from bench.data.clip_table import ClipTable, per_class


def checked(
    where: str, classes: Sequence[str], clips: Sequence[ClipRef], mends: bool = False
) -> tuple[Sequence[ClipRef], tuple[str, ...]]:
    """The clips, each once, and what was wrong with their lists, one sentence each.

    A line that is there twice counts once, and is said. What would make figures wrong is an error.

    Args:
        where: the lists, for messages.
        classes: class names in label order.
        clips: as listed.
        mends: a video in both lists counts for testing only, and is said. Else it is an error.

    Raises:
        BenchError: a video is in both lists, or of two classes; or a class has no training clip.
    """
    notes: list[str] = []
    if len({hash(key) for key in _keys(clips)}) < len(clips):  # their hashes take a fraction of the memory of the keys
        clips, notes = _each_once(where, classes, clips, mends)
    trained = per_class(clips, "train")
    untrained = [name for label, name in enumerate(classes) if not trained[label]]
    if untrained:
        raise BenchError(f"{where}: no training clip of class {first_few(untrained)}")
    return clips, tuple(notes)


def _keys(clips: Sequence[ClipRef]) -> Sequence[str]:
    return clips.keys if isinstance(clips, ClipTable) else [clip.key for clip in clips]


def _each_once(
    where: str, classes: Sequence[str], clips: Sequence[ClipRef], mends: bool
) -> tuple[Sequence[ClipRef], list[str]]:
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(_keys(clips)):
        places[key].append(place)
    repeated = {key: [clips[place] for place in at] for key, at in places.items() if len(at) > 1}
    for key, listed in repeated.items():
        labels = sorted({clip.label for clip in listed})
        if len(labels) > 1:
            names = " and ".join(classes[label] for label in labels)
            raise BenchError(f"{where}: '{key}' is listed for the classes {names}; a video has one class")
    both = sorted(key for key, listed in repeated.items() if len({clip.split for clip in listed}) > 1)
    if both and not mends:
        raise BenchError(
            f"{where}: {len(both):,} videos are listed for training and for testing ({first_few(both)}); "
            "each may stand in one of the two lists only"
        )
    counted = {
        key: next((place for place in places[key] if clips[place].split == "test"), places[key][0]) for key in repeated
    }
    kept = [clip for place, clip in enumerate(clips) if counted.get(clip.key, place) == place]
    notes = []
    if both:
        notes.append(
            f"Videos listed for training and for testing count for testing only: {len(both):,} ({first_few(both)})."
        )
    twice = sorted(set(repeated) - set(both))
    if twice:
        notes.append(f"Videos listed more than once count once: {len(twice):,} ({first_few(twice)}).")
    return (ClipTable(kept) if isinstance(clips, ClipTable) else tuple(kept)), notes


def told_apart(where: str, classes: Sequence[str]) -> tuple[str, ...]:
    """A sentence on classes whose names differ in case alone, which some systems take for one.

    Raises:
        BenchError: a name is there twice.
    """
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name in classes:
        spellings[name.casefold()].append(name)
    for names in spellings.values():
        if len(set(names)) < len(names):
            raise BenchError(f"{where}: class '{names[0]}' is there twice")
    alike = [" and ".join(names) for names in spellings.values() if len(names) > 1]
    return (f"Classes whose names differ in upper and lower case alone: {first_few(alike)}.",) if alike else ()
