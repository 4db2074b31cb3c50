"""Deferred packages: nothing is executed before it is used, and then once, as if it had never been deferred."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from bench.core import lazy

FILES = {
    "__init__.py": "import builtins\nbuiltins.ran.append(__name__)\nfrom {name} import inner\nanswer = 42\nclass Thing: pass\n",
    "inner.py": "import builtins\nbuiltins.ran.append(__name__)\nfrom {name}.deep import Leaf\nclass Inner: pass\n",
    "deep/__init__.py": "import builtins\nbuiltins.ran.append(__name__)\nclass Leaf: pass\n",
    "later.py": "import builtins\nbuiltins.ran.append(__name__)\nfrom {name} import answer\n",
}


@pytest.fixture
def heavy(tmp_path, monkeypatch, request):
    """The name of a package that notes when it and its modules are executed, and these notes."""
    name = f"heavy_{abs(hash(request.node.nodeid)):x}"
    for file, text in FILES.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=name))
    ran = []
    monkeypatch.setattr("builtins.ran", ran, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield name, ran
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def test_importing_it_any_number_of_times_executes_nothing(heavy):
    name, ran = heavy
    lazy.defer(name)
    for _ in range(3):
        module = importlib.import_module(name)
    assert ran == []
    assert not lazy.is_loaded(name)
    assert sys.modules[name] is module


def test_the_first_attribute_executes_it_once_into_the_same_module(heavy):
    name, ran = heavy
    lazy.defer(name)
    module = importlib.import_module(name)
    assert module.answer == 42
    assert ran == [name, f"{name}.inner", f"{name}.deep"]
    assert lazy.is_loaded(name)
    assert sys.modules[name] is module
    assert module.Thing.__module__ == name
    assert type(module) is type(sys)
    module.answer, module.inner.Inner  # noqa: B018 (again: nothing more happens)
    assert len(ran) == 3
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("submodule", ["inner", "deep", "later"])
def test_importing_a_submodule_loads_the_package_first_and_each_module_once(heavy, submodule):
    name, ran = heavy
    lazy.defer(name)
    found = importlib.import_module(f"{name}.{submodule}")
    assert lazy.is_loaded(name)
    assert ran[:3] == [name, f"{name}.inner", f"{name}.deep"]
    assert sorted(ran) == sorted(set(ran))
    assert found is getattr(sys.modules[name], submodule)
    assert found is sys.modules[f"{name}.{submodule}"]


def test_a_package_that_is_loaded_or_missing_is_left_alone(heavy):
    name, ran = heavy
    module = importlib.import_module(name)
    lazy.defer(name)
    assert sys.modules[name] is module
    assert lazy.is_loaded(name)
    assert len(ran) == 3
    lazy.defer("no_such_package_at_all")
    assert "no_such_package_at_all" not in sys.modules
    assert not lazy.is_loaded("no_such_package_at_all")


def test_loading_an_ordinary_module_does_nothing(heavy):
    name, ran = heavy
    module = importlib.import_module(name)
    lazy.load(module)
    assert len(ran) == 3


TORCH = """
import sys
from bench.core import lazy
lazy.defer("torch")
import torch
import torch
assert not lazy.is_loaded("torch")
import {submodule}
assert lazy.is_loaded("torch")
assert sys.modules["torch"] is torch
assert sys.modules["{submodule}"] is {submodule}
import torch.nn.functional as F
assert F is torch.nn.functional
x = torch.ones(2, requires_grad=True)
torch.optim.SGD([x], lr=1.0)
F.relu(x).sum().backward()
assert x.grad.tolist() == [1.0, 1.0]
"""


@pytest.mark.parametrize("submodule", ["torch.nn.functional", pytest.param("torch.optim", marks=pytest.mark.slow)])
def test_torch_itself_can_be_deferred_and_entered_by_a_submodule(submodule):
    code = TORCH.format(submodule=submodule)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
