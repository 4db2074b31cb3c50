"""Finds all parts: methods, datasets, networks, protocols, kinds of sets and profiles.

They come from the suite's own modules, from files in ``methods/`` and ``baselines/``, from ``--plugin`` files, and from
installed packages with the entry-point group ``bench.methods``.
"""

from __future__ import annotations

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
from typing import Any, get_origin

from bench.api import Dataset, Method, Network, Profile, Protocol, SyntheticSet
from bench.core.errors import BenchError
from bench.core.paths import possible_path
from bench.core.registry import Origin, Registry, Unavailable
from bench.core.source import METHOD_FOLDERS, METHOD_PACKAGES, SUITE, is_of_the_suite, meaning_digest, source_digest

ENTRY_POINT_GROUP = "bench.methods"
PLACES = (
    "bench.data.sources",
    "bench.judging.protocols",
    "bench.nets.described",
    "bench.profiles",
    "bench.sets",
)
"""Where the suite's own parts are defined: modules, and packages whose modules are all searched."""

PLUGIN_FILE_PREFIX = "bench_plugin_"


@dataclass(frozen=True)
class Registries:
    """All parts, by kind and name."""

    methods: Registry[type[Method[Any]]] = field(default_factory=lambda: Registry("method"))
    datasets: Registry[type[Dataset[Any]]] = field(default_factory=lambda: Registry("dataset"))
    networks: Registry[type[Network]] = field(default_factory=lambda: Registry("network"))
    protocols: Registry[type[Protocol]] = field(default_factory=lambda: Registry("protocol"))
    sets: Registry[type[SyntheticSet]] = field(default_factory=lambda: Registry("kind of set"))
    profiles: Registry[Profile] = field(default_factory=lambda: Registry("profile"))

    def add_module(self, module: ModuleType, where: str) -> int:
        """Registers the final classes and profiles that ``module`` defines; returns how many there are.

        Raises:
            BenchError: a name is taken, or a class has none.
        """
        meaning = None if is_of_the_suite(module.__name__) else meaning_digest(module)
        origin = Origin(where, source_digest(module), meaning)
        count = 0
        for kind, registry in self._kinds():
            for part in _classes(module):
                if not issubclass(part, kind) or part.__module__ != module.__name__ or inspect.isabstract(part):
                    continue
                name = getattr(part, "name", None)
                if not isinstance(name, str) or not name:
                    raise BenchError(f"{where}: class {part.__name__} needs a class attribute 'name' (a string)")
                registry.add(name, part, origin)
                count += 1
        for profile in _profiles(module):
            if profile not in (known for _, known in self.profiles):  # the module may have imported it
                self.profiles.add(profile.name, profile, origin)
                count += 1
        return count

    def meanings(self, **names: str | None) -> dict[str, str]:
        """The `meaning_digest` of each of these parts that comes from a plugin, by kind. It is part of a cell's identity.

        Args:
            names: names of parts by kind (``method``, ``protocol``, ``network`` or ``..._network``); None if there is none.
        """
        registries: dict[str, Registry[Any]] = {"method": self.methods, "protocol": self.protocols}
        origins = {
            kind: registries.get(kind, self.networks).origin(name) for kind, name in names.items() if name is not None
        }
        return {kind: origin.meaning for kind, origin in origins.items() if origin.meaning is not None}

    def _kinds(self) -> tuple[tuple[type, Registry[Any]], ...]:
        return (
            (Method, self.methods),
            (Dataset, self.datasets),
            (Network, self.networks),
            (Protocol, self.protocols),
            (SyntheticSet, self.sets),
        )


def load(plugin_files: Iterable[str] = ()) -> Registries:
    """Loads all parts. A plugin that fails to import is listed as unavailable and does not affect the others.

    Args:
        plugin_files: paths given with ``--plugin``.

    Raises:
        BenchError: two parts share a name, or a ``--plugin`` file does not exist.
    """
    registries = Registries()
    for name in _own_modules():
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
            if module.__name__ in seen:  # a file was given twice, or several entry points lead to one module
                continue
            seen.add(module.__name__)
            if registries.add_module(module, where) == 0 and where not in {
                f"{folder}.{name}" for folder in METHOD_FOLDERS
            }:
                registries.methods.add_unavailable(
                    Unavailable(
                        name, where, "defines no final subclass of Method, Dataset, Network, Protocol or SyntheticSet"
                    )
                )
    return registries


def package_in(folder: Path) -> str | None:
    """The suite's ``methods`` or ``baselines``, if that is the folder: its files are found without ``--plugin``. Else None."""
    for name, package in zip(METHOD_FOLDERS, METHOD_PACKAGES, strict=True):
        if any(Path(path).resolve() == folder.resolve() for path in importlib.import_module(package).__path__):
            return name
    return None


def _classes(module: ModuleType) -> Iterator[type]:
    """The classes in a module's namespace, each once, even if it has several names."""
    values = vars(module).values()
    # `get_origin`: in Python 3.10 a generic alias such as `list[int]` passes for a type.
    yield from dict.fromkeys(value for value in values if isinstance(value, type) and get_origin(value) is None)


def _profiles(module: ModuleType) -> Iterator[Profile]:
    """The profiles in a module's namespace, each once."""
    yield from dict.fromkeys(value for value in vars(module).values() if isinstance(value, Profile))


def _own_modules() -> Iterator[str]:
    """The names of the modules that define the suite's own parts."""
    for place in PLACES:
        module = importlib.import_module(place)
        if not hasattr(module, "__path__"):
            yield place
            continue
        yield from (f"{place}.{info.name}" for info in pkgutil.iter_modules(module.__path__))


_Importable = tuple[str, str, Any]
"""A module: its name, where it comes from, and a function that imports it."""


def _package_modules() -> Iterator[_Importable]:
    for package_name in METHOD_PACKAGES:
        package = importlib.import_module(package_name)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            full = f"{package_name}.{info.name}"
            if not info.name.startswith("_"):
                yield info.name, full.removeprefix(f"{SUITE}."), lambda full=full: importlib.import_module(full)


def _files(paths: Iterable[str]) -> Iterator[_Importable]:
    for text in paths:
        path = possible_path(text)
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
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last: its helpers are found there, and nothing that is installed is replaced
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look the module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _entry_points() -> Iterator[_Importable]:
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        where = f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
        yield point.name, where, lambda point=point: importlib.import_module(point.module)
