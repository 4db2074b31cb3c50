"""Finds all parts: methods, datasets, networks, protocols, kinds of sets and profiles.

They come from the suite's own modules, from files in ``methods/`` and ``baselines/``, from ``--plugin`` files, and from
installed packages with the entry-point group ``bench.methods``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import math
import os
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, final, get_origin

from bench.api import Dataset, Method, Network, Profile, Protocol, SyntheticSet
from bench.core.apart import Apart, Faulty
from bench.core.errors import BenchError
from bench.core.imports import lasting_changes
from bench.core.paths import possible_path
from bench.core.process import in_short, kept
from bench.core.registry import Origin, Registry, Unavailable
from bench.core.source import METHOD_FOLDERS, METHOD_PACKAGES, SUITE, is_of_the_suite, meaning_digest, source_digest
from bench.core.traces import Fault, fault

T = TypeVar("T")

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


@final
class Probes:
    """Processes for calls into plugins, one for each plugin, or combination of plugins, that is called.

    Args:
        files: paths given with ``--plugin``.
        seconds: how long a call may take; None for `call_seconds`.
    """

    def __init__(self, files: Iterable[str], seconds: float | None = None) -> None:
        self._files = tuple(files)
        self._seconds = call_seconds() if seconds is None else seconds
        self._apart: dict[frozenset[str], Apart] = {}

    def begin(self, modules: frozenset[str]) -> None:
        """Starts the process for the plugins of these modules, beside what is done meanwhile."""
        if modules not in self._apart:
            self._apart[modules] = Apart(tuple(sorted(modules)), self._seconds)

    def check(self, module: str) -> None:
        """Imports a plugin.

        Raises:
            Faulty: it cannot be imported, ends or stops the process that imports it, or changes that process for good.
        """
        modules = frozenset((module,))
        self.begin(modules)
        self._apart[modules].call(dict, _import_only, self._files, module)

    def ask(self, modules: frozenset[str], question: Callable[..., T], *args: Any) -> T:
        """What ``question(registries, *args)`` returns where the plugins of these modules are loaded.

        Raises:
            BenchError: as the question raises it.
            Faulty: it fails in another way, or gives no answer.
        """
        self.begin(modules)
        prepare = functools.partial(_loaded, self._files, modules)
        answer: T = self._apart[modules].call(prepare, _ask, prepare, question, *args)
        return answer


def call_seconds() -> float:
    """How long a call into a plugin may take while a run is planned: ``BENCH_PLUGIN_SECONDS``, or 60.

    Raises:
        BenchError: it is not a number of seconds.
    """
    text = os.environ.get("BENCH_PLUGIN_SECONDS") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e6:
        raise BenchError(f"BENCH_PLUGIN_SECONDS: '{text}' is not a number of seconds above 0 and below a million")
    return seconds


def _ask(prepare: Callable[[], Registries], question: Callable[..., T], *args: Any) -> T:
    return question(prepare(), *args)


@functools.cache
def _loaded(files: tuple[str, ...], modules: frozenset[str]) -> Registries:
    """The parts in a process for calls into the plugins of these modules."""
    return load(files, only=modules)


def _import_only(files: tuple[str, ...], module: str) -> None:
    """Imports the plugin of that module.

    Raises:
        Faulty: its import changes what would not be put back.
    """
    for source in (_files(files), _entry_points()):
        for _, _, name, importer in source:
            if name == module:
                changes = lasting_changes(module, importer)
                if changes:
                    raise Faulty(Fault(f"its import changes what the whole run shares: {in_short(changes)}"))
                return


@dataclass(frozen=True)
class Registries:
    """All parts, by kind and name.

    Attributes:
        probes: for calls into plugins; None where these are called in this process.
        debug: whether what a part raises while a run is planned is raised, instead of being a fault of its cells.
    """

    methods: Registry[type[Method[Any]]] = field(default_factory=lambda: Registry("method"))
    datasets: Registry[type[Dataset[Any]]] = field(default_factory=lambda: Registry("dataset"))
    networks: Registry[type[Network]] = field(default_factory=lambda: Registry("network"))
    protocols: Registry[type[Protocol]] = field(default_factory=lambda: Registry("protocol"))
    sets: Registry[type[SyntheticSet]] = field(default_factory=lambda: Registry("kind of set"))
    profiles: Registry[Profile] = field(default_factory=lambda: Registry("profile"))
    probes: Probes | None = None
    debug: bool = False

    def add_module(self, module: ModuleType, where: str) -> int:
        """Registers the final classes and profiles that ``module`` defines; returns how many there are.

        Raises:
            BenchError: a name is taken, or a class has none.
        """
        own = is_of_the_suite(module.__name__)
        source, meaning = (_own_source(module), None) if own else (source_digest(module), meaning_digest(module))
        origin = Origin(where, source, meaning, module.__name__)
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
        origins = {kind: self._registry(kind).origin(name) for kind, name in names.items() if name is not None}
        return {kind: origin.meaning for kind, origin in origins.items() if origin.meaning is not None}

    def plugin_modules(self, **names: str | None) -> frozenset[str]:
        """The modules of plugins that define these parts.

        Args:
            names: names of parts by kind (``method``, ``dataset``, ``profile``, ``protocol``, ``network`` or ``..._network``).
        """
        origins = [self._registry(kind).origin(name) for kind, name in names.items() if name is not None]
        return frozenset(origin.module for origin in origins if origin.meaning is not None)

    def _registry(self, kind: str) -> Registry[Any]:
        registries: dict[str, Registry[Any]] = {
            "method": self.methods, "dataset": self.datasets, "profile": self.profiles, "protocol": self.protocols
        }  # fmt: skip
        return registries.get(kind, self.networks)

    def _kinds(self) -> tuple[tuple[type, Registry[Any]], ...]:
        return (
            (Method, self.methods),
            (Dataset, self.datasets),
            (Network, self.networks),
            (Protocol, self.protocols),
            (SyntheticSet, self.sets),
        )


def load(
    plugin_files: Iterable[str] = (),
    only: Collection[str] | None = None,
    probes: Probes | None = None,
    debug: bool = False,
) -> Registries:
    """Loads all parts. A plugin that fails to import is listed as unavailable and does not affect the others.

    Args:
        plugin_files: paths given with ``--plugin``.
        only: the modules of plugins that are wanted (`Origin.module`), beside the suite's own; None for all. The others are
            loaded when a kind of set is asked for that none of these defines.
        probes: where each plugin is imported before it is imported here; None imports it here alone.
        debug: whether what a plugin raises when it is imported is raised here.

    Raises:
        BenchError: two parts share a name, or a ``--plugin`` file does not exist.
    """
    registries = Registries(probes=probes, debug=debug)
    if only is not None:
        files = tuple(plugin_files)
        registries.sets.add_later(lambda: load(files).sets)
    for name in _own_modules():
        registries.add_module(importlib.import_module(name), name)
    seen: set[str] = set()
    for source in (_package_modules, lambda: _files(plugin_files), _entry_points):
        if source is _entry_points and only is not None and seen.issuperset(only):  # to look for them takes long
            break
        found = list(source())
        unknown = {name for _, _, name, _ in found if not is_of_the_suite(name) and name not in sys.modules}
        if probes is not None:
            for module_name in sorted(unknown):  # all at once; each takes a moment to start
                probes.begin(frozenset((module_name,)))
        for name, where, module_name, importer in found:
            if not (only is None or module_name in only or is_of_the_suite(module_name)):
                continue
            try:
                if probes is not None and module_name in unknown:
                    probes.check(module_name)
                with contextlib.nullcontext() if probes is None else kept():
                    module = importer()
            except Faulty as error:
                registries.methods.add_unavailable(Unavailable(name, where, error.fault.reason))
                continue
            except BaseException as error:  # whatever a plugin's own code raises
                if debug or isinstance(error, KeyboardInterrupt):
                    raise
                registries.methods.add_unavailable(Unavailable(name, where, fault(error, (module_name,)).reason))
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


@functools.cache
def _own_source(module: ModuleType) -> str:
    """The digest of a module of the suite, which does not change while this process lives."""
    return source_digest(module)


_Importable = tuple[str, str, str, Callable[[], ModuleType]]
"""A plugin: its name, where it comes from, the name of its module, and a function that imports it."""


def _package_modules() -> Iterator[_Importable]:
    for package_name in METHOD_PACKAGES:
        package = importlib.import_module(package_name)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            full = f"{package_name}.{info.name}"
            if not info.name.startswith("_"):
                yield info.name, full.removeprefix(f"{SUITE}."), full, functools.partial(importlib.import_module, full)


def _files(paths: Iterable[str]) -> Iterator[_Importable]:
    for text in paths:
        path = possible_path(text)
        if not path.is_file():
            raise BenchError(f"--plugin: no file '{text}'")
        name = f"{PLUGIN_FILE_PREFIX}{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
        yield path.stem, text, name, functools.partial(_import_file, path, name)


def find_helpers(path: Path) -> None:
    """From now on modules beside a plugin's file are found: last, so that nothing that is installed is replaced."""
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def _import_file(path: Path, name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    find_helpers(path)
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
        yield point.name, where, point.module, functools.partial(importlib.import_module, point.module)
