"""Digests of a module's source: one of its bytes, and one of its meaning, which comments and layout do not change.

Both cover the helper modules that a module imports from its own folder or package, because editing a helper changes what the
module does. Computed imports (``importlib.import_module(name)``) are not followed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

SUITE = "bench"
METHOD_PACKAGES = ("baselines", "methods")


def is_of_the_suite(module: str) -> bool:
    """Whether a module of that name belongs to the suite. Versions identify the suite's parts; sources identify others."""
    return module.partition(".")[0] in (SUITE, *METHOD_PACKAGES)


def source_digest(module: ModuleType) -> str:
    """SHA-256 of the source of a module and its helpers, with line ends normalised."""
    return _digest(module, lambda source: source)


def meaning_digest(module: ModuleType) -> str:
    """SHA-256 of the `meaning` of the source of a module and its helpers."""
    return _digest(module, meaning)


def code_identity(part: type | Callable[..., Any]) -> dict[str, int | str]:
    """Identifies one state of the code of a class or function.

    Returns:
        Its ``version`` (1 if it has none) and, in a plugin, the meaning of its ``source``.
    """
    identity: dict[str, int | str] = {"version": int(getattr(part, "version", 1))}
    if not is_of_the_suite(part.__module__):
        identity["source"] = meaning_digest(sys.modules[part.__module__])
    return identity


def _digest(module: ModuleType, reading: Callable[[bytes], bytes]) -> str:
    digest = hashlib.sha256()
    for _, source in sorted(sources(module).items()):
        digest.update(hashlib.sha256(reading(source)).digest())
    return digest.hexdigest()


@functools.cache
def meaning(source: bytes) -> bytes:
    """The source without comments, docstrings and layout. A source that is not Python is returned as it is."""
    try:
        return _spelled(ast.parse(source)).encode()
    except (SyntaxError, ValueError):
        return source


def _spelled(part: object) -> str:
    """A part of a syntax tree as text, the same in every version of Python.

    What is empty is left out, as later versions add fields. So is every statement that is only a string, and ``pass``: a body of
    nothing but its docstring means as much as an empty one.
    """
    if isinstance(part, ast.JoinedStr):  # Python 3.12 has empty pieces in some
        return f"JoinedStr({', '.join(_spelled(piece) for piece in part.values if _spelled(piece) != _EMPTY)})"
    if isinstance(part, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(part) if name != "kind" and value not in (None, [])]
        return f"{type(part).__name__}({', '.join(f'{name}={_spelled(value)}' for name, value in fields)})"
    if isinstance(part, list):
        return f"[{', '.join(_spelled(each) for each in part if not _means_nothing(each))}]"
    return repr(part)


_EMPTY = "Constant(value='')"


def _means_nothing(part: object) -> bool:
    is_text = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
    return is_text or isinstance(part, ast.Pass)


def sources(module: ModuleType) -> dict[str, bytes]:
    """The source of a module and of each of its helpers, by module name, with line ends normalised.

    Helpers are the other modules of its package. For a module outside any package, they are the modules beside it and below.
    Modules of ``methods`` and ``baselines`` that it uses count too. Nothing else of the suite does: its parts have versions.
    """
    own, home = module.__name__.partition(".")[0], _home(module)
    by_name: dict[str, bytes] = {}
    pending = [module.__name__]
    while pending:
        name = pending.pop()
        path = None if name in by_name else _file_of(name)
        if path is None or not path.is_file():
            continue
        by_name[name] = path.read_bytes().replace(b"\r\n", b"\n")
        if path.suffix == ".py" and own != SUITE:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            pending += [other for other in _imported(by_name[name], package) if _is_helper(other, own, home)]
    return by_name


def _home(module: ModuleType) -> Path | None:
    """The folder of a module outside any package; None for other modules, and for one directly in ``site-packages``."""
    path = _file_of(module.__name__)
    in_package = "." in module.__name__ or hasattr(module, "__path__")
    if path is None or in_package or path.parent.name in ("site-packages", "dist-packages"):
        return None
    return path.parent


def _is_helper(name: str, own: str, home: Path | None) -> bool:
    """Whether a module of that name is a helper. Imports nothing, so torch stays unloaded."""
    top = name.partition(".")[0]
    if top == SUITE:
        return False
    beside = home is not None and ((home / f"{top}.py").is_file() or (home / top).is_dir())
    return top in METHOD_PACKAGES or top == own or beside


def _file_of(name: str) -> Path | None:
    """The file of a module, imported or not; None if there is no such module or it has no file."""
    if name in sys.modules:
        path = getattr(sys.modules[name], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError):  # the last part of the name is a class or function
            return None
        path = None if spec is None or not spec.has_location else spec.origin
    return None if path is None else Path(path)


@functools.cache
def _imported(source: bytes, package: str) -> tuple[str, ...]:
    """The names in all ``import`` statements of a source, including nested ones."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)
