"""The registry: unique names, helpful answers to wrong ones."""

from __future__ import annotations

import pytest

from bench.core.errors import BenchError
from bench.core.registry import Origin, Registry, Unavailable


@pytest.fixture
def registry():
    registry = Registry("method")
    for name in ("herding", "random", "dm"):
        registry.add(name, name.upper(), Origin(f"baselines.{name}", "0" * 64))
    return registry


def test_entries_keep_their_order_and_origin(registry):
    assert registry.names() == ("herding", "random", "dm")
    assert list(registry) == [("herding", "HERDING"), ("random", "RANDOM"), ("dm", "DM")]
    assert len(registry) == 3
    assert registry.get("dm") == "DM"
    assert registry.origin("dm") == Origin("baselines.dm", "0" * 64)


def test_a_second_entry_of_a_name_is_refused_with_both_origins(registry):
    with pytest.raises(BenchError, match="method 'dm' is defined twice") as caught:
        registry.add("dm", "another", Origin("mine.py", "1" * 64))
    assert "baselines.dm" in str(caught.value)
    assert "mine.py" in str(caught.value)
    assert registry.get("dm") == "DM"


def test_an_unknown_name_is_answered_with_close_and_valid_ones(registry):
    with pytest.raises(BenchError) as caught:
        registry.get("herdin")
    assert str(caught.value) == "unknown method 'herdin'; did you mean herding? (valid: dm, herding, random)"


def test_a_name_like_no_other_gets_no_suggestion(registry):
    with pytest.raises(BenchError) as caught:
        registry.get("xyz")
    assert str(caught.value) == "unknown method 'xyz' (valid: dm, herding, random)"
    with pytest.raises(BenchError, match="unknown method 'xyz'"):
        registry.origin("xyz")


def test_an_unavailable_plugin_says_why(registry):
    plugin = Unavailable("mtt", "mine.py", "ImportError: no module named 'x'")
    registry.add_unavailable(plugin)
    assert registry.unavailable() == (plugin,)
    assert "mtt" not in registry.names()
    with pytest.raises(BenchError, match=r"method 'mtt' \(mine.py\) is unavailable: ImportError: no module named 'x'"):
        registry.get("mtt")
