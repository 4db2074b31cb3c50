"""Errors as the author of a plugin needs them."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from bench.core import traces
from bench.core.errors import BenchError


@pytest.fixture
def raised(tmp_path):
    """The error that ``act()`` of a module raises, and the module's name."""

    def run(text):
        path = tmp_path / "secret folder" / "mine.py"
        path.parent.mkdir()
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("mine_of_traces", path)
        module = sys.modules["mine_of_traces"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with pytest.raises(BaseException) as caught:  # noqa: PT011
            module.act()
        return caught.value

    yield run
    sys.modules.pop("mine_of_traces", None)


def test_the_innermost_line_is_the_plugins_and_not_that_of_a_library(raised):
    error = raised("import json\n\ndef act():\n    helper()\n\ndef helper():\n    json.loads('{')\n")
    found = traces.fault(error, ["mine_of_traces"])
    assert found.reason.startswith("JSONDecodeError: Expecting property name")
    assert found.reason.endswith(" (mine.py:7)")
    assert found == traces.fault(error)  # also where nobody knows whose it is


def test_a_traceback_names_no_folder_of_the_machine(raised, tmp_path):
    error = raised("import json\n\ndef act():\n    json.loads('{')\n")
    text = traces.portable(error)
    assert 'File "mine.py", line 4, in act' in text
    assert "/json/decoder.py" in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text
    assert str(tmp_path) in traces.whole(error)


def test_an_error_that_cannot_say_what_it_is_and_one_that_says_too_much(raised):
    silent = "class Silent(Exception):\n    def __str__(self): raise ValueError\n\ndef act(): raise Silent\n"
    assert traces.fault(raised(silent)).reason == "Silent: it cannot say why (mine.py:4)"
    assert len(traces.portable(ValueError("x" * 1_000_000))) < 30_000


def test_a_mistake_of_the_user_is_told_as_it_is():
    assert traces.fault(BenchError("no such method")).reason == "no such method"


def test_errors_of_a_group_name_no_folder_either(raised, tmp_path):
    error = raised("def act():\n    raise KeyError('one')\n")
    group = RuntimeError("many")
    group.exceptions = (error,)  # as a group of Python 3.11 has them, and its backport in 3.10
    assert traces._files(group) == traces._files(error) != []
    if sys.version_info >= (3, 11):
        text = traces.portable(BaseExceptionGroup("many", [error]))  # noqa: F821
        assert 'File "mine.py", line 2, in act' in text
        assert str(tmp_path) not in text


def test_an_error_that_raises_when_it_is_asked_is_told_all_the_same():
    class Odd(BaseException):
        def __str__(self):
            raise GeneratorExit

    assert traces.fault(Odd()).reason == "Odd: it cannot say why"


def test_what_is_a_plugins_own_lies_in_its_folder_and_is_no_package_installed_below(raised, tmp_path):
    raised("def act():\n    raise KeyError\n")
    home = tmp_path / "secret folder"
    files = {"helper.py": True, ".venv/lib/site-packages/other.py": False, "../beside.py": False}
    assert {file: traces.is_own(str(home / file), "mine_of_traces") for file in files} == files
    assert not traces.is_own("<frozen os>", "mine_of_traces")
