"""What the system has killed for its memory: Linux counts that, for each control group and in all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


def count(root: Path = Path("/")) -> int | None:
    """How many processes the system has killed for memory, of this process's control groups if these say so, else in all.

    Args:
        root: above ``proc`` and ``sys``.

    Returns:
        None where the system does not count them.
    """
    for path in _counters(root):
        try:
            found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return None


def _counters(root: Path) -> Iterator[Path]:
    groups = root / "sys" / "fs" / "cgroup"
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        number, kinds, path = line.split(":", 2)
        if number == "0":
            yield groups / path.lstrip("/") / "memory.events"
        elif "memory" in kinds.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
            yield groups / "memory" / "memory.oom_control"  # seen from inside a container
    yield root / "proc" / "vmstat"
