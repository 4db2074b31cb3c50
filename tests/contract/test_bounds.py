"""Every number of every part has bounds, and what the suite itself uses is within them."""

from __future__ import annotations

import pytest

from bench.api import Preset
from bench.core import config
from bench.core.errors import BenchError
from bench.data.spec import parse_dataset
from bench.plugins import load
from bench.running.plan.presets import resolve_config
from bench.testing import conformance

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


# ----------------------------------------------------------------------------------------------------------------------
# Plugins

PLUGIN = '''
from dataclasses import dataclass
from typing import Annotated
from msgspec import Meta
from bench.api import Count, Method, Positive
from bench.distill.real_start import coreset, random_choice

@dataclass(frozen=True)
class MineConfig:
    lr: Positive = 1.0
    batch: Count = 64
    inner_steps: Annotated[int, Meta(ge=5)] = 50
    loose: int = 3
    free: float | None = None

class Mine(Method[MineConfig]):
    """Some clips."""
    name = "mine"
    Config = MineConfig
    def distill(self, task): return coreset(task, random_choice(task))
    def stored_bytes(self, work): return work.classes * work.ipc * work.clip.values()
    def clip_passes(self, work): return 0.0
'''


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def test_a_plugins_bounds_are_checked_before_a_run(bench_main, plugin, tmp_path):
    words = (
        "run",
        "--plugin",
        plugin,
        "--methods",
        "mine",
        "--datasets",
        "shapes-mixed[train=4,test=2]",
        "--out",
        tmp_path / "out",
    )
    outcome = bench_main(*words, "--set", "mine.lr=0", "--set", "mine.inner_steps=4", "--set", "mine.batch=x")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(
        "error: --set mine: lr='0' is not above 0; inner_steps='4' is not at least 5; batch='x' is not int, at least 1; "
        "fields: lr (float, above 0), batch (int, at least 1), inner_steps (int, at least 5), loose (int), free (float or none)"
    )
    assert not (tmp_path / "out").exists()


def test_the_check_keeps_to_the_bounds_and_names_numbers_without(bench_main, plugin, monkeypatch):
    with conformance.rehearse(plugin) as rehearsal:
        assert rehearsal.small() == {"batch": 4, "inner_steps": 5}
    monkeypatch.setattr(conformance, "results", lambda rehearsal, debug: [])
    outcome = bench_main("check", plugin)
    assert "warning: loose, free: no bounds, so a bad value is only seen in the run" in outcome.out


@pytest.mark.parametrize("option", ["train=0", "test=-1", "size=7", "frames=0", "seed=-1", "train=10001", "size=1001"])
def test_a_dataset_option_that_makes_no_sense_is_refused(option):
    with pytest.raises(BenchError, match=r"^--datasets shapes-mixed: \w+='-?\d+' is not at least \d"):
        parse_dataset(f"shapes-mixed[{option}]", REGISTRIES)
