"""The engine for debugging: cells one after another in this process, which the first error ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from typing_extensions import override

from bench import plugins
from bench.core.errors import BenchError
from bench.running.engines.engine import Emit, Engine, Order, Run
from bench.running.engines.gpus import own_device
from bench.running.engines.one_cell import run_claimed
from bench.running.engines.watch import who


@final
class Here(Engine):
    """Cells in this process. Nothing protects one from another."""

    name = "here"

    @override
    def run(self, cells: Sequence[Order], run: Run, emit: Emit) -> None:
        registries = plugins.load(run.plugin_files)
        with own_device(run.context.device, run.per_gpu):
            for order in cells:
                if run.is_late():
                    return
                holder = run_claimed(order, registries, run, emit)
                if holder is not None:
                    raise BenchError(f"--debug: {order.planned.title()}: {who(holder)}")

    @override
    def close(self) -> None:
        """Nothing outlives `run`."""
