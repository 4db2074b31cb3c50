"""What becomes of the Slurm jobs of a run: those that end are replaced, unless one after another ends before its worker came."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from typing_extensions import override

from bench.core.errors import BenchError
from bench.running.engines.clusters import Cluster, Pace, known

# So many jobs in a row that end before their worker came end the run.
_FUTILE_JOBS = 3

# How long Slurm may take to answer.
_ANSWER_SECONDS = 60.0

# What dask and Slurm say of any end.
_MEANS_NOTHING = re.compile(r" - distributed\S* - INFO - |^slurmstepd: .* CANCELLED AT |^-+$")

_LONGEST_LINE = 200


@final
class Jobs(Cluster):
    """The cluster of dask-jobqueue, with an eye on its jobs.

    Args:
        cluster, client: of dask.
        logs: the folder with the output of jobs.
        log: told lines for the user.
        pace: see there.
        check: asks Slurm whether it takes jobs at all; raises what it says if not.
    """

    def __init__(
        self, cluster: Any, client: Any, logs: Path, log: Callable[[str], None], pace: Pace, check: Callable[[], None]
    ) -> None:
        self.client = client
        self._cluster = cluster
        self._logs = logs
        self._log = log
        self._pace = pace
        self._check = check
        self._joined = 0
        self._futile = 0

    @override
    def look(self, waiting: int, joined: Collection[str]) -> None:
        if not self._pace.is_due():
            return
        if len(joined) > self._joined:
            self._joined, self._futile = len(joined), 0
        present = {str(facts["name"]) for facts in (known(self.client) or {}).values()}
        jobs: dict[str, Any] = dict(self._cluster.workers)  # before Slurm is asked: all of them were submitted by then
        lacking = {name: job for name, job in jobs.items() if not self._workers_of(name) & present}
        if not waiting or (not lacking and jobs):
            self._pace.fine()
            return
        try:
            queue = queued()
        except BenchError as error:
            if self._pace.is_time_to_say():
                self._log(f"{error}; waiting; Ctrl-C stops")
            return
        states = {job.job_id: queue[job.job_id] for job in lacking.values() if job.job_id in queue}
        ended = {name: job for name, job in lacking.items() if job.job_id not in states}
        if any(job.job_id is None for job in ended.values()):
            self._check()  # it has not taken them
        if ended:
            # Dask asks for others then; by itself it does not see that a job has ended before its worker came.
            _mark_closed(ended.values())
            self._cluster.loop.add_callback(self._give_up, list(ended))
        futile = [job.job_id for job in ended.values() if job.job_id is not None and job.job_id not in joined]
        self._futile += len(futile)
        running = [job_id for job_id, (state, _) in states.items() if state == "RUNNING"]
        if futile:
            words = _last_words(self._logs, futile[-1])
            if self._futile >= _FUTILE_JOBS and not running and not present:
                raise BenchError(
                    f"--engine slurm: {self._futile} jobs in a row ended before their worker came; {words}"
                )
            self._log(f"job {futile[-1]} ended before its worker came ({words}); another is asked for")
        if present:
            self._pace.fine()
        elif self._pace.is_time_to_say():
            self._log(_awaited(len(self._cluster.worker_spec), states, len(running)))

    async def _give_up(self, names: Sequence[str]) -> None:
        with contextlib.suppress(Exception):  # what Slurm does not take now is asked for again
            await self._cluster.scale_down(names)

    def _workers_of(self, name: str) -> set[str]:
        """The names of the workers of a job."""
        suffixes: Sequence[str] = self._cluster.worker_spec.get(name, {}).get("group", [""])
        return {f"{name}{suffix}" for suffix in suffixes}


def closing(cluster: Any) -> None:
    """To be called before the cluster is closed."""
    _mark_closed(dict(cluster.workers).values())


def _mark_closed(jobs: Collection[Any]) -> None:
    """Jobs of dask-jobqueue do not say that they are closed, which dask's cluster asserts of all that somebody still holds."""
    from distributed.core import Status

    for job in jobs:
        job.status = Status.closed


def queued() -> dict[str, tuple[str, str]]:
    """The user's jobs that have not ended: state and reason, by id.

    Raises:
        BenchError: Slurm does not say.
    """
    command = ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%T|%r"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"--engine slurm: squeue does not answer: {error}") from error
    if asked.returncode != 0:
        words = " ".join(asked.stderr.split()) or f"exit code {asked.returncode}"
        raise BenchError(f"--engine slurm: squeue does not answer: {words}")
    lines = [line.split("|", 2) for line in asked.stdout.splitlines()]
    return {line[0].strip(): (line[1], line[2]) for line in lines if len(line) == 3}


def _awaited(asked: int, states: Mapping[str, tuple[str, str]], running: int) -> str:
    """The line for jobs that have brought no worker yet."""
    jobs = "1 job" if asked == 1 else f"{asked} jobs"
    if running:
        return f"{jobs} asked for, {running} started, no worker has come: `squeue --me`, and the logs in OUT/logs; Ctrl-C stops"
    reasons = sorted({reason for state, reason in states.values() if state == "PENDING" and reason != "None"})
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f"{jobs} asked for, none has started{why}: `squeue --me`; Ctrl-C stops"


def _last_words(logs: Path, job_id: str) -> str:
    """The log of a job, and how it ends."""
    for path in sorted(logs.glob(f"*-{job_id}.*")):  # .err before .out
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        lines = [line.strip() for line in lines if line.strip()]
        if lines:
            meant = [line for line in lines if not _MEANS_NOTHING.search(line)]
            return f"{path} ends: {(meant or lines)[-1][:_LONGEST_LINE]}"
    return f"job {job_id} has left no words in {logs}"
