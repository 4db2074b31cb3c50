"""The dask clusters that cells may run on: one of this machine alone, or one that is running already. Slurm's is in `slurm`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from bench.core.errors import BenchError

LOOK_SECONDS = 10.0
"""How often a cluster is looked at while cells wait."""

SAY_SECONDS = 180.0
"""How often a run that waits says what for."""

# How long a scheduler may take to answer.
_ANSWER_SECONDS = 10.0


class Cluster(ABC):
    """A dask cluster that is open.

    Attributes:
        client: of dask.
    """

    client: Any

    @abstractmethod
    def look(self, waiting: int, joined: Collection[str]) -> None:
        """Says what is waited for, every few minutes. Called about once a second.

        Args:
            waiting: cells that have not ended.
            joined: addresses of the workers that have joined the run so far, and ids of their Slurm jobs.

        Raises:
            BenchError: no worker will come.
        """


Open = Callable[[ExitStack, Callable[[str], None], Path], Cluster]
"""Opens a cluster: given a stack that closes it, a function for lines to the user and a folder for logs."""


@final
class Pace:
    """When something that is waited for is looked at, and when it is told.

    Args:
        clock: seconds that no setting of a clock changes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked = clock()
        self._fine = clock()

    def is_due(self) -> bool:
        """Whether to look again."""
        if self._clock() - self._looked < LOOK_SECONDS:
            return False
        self._looked = self._clock()
        return True

    def fine(self) -> None:
        """Nothing is waited for."""
        self._fine = self._clock()

    def is_time_to_say(self) -> bool:
        """Whether something has been waited for so long that the user is told, again."""
        if self._clock() - self._fine < SAY_SECONDS:
            return False
        self.fine()
        return True


@final
class Standing(Cluster):
    """A cluster whose workers somebody else starts.

    Args:
        client: see there.
        log: told lines for the user.
        pace: see there.
    """

    def __init__(self, client: Any, log: Callable[[str], None], pace: Pace) -> None:
        self.client = client
        self._address: str = client.scheduler.address
        self._log = log
        self._pace = pace

    @override
    def look(self, waiting: int, joined: Collection[str]) -> None:
        if not self._pace.is_due():
            return
        lack = self._lack(joined) if waiting else ""
        if not lack:
            self._pace.fine()
        elif self._pace.is_time_to_say():
            self._log(f"cells wait: {lack}; Ctrl-C stops")

    def _lack(self, joined: Collection[str]) -> str:
        """What keeps cells from running; empty if nothing does."""
        workers = known(self.client)
        if workers is None:
            return f"the scheduler at {self._address} does not answer"
        if not workers:
            return f"{self._address} has no worker; start one with `dask worker {self._address} --nthreads 1`"
        if not any(address in joined for address in workers):
            return f"the workers of {self._address} have not joined the run; their logs say why"
        return ""


def known(client: Any) -> dict[str, dict[str, Any]] | None:
    """The workers that a scheduler knows, by address; None if it does not answer."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.TimeoutError, RuntimeError):
        info = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=_ANSWER_SECONDS)
        return dict(info["workers"])
    return None


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

    def start(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Cluster:
        import dask
        from distributed import Client, LocalCluster

        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": attempts - 1, **closed()}))
        cluster = LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None,
            memory_limit=0, silence_logs=logging.CRITICAL, protocol="tls://", security=certificates(),
        )  # fmt: skip
        stack.enter_context(cluster)
        return Standing(stack.enter_context(Client(cluster)), log, Pace())

    return start


def running(address: str) -> Open:
    """The cluster whose scheduler listens at an address; for ``tls://`` dask's own settings name the certificates."""

    def join(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Cluster:
        import dask
        from distributed import Client

        stack.enter_context(dask.config.set(quiet()))
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            _greet(address)
            client = stack.enter_context(Client(address, timeout=_ANSWER_SECONDS))
        except (OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise BenchError(f"--scheduler {address}: no dask scheduler answers there{_of_keys(address)}") from error
        except Exception as error:  # whatever another program, or another version of dask, makes of it
            words = f"{type(error).__name__}: {error}"
            raise BenchError(
                f"--scheduler {address}: dask cannot connect ({words}); is it a dask scheduler, of the same version?{_of_keys(address)}"
            ) from error
        if address.startswith("tcp://"):
            log(
                f"{address} is not encrypted: whoever reaches it can run code as its user; docs/cluster.md says how to use tls://"
            )
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        log(f"{count} workers" if count else "the cluster has no worker yet; waiting for one")
        return Standing(client, log, Pace())

    return join


def _greet(address: str) -> None:
    """Asks a scheduler who it is. Dask's own client waits without end for one that accepts a connection and says nothing."""
    from distributed import rpc
    from distributed.security import Security

    async def ask() -> None:
        async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
            await scheduler.identity()

    async def limited() -> None:
        await asyncio.wait_for(ask(), _ANSWER_SECONDS)

    with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a loop that runs
        thread.submit(asyncio.run, limited()).result()


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
