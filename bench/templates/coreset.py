"""NewMethod: a coreset. Replace the rule by which clips are chosen; what is stored of them is seen to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch  # not `from torch import ...`: lists and plans then need not load it
from typing_extensions import override

from bench.api import NoOptions, Task, Workload
from bench.distill.coresets import Coreset
from bench.distill.features import real_features


@final
class NewMethod(Coreset[NoOptions]):
    """IPC real clips a class, those whose embeddings lie nearest the mean of their class."""

    name = "new-method"
    paper = ""  # "Author et al., VENUE YEAR", shown by `bench list --verbose`

    @override
    def choose(self, task: Task) -> Iterator[torch.Tensor]:
        # All that may be looked at is in `task`: training clips, IPC, networks, generators.
        network = task.trained_network()  # trained once, shared by all cells, and charged as upstream
        for label in range(len(task.classes)):
            own = task.indices(label)  # positions of this class's training clips
            embeddings = real_features(task, network.embedding, own)
            distances = (embeddings - embeddings.mean(dim=0)).square().sum(dim=1)
            yield own[distances.argsort(stable=True)[: task.ipc].cpu()]

    @override
    def clip_passes(self, work: Workload) -> float:
        return float(work.train)  # a forward pass of every training clip; training the network is not counted
