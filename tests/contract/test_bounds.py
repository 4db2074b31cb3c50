"""Every number of every part has bounds, and what the suite itself uses is within them."""

from __future__ import annotations

import pytest

from bench.api import Preset
from bench.core import config
from bench.core.errors import BenchError
from bench.plugins import load
from bench.running.plan.presets import resolve_config

REGISTRIES = load(())
METHODS = REGISTRIES.methods.names()
DATASETS = REGISTRIES.datasets.names()


@pytest.mark.parametrize("name", METHODS)
def test_every_number_of_a_method_has_bounds(name):
    assert config.unbounded(REGISTRIES.methods.get(name).Config) == []


@pytest.mark.parametrize("name", DATASETS)
def test_every_number_of_a_dataset_has_bounds(name):
    assert config.unbounded(REGISTRIES.datasets.get(name).Config) == []


PRESETS = [(name, preset) for name in METHODS for preset in REGISTRIES.methods.get(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_defaults_and_presets_are_within_the_bounds(name: str, preset: Preset) -> None:
    kind = REGISTRIES.methods.get(name)
    config.build(kind.Config, config.as_dict(kind.Config()), name)
    where = (preset.profile or "paper", preset.dataset or "miniucf", preset.ipc or 1, preset.setting or "dense")
    used = config.as_dict(resolve_config(kind, *where, {}))
    assert used.keys() >= preset.values.keys()


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        ("dm", "lr", "-1"), ("dm", "lr", "0"), ("dm", "momentum", "2"), ("dm", "momentum", "1"), ("dm", "steps", "0"),
        ("dm", "steps", "-1"), ("dm", "batch_real", "0"), ("dsa", "steps", "0"), ("dc", "outer_loops", "0"),
        ("dc", "network_lr", "0"), ("frepo", "ridge", "-1"), ("frepo", "pool", "0"), ("frepo", "pool_updates", "0"),
        ("mtt", "experts", "0"), ("mtt", "expert_batch", "0"), ("mtt", "syn_steps", "0"), ("mtt", "rate", "-1"),
        ("dm+sd", "spc", "0"), ("dm+sd", "lr_static", "-1"), ("frepo+sd", "per_clip", "0"), ("static-only", "static_batch", "0"),
        ("codec-h264", "crf", "52"), ("codec-av1", "crf", "0"),
    ],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_refused_before_a_run(method, field, value):
    with pytest.raises(BenchError, match=f"^--set .*: {field}='{value}' is not (at least|above) "):
        resolve_config(REGISTRIES.methods.get(method), "quick", "shapes-mixed", 1, "dense", {field: value})
