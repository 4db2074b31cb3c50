"""The clip store holds what was decoded, survives crashes, kills and damage, and never loses a clip silently."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from bench import plugins
from bench.api import ClipRef, NoOptions
from bench.core.errors import BenchError
from bench.data import clip_store as store_module
from bench.data.clip_store import CRASHED, key, open_or_build
from bench.data.splits import validation_groups
from tests.data.toy import GEOMETRY, Toy, index, pixels, plain, toy


def build(index, cache, workers=1, dataset=None, **options):
    return open_or_build(dataset or toy(), index, GEOMETRY, cache, workers, **options)


def stores(cache: Path) -> list[str]:
    """What lies in the cache, locks aside."""
    return sorted(path.name for path in (cache / "clips").iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("workers", [1, 3])
def test_every_clip_lies_where_the_index_says(tmp_path, workers):
    wanted = index(*plain(60))
    seen = []
    store = build(wanted, tmp_path, workers, progress=lambda done, total: seen.append((done, total)))
    assert store.clips.shape == (60, 2, 2, 4, 4, 3)
    for position, clip in enumerate(wanted.clips):
        np.testing.assert_array_equal(store.clips[position], pixels(clip.key))
        assert store.refs[position] == clip
        assert (store.labels[position], store.keys[position]) == (clip.label, clip.key)
    assert store.classes == wanted.classes
    assert store.left_out == ()
    assert not store.clips.flags.writeable
    assert [total for _, total in seen] == [60] * len(seen)
    assert sorted(seen) == seen
    assert seen[-1] == (60, 60)
    assert len(seen) >= 5


def test_the_digest_is_of_pixels_labels_and_splits(tmp_path):
    wanted = index(*plain(16))
    store = build(wanted, tmp_path / "one")
    rows = json.dumps([[clip.label, clip.split] for clip in wanted.clips], separators=(",", ":"))
    assert store.digest == hashlib.sha256(store.clips.tobytes() + rows.encode()).hexdigest()
    assert build(wanted, tmp_path / "two", workers=2).digest == store.digest
    others = [
        dataclasses.replace(wanted.clips[0], key="another"),
        dataclasses.replace(wanted.clips[0], label=1),
        dataclasses.replace(wanted.clips[0], split="test"),
    ]
    digests = {
        build(dataclasses.replace(wanted, clips=(other, *wanted.clips[1:])), tmp_path / f"other{i}").digest
        for i, other in enumerate(others)
    }
    assert len(digests | {store.digest}) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_unusable_clips_are_listed_and_leave_no_hole(tmp_path, workers):
    keys = plain(30)
    keys[0], keys[7], keys[29] = "broken-a", "broken-b", "broken-c"
    wanted = index(*keys)
    store = build(wanted, tmp_path, workers)
    assert store.left_out == tuple((name, "it is broken") for name in ("broken-a", "broken-b", "broken-c"))
    assert list(store.keys) == [name for name in keys if "broken" not in name]
    np.testing.assert_array_equal(store.clips, np.stack([pixels(name) for name in store.keys]))
    rows = json.dumps([[ref.label, ref.split] for ref in store.refs], separators=(",", ":"))
    assert store.digest == hashlib.sha256(store.clips.tobytes() + rows.encode()).hexdigest()
    again = build(wanted, tmp_path, workers, dataset=toy("/nowhere"))  # opened: reading would fail
    assert (again.left_out, again.digest, again.keys) == (store.left_out, store.digest, store.keys)


def test_a_clip_that_kills_the_decoder_is_found_and_left_out(tmp_path):
    keys = plain(40)
    keys[5], keys[30] = "crash-a", "crash-b"
    store = build(index(*keys), tmp_path, workers=2)
    assert store.left_out == (("crash-a", CRASHED), ("crash-b", CRASHED))
    np.testing.assert_array_equal(store.clips, np.stack([pixels(name) for name in keys if "crash" not in name]))


def test_workers_load_no_torch(tmp_path):
    store = build(index("torch-a", "torch-b"), tmp_path, workers=2)
    assert store.clips.max() == 0


def test_a_dataset_from_a_plugin_file_reaches_the_workers(tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dataclasses import dataclass\n"
        "import numpy as np\n"
        "from bench.api import Dataset, NoOptions\n"
        "class Mine(Dataset[NoOptions]):\n"
        "    name = 'mine-of-a-test'\n"
        "    def geometry(self, profile): return profile\n"
        "    def index(self, geometry): raise NotImplementedError\n"
        "    def read(self, clip, geometry): return np.full((2, 2, 4, 4, 3), 7 + clip.label, np.uint8)\n"
    )
    mine = plugins.load([str(plugin)]).datasets.get("mine-of-a-test")
    store = build(index(*plain(12)), tmp_path / "cache", workers=2, dataset=mine(NoOptions(), ""))
    assert store.clips[:, 0, 0, 0, 0, 0].tolist() == [7, 8] * 6


def test_splits(tmp_path):
    wanted = index(*plain(64))
    store = build(wanted, tmp_path)
    test, train = store.positions("test"), store.positions("train")
    fit, validation = store.positions("fit"), store.positions("validation")
    assert test.tolist() == [i for i in range(64) if i // 2 % 4 == 3]
    assert sorted([*test, *train]) == list(range(64))
    np.testing.assert_array_equal(np.sort([*fit, *validation]), train)
    groups = validation_groups([wanted.clips[i].label for i in train], [wanted.clips[i].group for i in train])
    assert validation.tolist() == [i for i in train if wanted.clips[i].group in groups]
    assert not {store.refs.group(i) for i in fit} & {store.refs.group(i) for i in validation}
    assert len(validation) >= 6
    assert all((np.diff(part) > 0).all() for part in (test, train, fit, validation))


def test_the_key_tells_data_and_geometry_apart():
    wanted = index(*plain(8))
    geometries = [dataclasses.replace(GEOMETRY, **{name: 3}) for name in ("frames", "gap", "scale", "size", "views")]
    keys = [key(wanted, geometry) for geometry in [GEOMETRY, *geometries]]
    keys.append(key(dataclasses.replace(wanted, fingerprint="other"), GEOMETRY))
    assert len(set(keys)) == 7
    name = key(dataclasses.replace(wanted, dataset="folder:my clips/../x"), GEOMETRY)
    assert re.fullmatch(r"folder-my-clips-x-[0-9a-f]{24}", name)


# ----------------------------------------------------------------------------------------------------------------------
# What can go wrong with a store


def _truncate(folder):
    path = folder / "clips.npy"
    os.truncate(path, path.stat().st_size - 1)


def _flip(folder):
    with (folder / "clips.npy").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def _relabel(folder):
    path = folder / "index.json"
    body = json.loads(path.read_text())
    body["store"]["positions"][0] = 3
    path.write_text(json.dumps(body))


DAMAGE = {
    "truncated": _truncate,
    "empty": lambda folder: os.truncate(folder / "clips.npy", 0),
    "flipped": _flip,
    "other shape": lambda folder: np.save(folder / "clips.npy", np.zeros((3, 2, 2, 4, 4, 3), np.uint8)),
    "other type": lambda folder: np.save(folder / "clips.npy", np.zeros((16, 2, 2, 4, 4, 3), np.int8)),
    "no pixels": lambda folder: (folder / "clips.npy").unlink(),
    "no index": lambda folder: (folder / "index.json").unlink(),
    "half an index": lambda folder: os.truncate(folder / "index.json", 50),
    "changed index": _relabel,
    "empty index": lambda folder: (folder / "index.json").write_text("{}"),
    "list for an index": lambda folder: (folder / "index.json").write_text("[]"),
    "nothing in it": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_store_is_named_and_built_again(tmp_path, damage):
    wanted, said = index(*plain(16)), []
    digest = build(wanted, tmp_path).digest
    folder = tmp_path / "clips" / key(wanted, GEOMETRY)
    DAMAGE[damage](folder)
    store = build(wanted, tmp_path, log=said.append)
    assert len(said) == 1
    assert str(folder) in said[0]
    assert "damaged" in said[0]
    assert store.digest == digest
    np.testing.assert_array_equal(store.clips, np.stack([pixels(name) for name in store.keys]))
    build(wanted, tmp_path, log=said.append, dataset=toy("/nowhere"))
    assert len(said) == 1


@pytest.mark.parametrize("change", ["most is zero", "one bit", "moved here"])
def test_a_change_that_no_sample_shows_is_found_and_all_is_read_only_after_one(tmp_path, monkeypatch, change):
    """At real sizes samples are a thousandth of a store."""
    monkeypatch.setattr(store_module, "_SAMPLE_BYTES", 1)
    read, digest_of = [], store_module._digest_of
    monkeypatch.setattr(store_module, "_digest_of", lambda *asked: read.append(asked) or digest_of(*asked))
    wanted, said = index(*plain(16)), []
    digest = build(wanted, tmp_path).digest
    build(wanted, tmp_path)
    assert read == []
    path = tmp_path / "clips" / key(wanted, GEOMETRY) / "clips.npy"
    seen = set(np.linspace(0, 16 * 192 - 1, 64, dtype=np.int64).tolist())
    flat = np.load(path, mmap_mode="r+").reshape(-1)
    unseen = [place for place in range(len(flat)) if place not in seen]
    if change == "most is zero":
        flat[unseen] = 0
    elif change == "one bit":
        flat[unseen[1000]] ^= 1
    else:
        path.write_bytes(path.read_bytes())
    del flat
    store = build(wanted, tmp_path, log=said.append)
    assert len(read) == (1 if change == "moved here" else 2)  # and once more when no other run can be building it
    assert [line.endswith("is damaged (clips.npy was changed); it is built again") for line in said] == (
        [] if change == "moved here" else [True]
    )
    assert store.digest == digest
    np.testing.assert_array_equal(store.clips, np.stack([pixels(name) for name in store.keys]))
    read.clear()
    build(wanted, tmp_path)
    assert read == []


def test_a_class_without_a_usable_training_clip_ends_it(tmp_path):
    keys = plain(16)
    keys[1::2] = [f"broken{i}" for i in range(8)]
    with pytest.raises(BenchError, match=r"no training clip of class class1 can be used \(broken0: it is broken; "):
        build(index(*keys), tmp_path)
    assert stores(tmp_path) == []


def test_a_test_split_without_a_usable_clip_ends_it(tmp_path):
    keys = plain(8)
    keys[6:] = ["broken-a", "broken-b"]
    with pytest.raises(BenchError, match="no test clip can be used"):
        build(index(*keys), tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_dataset_that_breaks_its_contract_is_named(tmp_path, workers):
    with pytest.raises(BenchError, match=r"dataset 'toy': read\(\) gave uint8 \(1, 1, 1, 1, 3\) for 'shape'"):
        build(index("shape", *plain(15)), tmp_path, workers)
    assert stores(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"size": 5}, {"frames": 0}, {"views": 0}, {"gap": 0}])
def test_an_impossible_geometry_is_refused(tmp_path, wrong):
    with pytest.raises(BenchError, match="size at most scale"):
        open_or_build(toy(), index(*plain(8)), dataclasses.replace(GEOMETRY, **wrong), tmp_path, 1)


def test_a_dataset_without_clips_is_refused(tmp_path):
    with pytest.raises(BenchError, match="toy: no clips"):
        build(index(), tmp_path)


def test_a_script_that_cannot_be_imported_by_workers_is_told_so(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    script = SCRIPT.replace("if __name__", "if True or __name__")
    (tmp_path / "build.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "build.py"), str(tmp_path), "8", "2"],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "BenchError: worker processes cannot be started here" in done.stderr
    assert stores(tmp_path / "cache") == []


def test_too_small_a_disk_is_noticed_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(BenchError, match=rf"needs ([\d,]+) bytes in {tmp_path / 'clips'}, 1,000 are free") as caught:
        build(index(*plain(16)), tmp_path, dataset=toy(tmp_path))
    needed = int(re.search(r"needs ([\d,]+) bytes", str(caught.value))[1].replace(",", ""))
    assert 16 * 2 * 2 * 4 * 4 * 3 <= needed < 16 * 2 * 2 * 4 * 4 * 3 + 10_000
    assert not (tmp_path / "reads").exists()


def test_a_disk_that_fills_up_meanwhile_is_one_sentence(tmp_path, monkeypatch):
    def full(handle, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        BenchError, match=r"cannot write a clip store of [\d,]+ bytes in .*clips: No space left on device"
    ):
        build(index(*plain(16)), tmp_path)
    assert stores(tmp_path) == []


def test_a_cache_that_is_no_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="BENCH_CACHE"):
        build(index(*plain(8)), tmp_path / "file")


# ----------------------------------------------------------------------------------------------------------------------
# Several processes, and processes that die

SCRIPT = """
import sys
from pathlib import Path
from bench.core import lazy
lazy.defer("torch")  # as the command line does
from tests.data.toy import GEOMETRY, Toy, index, toy
from bench.data.clip_store import open_or_build

if __name__ == "__main__":
    keys = [f"slow{i:03d}" for i in range(int(sys.argv[2]))]
    print("started", flush=True)
    root = Path(sys.argv[1])
    print(open_or_build(toy(root), index(*keys), GEOMETRY, root / "cache", int(sys.argv[3])).digest)
"""


def start(root: Path, clips: int, workers: int) -> subprocess.Popen[str]:
    """A process that builds a store of slow clips."""
    script = root / "build.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), str(root), str(clips), str(workers)]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def reads(root: Path) -> list[str]:
    path = root / "reads"
    return path.read_text().splitlines() if path.exists() else []


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_two_runs_at_the_same_time_decode_once(tmp_path):
    first, second = start(tmp_path, 24, 1), start(tmp_path, 24, 1)
    outputs = [process.communicate(timeout=120) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    digests = [out.split()[-1] for out, _ in outputs]
    assert digests[0] == digests[1]
    assert sorted(reads(tmp_path)) == [f"slow{i:03d}" for i in range(24)]
    assert sum("another run is building" in errors for _, errors in outputs) == 1


def test_after_a_kill_no_process_stays_and_the_next_run_starts_over(tmp_path):
    process = start(tmp_path, 80, 2)
    wait_until(lambda: len(reads(tmp_path)) >= 6)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    psutil.wait_procs(workers, timeout=60)
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]
    cache = tmp_path / "cache"
    wanted = index(*(f"slow{i:03d}" for i in range(80)))
    assert stores(cache) == [f"{key(wanted, GEOMETRY)}.building"]
    store = build(wanted, cache, workers=8)
    assert stores(cache) == [key(wanted, GEOMETRY)]
    np.testing.assert_array_equal(store.clips, np.stack([pixels(clip.key) for clip in wanted.clips]))


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_build_cleans_up_quickly(tmp_path, workers):
    process = start(tmp_path, 300, workers)
    wait_until(lambda: len(reads(tmp_path)) >= 6)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the parent and its workers
    begun = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert time.monotonic() - begun < 30  # all of it would take minutes
    assert errors.count("Traceback") == 1  # the parent's; workers stay silent
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert stores(tmp_path / "cache") == []
    assert len(reads(tmp_path)) < 100


def test_a_clip_is_unusable_for_this_geometry_only(tmp_path):
    """Left-out clips belong to a store, not to the dataset."""
    wanted = index("broken", *plain(15))
    assert len(build(wanted, tmp_path).left_out) == 1
    clean = dataclasses.replace(
        wanted, clips=(ClipRef("fine", 0, "train", "g0"), *wanted.clips[1:]), fingerprint="another"
    )
    assert build(clean, tmp_path).left_out == ()
    assert len(stores(tmp_path)) == 2


def test_nothing_of_the_cache_path_is_in_the_index(tmp_path):
    build(index(*plain(8)), tmp_path)
    (body,) = (tmp_path / "clips").glob("*/index.json")
    assert str(tmp_path) not in body.read_text()
    assert store_module.FORMAT == 1


def test_files_in_another_state_are_decoded_again_and_the_older_clips_are_outdated(tmp_path):
    keys = plain(8)
    before, after = (dataclasses.replace(index(*keys), stamp=stamp) for stamp in ("a" * 64, "b" * 64))
    first = build(before, tmp_path)
    assert store_module.outdated(before, GEOMETRY, tmp_path) == frozenset()
    assert store_module.outdated(after, GEOMETRY, tmp_path) == {first.digest}  # perhaps: nothing is decoded yet
    build(after, tmp_path)
    assert store_module.outdated(after, GEOMETRY, tmp_path) == frozenset()  # the same pixels: only times had changed
    changed = dataclasses.replace(after, stamp="c" * 64)
    other = build(changed, tmp_path, dataset=Brighter(NoOptions(), ""))
    assert other.digest != first.digest
    assert store_module.outdated(changed, GEOMETRY, tmp_path) == {first.digest}
    assert store_module.outdated(before, GEOMETRY, tmp_path) == {other.digest}


class Brighter(Toy):
    """The toy with other pixels under the same keys."""

    def read(self, clip, geometry):
        return pixels(clip.key) // 2 + 128
