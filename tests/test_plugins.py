"""Plugins from files and installed packages: found, told apart, and none stops another."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest

from bench import plugins
from bench.api import Method
from bench.core import source
from bench.core.errors import BenchError

METHOD = """
from bench.api import Method

class {cls}(Method):
    \"\"\"A method.\"\"\"
    name = "{name}"
    def distill(self, task): return task.real_set()
    def stored_bytes(self, work): return 0
    def clip_passes(self, work): return 0.0
"""


@pytest.fixture
def write(tmp_path):
    """Writes a plugin file; returns its path as text."""

    def write(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


@pytest.fixture
def package(tmp_path, monkeypatch, write):
    """Installs a package of the given modules and entry points, the way pip leaves it on disk."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def install(modules, entry_points, dist="distill_extras"):
        for name, text in modules.items():
            write(text, f"{name}.py")
            made.append(name)
        write(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\n", f"{dist}-1.2.dist-info/METADATA")
        lines = "\n".join(f"{name} = {target}" for name, target in entry_points.items())
        write(f"[bench.methods]\n{lines}\n", f"{dist}-1.2.dist-info/entry_points.txt")
        importlib.invalidate_caches()

    yield install
    for name in made:
        sys.modules.pop(name, None)


def reason(registries, name):
    return {plugin.name: plugin.reason for plugin in registries.methods.unavailable()}[name]


def test_the_suites_own_parts_are_all_there_and_available():
    registries = plugins.load()
    assert registries.methods.unavailable() == ()
    assert {"full", "herding", "kcenter", "random", "dm"} <= set(registries.methods.names())
    assert {"shapes-motion", "shapes-appearance", "shapes-mixed", "folder", "ucf101", "miniucf"} <= set(
        registries.datasets.names()
    )
    assert {"standard", "quick"} <= set(registries.protocols.names())
    assert {"convnet3d", "convnet3d-small"} <= set(registries.networks.names())
    assert {"dense", "real"} <= set(registries.sets.names())


def test_a_plugin_file_is_one_more_origin(write):
    path = write(METHOD.format(cls="Mine", name="mine"))
    registries = plugins.load([path])
    assert issubclass(registries.methods.get("mine"), Method)
    assert registries.methods.origin("mine").where == path
    assert set(registries.methods.names()) == {*plugins.load().methods.names(), "mine"}


def test_one_file_may_hold_several_parts_and_aliases(write):
    text = METHOD.format(cls="One", name="one") + METHOD.format(cls="Two", name="two") + "\nAlias = One\n"
    assert {"one", "two"} <= set(plugins.load([write(text)]).methods.names())


def test_abstract_classes_and_imported_ones_are_no_parts(write):
    text = """
    from bench.baselines.random import Random
    from bench.api import Method

    class Base(Method):
        name = "base"
        def stored_bytes(self, work): return 0
        def clip_passes(self, work): return 0.0

    class Final(Base):
        name = "final"
        def distill(self, task): return task.real_set()
    """
    registries = plugins.load([write(text)])
    assert set(registries.methods.names()) == {*plugins.load().methods.names(), "final"}
    assert registries.methods.origin("random").where == "baselines.random"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(BenchError, match=r"--plugin: no file '.*nothing.py'"):
        plugins.load([str(tmp_path / "nothing.py")])


def test_a_part_without_a_name_is_an_error(write):
    path = write(METHOD.format(cls="Mine", name=""))
    with pytest.raises(BenchError, match=r"mine.py: class Mine needs a class attribute 'name' \(a string\)"):
        plugins.load([path])


def test_a_name_that_is_taken_is_an_error_with_both_origins(write):
    path = write(METHOD.format(cls="Mine", name="dm"))
    with pytest.raises(BenchError, match=r"method 'dm' is defined twice: in methods.dm and in .*mine.py"):
        plugins.load([path])


def test_the_same_file_given_twice_counts_once(write):
    path = write(METHOD.format(cls="Mine", name="mine"))
    assert plugins.load([path, path]).methods.names().count("mine") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit('needs a license')", "needs a license"),
        ("x = 1", "defines no final subclass of Method, Dataset, Network, Protocol or SyntheticSet"),
    ],
)
def test_a_plugin_that_cannot_be_used_says_why_and_stops_nobody_else(write, text, words):
    good = write(METHOD.format(cls="Good", name="good"), "good.py")
    registries = plugins.load([write(text, "bad.py"), good])
    assert words in reason(registries, "bad")
    assert set(registries.methods.names()) == {*plugins.load().methods.names(), "good"}
    with pytest.raises(BenchError, match=r"method 'bad' \(.*bad.py\) is unavailable"):
        registries.methods.get("bad")


def test_installed_packages_are_found_by_their_entry_points(package):
    package({"distill_extras_a": METHOD.format(cls="Extra", name="extra")}, {"extra": "distill_extras_a"})
    registries = plugins.load()
    assert "extra" in registries.methods.names()
    assert registries.methods.origin("extra").where == "distill_extras 1.2"


def test_entry_points_may_name_classes_of_one_module(package):
    text = METHOD.format(cls="One", name="one") + METHOD.format(cls="Two", name="two")
    package({"distill_extras_b": text}, {"one": "distill_extras_b:One", "two": "distill_extras_b:Two"})
    registries = plugins.load()
    assert {"one", "two"} <= set(registries.methods.names())
    assert registries.methods.unavailable() == ()


def test_a_broken_installed_package_stops_nobody_else(package):
    package(
        {"distill_extras_c": "import no_such_module", "distill_extras_d": METHOD.format(cls="Fine", name="fine")},
        {"broken": "distill_extras_c", "fine": "distill_extras_d"},
    )
    registries = plugins.load()
    assert (
        reason(registries, "broken") == "ModuleNotFoundError: No module named 'no_such_module' (distill_extras_c.py:1)"
    )
    assert "fine" in registries.methods.names()


# ----------------------------------------------------------------------------------------------------------------------
# The source of a part: its digest is provenance, its meaning identifies what no version does


def test_the_source_of_a_file_changes_with_its_text_and_not_with_its_line_ends(write):
    text = METHOD.format(cls="Mine", name="mine")
    origins = [
        plugins.load([write(text, "a/mine.py")]).methods.origin("mine"),
        plugins.load([write(text.replace("\n", "\r\n"), "b/mine.py")]).methods.origin("mine"),
        plugins.load([write(text + "# a comment\n", "c/mine.py")]).methods.origin("mine"),
        plugins.load([write(text + "x = 1\n", "d/mine.py")]).methods.origin("mine"),
    ]
    assert len({origin.source for origin in origins}) == 3
    assert origins[0].source == origins[1].source
    assert len(origins[0].source) == 64
    assert len({origin.meaning for origin in origins}) == 2
    assert origins[0].meaning == origins[2].meaning != origins[3].meaning


def test_the_suites_own_parts_are_known_by_version_and_a_plugins_by_what_its_source_means(write):
    registries = plugins.load([write(METHOD.format(cls="Mine", name="mine"))])
    assert registries.methods.origin("dm").meaning is None
    assert registries.meanings(method="dm", network="convnet3d-small", protocol="quick", evaluation_network=None) == {}
    assert registries.meanings(method="mine", network="convnet3d-small") == {
        "method": registries.methods.origin("mine").meaning
    }


def test_the_meaning_of_a_plugin_file_follows_the_helpers_beside_it_and_theirs(write, tmp_path, monkeypatch):
    """A file that is no package's imports what lies beside it where that folder is on the path, as the current one is."""
    monkeypatch.syspath_prepend(tmp_path)
    mine = write("import torch\nimport helper_of_mine\n" + METHOD.format(cls="Mine", name="mine"))

    def meaning(constant):
        write("from deeper_helper import RATE\n", "helper_of_mine.py")
        write(f"RATE = {constant}\n", "deeper_helper.py")
        write("unused = 1\n", "stranger.py")
        for name in ("helper_of_mine", "deeper_helper"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return plugins.load([mine]).methods.origin("mine").meaning

    before = meaning(1)
    assert meaning(1) == before
    assert meaning("1  # the same") == before
    assert meaning(2) != before


def test_a_helper_in_a_folder_without_an_init_file_counts_too(write, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write("RATE = 1\n", "folder_of_helpers/deep.py")
    mine = write("from folder_of_helpers.deep import RATE\n" + METHOD.format(cls="Mine", name="mine"))
    importlib.invalidate_caches()
    names = source.sources(sys.modules[plugins.load([mine]).methods.get("mine").__module__])
    assert "folder_of_helpers.deep" in names


def test_a_plugin_adds_a_profile(write):
    text = (
        "from dataclasses import replace\nfrom bench.profiles import QUICK\n"
        "SLOWER = replace(QUICK, name='slower', protocol='standard')\n"
    )
    registries = plugins.load([write(text)])
    assert registries.profiles.names() == ("quick", "paper", "slower")
    assert registries.profiles.get("slower").protocol == "standard"


def test_a_profile_of_a_name_that_is_taken_is_an_error(write):
    text = "from dataclasses import replace\nfrom bench.profiles import QUICK\nMINE = replace(QUICK, protocol='x')\n"
    with pytest.raises(BenchError, match=r"profile 'quick' is defined twice: in bench.profiles and in .*mine.py"):
        plugins.load([write(text)])
