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
METHOD_FOLDERS = ("baselines", "methods")
METHOD_PACKAGES = tuple(f"{SUITE}.{folder}" for folder in METHOD_FOLDERS)


def is_of_the_suite(module: str) -> bool:
    """Whether a module of that name belongs to the suite. Versions identify the suite's parts; sources identify others."""
    return module.partition(".")[0] == SUITE


def _family(module: str) -> str:
    """The package whose modules are helpers of each other: the top one, but of the suite one of `METHOD_PACKAGES`."""
    first, _, rest = module.partition(".")
    package = f"{first}.{rest.partition('.')[0]}"
    return package if package in METHOD_PACKAGES else first


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
    except (SyntaxError, ValueError, RecursionError):
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
    own, homes = _family(module.__name__), _homes(module)
    by_name: dict[str, bytes] = {}
    pending = [module.__name__]
    while pending:
        name = pending.pop()
        path = None if name in by_name else _file_of(name, own, homes)
        if path is None or not path.is_file() or not (name == module.__name__ or _is_helper(name, path, own, homes)):
            continue
        by_name[name] = path.read_bytes().replace(b"\r\n", b"\n")
        if path.suffix == ".py" and own != SUITE:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            pending += _imported(by_name[name], package)
    return by_name


def _homes(module: ModuleType) -> tuple[Path, ...]:
    """The folders whose files are a module's own, if it is outside any package; none for one directly in ``site-packages``.

    Two for a link: where it lies, and where the file is.
    """
    path = _known_file(module)
    in_package = "." in module.__name__ or hasattr(module, "__path__")
    if path is None or in_package or path.parent.name in INSTALLED:
        return ()
    return tuple(dict.fromkeys((path.parent, path.resolve().parent)))


INSTALLED = ("site-packages", "dist-packages")


def _is_helper(name: str, path: Path, own: str, homes: tuple[Path, ...]) -> bool:
    """Whether a module is looked into: one of the own package, of the suite's methods, or of the own folder."""
    top = _family(name)
    return top != SUITE and (top in METHOD_PACKAGES or top == own or _is_inside(path, homes))


def _is_inside(path: Path, homes: tuple[Path, ...]) -> bool:
    inside = (path.relative_to(home).parts for home in homes if path.is_relative_to(home))
    return any(not set(INSTALLED) & set(parts) for parts in inside)


def _file_of(name: str, own: str, homes: tuple[Path, ...]) -> Path | None:
    """The file of a module, imported or not; None if there is no such module, it has no file, or it cannot be a helper."""
    if name in sys.modules:
        return _known_file(sys.modules[name])
    top = _family(name)
    if top == SUITE or not (top == own or top in METHOD_PACKAGES or _lies_inside(top, homes)):
        return None  # to look for a part of a library would import the library
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # the last part is a class or function, or the package around it does not import
        return None
    return None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin)


def _known_file(module: ModuleType) -> Path | None:
    """The file of an imported module, without loading one whose import is deferred."""
    path = vars(module).get("__file__")
    return None if path is None else Path(path)


def _lies_inside(top: str, homes: tuple[Path, ...]) -> bool:
    """Whether a module that is not imported yet would come from the own folder. Imports nothing."""
    try:
        spec = importlib.util.find_spec(top) if homes and top not in sys.modules else None
    except (ImportError, ValueError):
        return False
    if spec is None:
        return top in sys.modules and any(_is_inside(path, homes) for path in _folders(sys.modules[top]))
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return any(_is_inside(Path(place), homes) for place in places)


def _folders(module: ModuleType) -> list[Path]:
    """Where the parts of a package lie."""
    return [Path(place) for place in vars(module).get("__path__", ())]


@functools.cache
def _imported(source: bytes, package: str) -> tuple[str, ...]:
    """The modules that all ``import`` statements of a source may name, nested ones and packages around them included."""
    names: list[str] = []
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):  # newer syntax, behind a guard; it was not imported here
        return ()
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            try:
                base = importlib.util.resolve_name(relative, package) if node.level else relative
            except ImportError:  # beyond the top, in a function that nobody calls
                continue
            everything = vars(sys.modules[base]).get("__all__", ()) if base in sys.modules else ()
            parts = [alias.name for alias in node.names]
            names += [base, *(f"{base}.{part}" for part in ([*map(str, everything)] if parts == ["*"] else parts))]
    packages = [name.rpartition(".")[0] for name in names]
    while any(packages):
        names += packages
        packages = [name.rpartition(".")[0] for name in packages]
    return tuple(name for name in dict.fromkeys(names) if name)
