"""What the server of worker processes loads, so that none of them has to. Imported nowhere else.

The server does nothing with what it loads: no thread is lost in the fork, and no worker process starts with anything set.
"""

from __future__ import annotations

import warnings

import bench.data.prefetch
import bench.judging.snapshots
import bench.judging.training
import bench.nets.convnet3d
import bench.running.engines.worker_process  # noqa: F401
from bench import plugins
from bench.core.leftovers import adopt_orphans
from bench.running.cell.provenance import commit

warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")  # an orphan has ended
plugins.load(only=())
commit()
adopt_orphans()
