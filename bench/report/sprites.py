"""The report's clips as pictures inside the page: clips of stored sets, and real ones if the cache has them decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import Dataset, Geometry
from bench.core.errors import BenchError
from bench.core.files import parse_json
from bench.results.artefacts import MANIFEST, made_from
from bench.results.records import Record, set_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.plugins import Registries

_LOSSLESS = 128 << 10
"""A clip of more bytes than this goes into the page as WebP, because a hundred of them as PNG take tens of megabytes."""


def shown_records(records: Iterable[Record], out: Path) -> list[Record]:
    """The records whose sets can be shown: judged on test clips, stored in ``out``, and only the first of several seeds."""
    first: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: (record.cell.seed is not None, record.cell.seed or 0)):
        if (
            record.set is None
            or record.set.artefact is None
            or record.cell.judged_on != "test"
            or record.status != "ok"
        ):
            continue
        if (set_folder(out, record.set.artefact) / MANIFEST).is_file():
            first.setdefault(replace(record.cell, seed=None).id(), record)
    return list(first.values())


def gone(records: Iterable[Record], out: Path) -> int:
    """How many stored sets of finished cells are not in ``out`` any more."""
    names = {r.set.artefact for r in records if r.status == "ok" and r.set is not None and r.set.artefact is not None}
    return sum(not (set_folder(out, name) / MANIFEST).is_file() for name in names)


def manifests(records: Iterable[Record], out: Path) -> dict[str, dict[str, Any]]:
    """The manifest of one stored set for each fingerprint. Skips damaged ones."""
    by_fingerprint: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.cell.fingerprint in by_fingerprint or record.set is None or record.set.artefact is None:
            continue
        try:
            manifest = parse_json((set_folder(out, record.set.artefact) / MANIFEST).read_text(encoding="utf-8"))
            [str(name) for name in manifest["classes"]]
            by_fingerprint[record.cell.fingerprint] = manifest
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return by_fingerprint


def distilled(
    records: Iterable[Record], out: Path, registries: Registries, most: int, warn: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Pictures of stored sets by cell id: the first clip of each of at most ``most`` classes.

    Args:
        records: as `shown_records` gives them.
        out: folder of the results.
        registries: to find the kinds of sets.
        most: how many classes to show.
        warn: gets a line for each set that cannot be shown.
    """
    from bench.report.stored_clips import first_of_each, open_set, render, spread

    pictures: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        assert record.set is not None
        assert record.set.artefact is not None
        try:
            stored = open_set(set_folder(out, record.set.artefact), registries)
            chosen = first_of_each(stored.labels, spread(len(stored.classes), most))
            clips, _ = render(stored, list(chosen.values()))
        except BenchError as error:
            warn.append(f"{record.title()}: not shown: {error}")
            continue
        pictures[record.id] = [_picture(clip, label) for label, clip in zip(chosen, clips, strict=True)]
    return pictures


def real(
    records: Iterable[Record], manifests: Mapping[str, dict[str, Any]], named: Sequence[Dataset[Any]],
    registries: Registries, cache: Path, most: int,
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Pictures of real training clips by fingerprint, if the cache has them decoded. Decodes nothing itself.

    Args:
        records: as `shown_records` gives them.
        manifests: by fingerprint.
        named: datasets that the user named. The manifests name others.
        registries: to find the others.
        cache: the cache folder.
        most: how many classes to show.
    """
    geometries = {record.cell.fingerprint: Geometry(**record.cell.geometry) for record in records}
    pictures: dict[str, list[dict[str, Any]]] = {}
    for fingerprint, geometry in geometries.items():
        manifest = manifests.get(fingerprint)
        own = None if manifest is None else _dataset_of(manifest, registries)
        for dataset in [*named, *([] if own is None else [own])]:
            shown = _real(dataset, fingerprint, geometry, cache, most)
            if shown:
                pictures[fingerprint] = shown
                break
    return pictures


def _dataset_of(manifest: Mapping[str, Any], registries: Registries) -> Dataset[Any] | None:
    """The dataset that a manifest names; None if it is unknown, or its name does not say where it is."""
    try:
        return made_from(manifest, registries)
    except (BenchError, KeyError, TypeError, AttributeError):
        return None


def _real(dataset: Dataset[Any], fingerprint: str, geometry: Geometry, cache: Path, most: int) -> list[dict[str, Any]]:
    from bench.data.clip_store import open_existing
    from bench.report.stored_clips import first_of_each, spread

    try:
        index = dataset.index(geometry)
    except BenchError:
        return []
    if index.fingerprint != fingerprint or (store := open_existing(index, geometry, cache)) is None:
        return []
    positions = store.positions("train")
    labels = tuple(int(label) for label in store.labels[positions])
    middle = store.clips.shape[1] // 2
    chosen = first_of_each(labels, spread(len(store.classes), most))
    return [_picture(store.clips[positions[place], middle], label) for label, place in chosen.items()]


def _picture(clip: NDArray[np.uint8], label: int) -> dict[str, Any]:
    from bench.report import pictures

    image = pictures.sprite(clip)
    lossless = clip.nbytes <= _LOSSLESS
    uri = pictures.data_uri(pictures.png(image) if lossless else pictures.webp(image), "png" if lossless else "webp")
    return {"label": label, "image": uri, "frames": len(clip)}
