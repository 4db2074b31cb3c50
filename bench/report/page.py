"""The report as one file: this folder's template, style and script, with the data inside. Opening it fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any


def page(content: Mapping[str, Any]) -> str:
    """The HTML of `bench.report.content.content`."""
    folder = resources.files("bench.report")
    text = (folder / "template.html").read_text(encoding="utf-8")
    parts = {
        "/*STYLE*/": (folder / "report.css").read_text(encoding="utf-8"),
        "/*SCRIPT*/": (folder / "report.js").read_text(encoding="utf-8"),
        "/*DATA*/": embedded(content),
    }
    for place, part in parts.items():  # the data come last, so that nothing in them is taken for a placeholder
        before, _, after = text.partition(place)
        text = before + part + after
    return text


def embedded(value: Any) -> str:
    """JSON that can neither end the script element around it nor open a comment in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
