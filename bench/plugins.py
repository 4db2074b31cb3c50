"""Finds every part there is, wherever it comes from.

The suite's own modules, files in ``methods/`` and ``baselines/``, ``--plugin`` files, and installed packages with the
entry-point group ``bench.methods``.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.api import Dataset, Method, Network, Protocol, SyntheticSet
from bench.core.errors import BenchError
from bench.core.registry import Origin, Registry, Unavailable

ENTRY_POINT_GROUP = "bench.methods"
CORE_MODULES = (
    "bench.judging.protocols.standard",
    "bench.judging.protocols.wang2024",
    "bench.data.sources.shapes",
    "bench.data.sources.folder",
    "bench.data.sources.ucf101",
    "bench.data.sources.hmdb51",
    "bench.data.sources.kinetics400",
    "bench.data.sources.ssv2",
    "bench.nets.described.convnets",
    "bench.nets.described.pytorchvideo",
    "bench.sets.adaptive",
    "bench.sets.coded",
    "bench.sets.dense",
    "bench.sets.keyframes",
    "bench.sets.real",
    "bench.sets.static_dynamic",
    "bench.sets.video_file",
)
PLUGIN_PACKAGES = ("baselines", "methods")
PLUGIN_FILE_PREFIX = "bench_plugin_"


@dataclass(frozen=True)
class Registries:
    """All parts, by kind and name."""

    methods: Registry[type[Method[Any]]] = field(default_factory=lambda: Registry("method"))
    datasets: Registry[type[Dataset[Any]]] = field(default_factory=lambda: Registry("dataset"))
    networks: Registry[type[Network]] = field(default_factory=lambda: Registry("network"))
    protocols: Registry[type[Protocol]] = field(default_factory=lambda: Registry("protocol"))
    sets: Registry[type[SyntheticSet]] = field(default_factory=lambda: Registry("kind of set"))

    def add_module(self, module: ModuleType, where: str) -> int:
        """Registers each final class that ``module`` defines; returns how many.

        Raises:
            BenchError: a name is taken, or a class has none.
        """
        origin = Origin(where, source_hash(module))
        found = 0
        for kind, registry in self._kinds():
            for entry in _classes(module):
                if not (issubclass(entry, kind) and entry.__module__ == module.__name__):
                    continue
                if inspect.isabstract(entry):
                    continue
                name = getattr(entry, "name", None)
                if not isinstance(name, str) or not name:
                    raise BenchError(f"{where}: class {entry.__name__} needs a class attribute 'name' (a string)")
                registry.add(name, entry, origin)
                found += 1
        return found

    def _kinds(self) -> tuple[tuple[type, Registry[Any]], ...]:
        return (
            (Method, self.methods),
            (Dataset, self.datasets),
            (Network, self.networks),
            (Protocol, self.protocols),
            (SyntheticSet, self.sets),
        )


def load(plugin_files: Iterable[str] = ()) -> Registries:
    """All parts. A plugin that fails to import is listed as unavailable and stops nobody else.

    Args:
        plugin_files: paths given with ``--plugin``.

    Raises:
        BenchError: two parts share a name, or a ``--plugin`` file does not exist.
    """
    registries = Registries()
    for name in CORE_MODULES:
        registries.add_module(importlib.import_module(name), name)
    seen: set[str] = set()
    for source in (_package_modules(), _files(plugin_files), _entry_points()):
        for name, where, importer in source:
            try:
                module = importer()
            except (Exception, SystemExit) as error:  # whatever a plugin's own code raises
                reason = f"{type(error).__name__}: {error}"
                registries.methods.add_unavailable(Unavailable(name, where, " ".join(reason.split())))
                continue
            if module.__name__ in seen:  # a file given twice; several entry points into one module
                continue
            seen.add(module.__name__)
            if registries.add_module(module, where) == 0 and where not in {f"{p}.{name}" for p in PLUGIN_PACKAGES}:
                registries.methods.add_unavailable(
                    Unavailable(
                        name, where, "defines no final subclass of Method, Dataset, Network, Protocol or SyntheticSet"
                    )
                )
    return registries


def package_in(folder: Path) -> str | None:
    """The package of plugins that lies in a folder, whose files are found without ``--plugin``; None for other folders."""
    for name in PLUGIN_PACKAGES:
        if any(Path(path).resolve() == folder.resolve() for path in importlib.import_module(name).__path__):
            return name
    return None


def source_hash(module: ModuleType) -> str:
    """SHA-256 over a module's source and that of the modules that it uses, line ends normalised.

    Followed are modules of its own package, and those of ``methods`` and ``baselines``; nothing from the suite's own parts.
    """
    package = module.__name__.partition(".")[0]
    followed = () if package == "bench" else (package, *PLUGIN_PACKAGES)
    sources: dict[str, bytes] = {}
    pending = [module]
    while pending:
        current = pending.pop()
        path = getattr(current, "__file__", None)
        if current.__name__ in sources or path is None:
            continue
        sources[current.__name__] = Path(path).read_bytes().replace(b"\r\n", b"\n")
        if followed:
            pending += _used_modules(sources[current.__name__], current.__package__ or "", followed)
    digest = hashlib.sha256()
    for _, text in sorted(sources.items()):
        digest.update(hashlib.sha256(text).digest())
    return digest.hexdigest()


def _classes(module: ModuleType) -> Iterator[type]:
    """The classes of a module's namespace, each once, however many names it has."""
    yield from dict.fromkeys(value for value in vars(module).values() if isinstance(value, type))


def _used_modules(source: bytes, package: str, followed: tuple[str, ...]) -> Iterator[ModuleType]:
    """The modules of the packages ``followed`` that ``import`` statements anywhere in a source name."""
    for name in _imported(source, package):
        if name.partition(".")[0] in followed:
            with contextlib.suppress(ImportError):  # a class or function of the module before it
                yield importlib.import_module(name)


@functools.cache
def _imported(source: bytes, package: str) -> tuple[str, ...]:
    """The names in a source's ``import`` statements; cached, as many methods use the same few modules."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


_Found = tuple[str, str, Any]


def _package_modules() -> Iterator[_Found]:
    for package_name in PLUGIN_PACKAGES:
        package = importlib.import_module(package_name)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            full = f"{package_name}.{info.name}"
            if not info.name.startswith("_"):
                yield info.name, full, lambda full=full: importlib.import_module(full)


def _files(paths: Iterable[str]) -> Iterator[_Found]:
    for text in paths:
        path = Path(text)
        if not path.is_file():
            raise BenchError(f"--plugin: no file '{text}'")
        yield path.stem, text, lambda path=path: _import_file(path)


def _import_file(path: Path) -> ModuleType:
    name = f"{PLUGIN_FILE_PREFIX}{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look the module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _entry_points() -> Iterator[_Found]:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        dist = entry.dist
        where = f"{dist.name} {dist.version}" if dist is not None else entry.value
        yield entry.name, where, lambda entry=entry: importlib.import_module(entry.module)
