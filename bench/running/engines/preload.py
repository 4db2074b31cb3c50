"""What the server of worker processes loads, so that none of them has to. Imported nowhere else.

The server does nothing with what it loads: no thread is lost in the fork, and no worker process starts with anything set.
"""

from __future__ import annotations

import importlib
import warnings

from bench import plugins
from bench.core.leftovers import adopt_orphans
from bench.running.cell import surroundings
from bench.running.cell.provenance import commit

for name in (
    "torch._dynamo",  # what creating an optimiser loads takes longer than all else that a worker does before its first step
    "safetensors.torch",
    "bench.data.prefetch",
    "bench.judging.snapshots",
    "bench.judging.training",
    "bench.nets.convnet3d",
    "bench.running.engines.worker_process",
):
    importlib.import_module(name)
warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")  # an orphan has ended
plugins.load(only=())
commit()
surroundings.members_at_start()
adopt_orphans()
