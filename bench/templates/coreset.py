"""NewMethod: a coreset. Replace the rule by which clips are chosen; the rest can stay."""

from __future__ import annotations

from typing import final

import torch  # not `from torch import ...`: lists and plans then need not load it

from bench.api import Method, NoOptions, SyntheticSet, Task, Workload
from bench.distill.real_start import coreset, declines_adaptive, pixel_bytes

_CHUNK = 64  # clips per pass through the network; changes memory, not results


@final
class NewMethod(Method[NoOptions]):
    """IPC real clips a class, those whose embeddings lie nearest the mean of their class."""

    name = "new-method"
    paper = ""  # "Author et al., VENUE YEAR", shown by `bench list --verbose`

    def distill(self, task: Task) -> SyntheticSet:
        """See `Method`. All that may be looked at is in ``task``: training clips, IPC, networks, generators."""
        # Trained on the training clips by the protocol's recipe; made once, shared by all cells, and charged as upstream.
        network = task.trained_network()
        chosen = []
        for label in range(len(task.classes)):
            own = task.indices(label)  # positions of this class's training clips
            with torch.no_grad():
                parts = [own[start : start + _CHUNK] for start in range(0, len(own), _CHUNK)]
                found = torch.cat([network.embedding(task.clips(part)) for part in parts])
            distances = (found - found.mean(dim=0)).square().sum(dim=1)
            chosen.append(own[distances.argsort(stable=True)[: task.ipc].cpu()])
        # The frames that the temporal setting stores, as uint8 pixels: a quarter of float32, and nothing is lost.
        return coreset(task, chosen)

    def stored_bytes(self, work: Workload) -> int:
        """See `Method`. To the byte: plans and byte budgets rely on it."""
        return pixel_bytes(work, 1)

    def clip_passes(self, work: Workload) -> float:
        """See `Method`. A forward pass of every training clip; upstream is counted by itself."""
        return float(work.train)

    def declines(self, work: Workload) -> str | None:
        """Every setting but frames that learning would have to place. Without this method: whole clips only."""
        return declines_adaptive(work, self.name)
