"""Check which clips of a dataset are there, or fetch a public dataset.

    python -m bench data check miniucf --root DIR     which clips are there and can be opened
    python -m bench data check miniucf --leaks        also, which test clips leak into train
    python -m bench data fetch ucf101                 download, resume, unpack, verify

``check`` exits with 0 if all clips are there and can be opened, else with 1. Leaks do not matter for this.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.api import ClipRef, Dataset, Geometry
from bench.cli.shared import add_plugin, load_parts, positive
from bench.core import paths
from bench.core.errors import BenchError, MissingData, UnreadableClip
from bench.core.paths import possible
from bench.core.text import first_few, printable
from bench.data.sources.video_files import Archive, ByHand, Fetchable, Listed, Listing
from bench.data.spec import parse_dataset

SUMMARY = "check which clips of a dataset are there, or fetch a public dataset"

SHOWN = 10
"""How many unreadable clips are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``data``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="count the clips that are present, missing and unreadable, class by class")
    fetch = actions.add_parser("fetch", help="download, unpack and verify a public dataset")
    for action in (check, fetch):
        action.add_argument(
            "dataset", metavar="NAME", help="as for --datasets: name, name[option=value] or folder:PATH"
        )
        action.add_argument(
            "--root", type=possible, metavar="DIR", help="the dataset's folder (default: data/NAME, or BENCH_DATA/NAME)"
        )
        add_plugin(action)
    depth = check.add_mutually_exclusive_group()
    depth.add_argument("--quick", action="store_true", help="only look for the files; do not open them")
    depth.add_argument(
        "--decode", action="store_true", help="decode every clip completely, as a run would, not just its first frame"
    )
    check.add_argument(
        "--leaks", action="store_true",
        help="also list the test clips that share a nearly identical frame with a training clip",
    )  # fmt: skip
    check.add_argument(
        "--to",
        type=possible,
        metavar="FILE.csv",
        help="also write the list of --leaks to this file, for `table --without-leaks`",
    )
    check.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, metavar="N", help="processes (default: one per core)"
    )


def run(args: argparse.Namespace) -> int:
    """Checks or fetches."""
    registries = load_parts(args.plugin)
    dataset = parse_dataset(args.dataset, registries, args.root)
    if args.action == "fetch":
        return _fetch(dataset)
    return _check(dataset, dataset.geometry(registries.profiles.get(dataset.default_profile).geometry), args)


# ----------------------------------------------------------------------------------------------------------------------
# Checking


def _check(dataset: Dataset[Any], geometry: Geometry, args: argparse.Namespace) -> int:
    if args.to is not None and not args.leaks:
        raise BenchError("--to: this is the file for the list of --leaks; give --leaks too")
    if isinstance(dataset, Listed):
        listing = dataset.listing()
    else:
        index = dataset.index(geometry)
        listing = Listing(Path(dataset.root), index.classes, index.clips, frozenset(), index.notes)
    present = [clip for clip in listing.clips if clip.key not in listing.missing]
    depth = "nothing" if args.quick else "all" if args.decode else "first" if isinstance(dataset, Listed) else "nothing"
    unreadable = _unreadable(dataset, geometry, listing, present, depth, args.workers)
    for note in listing.notes:
        print(printable(note))
    print(_table(listing, unreadable))
    if listing.missing:
        print(f"missing: {printable(first_few(sorted(listing.missing)))}")
    for key, reason in sorted(unreadable.items())[:SHOWN]:
        print(printable(f"unreadable: {key}: {reason}"))
    if len(unreadable) > SHOWN:
        print(f"unreadable: {len(unreadable) - SHOWN:,} more")
    opened = {
        "nothing": "none was opened"
        if isinstance(dataset, Listed)
        else "nothing to look for: clips are drawn when they are read",
        "first": f"{len(unreadable):,} of them unreadable",
        "all": f"{len(unreadable):,} of them cannot be used",
    }[depth]
    print(f"{len(present):,} of {len(listing.clips):,} clips present, {opened}")
    if args.leaks:
        _leaks(dataset, args)
    return 1 if listing.missing or unreadable else 0


def _leaks(dataset: Dataset[Any], args: argparse.Namespace) -> None:
    """Lists the leaked test clips. Compares thumbnails, which are decoded first if the cache has none."""
    from tabulate import tabulate

    from bench.core.files import write_atomic
    from bench.data import leaks
    from bench.data.clip_store import open_or_build

    index = dataset.index(leaks.THUMBNAILS)
    with _bar("decoding", "clips") as advance:
        store = open_or_build(dataset, index, leaks.THUMBNAILS, paths.cache_root(), args.workers, advance)
    frames = store.clips.reshape(len(store.clips), -1, *store.clips.shape[3:])
    test, train = store.positions("test"), store.positions("train")
    started = time.monotonic()
    leaked = leaks.find(frames[test][:, leaks.evenly(frames.shape[1])], frames[train])
    seconds = time.monotonic() - started
    rows = [(store.keys[test[leak.test]], store.keys[train[leak.train]], leak.rmse) for leak in leaked]
    if rows:
        shown = [(printable(one), printable(other), rmse) for one, other, rmse in rows]
        print(tabulate(shown, ["leaked test clip", "nearest training clip", "RMSE"], floatfmt=".4f"))
    print(
        f"{len(rows):,} of {len(test):,} test clips show a frame of one of {len(train):,} training clips "
        f"(RMSE up to {leaks.MOST_RMSE:g}); searched in {seconds:.1f} s"
    )
    if store.left_out:
        print(f"not searched, because they cannot be used: {printable(first_few([key for key, _ in store.left_out]))}")
    if args.to is not None:
        try:
            write_atomic(Path(args.to), leaks.as_csv(rows).encode())
        except OSError as error:
            raise BenchError(f"--to {args.to}: cannot be written ({error.strerror})") from error
        print(f"wrote {args.to}", file=sys.stderr)


def _unreadable(
    dataset: Dataset[Any], geometry: Geometry, listing: Listing, clips: Sequence[ClipRef], depth: str, workers: int
) -> dict[str, str]:
    """Why each unreadable clip cannot be opened (depth ``first``) or used (depth ``all``), by its key."""
    if depth == "nothing" or not clips:
        return {}
    from bench.data import workers as processes
    from bench.data.clip_store import CRASHED

    decode = partial(_decode, processes.Portable.of(dataset), geometry)
    job = decode if depth == "all" else partial(_open, str(listing.folder))
    with _bar("decoding" if depth == "all" else "opening", "clips") as advance:
        reasons: list[str | None] = processes.run(job, clips, workers, CRASHED, advance)
    return {clip.key: reason for clip, reason in zip(clips, reasons, strict=True) if reason is not None}


def _open(folder: str, clips: Sequence[ClipRef]) -> list[str | None]:
    from bench.data.decode import check_opens

    return [_reason(partial(check_opens, Path(folder, clip.key))) for clip in clips]


def _decode(portable: Any, geometry: Geometry, clips: Sequence[ClipRef]) -> list[str | None]:
    dataset = portable.load()
    return [_reason(partial(dataset.read, clip, geometry)) for clip in clips]


def _reason(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except UnreadableClip as error:
        return str(error)
    return None


def _table(listing: Listing, unreadable: dict[str, str]) -> str:
    from tabulate import tabulate

    named = Counter((clip.label, clip.split) for clip in listing.clips)
    absent = Counter(clip.label for clip in listing.clips if clip.key in listing.missing)
    broken = Counter(clip.label for clip in listing.clips if clip.key in unreadable)
    rows = []
    for label, name in enumerate(listing.classes):
        train, test = named[label, "train"], named[label, "test"]
        rows.append([printable(name), train, test, train + test - absent[label], absent[label], broken[label]])
    return tabulate(rows, ["class", "train", "test", "present", "missing", "unreadable"])


# ----------------------------------------------------------------------------------------------------------------------
# Fetching


def _fetch(dataset: Dataset[Any]) -> int:
    if isinstance(dataset, ByHand):
        raise BenchError(f"data fetch: {dataset.how_to_get()}")
    if not isinstance(dataset, Fetchable):
        raise BenchError(f"data fetch: '{dataset.name}' has no public archive; nothing to fetch")
    from bench.data import download

    root = Path(dataset.root)
    for archive in dataset.archives():
        if dataset.holds(archive):
            print(f"{root / archive.folder}: already there")
            continue
        path = root / archive.file
        if path.exists():
            print(f"{path}: already there")
        else:
            print(f"{archive.url} ({archive.what})")
            try:
                with _bar(archive.file, "bytes") as advance:
                    download.download(archive.url, path, advance)
            except BenchError as error:
                raise BenchError(f"{error}{_also_wanted(dataset, archive, root)}") from error
        print(f"unpacking {path}")
        dataset.unpack(archive, path)
        if not dataset.holds(archive):
            raise BenchError(f"{path} was unpacked, but {_lacking(dataset)}; delete it to fetch it again")
    listing = dataset.listing()
    if listing.missing:
        present = len(listing.clips) - len(listing.missing)
        print(f"{dataset.name} is in {root}: {present:,} of {len(listing.clips):,} clips; no archive holds the others")
    else:
        print(f"{dataset.name} is complete in {root}: {len(listing.clips):,} clips")
    return 0


def _also_wanted(dataset: Fetchable, failed: Archive, root: Path) -> str:
    """Names the other archives that are missing when one cannot be downloaded, so that one message says it all."""
    others = [archive for archive in dataset.archives() if archive != failed and not _holds(dataset, archive)]
    wanted = [f"{other.url} at {root / other.file}" for other in others if not (root / other.file).exists()]
    return f"; also needed: {first_few(wanted)}" if wanted else ""


def _holds(dataset: Fetchable, archive: Archive) -> bool:
    try:
        return dataset.holds(archive)
    except MissingData:  # the lists of its clips are missing too
        return False


def _lacking(dataset: Fetchable) -> str:
    listing = dataset.listing()
    return (
        f"{len(listing.missing):,} of {len(listing.clips):,} clips are missing ({first_few(sorted(listing.missing))})"
    )


# ----------------------------------------------------------------------------------------------------------------------
# Progress


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on a terminal, or else a line for each tenth. Goes to standard error."""
    if not sys.stderr.isatty():
        yield _tenths(title, unit)
        return
    from rich import progress
    from rich.console import Console

    amount = progress.DownloadColumn() if unit == "bytes" else progress.MofNCompleteColumn()
    speed = [progress.TransferSpeedColumn()] if unit == "bytes" else []
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        amount,
        *speed,
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as display:
        task = display.add_task(title, total=None)
        yield lambda done, total: display.update(task, completed=done, total=total)


def _tenths(title: str, unit: str) -> Callable[[int, int | None], None]:
    shown = -1

    def advance(done: int, total: int | None) -> None:
        nonlocal shown
        tenth = 10 * done // total if total else done >> 28
        if tenth > shown:
            shown = tenth
            print(f"{title}: {done:,}{f' of {total:,}' if total else ''} {unit}", file=sys.stderr, flush=True)

    return advance
