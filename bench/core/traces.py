"""What an author needs to see of an error in their own code: the innermost line of it, and the traceback without folders."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.source import INSTALLED, METHOD_PACKAGES, SUITE

_MOST = 20_000
_ROOT = Path(__file__).resolve().parents[2]
_PLACES = ("purelib", "platlib", "stdlib", "platstdlib")  # the narrower before the wider
_LIBRARIES = tuple(dict.fromkeys(Path(sysconfig.get_path(name)).resolve() for name in _PLACES))


@dataclass(frozen=True)
class Fault:
    """An error in the code of a part.

    Attributes:
        reason: what happened and where, in one line.
        traceback: of it, without folders of this machine; empty where there is none.
    """

    reason: str
    traceback: str = ""


def said(error: BaseException) -> str:
    """What an error says, in one line; also if it cannot say it."""
    try:
        return " ".join(str(error).split())[:_MOST]
    except BaseException:  # whatever the class of a plugin does there
        return "it cannot say why"


def fault(error: BaseException, modules: Iterable[str] = ()) -> Fault:
    """An error as its author needs it.

    Args:
        error: as it was raised.
        modules: of the plugins that its parts come from.
    """
    homes = [home for name in modules if (home := _home(name)) is not None]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_of(frame.filename, homes)]
    written = [frame for frame in frames if not _is_of(frame.filename, _LIBRARIES)]
    text = said(error)
    if isinstance(error, BenchError):
        return Fault(text, portable(error))
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename is not None:  # its text names file and line
        return Fault(reason, portable(error))
    for frame in (own or [f for f in written if not _is_of(f.filename, (_ROOT / SUITE,))] or written or frames)[-1:]:
        reason += f" ({Path(frame.filename).name}:{frame.lineno})"
    return Fault(reason, portable(error))


def is_own(file: str, module: str) -> bool:
    """Whether a file is of a plugin itself, which that module defines, and not of a library in an environment below its folder."""
    home, path = _home(module), Path(file).resolve()
    if home is None or file.startswith("<"):  # Python's own, built in
        return False
    return path.is_relative_to(home) and not set(INSTALLED) & set(path.relative_to(home).parts)


def whole(error: BaseException) -> str:
    """The traceback of an error, as Python prints it."""
    return "".join(traceback.format_exception(error))


def portable(error: BaseException) -> str:
    """The same without folders: files of the suite from its root on, those of libraries from theirs, others by name."""
    text = whole(error)
    for path in {name for name in _files(error) if Path(name).is_absolute()}:
        text = text.replace(path, _shown(Path(path)))
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n...\n{text[-_MOST // 2 :]}"


def _files(error: BaseException) -> list[str]:
    """The files of an error and of those that led to it, the longest first."""
    names: set[str] = set()
    pending, seen = [error], set()
    while pending:
        one = pending.pop()
        if id(one) not in seen:
            seen.add(id(one))
            names |= {frame.filename for frame in traceback.extract_tb(one.__traceback__)}
            pending += [other for other in (one.__cause__, one.__context__) if other is not None]
            pending += getattr(one, "exceptions", ())  # of a group
    return sorted(names, key=len, reverse=True)


def _shown(path: Path) -> str:
    for root in (*(_ROOT / name for name in (SUITE, *METHOD_PACKAGES)), *_LIBRARIES):
        if path.is_relative_to(root):
            return (Path(root.name) / path.relative_to(root)).as_posix()
    return path.name


def _home(module: str) -> Path | None:
    """The folder of a module's package, or its file if that lies beside those of others."""
    file = vars(sys.modules[module]).get("__file__") if module in sys.modules else None
    if file is None:
        return None
    path = Path(file).resolve()
    return path if path.parent in _LIBRARIES else path.parent


def _is_of(file: str, places: Iterable[Path]) -> bool:
    path = Path(file).resolve()
    return any(path.is_relative_to(place) for place in places)
