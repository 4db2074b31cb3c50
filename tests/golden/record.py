"""Records the results that versions stand for: ``python -m tests.golden.record``.

What is recorded may not change without a new version: raise ``version`` of the method or protocol first. A kind of set has none:
there, raise the version of every method that stores it, and name the kind on the command line to have it recorded anew.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from bench import plugins
from bench.plugins import Registries
from tests.golden import runs

RESULTS = Path(__file__).with_name("results.json")

TOLERANCE = 5e-3
"""Of the largest number of a line: more than rounding makes of it on another processor, less than a changed constant."""


def measured(registries: Registries, folder: Path) -> dict[str, dict[str, Any]]:
    """``"method dm" -> {"version": 1, "numbers": {...}}`` for every method, kind of set and protocol of the suite."""
    torch.set_num_threads(1)
    results: dict[str, dict[str, Any]] = {}
    for name in own(registries.methods):
        numbers = runs.of_a_method(name, registries, folder / name)
        results[f"method {name}"] = {"version": registries.methods.get(name).version, "numbers": numbers}
    for name, make in runs.SETS.items():
        results[f"set {name}"] = {"version": None, "numbers": runs.of_a_set(make())}
    for name in own(registries.protocols):
        protocol = registries.protocols.get(name)
        results[f"protocol {name}"] = {"version": protocol.version, "numbers": runs.of_a_protocol(protocol, registries)}
    return results


def own(registry: Any) -> list[str]:
    """The names of the suite's own parts of a kind."""
    return [name for name in registry.names() if registry.origin(name).meaning is None]


def differences(recorded: dict[str, list[float]], now: dict[str, list[float]]) -> list[str]:
    """The lines in which two runs of one part differ by more than rounding, in words."""
    found = [
        f"{line}: only {'recorded' if line in recorded else 'now'}" for line in sorted(recorded.keys() ^ now.keys())
    ]
    for line in sorted(recorded.keys() & now.keys()):
        one, other = recorded[line], now[line]
        scale = max((abs(value) for value in one), default=0.0)
        if len(one) != len(other) or any(abs(a - b) > TOLERANCE * scale for a, b in zip(one, other, strict=True)):
            found.append(f"{line}: {one} recorded, {other} now")
    return found


def main(anew: list[str]) -> int:
    """Writes what is new; refuses what changed under an old version."""
    recorded = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        now = measured(plugins.load(), Path(folder))
    refused = []
    for part, result in now.items():
        if part not in recorded or recorded[part]["version"] != result["version"] or part in anew:
            recorded[part] = result
        elif differences(recorded[part]["numbers"], result["numbers"]):
            refused.append(part)
    kept = {part: result for part, result in sorted(recorded.items()) if part in now}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    for part in refused:
        print(f"{part}: its results changed, and its version did not; not recorded", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
