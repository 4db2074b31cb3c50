"""The options of ``run`` that say where cells run, and the engine that they name."""

from __future__ import annotations

import argparse
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.running.engines.engine import Engine

ENGINES = ("local", "dask", "slurm")


def add_arguments(group: Any) -> None:
    """The options that are about engines, added to an argument group."""
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="where cells run: processes here (local, default), dask workers, or jobs that dask starts in Slurm",
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="with --engine dask: the running cluster to join, such as tcp://HOST:8786",
    )
    group.add_argument("--cluster", metavar="FILE.toml", help="with --engine slurm: partition, GPUs, wall time ...")


def check(args: argparse.Namespace) -> None:
    """Refuses what does not go together, before anything is planned.

    Raises:
        BenchError: with what would do.
    """
    if args.scheduler is not None and args.engine != "dask":
        raise BenchError(f"--scheduler: it is for --engine dask, not {args.engine}")
    if args.scheduler is not None and re.fullmatch(r"(tcp|tls)://[^\s/:]+:\d+", args.scheduler) is None:
        raise BenchError(f"--scheduler: '{args.scheduler}' is no address (valid: tcp://HOST:PORT)")
    if args.scheduler is not None and args.jobs is not None:
        raise BenchError("--jobs: the cluster of --scheduler has as many workers as it has; leave one of the two out")
    if (args.cluster is not None) != (args.engine == "slurm"):
        raise BenchError("--engine slurm and --cluster FILE.toml go together; docs/cluster.md shows a file")
    if args.engine == "slurm" and args.jobs is not None:
        raise BenchError("--jobs: with --engine slurm write it as 'jobs' into the file of --cluster")
    if args.engine != "local" and importlib.util.find_spec("distributed") is None:
        raise BenchError(
            f"--engine {args.engine}: dask is not installed; pip install 'video-distillation-bench[cluster]'"
        )
    if args.engine == "slurm":
        from bench.running.engines.slurm import read

        read(Path(args.cluster))


def elsewhere(args: argparse.Namespace) -> bool:
    """Whether cells run on machines whose devices this one does not know."""
    return args.scheduler is not None or args.engine == "slurm"


def make(args: argparse.Namespace, device: str) -> Engine:
    """The engine; ``device`` is that of this machine."""
    if args.engine == "slurm":
        from bench.running.engines.dask import Dask
        from bench.running.engines.slurm import cluster, read

        return Dask(cluster(read(Path(args.cluster)), args.attempts, args.per_gpu), owned=False)
    if args.scheduler is not None:
        from bench.running.engines.clusters import running
        from bench.running.engines.dask import Dask

        return Dask(running(args.scheduler), owned=False)
    jobs = args.jobs or _default_jobs(device, args.per_gpu)
    if args.engine == "dask":
        from bench.running.engines.clusters import loopback
        from bench.running.engines.dask import Dask

        return Dask(loopback(jobs, args.attempts), owned=True)
    from bench.running.engines.local import Local

    return Local(jobs)


def _default_jobs(device: str, per_gpu: int) -> int:
    if not device.startswith("cuda"):
        return 1
    if device != "cuda":
        return per_gpu
    import torch

    return per_gpu * torch.cuda.device_count()
