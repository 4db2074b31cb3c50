"""What building a clip store costs beside the bare decoder: ``python benchmarks/build.py folder:PATH``, on all cores.

The whole dataset three times, each in as many processes: every file decoded and nothing else; decoded and scaled, as clips
are stored; and the store built, the start of its processes included. Prints seconds, and what share of the build each is.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core import lazy
from bench.data.decode import _decoded

if TYPE_CHECKING:
    from bench.api import ClipRef, Dataset, Geometry


def decode(path: Path) -> None:
    """Every frame of a file."""
    deque(_decoded(path), maxlen=0)


def read(given: tuple[Dataset[Any], ClipRef, Geometry]) -> None:
    """What is stored of a file."""
    dataset, clip, geometry = given
    dataset.read(clip, geometry)


def seconds(work: Callable[..., None], items: list[Any], workers: int) -> float:
    """Seconds of a pool of processes that are already there."""
    with multiprocessing.get_context("spawn").Pool(workers, lazy.defer, ("torch",)) as pool:
        pool.map(work, items[: 4 * workers], 1)
        start = time.perf_counter()
        for _ in pool.imap_unordered(work, items, 8):
            pass
        return time.perf_counter() - start


def main() -> None:
    """Two rounds of each, in turns; the faster one counts."""
    lazy.defer("torch")
    from bench.data.clip_store import open_or_build
    from bench.data.spec import parse_dataset  # here: worker processes load this file, and need none of it
    from bench.plugins import load

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", metavar="folder:PATH")
    parser.add_argument("--profile", default="quick", metavar="NAME")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    registries = load()
    dataset = parse_dataset(args.dataset, registries)
    geometry = dataset.geometry(registries.profiles.get(args.profile).geometry)
    index = dataset.index(geometry)
    paths = [Path(args.dataset.removeprefix("folder:")) / clip.key for clip in index.clips]
    clips = [(dataset, clip, geometry) for clip in index.clips]
    found: dict[str, list[float]] = {"decoded": [], "decoded and scaled": [], "store built": []}
    for _ in range(2):
        found["decoded"].append(seconds(decode, paths, args.workers))
        found["decoded and scaled"].append(seconds(read, clips, args.workers))
        with tempfile.TemporaryDirectory() as cache:
            start = time.perf_counter()
            open_or_build(dataset, index, geometry, Path(cache), args.workers)
            found["store built"].append(time.perf_counter() - start)
    build = min(found["store built"])
    print(f"{len(paths)} files, {args.workers} processes, {args.profile}")
    for name, rounds in found.items():
        print(f"{name}: {min(rounds):.1f} s, {min(rounds) / build:.0%} of the build")


if __name__ == "__main__":
    main()
