"""Tensors on disk: distilled sets, checkpoints and upstream artefacts, as safetensors. Nothing is ever unpickled."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch

from bench.api import Dataset, LabelLoss, SyntheticSet
from bench.core.errors import BenchError
from bench.core.files import canonical_json, parse_json, write_atomic
from bench.core.sealed import seal, unseal
from bench.data.spec import parse_dataset
from bench.data.standin import stand_in
from bench.plugins import Registries
from bench.results.migrations import current_cell

T = TypeVar("T")

TENSORS = "memory.safetensors"
MANIFEST = "manifest.json"
_LABELS = "labels"
_RATE = "rate"
_DIGEST = "tensors_sha256"


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> str:
    """Writes one file atomically, with ``meta`` as JSON in its header, and digests of both.

    Returns:
        The SHA-256 of the tensors.
    """
    from safetensors.torch import save

    plain: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        # safetensors refuses two tensors that share memory.
        plain[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in storages else tensor
        storages.add(plain[name].untyped_storage().data_ptr())
    digest = _digest(plain, plain.__getitem__)
    header = canonical_json(seal({**meta, _DIGEST: digest}))
    write_atomic(path, save(plain, metadata={"meta": header}))
    return digest


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The tensors and ``meta`` that `save_tensors` wrote, on the CPU; None if there is no such file or it is damaged.

    All of it is checked against its digests; a file of an earlier version of the suite has none.

    Raises:
        OSError: the file is there, but the system does not let it be read.
    """
    loaded = _reading(path, _whole)
    return None if loaded is None else loaded[:2]


def is_intact(path: Path) -> bool:
    """Whether `load_tensors` would give the tensors; holds one of them at a time.

    Raises:
        OSError: see there.
    """
    return _reading(path, _agrees) or False


def load_meta(path: Path) -> dict[str, Any] | None:
    """The ``meta`` that `save_tensors` wrote, without reading the tensors; None if there is no such file or its header is damaged.

    Raises:
        OSError: see `load_tensors`.
    """
    read = _reading(path, _meta)
    return None if read is None else read[0]


def _reading(path: Path, read: Callable[[Any], T]) -> T | None:
    """What is read from an open file; None if there is none or it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with path.open("rb"):  # safetensors calls a file missing that the system only does not open now
            pass
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            return read(file)
    except (OSError, SafetensorError, ValueError):
        return None


def _whole(file: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any], str]:
    """The tensors, the ``meta``, and the digest of the tensors.

    Raises:
        ValueError: they are damaged.
    """
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    meta, expected = _meta(file)
    found = _digest(tensors, tensors.__getitem__)
    if expected not in (None, found):
        raise ValueError("the tensors were changed")
    return tensors, meta, found


def _agrees(file: Any) -> bool:
    expected = _meta(file)[1]
    return expected in (None, _digest(file.keys(), file.get_tensor))


def _meta(file: Any) -> tuple[dict[str, Any], str | None]:
    """The ``meta`` of an open file, and the digest of its tensors if it has one.

    Raises:
        ValueError: the header is damaged.
    """
    meta = unseal(parse_json((file.metadata() or {}).get("meta", "{}")))
    return meta, meta.pop(_DIGEST, None)


def _digest(names: Iterable[str], tensor: Callable[[str], torch.Tensor]) -> str:
    """SHA-256 of tensors with their names, kinds and shapes, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(names):
        values = tensor(name)
        digest.update(canonical_json([name, str(values.dtype), list(values.shape)]).encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_set(folder: Path, synthetic: SyntheticSet, manifest: Mapping[str, Any]) -> None:
    """Archives a set as ``memory.safetensors`` and ``manifest.json``. The folder appears complete or not at all.

    Args:
        folder: replaced if it exists.
        synthetic: the set.
        manifest: what else a reader needs (the cell, class names, the dataset as the user wrote it).
    """
    labels = synthetic.hard_labels() if synthetic.labels_counted else synthetic.labels  # nothing is kept twice
    tensors = {**synthetic.stored(), _LABELS: labels}
    folder.parent.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.parent.glob(f".{glob.escape(folder.name[:16])}.*"):  # its process was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:16]}."))
    try:
        digest = save_tensors(temporary / TENSORS, tensors, {})
        body = seal(
            {
                **manifest,
                "kind": synthetic.name,
                "options": synthetic.options(),
                "label_loss": synthetic.label_loss,
                _DIGEST: digest,
            }
        )
        write_atomic(temporary / MANIFEST, (json.dumps(body, indent=1, sort_keys=True) + "\n").encode())
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def load_set(folder: Path, registries: Registries) -> tuple[SyntheticSet, dict[str, Any]]:
    """Loads a set and its manifest.

    Args:
        folder: as `save_set` wrote it.
        registries: to find the kind of set.

    Raises:
        BenchError: there is no set in the folder, it is damaged, or its kind is unknown.
    """
    try:
        manifest = unseal(parse_json((folder / MANIFEST).read_text(encoding="utf-8")))
        digest = manifest.pop(_DIGEST, None)
        kind, options = str(manifest["kind"]), dict(manifest["options"])
        label_loss = manifest.get("label_loss", "cross-entropy")
        if label_loss not in get_args(LabelLoss):
            raise ValueError(f"no label loss {label_loss!r}")
        if "cell" in manifest:
            manifest["cell"] = current_cell(dict(manifest["cell"]))
    except OSError as error:
        raise BenchError(f"{folder}: no distilled set there: cannot read {MANIFEST} ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{folder}: {MANIFEST} is damaged: {error}") from error
    try:
        loaded = _reading(folder / TENSORS, _whole)
    except OSError as error:
        raise BenchError(f"{folder}: cannot read {TENSORS} ({error.strerror})") from error
    if loaded is None or _LABELS not in loaded[0]:
        raise BenchError(f"{folder}: {TENSORS} is missing or damaged")
    tensors, _, found = loaded
    if digest not in (None, found):
        raise BenchError(f"{folder}: {TENSORS} is not the set that {MANIFEST} was written for")
    labels, rate = tensors.pop(_LABELS), tensors.pop(_RATE, None)
    try:
        set_class = registries.sets.get(kind)
    except BenchError as error:
        raise BenchError(f"{folder}: {error}; if a plugin file defines it, give that file: --plugin FILE.py") from error
    try:
        synthetic = set_class.restore(tensors, labels, options)
        synthetic.rate = rate
        synthetic.label_loss = label_loss
        return synthetic, manifest
    except (KeyError, TypeError) as error:
        raise BenchError(f"{folder}: {TENSORS} does not hold a set of kind '{kind}': {error}") from error


def made_from(manifest: Mapping[str, Any], registries: Registries, root: str | None = None) -> Dataset[Any] | None:
    """The dataset that a set was made from; None if its name does not say where it is (``folder:PATH``).

    Args:
        manifest: of the set.
        registries: to find the dataset.
        root: the dataset's folder, or None for the default.

    Raises:
        BenchError: there is no such dataset.
        KeyError, TypeError, AttributeError: the manifest is damaged.
    """
    name, options = manifest["dataset"]["name"], manifest["dataset"]["options"]
    if registries.datasets.get(name).takes_argument:
        return None
    text = ",".join(f"{key}={value}" for key, value in options.items())
    dataset = parse_dataset(f"{name}[{text}]", registries, root)
    return stand_in(dataset) if str(manifest["cell"]["dataset"]).endswith("(stand-in)") else dataset
