"""The engine that a run's options name, and what has to go together for it."""

from __future__ import annotations

import importlib.util
import re
import shutil
from typing import TYPE_CHECKING

from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.running.engines.engine import Engine
    from bench.running.options.options import RunOptions


def check(options: RunOptions) -> None:
    """Refuses what does not go together, before anything is planned.

    Raises:
        BenchError: with what would do.
    """
    engine, scheduler, cluster, jobs = options.engine, options.scheduler, options.cluster, options.jobs
    if scheduler is not None and engine != "dask":
        raise BenchError(f"--scheduler: it is for --engine dask, not {engine}")
    if scheduler is not None and re.fullmatch(r"(tcp|tls)://[^\s/:]+:\d{1,5}", scheduler) is None:
        raise BenchError(f"--scheduler: '{scheduler}' is no address (valid: tcp://HOST:PORT, tls://HOST:PORT)")
    if scheduler is not None and jobs is not None:
        raise BenchError("--jobs: the cluster of --scheduler has as many workers as it has; leave one of the two out")
    if (cluster is not None) != (engine == "slurm"):
        raise BenchError("--engine slurm and --cluster FILE.toml go together; docs/cluster.md shows a file")
    if engine == "slurm" and jobs is not None:
        raise BenchError("--jobs: with --engine slurm write it as 'jobs' into the file of --cluster")
    if engine != "local":
        _require(engine, "distributed")
    if options.debug and (engine != "local" or (jobs or 1) > 1):
        raise BenchError("--debug: cells run in this process, one after another; leave --engine and --jobs out")
    if cluster is not None:
        from bench.running.engines.slurm import read

        read(cluster)
    if engine == "local" or options.dry_run:
        return
    if scheduler is None:  # it starts one, and makes keys for it
        _require(engine, "cryptography")
    if engine == "slurm":
        _require(engine, "dask_jobqueue")
        if shutil.which("sbatch") is None:
            raise BenchError(
                "--engine slurm: no 'sbatch' on this machine; run it where Slurm jobs are submitted, or with --dry-run"
            )


def _require(engine: str, package: str) -> None:
    if not _is_installed(package):
        name = "dask" if package == "distributed" else package.replace("_", "-")
        raise BenchError(f"--engine {engine}: {name} is not installed; pip install 'video-distillation-bench[cluster]'")


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def preview(options: RunOptions) -> str | None:
    """What an engine would submit elsewhere, for a dry run; None if nothing."""
    if options.cluster is None:
        return None
    if not _is_installed("dask_jobqueue"):
        return "The script of each job is shown where dask-jobqueue is installed."
    from bench.running.engines.slurm import job_script, read

    script = job_script(read(options.cluster), options.per_gpu, options.out.absolute() / "logs")
    return f"The script of each job:\n\n{script}"


def is_elsewhere(options: RunOptions) -> bool:
    """Whether cells run on machines whose devices this one does not know."""
    return options.scheduler is not None or options.cluster is not None


def make(options: RunOptions, device: str, threads: int | None = None) -> Engine:
    """The engine.

    Args:
        options: of the run.
        device: that of this machine.
        threads: of torch, that cells on this machine share; None for as many as it takes.
    """
    if options.debug:
        from bench.running.engines.here import Here

        return Here()
    if options.cluster is not None:
        from bench.running.engines.dask import Dask
        from bench.running.engines.slurm import cluster, read

        return Dask(cluster(read(options.cluster), options.attempts, options.per_gpu), owned=False)
    if options.scheduler is not None:
        from bench.running.engines.clusters import running
        from bench.running.engines.dask import Dask

        return Dask(running(options.scheduler), owned=False)
    jobs = options.jobs or _default_jobs(device, options.per_gpu)
    if options.engine == "dask":
        from bench.running.engines.clusters import loopback
        from bench.running.engines.dask import Dask

        return Dask(loopback(jobs, options.attempts), owned=True)
    from bench.running.engines.local import Local

    return Local(jobs, threads)


def _default_jobs(device: str, per_gpu: int) -> int:
    if not device.startswith("cuda"):
        return 1
    if device != "cuda":
        return per_gpu
    import torch

    return per_gpu * torch.cuda.device_count()
