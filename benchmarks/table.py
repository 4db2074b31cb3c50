"""The figures of one run of the benchmarks as a Markdown table: python benchmarks/table.py bench.json"""

from __future__ import annotations

import json
import sys
from pathlib import Path

COLUMNS = ("benchmark", "seconds", "share of bare", "GFLOP", "MB", "limit by FLOP", "limit by bytes")


def row(entry: dict[str, object]) -> str:
    """One benchmark."""
    info = entry["extra_info"]
    assert isinstance(info, dict)

    def figure(name: str, digits: int = 3) -> str:
        return f"{info[name]:.{digits}g}" if name in info else ""

    name = str(entry["name"]).removeprefix("test_").replace("|", "/")
    share = f"{100 * info['share_of_bare']:.0f} %" if "share_of_bare" in info else ""
    cells = (name, figure("seconds"), share, *map(figure, ("gflop", "megabytes", "flop_limit", "byte_limit")))
    return "| " + " | ".join(cells) + " |"


def table(path: Path) -> str:
    """All benchmarks, in the order they ran."""
    entries = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return "\n".join([*head, *map(row, entries)])


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
