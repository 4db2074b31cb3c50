"""``show`` and ``export``: a stored set's manifest and pictures, and its clips as a folder that the suite reads back."""

from __future__ import annotations

import csv

import av
import numpy as np
import pytest
import torch

from bench.api import Geometry
from bench.core.rng import generator
from bench.data.sources.folder import Folder, FolderOptions
from bench.report.stored_clips import open_set, render
from bench.results.artefacts import load_set
from bench.results.records import RecordStore


@pytest.fixture
def stored(finished):
    """The folder of the set that `random` chose (uint8), and its record."""
    out, _, _ = finished
    record = next(record for record in RecordStore(out).all() if record.cell.method == "random")
    return out / "artefacts" / record.id, record


@pytest.fixture
def learned(finished):
    """The folder of a learned set, whose numbers are not all pixels."""
    out, _, _ = finished
    record = next(record for record in RecordStore(out).all() if record.cell.method == "tiny-walk")
    return out / "artefacts" / record.id


def test_rendered_pixels_are_the_stored_ones(stored, registries):
    opened = open_set(stored[0], registries)
    clips, cut = render(opened, [2, 0])
    kept = load_set(stored[0], registries)[0].tensors()["clips"]
    assert (torch.from_numpy(clips).permute(0, 4, 1, 2, 3) == kept[[2, 0]]).all()
    assert cut == 0
    assert opened.names([0, 2]) == ["amber", "coral"]


def test_numbers_beyond_pixels_are_cut_and_counted(learned, registries):
    opened = open_set(learned, registries)
    clips, cut = render(opened, [0])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    values = opened.synthetic.render(torch.tensor([0]), generator("x")) * std.view(3, 1, 1, 1) + mean.view(3, 1, 1, 1)
    outside = ((values * 255).round() < 0) | ((values * 255).round() > 255)
    assert cut == pytest.approx(float(outside.float().mean()))
    assert cut > 0.1
    assert (torch.from_numpy(clips).permute(0, 4, 1, 2, 3) == (values * 255).round().clamp(0, 255)).all()


def test_show_prints_the_manifest_and_writes_the_picture(bench_main, stored, tiny_plugin, tmp_path):
    folder, record = stored
    outcome = bench_main("show", folder, "--plugin", tiny_plugin, "--to", tmp_path / "a.png")
    assert outcome.code == 0, outcome.err
    facts = dict(line.split(None, 1) for line in outcome.out.splitlines()[:11])
    assert facts["kind"] == "dense"
    assert facts["method"] == "random"
    assert facts["dataset"] == "tiny, 3 classes"
    assert facts["setting"] == "dense (n4-r4-k1-nearest)"
    assert facts["bytes"].startswith(f"{record.set.storage_bytes:,} as stored, {record.set.storage_bytes_fp32:,} at")
    assert facts["cell"] == record.id
    assert "3x3x4x16x16  uint8" in outcome.out
    assert outcome.out.rstrip().endswith("a.png: 3 clips, 4 frames of 16x16")
    with av.open(str(tmp_path / "a.png")) as picture:
        assert picture.streams.video[0].height == 3 * 66 + 2


@pytest.mark.parametrize(("suffix", "frames"), [("gif", 4), ("mp4", 48)])
def test_show_writes_moving_pictures(bench_main, learned, tiny_plugin, tmp_path, suffix, frames):
    file = tmp_path / "new" / f"a.{suffix}"
    outcome = bench_main("show", learned, "--plugin", tiny_plugin, "--to", file, "--most", "2")
    assert outcome.code == 0, outcome.err
    assert "2 of 3 clips, 4 frames of 16x16" in outcome.out
    assert "% of the values lie outside the range of pixels" in outcome.out
    with av.open(str(file)) as container:
        assert sum(1 for _ in container.decode(video=0)) == frames


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("show NOWHERE", "no distilled set there"),
        ("show SET --to a.bmp", "--to: 'a.bmp' must end in .png, .gif, .mp4"),
        ("show SET --most 0", "--most: '0' is not a whole number of at least 1"),
        ("export NOWHERE --to NEW", "no distilled set there"),
        ("export SET --to FULL", "the folder is not empty; name a new one"),
        ("export SET --to FULL/file", "cannot make the folder"),
    ],
)
def test_bad_input_is_one_sentence(bench_main, stored, tiny_plugin, tmp_path, arguments, words):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    places = {"NOWHERE": tmp_path / "nowhere", "SET": stored[0], "NEW": tmp_path / "new"}
    command = [str(places.get(word, word.replace("FULL", str(tmp_path / "full")))) for word in arguments.split()]
    outcome = bench_main(*command, "--plugin", tiny_plugin)
    assert outcome.code == 2
    assert outcome.out == ""
    assert words in outcome.err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    assert (tmp_path / "full" / "file").read_text() == "mine"


@pytest.mark.parametrize("codec", ["libx264rgb", "ffv1"])
def test_an_exported_folder_is_read_back_pixel_by_pixel(bench_main, stored, registries, tiny_plugin, tmp_path, codec):
    folder = tmp_path / "clips"
    outcome = bench_main("export", stored[0], "--plugin", tiny_plugin, "--to", folder, "--codec", codec)
    assert outcome.code == 0, outcome.err
    assert "all clips are marked train" in outcome.out
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["split"]) for row in rows] == [("amber", "train"), ("blue", "train"), ("coral", "train")]
    dataset = Folder(FolderOptions(), "", str(folder))
    geometry = Geometry(4, 8, 16, 16)
    index = dataset.index(geometry)
    assert index.classes == ("amber", "blue", "coral")
    assert [clip.split for clip in index.clips] == ["train"] * 3
    clips = np.stack([dataset.read(clip, geometry)[0] for clip in index.clips])
    assert (clips == render(open_set(stored[0], registries), [0, 1, 2])[0]).all()


def test_an_exported_set_of_a_clip_a_class_can_judge_nothing(bench_main, stored, tiny_plugin, tmp_path):
    folder = tmp_path / "clips"
    bench_main("export", stored[0], "--plugin", tiny_plugin, "--to", folder)
    common = ("run", "--datasets", f"folder:{folder}", "--methods", "random", "--dry-run")
    refused = bench_main(*common)
    assert refused.code == 2
    assert "folder:clips: no test clip; give some the split 'test'" in refused.err
    refused = bench_main(*common, "--judge-on", "validation")
    assert refused.code == 2
    assert "folder:clips: no training clip can be held out" in refused.err
