"""The report as one file: template, style and script of this folder with the data inside. Nothing is fetched when it is opened."""

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
    for place, part in parts.items():  # the data last: what they say is never looked at for places
        before, _, after = text.partition(place)
        text = before + part + after
    return text


def embedded(value: Any) -> str:
    """JSON that cannot end the script element that it stands in, nor open a comment there."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
