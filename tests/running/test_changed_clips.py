"""A figure never stands for clips that are no longer those of the files."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from bench.api import Geometry
from bench.data.clip_store import open_or_build
from bench.data.sources.folder import Folder, FolderOptions
from tests.data.videos import write

GEOMETRY = Geometry(4, 1, 16, 16)


def _clips(root):
    for label, name in enumerate("ab"):
        for number in range(4):
            shade = 40 + 120 * label + 5 * number
            write(root / name / f"{number}.avi", [np.full((32, 32, 3), shade, np.uint8)] * 6)


def _swap(one, other):
    """Puts a file in the place of another: of the same size, and with the same time."""
    status = other.stat()
    padded = one.read_bytes().ljust(status.st_size, b"\0")
    assert len(padded) == status.st_size
    fresh = other.with_name("fresh")
    fresh.write_bytes(padded)
    os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
    fresh.replace(other)


def _equal_sizes(root):
    files = sorted(root.rglob("*.avi"))
    longest = max(file.stat().st_size for file in files)
    for file in files:
        file.write_bytes(file.read_bytes().ljust(longest, b"\0"))


@pytest.mark.usefixtures("in_process")
def test_a_replaced_file_of_equal_size_and_time_runs_its_cells_again_and_a_copy_none(tmp_path, bench_main, tiny_plugin):
    root = tmp_path / "first/clips"
    _clips(root)
    _equal_sizes(root)

    def run(where, *more):
        arguments = (
            "run",
            "--plugin",
            tiny_plugin,
            "--datasets",
            f"folder:{where}",
            "--methods",
            "random",
            "--profile",
            "tiny",
        )
        return bench_main(*arguments, "--out", tmp_path / "out", *more)

    assert run(root).code == 0
    assert ", 0 to run" in run(root, "--dry-run").out
    (record,) = (tmp_path / "out/cells").glob("*.json")
    before = record.read_text()
    copy = shutil.copytree(root, tmp_path / "second/clips")  # new times, the same clips
    assert run(copy).code == 0
    assert record.read_text() == before
    _swap(root / "b/3.avi", root / "a/0.avi")
    planned = run(root, "--dry-run").out
    assert ", 1 to run" in planned
    assert "but the clips may have changed" in planned
    assert run(root).code == 0
    assert [path.name for path in (tmp_path / "out/cells").glob("*.json")] == [record.name]
    assert record.read_text() != before
    assert ", 0 to run" in run(root, "--dry-run").out


def test_a_file_that_was_mended_is_no_longer_left_out(tmp_path):
    root = tmp_path / "clips"
    _clips(root)
    _equal_sizes(root)
    broken = root / "a/0.avi"
    whole = broken.read_bytes()
    broken.write_bytes(bytes(len(whole)))
    dataset = Folder(FolderOptions(), "", str(root))
    cache = tmp_path / "cache"
    store = open_or_build(dataset, dataset.index(GEOMETRY), GEOMETRY, cache, 1)
    assert [key for key, _ in store.left_out] == ["a/0.avi"]
    broken.write_bytes(whole)
    assert open_or_build(dataset, dataset.index(GEOMETRY), GEOMETRY, cache, 1).left_out == ()
