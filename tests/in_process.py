"""An engine for tests that watch or change how cells are carried out: one after another in this process."""

from __future__ import annotations

from bench import plugins
from bench.running.engines.engine import Engine
from bench.running.engines.one_cell import run_claimed


class InProcess(Engine):
    """Cells in the process of the test; stands where the local engine does."""

    name = "in-process"

    def __init__(self, jobs=1, threads=None):
        pass

    def run(self, cells, run, emit):
        registries = plugins.load(run.plugin_files)
        for order in cells:
            if not run.is_late():
                run_claimed(order, registries, run, emit)

    def close(self):
        pass
