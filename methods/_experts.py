"""Expert trajectories: the parameters that networks pass through while they are trained on the real clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, final

import torch
from typing_extensions import override

from bench.api import Task, Upstream
from bench.core.upload import upload
from bench.distill.functional import flatten, use_masks

if TYPE_CHECKING:
    from bench.core.config import Value


@final
class Experts(Upstream):
    """Networks trained on all training clips by plain SGD (no momentum, no decay); one part an expert.

    They see a batch as networks do that the cell's protocol trains on real clips: `wang2024` mirrors and standardises it, as the
    video release does for its experts.

    A part holds ``theta`` ``(epochs + 1, P)`` float32: the flat parameters at the start and after each epoch.

    Args:
        count: experts.
        epochs: of training. Only epochs that matching can reach need be trained: the rate is constant, so later ones
            change nothing before them.
        lr, batch: of SGD.
    """

    name = "experts"
    of_protocol = True

    def __init__(self, count: int, epochs: int, lr: float, batch: int) -> None:
        self.parts = count
        self.epochs = epochs
        self.lr = lr
        self.batch = batch

    @override
    def key(
        self,
    ) -> Mapping[str, Value]:  # without the number of experts: asking for more of them makes only the new ones
        return {"epochs": self.epochs, "lr": self.lr, "batch": self.batch}

    @override
    def make(self, task: Task, part: int) -> Mapping[str, torch.Tensor]:
        network = task.network(task.rng("expert network", part)).train()
        use_masks(network, task.rng("expert masks", part))
        rng, batches = task.rng("expert order", part), task.rng("expert batches", part)
        index = torch.cat([task.indices(label) for label in range(len(task.classes))])
        labels = torch.cat([torch.full((len(task.indices(c)),), c) for c in range(len(task.classes))])
        optimiser = torch.optim.SGD(network.parameters(), lr=self.lr)
        thetas = [flatten(network.parameters()).detach().cpu()]
        for epoch in range(self.epochs):
            loss = torch.zeros(())
            for chosen in torch.split(torch.randperm(len(index), generator=rng), self.batch):
                views = torch.randint(task.views(), chosen.shape, generator=rng)
                logits = network(task.training_batch(task.clips(index[chosen], views), batches))
                loss = torch.nn.functional.cross_entropy(logits, upload(labels[chosen], task.device))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            thetas.append(flatten(network.parameters()).detach().cpu())
            task.progress(part * self.epochs + epoch + 1, self.parts * self.epochs, loss=loss.detach())
        return {"theta": torch.stack(thetas)}
