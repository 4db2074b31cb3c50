"""A dask cluster of Slurm jobs: what the file of ``--cluster`` says, and the cluster it gives (through dask-jobqueue)."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from bench.core.errors import BenchError
from bench.core.files import parse_toml, read_text
from bench.running.engines import slurm_keys
from bench.running.engines.clusters import Cluster, Open, Pace, certificates, closed
from bench.running.engines.slurm_jobs import Jobs, closing

# A job that ends at its wall time, or is preempted, takes its worker along, which is not the fault of the cell it was at.
_LOST_JOBS_PER_ATTEMPT = 10

# How long Slurm may take to say whether it would take a job.
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Slurm:
    """The file of ``--cluster``, a field a line.

    Attributes:
        partition: the queue that jobs go to.
        account: who pays, if the cluster asks for it.
        jobs: most jobs at a time; they start and end as there is work.
        gpus: of each job, for as many workers; 0 for one worker on the CPU.
        cpus: cores of each job, shared by its workers.
        memory: of each job, such as ``32GB``.
        wall_time: of each job, ``HH:MM:SS`` or ``D-HH:MM:SS``. A cell that is cut off goes on in the next job.
        interface: the network interface that scheduler and workers listen on; the loopback ``lo`` unless given, which
            only works where jobs run on this machine.
        address: the address of this machine that the scheduler listens on, if it is not the interface's.
        directives: further ``#SBATCH`` options of each job.
        setup: shell lines before a worker starts, such as ``module load cuda``.
        python: the interpreter of the workers; this one unless given.
    """

    partition: str
    account: str = ""
    jobs: int = 1
    gpus: int = 0
    cpus: int = 1
    memory: str = "8GB"
    wall_time: str = "01:00:00"
    interface: str = "lo"
    address: str = ""
    directives: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    python: str = ""


def read(path: Path) -> Slurm:
    """The file of ``--cluster``.

    Raises:
        BenchError: not there, not TOML, an unknown field, or a value of the wrong kind.
    """
    try:
        body = parse_toml(read_text(path))
    except OSError as error:
        raise BenchError(f"--cluster {path}: cannot read it ({error.strerror})") from error
    except ValueError as error:
        raise BenchError(f"--cluster {path}: not TOML: {error}") from error
    fields = {field.name for field in dataclasses.fields(Slurm)}
    unknown = sorted(set(body) - fields)
    if unknown:
        raise BenchError(f"--cluster {path}: no field {', '.join(unknown)} (valid: {', '.join(sorted(fields))})")
    if "partition" not in body:
        raise BenchError(f"--cluster {path}: 'partition' is missing; `sinfo` lists them")
    values = {name: _value(path, name, value) for name, value in body.items()}
    if re.fullmatch(r"(\d+-)?\d{1,2}:\d\d:\d\d", values.get("wall_time", "01:00:00"), re.ASCII) is None:
        raise BenchError(f"--cluster {path}: wall_time '{values['wall_time']}' is not HH:MM:SS or D-HH:MM:SS")
    if re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", values.get("memory", "8GB"), re.ASCII) is None:
        raise BenchError(f"--cluster {path}: memory '{values['memory']}' is no size such as 32GB")
    return Slurm(**values)


def _value(path: Path, name: str, value: Any) -> Any:
    kind = get_type_hints(Slurm)[name]
    least = 0 if name == "gpus" else 1
    if kind is int and not (type(value) is int and value >= least):
        raise BenchError(f"--cluster {path}: {name} = {value!r} is not a whole number of at least {least}")
    if kind is str and not isinstance(value, str):
        raise BenchError(f"--cluster {path}: {name} = {value!r} is not text in quotes")
    if kind not in (int, str):
        if not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
            raise BenchError(f"--cluster {path}: {name} = {value!r} is not a list of texts")
        return tuple(value)
    return value


def cluster(what: Slurm, attempts: int, per_gpu: int) -> Open:
    """The cluster: as many jobs as there is work for, up to the most.

    Args:
        what: the file.
        attempts: how often a cell whose process dies is tried.
        per_gpu: workers that share a GPU.
    """

    def start(stack: ExitStack, log: Callable[[str], None], logs: Path) -> Cluster:
        import dask
        from distributed import Client

        jobqueue = _jobqueue()
        stack.enter_context(dask.config.set(_settings(attempts)))
        logs.mkdir(parents=True, exist_ok=True)
        slurm_keys.sweep(logs)
        name, security = slurm_keys.new_name(), certificates()
        keys = stack.enter_context(slurm_keys.kept(logs, name, security))
        try:
            made = jobqueue.SLURMCluster(
                **_job(what, per_gpu, logs), job_name=name, interface=what.interface, silence_logs=logging.CRITICAL,
                scheduler_options={"dashboard_address": None, **({"host": what.address} if what.address else {})},
                security=security,
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError) as error:
            raise BenchError(f"--engine slurm: the scheduler cannot listen on '{what.interface}': {error}") from error
        stack.callback(slurm_keys.cancel, name)  # whatever cuts the closing short
        stack.enter_context(made)
        stack.callback(closing, made)
        script = made.job_script()
        _check_accepted(script, keys / "job.sh")
        made.adapt(minimum_jobs=0, maximum_jobs=what.jobs, interval="2s", wait_count=10)
        log(f"up to {what.jobs} Slurm jobs in partition {what.partition}; cells start as these do")
        client = stack.enter_context(Client(made))
        return Jobs(made, client, logs, log, Pace(), lambda: _check_accepted(script, keys / "job.sh"))

    return start


def _jobqueue() -> ModuleType:
    """The package dask-jobqueue, which takes Ctrl-C for itself when it is imported."""
    before = signal.getsignal(signal.SIGINT)
    try:
        return importlib.import_module("dask_jobqueue")
    finally:
        signal.signal(signal.SIGINT, before)


def job_script(what: Slurm, per_gpu: int, logs: Path) -> str:
    """The script of each job, with words for what is known only when the run has started."""
    from distributed.security import Security

    _jobqueue()
    from dask_jobqueue.slurm import SLURMJob

    with tempfile.TemporaryDirectory() as made:  # dask-jobqueue makes the folder of logs
        keys = {f"tls_{name}": f"{made}/.keys/{name}.pem" for name in ("ca_file", "worker_cert", "worker_key")}
        address = f"tls://{what.address or what.interface}:PORT"
        job = SLURMJob(address, "NAME", **_job(what, per_gpu, Path(made)), security=Security(**keys))
        return str(job.job_script()).strip().replace(made, str(logs))


def _job(what: Slurm, per_gpu: int, logs: Path) -> dict[str, Any]:
    """What dask-jobqueue makes the script of a job from."""
    workers = max(1, what.gpus * per_gpu)
    return {
        "queue": what.partition, "account": what.account or None, "cores": workers, "processes": workers,
        "job_cpu": what.cpus, "memory": what.memory, "walltime": what.wall_time, "protocol": "tls://",
        "job_extra_directives": [*([f"--gres=gpu:{what.gpus}"] if what.gpus else []), *what.directives],
        "job_script_prologue": [f"export OMP_NUM_THREADS={max(1, what.cpus // workers)}", *what.setup],
        "python": what.python or sys.executable, "local_directory": None,
        "worker_extra_args": ["--memory-limit", "0", "--no-dashboard"], "log_directory": str(logs),
    }  # fmt: skip


def _check_accepted(script: str, file: Path) -> None:
    """Asks Slurm whether it would take the job, without submitting it.

    Raises:
        BenchError: it would not, or does not answer.
    """
    file.write_text(script, encoding="utf-8")
    try:
        asked = subprocess.run(
            ["sbatch", "--test-only", str(file)], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"--engine slurm: sbatch does not answer: {error}") from error
    if asked.returncode != 0:
        words = " ".join(asked.stderr.split()) or f"exit code {asked.returncode}"
        raise BenchError(f"--engine slurm: Slurm does not take the job: {words}")


def _settings(attempts: int) -> dict[str, Any]:
    """Settings of dask."""
    return {
        "distributed.scheduler.allowed-failures": _LOST_JOBS_PER_ATTEMPT * attempts,
        # Jobs are asked for by the time that cells may take: these take long.
        "distributed.scheduler.unknown-task-duration": "1h",
        **closed(),
    }
