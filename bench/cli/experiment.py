"""Experiment files: the options of ``run`` in a TOML file, all mistakes in it are told at once. What stands on the command line wins.

methods = ["random", "dm"]      # a key is an option without its dashes
ipc = [1, 5]
seeds = "0-2"
tune = true

[set.dm]                        # hyper-parameters, as --set dm.lr=30
lr = 30
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SET = "set"
_BUDGETS = ("ipc", "budget")


@dataclass(frozen=True)
class Experiment:
    """A file that was read.

    Attributes:
        options: by key, as words of a command line; of a key whose words exclude another's only one is used.
        hyper: hyper-parameters as ``--set`` takes them.
        mistakes: unknown keys and values of the wrong kind, a sentence each; they stand in neither of the two.
    """

    options: Mapping[str, tuple[str, ...]]
    hyper: tuple[str, ...]
    mistakes: tuple[str, ...] = ()

    def words(self, given: Sequence[str]) -> list[str]:
        """The command line of the file, with that which is given behind it.

        A budget in bytes that is given takes the place of the file's IPC, and the other way round. Hyper-parameters of
        methods that the given ``--methods`` leave out have no use.
        """
        named = {word.partition("=")[0] for word in given}
        replaced = {
            key for key, other in (_BUDGETS, _BUDGETS[::-1]) if f"--{other}" in named and f"--{key}" not in named
        }
        words = [word for key, of_key in self.options.items() if key not in replaced for word in of_key]
        if self.hyper:
            words += [f"--{'set' if '--methods' not in named else 'set-if-run'}={text}" for text in self.hyper]
        return [*words, *given]


def read(path: str, parser: argparse.ArgumentParser) -> Experiment:
    """Reads an experiment file.

    Args:
        path: of the file.
        parser: the parser of ``run``, whose options are the keys.

    Raises:
        BenchError: it cannot be read, or is no TOML.
    """
    try:
        body = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BenchError(f"experiment file: no file '{path}'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"{path}: not TOML: {error}") from error
    actions = _keys(parser)
    options: dict[str, tuple[str, ...]] = {}
    hyper: tuple[str, ...] = ()
    mistakes: list[str] = []
    for key, value in body.items():
        if key == _SET:
            hyper, wrong = _hyper(value)
            mistakes += wrong
        elif key not in actions:
            close = difflib.get_close_matches(key, [*actions, _SET], n=3)
            said = f"did you mean {' or '.join(close)}?" if close else f"valid: {', '.join([*actions, _SET])}"
            mistakes.append(f"unknown key '{key}'; {said}")
        else:
            try:
                options[key] = _words(key, value, actions[key])
            except ValueError as error:
                mistakes.append(str(error))
    if all(key in options for key in _BUDGETS):
        mistakes.append("'budget' and 'ipc' exclude each other")
        options = {key: words for key, words in options.items() if key not in _BUDGETS}
    return Experiment(options, hyper, tuple(f"{path}: {mistake}" for mistake in mistakes))


def _keys(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Every option with a long name but help and ``--set``, by that name."""
    found = {}
    for action in parser._actions:
        names = [name.removeprefix("--") for name in action.option_strings if name.startswith("--")]
        if names and names[0] not in ("help", _SET) and action.help is not argparse.SUPPRESS:
            found[names[0]] = action
    return found


def _words(key: str, value: Any, action: argparse.Action) -> tuple[str, ...]:
    """One key as words of a command line.

    Raises:
        ValueError: the value is not of the option's kind, with what it should be.
    """
    option, metavar = f"--{key}", str(action.metavar or "")
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"{key} = {_shown(value)} is neither true nor false")
        if isinstance(action, argparse.BooleanOptionalAction):
            return (option if value else f"--no-{key}",)
        return (option,) if value else ()
    if action.choices is not None:
        if value not in list(action.choices):
            raise ValueError(f"{key} = {_shown(value)} is none of {', '.join(map(str, action.choices))}")
        return (f"{option}={value}",)
    if callable(action.type):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{key} = {_shown(value)} is not a number")
        try:
            action.type(str(value))
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise ValueError(f"{key}: {error}") from error
        return (f"{option}={value}",)
    numbers = metavar.startswith("N")
    repeated = isinstance(action, argparse._AppendAction)
    listed = "," in metavar or repeated
    parts = value if listed and isinstance(value, list) else [value]
    if not all(isinstance(part, str) or (numbers and type(part) is int) for part in parts) or not parts:
        kind = "a whole number or text such as '0-4'" if numbers else "text"
        raise ValueError(f"{key} = {_shown(value)} is not {kind}" + (", or a list of these" if listed else ""))
    if repeated:
        return tuple(f"{option}={part}" for part in parts)
    return (f"{option}={','.join(map(str, parts))}",)


def _hyper(value: Any) -> tuple[tuple[str, ...], list[str]]:
    """``[set.METHOD]`` tables as ``METHOD.FIELD=VALUE``, and a sentence for all that is not such a table, or no plain value."""
    if not isinstance(value, dict):
        return (), ["set is not a section: write [set.METHOD], then FIELD = VALUE"]
    texts, mistakes = [], []
    for method, fields in value.items():
        if not isinstance(fields, dict):
            mistakes.append(f"set.{method} = {_shown(fields)} is not a section [set.METHOD] with FIELD = VALUE")
            continue
        for field, number in fields.items():
            if isinstance(number, bool | int | float | str):
                written = str(number).lower() if isinstance(number, bool) else str(number)
                texts.append(f"{method}.{field}={written}")
            else:
                mistakes.append(f"set.{method}.{field} = {_shown(number)} is not a plain value")
    return tuple(texts), mistakes


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
