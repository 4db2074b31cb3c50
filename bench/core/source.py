"""What the source of a module says: a digest of its bytes, and one of its meaning, which comments and layout do not touch.

Both take in the helper modules that a module imports from its own folder or package: whoever edits a helper changes what the
module does. Imports that are computed (``importlib.import_module(name)``) are not seen.
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
    """Whether a module of that name belongs to the suite, whose parts are identified by their versions."""
    return module.partition(".")[0] in (SUITE, *METHOD_PACKAGES)


def source_digest(module: ModuleType) -> str:
    """SHA-256 over the source of a module and of its helpers, line ends normalised."""
    return _digest(module, lambda source: source)


def meaning_digest(module: ModuleType) -> str:
    """SHA-256 over what the source of a module and of its helpers means: see `meaning`."""
    return _digest(module, meaning)


def code_identity(part: type | Callable[..., Any]) -> dict[str, int | str]:
    """What tells one state of the code of a class or function from another.

    Its ``version`` (1 where it has none), and of what belongs to a plugin also the meaning of its ``source``.
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
    """A source without comments, docstrings and layout; as it is where it is not Python."""
    try:
        tree = _WithoutDocstrings().visit(ast.parse(source))
    except (SyntaxError, ValueError):
        return source
    return ast.unparse(tree).encode()


class _WithoutDocstrings(ast.NodeTransformer):
    """Takes out every statement that is only a string."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node


def sources(module: ModuleType) -> dict[str, bytes]:
    """The source of a module and of its helpers by module name, line ends normalised.

    Helpers are the modules of its own package, or, of a module in no package, those beside it and below. What a module uses
    of ``methods`` and ``baselines`` counts too; nothing else of the suite does, whose parts have versions.
    """
    own, home = module.__name__.partition(".")[0], _home(module)
    found: dict[str, bytes] = {}
    pending = [module.__name__]
    while pending:
        name = pending.pop()
        path = None if name in found else _file_of(name)
        if path is None or not path.is_file():
            continue
        found[name] = path.read_bytes().replace(b"\r\n", b"\n")
        if path.suffix == ".py" and own != SUITE:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            pending += [other for other in _imported(found[name], package) if _is_helper(other, own, home)]
    return found


def _home(module: ModuleType) -> Path | None:
    """The folder of a module that is in no package; None for others, and for one installed by itself among everybody's."""
    path = _file_of(module.__name__)
    in_package = "." in module.__name__ or hasattr(module, "__path__")
    if path is None or in_package or path.parent.name in ("site-packages", "dist-packages"):
        return None
    return path.parent


def _is_helper(name: str, own: str, home: Path | None) -> bool:
    """Whether a module of that name is looked into. Decided without importing anything: torch stays unloaded."""
    top = name.partition(".")[0]
    if top == SUITE:
        return False
    beside = home is not None and ((home / f"{top}.py").is_file() or (home / top).is_dir())
    return top in METHOD_PACKAGES or top == own or beside


def _file_of(name: str) -> Path | None:
    """The file of a module, whether it was imported already or not; None for what is no module, or has no file."""
    if name in sys.modules:
        path = getattr(sys.modules[name], "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, AttributeError, ValueError):  # a class or function of the module before it
            return None
        path = None if spec is None or not spec.has_location else spec.origin
    return None if path is None else Path(path)


@functools.cache
def _imported(source: bytes, package: str) -> tuple[str, ...]:
    """The names in the ``import`` statements of a source, wherever they stand in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(relative, package) if node.level else relative
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)
