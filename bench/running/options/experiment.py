"""Experiment files: the options of a run in a TOML file. All mistakes in it are told at once.

methods = ["random", "dm"]      # a key is an option without its dashes
ipc = [1, 5]
seeds = "0-2"
tune = true

[set.dm]                        # hyper-parameters, as --set dm.lr=30
lr = 30
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from typing_extensions import assert_never

from bench.core import paths
from bench.core.errors import BenchError, Mistakes
from bench.core.files import parse_toml, read_text
from bench.core.text import shown
from bench.running.options.kinds import (
    Choice,
    Fields,
    Flag,
    Given,
    Kind,
    Listed,
    Number,
    Overrides,
    Repeated,
    Text,
    as_written,
)
from bench.running.options.options import OPTIONS

_BUDGETS = ("ipc", "budget")

_OWN = (Path(), Path("experiments"))
"""Where the suite's own files are named."""


def read(path: Path, mistakes: Mistakes) -> dict[str, Given]:
    """The options of an experiment file, by field name.

    Args:
        path: of the file. The names of the suite's own, such as ``experiments/paper.toml`` or ``paper.toml``, work in every
            folder.
        mistakes: takes in unknown keys and values of the wrong kind, a sentence each. What is wrong is left out.

    Raises:
        BenchError: it cannot be read, or is no TOML.
    """
    by_key = {option.key: option for option in OPTIONS.values()}
    valid = [*(key for key in by_key if key != "set"), "set"]
    given: dict[str, Given] = {}
    sentences: list[str] = []
    for key, content in _body(path).items():
        if key not in by_key:
            sentences.append(_unknown(key, valid))
            continue
        try:
            given[by_key[key].name] = _given(key, content, by_key[key].kind, sentences)
        except ValueError as error:
            sentences.append(str(error))
    if all(name in given for name in _BUDGETS):
        sentences.append("'budget' and 'ipc' exclude each other")
        given = {name: part for name, part in given.items() if name not in _BUDGETS}
    for sentence in sentences:
        mistakes.add(BenchError(f"{path}: {sentence}"))
    return given


def _body(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_text(_located(path)))
    except FileNotFoundError as error:
        own = ", ".join(f"experiments/{file.name}" for file in sorted(paths.shipped("experiments").glob("*.toml")))
        raise BenchError(f"experiment file: no file '{path}' (the suite's own: {own})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path}: cannot be read ({error})") from error
    except ValueError as error:
        raise BenchError(f"{path}: not TOML: {error}") from error


def _located(path: Path) -> Path:
    """The file that is meant: one of the suite's own, if there is no other of that name."""
    own = paths.shipped("experiments") / path.name
    return own if path.parent in _OWN and own.exists() and not path.exists() else path


def _unknown(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(key, valid, n=3)
    return f"unknown key '{key}'; " + (f"did you mean {' or '.join(close)}?" if close else f"valid: {', '.join(valid)}")


def _given(key: str, content: Any, kind: Kind, sentences: list[str]) -> Given:
    """What a key's content gives; ``sentences`` takes in what is wrong with a part of it.

    Raises:
        ValueError: all of it is wrong; says what it should be.
    """
    match kind:
        case Flag():
            if not isinstance(content, bool):
                raise ValueError(f"{key} = {_shown(content)} is neither true nor false")
            return content
        case Choice():
            if content not in kind.names:
                raise ValueError(f"{key} = {_shown(content)} is none of {', '.join(kind.names)}")
            return str(content)
        case Number():
            return _number(key, content, kind)
        case Text():
            if not isinstance(content, str):
                raise ValueError(f"{key} = {_shown(content)} is not text")
            return content
        case Listed():
            return ",".join(_parts(key, content, kind.numbers))
        case Repeated():
            return tuple(_parts(key, content, numbers=False))
        case Fields():
            return _fields(content, sentences)
    assert_never(kind)


def _number(key: str, content: Any, kind: Number) -> float:
    if isinstance(content, bool) or not isinstance(content, int | float):
        raise ValueError(f"{key} = {_shown(content)} is not a number")
    try:
        return kind.parse(str(content))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _parts(key: str, content: Any, numbers: bool) -> list[str]:
    """The texts of a list, or the one that stands in its place."""
    parts = content if isinstance(content, list) else [content]
    if not all(isinstance(part, str) or (numbers and type(part) is int) for part in parts) or not parts:
        wanted = "a whole number or text" if numbers else "text"
        raise ValueError(f"{key} = {_shown(content)} is not {wanted}, or a list of these")
    return [str(part) for part in parts]


def _fields(content: Any, sentences: list[str]) -> Overrides:
    """The ``[set.METHOD]`` tables; ``sentences`` takes in all that is not such a table, or no plain value."""
    if not isinstance(content, dict):
        raise ValueError("set is not a section: write [set.METHOD], then FIELD = VALUE")
    by_method: dict[str, dict[str, str]] = {}
    for method, fields in content.items():
        if not isinstance(fields, dict):
            sentences.append(f"set.{method} = {_shown(fields)} is not a section [set.METHOD] with FIELD = VALUE")
            continue
        for field, number in fields.items():
            if isinstance(number, bool | int | float | str):
                by_method.setdefault(method, {})[field] = as_written(number)
            else:
                sentences.append(f"set.{method}.{field} = {_shown(number)} is not a plain value")
    return by_method


def _shown(content: Any) -> str:
    if isinstance(content, bool):
        return str(content).lower()
    text = shown(content)
    return text if len(text) <= 60 else f"{text[:57]}..."
