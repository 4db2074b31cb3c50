"""The script that makes the nine classes of the records from UCF101's own archive."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "experiments" / "ucf101_9c.py"
CLASSES = [f"Class{letter}" for letter in "ABCDEFGHIJ"]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("ucf101_9c", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(path, frames, rate=25):
    """A clip of 320x240 in MPEG-4 whose frame ``n`` has the brightness ``2 n``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 4_000_000
        for number in range(frames):
            picture = np.full((240, 320, 3), 2 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def brightness(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (170, 128, 25)
        return [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]


def test_the_middle_64_frames_of_a_clip_are_kept_or_all_of_a_shorter_one(script, tmp_path):
    for frames, first, kept in ((90, 13, 64), (91, 13, 64), (40, 0, 40)):
        write(tmp_path / "a.avi", frames)
        script.make(tmp_path / "a.avi", tmp_path / "out" / "a.mp4")
        found = brightness(tmp_path / "out" / "a.mp4")
        assert len(found) == kept
        np.testing.assert_allclose(found, 2 * (first + np.arange(kept)), atol=3)


def test_the_first_nine_classes_of_split_1_become_a_folder_with_labels(script, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    for split, group in (("train", "08"), ("test", "01")):
        names = [f"{name}/v_{name}_g{group}_c01.avi" for name in reversed(CLASSES)]
        labelled = [f"{name} {number}" for number, name in enumerate(names, 1)] if split == "train" else names
        (lists / f"{split}list01.txt").write_bytes("\r\n".join(labelled).encode())
        for name in names:
            write(tmp_path / "UCF-101" / name, 8)
    command = [sys.executable, str(SCRIPT), str(tmp_path / "UCF-101"), str(lists), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "18 clips in" in done.stdout
    with (tmp_path / "out" / "labels.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["file", "label", "split", "group"]
    assert rows[1] == ["ClassA/v_ClassA_g01_c01.mp4", "ClassA", "test", "v_ClassA_g01"]
    assert {row[1] for row in rows[1:]} == set(CLASSES[:9])
    assert all((tmp_path / "out" / row[0]).is_file() for row in rows[1:])
    (tmp_path / "UCF-101" / rows[1][0]).with_suffix(".avi").unlink()
    lacking = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (lacking.returncode, "1 of 18 clips are not there" in lacking.stderr) == (2, True)
