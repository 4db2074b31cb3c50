"""Floating-point operations of a forward pass, for the plan's estimate: counted by PyTorch once, then read from a table.

A plan loads no torch. What the suite's own networks take at its usual clip shapes therefore stands in ``flops.json`` beside this
file; ``python -m bench.nets.flops`` prints it anew. Other networks and shapes are counted when a plan first asks for them, and
the count is kept in the cache folder. It takes about a second, with PyTorch's start: the pass runs on the meta device, which
computes nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
from pathlib import Path

import torch

from bench.api import ClipShape, Network
from bench.core import paths
from bench.core.files import write_atomic
from bench.core.rng import generator

TABLE = Path(__file__).with_name("flops.json")

SHAPES = (ClipShape(3, 8, 32, 32), ClipShape(3, 8, 64, 64), ClipShape(3, 16, 112, 112))
"""The clips that the table knows: those of ``quick``, of Kinetics and Something-Something, and of ``paper``."""

Operations = tuple[int, int]
"""What a clip takes before the classes are told apart, and what each class adds."""


def flops(network: Network, classes: int, clip: ClipShape) -> float:
    """Operations of one clip's forward pass, a multiply-add being two.

    Returns:
        The network's own figure if it has one, else what was counted. 0 for a network that cannot take such clips, or that does
        not work: its cells say so.
    """
    own = network.flops(classes, clip)
    if own is not None:
        return own
    body, each_class = _operations(type(network), clip, paths.cache_root())
    return float(body + classes * each_class)


def count(network: Network, clip: ClipShape) -> Operations:
    """Counts convolutions, matrix products and attention; norms, pools and activations are not counted.

    Two numbers of classes are enough, as operations grow linearly with it.
    """
    few, more = 10, 110
    low, high = (_count(network, classes, clip) for classes in (few, more))
    each_class = (high - low) // (more - few)
    return low - few * each_class, each_class


def _count(network: Network, classes: int, clip: ClipShape) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    from bench.nets.layers import build_on

    meta = torch.device("meta")
    built = build_on(meta, network, classes, clip, generator("flops")).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built(torch.empty(1, *clip.dims(), device=meta))
    return int(counter.get_total_flops())


@functools.cache
def _operations(kind: type[Network], clip: ClipShape, cache: Path) -> Operations:
    """From the table, the cache folder or the count, in this order."""
    listed = _read(TABLE).get(_key(kind, clip))
    if listed is not None:
        return listed
    path, key = cache / "flops.json", f"{_key(kind, clip)} {_source(kind)}"
    cached = _read(path).get(key)
    if cached is not None:
        return cached
    network = kind()
    if network.declines(clip) is not None:
        return 0, 0
    try:
        counted = count(network, clip)
    except (Exception, SystemExit):  # whatever a plugin's network raises; the cell that builds it reports that
        return 0, 0
    with contextlib.suppress(OSError):
        write_atomic(path, _as_json({**_read(path), key: counted}).encode())
    return counted


def _key(kind: type[Network], clip: ClipShape) -> str:
    return f"{kind.name} {'x'.join(map(str, clip.dims()))}"


def _source(kind: type[Network]) -> str:
    """A digest of the file that describes the network, so that one that was edited is counted again; "" where there is none."""
    try:
        return hashlib.sha256(Path(inspect.getfile(kind)).read_bytes()).hexdigest()[:12]
    except (OSError, TypeError):
        return ""


def _read(path: Path) -> dict[str, Operations]:
    """What a file lists; nothing if it is missing or damaged."""
    try:
        return {str(key): (int(body), int(each)) for key, (body, each) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _as_json(operations: dict[str, Operations]) -> str:
    lines = (f"{json.dumps(key)}: {json.dumps(pair)}" for key, pair in operations.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def suite_table() -> str:
    """The text of ``flops.json``: the suite's own networks at `SHAPES`."""
    from bench import plugins

    networks = [kind for _, kind in plugins.load().networks if kind.__module__.startswith("bench.")]
    return _as_json(
        {_key(kind, clip): count(kind(), clip) for kind in networks for clip in SHAPES if not kind().declines(clip)}
    )


if __name__ == "__main__":
    print(suite_table(), end="")
