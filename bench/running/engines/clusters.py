"""The dask clusters that cells may run on: one of this machine alone, or one that is running already. Slurm's is in `slurm`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError

Open = Callable[[ExitStack, Callable[[str], None], Path], Any]
"""Opens a cluster: given a stack that closes it, a function for lines to the user and a folder for logs; returns a client."""


def certificates() -> Any:
    """Keys and certificates made for one run: a cluster that has them takes orders from nobody else.

    Without them, whoever reaches a scheduler, such as any user of its machine, runs code as the user who started it.
    """
    from distributed.security import Security

    return Security.temporary()


def loopback(jobs: int, attempts: int) -> Open:
    """A cluster on this machine that nobody else can reach, nor any other user of it.

    Args:
        jobs: workers, each with one cell at a time.
        attempts: how often a cell whose dask worker dies is tried.
    """

    def start(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Any:
        import dask
        from distributed import Client, LocalCluster

        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": attempts - 1, **closed()}))
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
            memory_limit=0, silence_logs=logging.CRITICAL, protocol="tls://", security=certificates(),
        )  # fmt: skip
        stack.enter_context(cluster)
        return stack.enter_context(Client(cluster))

    return start


def running(address: str) -> Open:
    """The cluster whose scheduler listens at an address; for ``tls://`` dask's own settings name the certificates."""

    def join(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Any:
        import dask
        from distributed import Client

        stack.enter_context(dask.config.set(quiet()))
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            client = stack.enter_context(Client(address, timeout=10))
        except (OSError, TimeoutError) as error:
            raise BenchError(f"--scheduler {address}: no dask scheduler answers there{_of_keys(address)}") from error
        except (TypeError, ValueError, RuntimeError) as error:
            raise BenchError(f"--scheduler {address}: dask cannot connect: {error}{_of_keys(address)}") from error
        if address.startswith("tcp://"):
            log(
                f"{address} is not encrypted: whoever reaches it can run code as its user; docs/cluster.md says how to use tls://"
            )
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        log(f"{count} workers" if count else "the cluster has no worker yet; waiting for one")
        return client

    return join


def _of_keys(address: str) -> str:
    """What else may be wrong with an encrypted address."""
    if not address.startswith("tls://"):
        return ""
    return "; it asks for certificates that dask's settings under distributed.comm.tls name, those of the scheduler"


def closed() -> dict[str, Any]:
    """Settings of dask for a cluster of the suite's own: it answers nothing over HTTP."""
    return {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": [], **quiet()}


def quiet() -> dict[str, Any]:
    """Settings of dask: what happens to workers is told by the engine."""
    return {"logging": {"distributed": "critical"}, "distributed.admin.large-graph-warning-threshold": "1 GB"}
