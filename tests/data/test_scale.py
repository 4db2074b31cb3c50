"""240,000 clips are listed, planned, opened and sampled in a few hundred megabytes: peaks of a process that does nothing else."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads peaks from /proc")

CLIPS, CLASSES = 240_000, 400

MOST_INDEX_MIB, MOST_SAMPLING_MIB = 110, 150
"""What listing, and then opening and sampling, may add to a process that has loaded Python, numpy and (to sample) torch."""

PEAK = """
def peak():  # in MiB; not that of getrusage, which begins with what the process that started this one had
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
"""

INDEX = """
import json, sys, time
from bench.core import lazy
lazy.defer("torch")
import numpy
from bench import plugins
from bench.running.plan.plan import plan
from bench.running.options.request import Request
from bench.data.spec import parse_dataset
registries = plugins.load()
start = peak()
dataset = parse_dataset("kinetics400", registries, sys.argv[1])
cells = plan(
    Request(("random", "dm"), (dataset,), (1, 5, 10), tuple(range(20)), ("dense",), None, {}), registries
)
print(json.dumps({"cells": len(cells), "clips": len(cells[0].index.clips), "mib": peak() - start,
                  "seconds": time.process_time()}))
"""

SAMPLE = """
import hashlib, json, sys
from pathlib import Path
import numpy as np
import torch
from bench.api import ClipIndex, ClipRef, Geometry
from bench.data import clip_store as stores
from bench.data import read_whole
from bench.data.clip_table import ClipTable
from bench.data.pixels import SplitClips
from bench.core.files import canonical_json
count, classes, cache = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
geometry = Geometry(8, 15, 64, 64)
clips = ClipTable(ClipRef(f"train/some action {i % classes}/{i:011d}_000000_000010.mp4", i % classes,
                          "train" if i >= count // 12 else "test", f"{i:011d}", 1_500_000) for i in range(count))
index = ClipIndex("large", tuple(map(str, range(classes))), clips, "fingerprint")
folder = cache / "clips" / stores.key(index, geometry)
folder.mkdir(parents=True)
# A sparse file: as large as the real one to whoever maps it, and hardly there on the disk.
pixels = np.lib.format.open_memmap(folder / "clips.npy", mode="w+", dtype=np.uint8, shape=(count, 1, 8, 64, 64, 3))
pixels[::5000] = 200
stored = {"positions": list(range(count)), "left_out": [], "digest": "", "sample": stores._sample(pixels)}
body = {"store": stored, "sha256": hashlib.sha256(canonical_json(stored).encode()).hexdigest()}
(folder / "index.json").write_text(json.dumps(body))
read_whole.note(folder / "clips.npy", "")
del pixels, stored, body
torch.zeros(8, 3, 8, 64, 64).sum()
start = peak()
store = stores.open_existing(index, geometry, cache)
data = SplitClips(store, "fit", torch.device("cpu"), free=0)
assert data.streamed()
rng, bright = torch.Generator().manual_seed(0), 0
for label in range(classes):
    own = (data.labels == label).nonzero().flatten()
    chosen = own[torch.randperm(len(own), generator=rng)[:64]]
    found = data.pixels(chosen, torch.zeros_like(chosen))
    bright += int((found.amax(dim=(1, 2, 3, 4)) == 200).sum())
    expected = int((data.positions[chosen.numpy()] % 5000 == 0).sum())
    bright -= expected
print(json.dumps({"clips": len(store.clips), "read": classes * 64, "bright": bright, "mib": peak() - start,
                  "gib": store.clips.nbytes / 2**30, "fit": len(data)}))
"""


def told(script, *arguments):
    """What a script says of itself, as JSON."""
    command = [sys.executable, "-c", PEAK + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def annotated(root, clips):
    """An annotation file of many clips, with a link to one file for each."""
    (root / "annotations").mkdir(parents=True)
    (root / "one").write_bytes(b"mp4")
    parts = (("train", 0, clips - clips // 12), ("val", clips - clips // 12, clips))
    for side, start, stop in parts:
        with (root / "annotations" / f"{side}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
            for i in range(start, stop):
                label = f"some action {i % CLASSES:03d}"
                folder = root / side / label
                if i - start < CLASSES:
                    folder.mkdir(parents=True)
                writer.writerow([label, f"{i:011d}", 0, 10, side])
                (folder / f"{i:011d}_000000_000010.mp4").symlink_to("../../one")


@pytest.mark.slow
def test_240_000_clips_are_listed_and_planned_in_little_memory(tmp_path):
    annotated(tmp_path, CLIPS)
    found = told(INDEX, tmp_path)
    print(found)
    assert (found["clips"], found["cells"]) == (CLIPS, 120)
    assert 24 < found["mib"] < MOST_INDEX_MIB  # what the index takes by itself is seen


@pytest.mark.slow
def test_240_000_clips_are_opened_and_sampled_in_little_memory(tmp_path):
    found = told(SAMPLE, CLIPS, CLASSES, tmp_path)
    print(found)
    assert (found["clips"], found["bright"]) == (CLIPS, 0)
    assert found["gib"] > 20
    assert found["mib"] < MOST_SAMPLING_MIB


def test_ten_times_the_clips_take_no_more_memory_to_sample(tmp_path):
    """The quick form: what is read, not what there is, decides."""
    few, many = (told(SAMPLE, count, 40, tmp_path / str(count)) for count in (2_400, 24_000))
    assert few["bright"] == many["bright"] == 0
    assert many["gib"] > 2
    assert many["mib"] < few["mib"] + 40
