"""Every matching objective learns every kind of set, through ``render()`` and ``stored()`` alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench.methods.dc import DC, DCConfig
from bench.methods.dm import DM, DMConfig
from bench.methods.dsa import DSA
from bench.methods.frepo import FRePo, FRePoConfig
from bench.methods.mtt import MTT, MTTConfig

from bench.api import SyntheticSet, Task
from bench.core.rng import generator
from bench.distill.real_start import real_initialisation
from bench.sets.static_dynamic import StaticDynamicSet
from tests.oracle.fake_task import FakeTask

Objective = Callable[[Task, SyntheticSet, dict[str, float]], None]
TRAJECTORIES = {"steps": 2, "syn_steps": 2, "max_start_epoch": 1, "experts": 1, "expert_batch": 4, "expert_lr": 0.1}
REGRESSION = {"steps": 2, "batch_real": 6, "pool": 1, "learn_labels": False}

OBJECTIVES: dict[str, Objective] = {
    "dm": DM(DMConfig(2, 0.0, 3)).match,
    "dc": DC(DCConfig(2, momentum=0.0, batch_real=3)).match,
    "dsa": DSA(DCConfig(2, momentum=0.0, batch_real=3)).match,
    "mtt": MTT(MTTConfig(**TRAJECTORIES)).match,
    "mtt stepwise": MTT(MTTConfig(**TRAJECTORIES, backward="stepwise")).match,
    "frepo": FRePo(FRePoConfig(**REGRESSION)).match,
}


class Unheard(SyntheticSet):
    """A kind of set that no objective can know: a clip is a colour that drifts."""

    name = "unheard"

    def __init__(self) -> None:
        self.labels = torch.tensor([0, 1, 2])
        self.colour = torch.randn(3, 3, 1, 1, 1, generator=generator("colour"))
        self.drift = torch.randn(3, 3, 1, 1, 1, generator=generator("drift"))
        self.texture = torch.randn(3, 1, 16, 16, generator=generator("texture"))

    @classmethod
    def restore(cls, tensors, labels, options):  # type: ignore[no-untyped-def]
        raise AssertionError("not needed here")

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"colour": self.colour, "drift": self.drift, "texture": self.texture}

    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        time = torch.linspace(0, 1, 4).view(1, 1, 4, 1, 1)
        return (self.colour[index] + time * self.drift[index]) * self.texture


def memories() -> StaticDynamicSet:
    rng = generator("memories")
    static, dynamic = torch.randn(3, 2, 3, 16, 16, generator=rng), torch.randn(3, 2, 1, 4, 16, 16, generator=rng)
    hallucinator = 0.1 * torch.randn(3, 4, 3, 3, 3, generator=rng), torch.zeros(3)
    return StaticDynamicSet(torch.arange(3), 4, static=static, dynamic=dynamic, hallucinator=hallucinator)


KINDS: dict[str, Callable[[Task], SyntheticSet]] = {
    "dense": real_initialisation,
    "static-dynamic": lambda task: memories(),
    "unheard": lambda task: Unheard(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_everything_stored_is_learned(objective: str, kind: str) -> None:
    task = FakeTask(classes=3, per_class=4, ipc=1)
    synthetic = KINDS[kind](task)
    before = {name: tensor.clone() for name, tensor in synthetic.tensors().items()}
    OBJECTIVES[objective](task, synthetic, dict.fromkeys(before, 0.01))
    for name, tensor in synthetic.tensors().items():
        assert not torch.equal(tensor, before[name]), name
        assert bool(torch.isfinite(tensor).all())


def test_no_objective_names_a_kind_of_set() -> None:
    folder = Path(__file__).parent.parent.parent / "methods"
    for name in ("dm.py", "mtt.py", "frepo.py", "_unroll.py", "_experts.py"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "isinstance" not in text
        assert "StaticDynamicSet" not in text
        assert "DenseSet" not in text
