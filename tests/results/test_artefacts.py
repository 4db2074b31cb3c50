"""Sets and checkpoints on disk: what is written is what is read; damage is noticed; nothing is unpickled."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.results.artefacts import is_intact, load_meta, load_set, load_tensors, save_set, save_tensors
from bench.sets.dense import DenseSet

TENSORS = {
    "pixels": torch.arange(24, dtype=torch.uint8).view(2, 3, 4),
    "weights": torch.tensor([[0.1, -2.5e-30], [3.0e30, 0.0]]),
    "lr": torch.tensor(0.01, dtype=torch.float64),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "none": torch.zeros(0, 3),
    "steps": torch.tensor([2**62]),
}


def same(one, other):
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@pytest.fixture
def dense():
    clips = torch.randn(4, 3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    return DenseSet(clips, torch.tensor([0, 0, 1, 1]))


def test_tensors_come_back_bit_for_bit_with_their_header(tmp_path):
    path = tmp_path / "folder" / "state.safetensors"
    save_tensors(path, TENSORS, {"step": 3, "nested": {"a": [1, 2.5, None]}})
    tensors, meta = load_tensors(path)
    assert same(tensors, TENSORS)
    assert meta == {"step": 3, "nested": {"a": [1, 2.5, None]}}
    assert [entry.name for entry in path.parent.iterdir()] == ["state.safetensors"]


def test_views_gradients_and_shared_memory_are_no_obstacle(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    tensors = {"t": whole.T, "part": whole[1:], "again": whole, "leaf": torch.ones(2, requires_grad=True)}
    save_tensors(tmp_path / "x", tensors, {})
    assert same(load_tensors(tmp_path / "x")[0], {name: tensor.detach() for name, tensor in tensors.items()})


@pytest.mark.parametrize("size", [0, 4, 8, 50, -1])
def test_a_truncated_file_counts_as_none(tmp_path, size):
    path = tmp_path / "x"
    save_tensors(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:size])
    assert load_tensors(path) is None


def test_a_changed_file_counts_as_none_and_one_without_digests_is_taken_as_it_is(tmp_path):
    path = tmp_path / "x"
    save_tensors(path, TENSORS, {"step": 3})
    assert is_intact(path)
    whole = path.read_bytes()
    flip(path)
    assert load_tensors(path) is None
    assert not is_intact(path)
    path.write_bytes(whole.replace(b'"step\\":3', b'"step\\":4'))
    assert path.read_bytes() != whole
    assert load_meta(path) is None
    assert load_tensors(path) is None
    safetensors.torch.save_file({"a": torch.ones(2)}, path)
    assert load_tensors(path)[0]["a"].tolist() == [1, 1]


def test_a_file_that_the_system_does_not_open_now_is_not_called_missing(tmp_path):
    """safetensors says "No such file": a checkpoint would be taken for none, and written over."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "x"
    save_tensors(path, TENSORS, {})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(path, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            load_tensors(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert load_tensors(path) is not None


def test_a_missing_file_a_folder_and_a_pickle_count_as_none(tmp_path):
    assert load_tensors(tmp_path / "x") is None
    assert load_tensors(tmp_path) is None

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    (tmp_path / "x").write_bytes(pickle.dumps(Evil()))
    assert load_tensors(tmp_path / "x") is None
    assert not (tmp_path / "owned").exists()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_tensors_or_none(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    assert load_tensors(tmp_path / "x") is None


@pytest.mark.parametrize("labels", [torch.tensor([0, 0, 1, 1]), torch.eye(4)[:, :2]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_a_set_comes_back_with_its_manifest(tmp_path, registries, dense, labels, dtype):
    kept = DenseSet((100 * dense.clips).to(dtype), labels)
    save_set(tmp_path / "set", kept, {"classes": ["a", "b"], "cell": {"seed": 1}})
    synthetic, manifest = load_set(tmp_path / "set", registries)
    assert same(synthetic.tensors(), kept.tensors())
    assert synthetic.labels.dtype == labels.dtype
    assert torch.equal(synthetic.labels, labels)
    assert manifest == {
        "classes": ["a", "b"],
        "cell": {"seed": 1},
        "kind": "dense",
        "options": {},
        "label_loss": "cross-entropy",
    }


def test_a_set_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path, registries, dense):
    save_set(tmp_path / "set", DenseSet(dense.clips * 0, dense.labels), {})
    save_set(tmp_path / "set", dense, {})
    assert torch.equal(load_set(tmp_path / "set", registries)[0].tensors()["clips"], dense.clips)
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_a_set_that_cannot_be_written_leaves_nothing(tmp_path, dense):
    with pytest.raises(TypeError):
        save_set(tmp_path / "set", dense, {"bad": object()})
    assert list(tmp_path.iterdir()) == []


def breaks(change):
    """The message for a set after ``change(folder)``."""

    def attempt(folder, registries):
        change(folder)
        with pytest.raises(BenchError) as caught:
            load_set(folder, registries)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return attempt


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def flip(path):
    """Another last bit: the file is as long as before, and all its headers are right."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def forge(path):
    """Other tensors, in a file that says nothing of digests."""
    tensors, _ = load_tensors(path)
    safetensors.torch.save_file({name: tensor + 1 for name, tensor in tensors.items()}, path)


def edit(**values):
    def change(folder):
        path = folder / "manifest.json"
        body = {**json.loads(path.read_text()), **values, "sha256": None, "tensors_sha256": None}
        path.write_text(json.dumps({key: value for key, value in body.items() if value is not None}))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (shutil.rmtree, "no distilled set there: cannot read manifest.json"),
        (cut("manifest.json", 9), "manifest.json is damaged"),
        (lambda folder: (folder / "manifest.json").write_text("[1]"), "manifest.json is damaged"),
        (edit(kind=None), "manifest.json is damaged"),
        (edit(kind="clouds"), "unknown kind of set 'clouds'"),
        (edit(kind="real"), "a set of kind 'real' is not archived"),
        (cut("memory.safetensors", -1), "memory.safetensors is missing or damaged"),
        (lambda folder: (folder / "memory.safetensors").unlink(), "memory.safetensors is missing or damaged"),
        (
            lambda folder: save_tensors(folder / "memory.safetensors", {"labels": torch.zeros(1)}, {}),
            "memory.safetensors is not the set that manifest.json was written for",
        ),
        (
            lambda folder: (
                save_tensors(folder / "memory.safetensors", {"labels": torch.zeros(1)}, {}),
                edit(kind="dense")(folder),
            ),
            "memory.safetensors does not hold a set of kind 'dense'",
        ),
        (lambda folder: flip(folder / "memory.safetensors"), "memory.safetensors is missing or damaged"),
        (lambda folder: forge(folder / "memory.safetensors"), "is not the set that manifest.json was written for"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                (folder / "manifest.json").read_text().replace("cross-entropy", "squared")
            ),
            "manifest.json is damaged: it was changed after it was written",
        ),
        (
            lambda folder: save_tensors(folder / "memory.safetensors", {"clips": torch.zeros(1)}, {}),
            "memory.safetensors is missing or damaged",
        ),
    ],
)
def test_a_damaged_set_is_refused_in_a_sentence(tmp_path, registries, dense, change, words):
    save_set(tmp_path / "set", dense, {})
    assert words in breaks(change)(tmp_path / "set", registries)
