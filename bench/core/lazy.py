"""Defers the import of a heavy package until something uses it, so that listing and planning never wait for torch.

``defer("torch")`` puts an empty module in ``sys.modules``. ``import torch`` then costs nothing; the first attribute read
(``torch.zeros``, ``from torch import nn``) or the first import of a submodule executes the real package into that same
module object. The standard library's LazyLoader is not used because a second ``import torch`` already triggers it.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

_LOCK = threading.RLock()


class _DeferredModule(ModuleType):
    """A module that fills itself in when something missing is asked of it."""

    def __getattr__(self, attribute: str) -> Any:
        load(self)
        return getattr(self, attribute)


class _AlreadyLoaded(Loader):
    """Returns a module that its package has already executed on loading, so that it is not executed twice."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Only puts its own spec back."""
        module.__spec__ = self.spec


class _SubmoduleGuard(MetaPathFinder):
    """Loads a deferred package before any of its submodules, which expect their package to be loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = sys.modules.get(fullname.partition(".")[0])
        if isinstance(package, _DeferredModule):
            load(package)
            if fullname in sys.modules:  # the import under way does not look there again
                module = sys.modules[fullname]
                # The import machinery takes the spec of the module itself where there is one.
                module.__spec__ = spec_from_loader(fullname, _AlreadyLoaded(module))
                return module.__spec__
        return None


def load(module: ModuleType) -> None:
    """Executes a deferred module now; does nothing to any other module."""
    with _LOCK:
        if not isinstance(module, _DeferredModule):
            return
        spec = module.__spec__
        assert spec is not None
        assert spec.loader is not None
        object.__setattr__(
            module, "__class__", ModuleType
        )  # from here on it is an ordinary module, also to its own imports
        spec.loader.exec_module(module)


def defer(name: str) -> None:
    """Makes the top-level package ``name`` load on first use. No effect if it is loaded already or not installed."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    object.__setattr__(module, "__class__", _DeferredModule)
    sys.modules[name] = module
    if not any(isinstance(finder, _SubmoduleGuard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SubmoduleGuard())


def is_loaded(name: str) -> bool:
    """Whether the package has really been executed in this process."""
    return name in sys.modules and not isinstance(sys.modules[name], _DeferredModule)
