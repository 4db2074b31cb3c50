"""What tests share: folders of their own, the tiny plugin, and the command line as a user meets it."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of a test.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Before torch is imported: tests are small and run beside each other, where threads that spin while they wait are 100 times
# as slow.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For ``-n auto``: more than there are cores, since many tests wait for other processes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + (cores + 1) // 2


TINY_PLUGIN = Path(__file__).with_name("tiny_plugin.py")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def isolated(tmp_path_factory):
    """No test reads or writes the user's cache and data. Processes of one run of the tests share a cache."""
    import bench
    from bench.testing import pretend

    pretend.missing()  # sets the pretend device up, which must come before the first backward pass

    patch = pytest.MonkeyPatch()
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    patch.setenv("BENCH_CACHE", str(cache))
    patch.setenv("BENCH_DATA", str(tmp_path_factory.mktemp("data")))
    patch.setenv("PYTHONPATH", str(Path(bench.__file__).parent.parent))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    """No test leaves the folder of its plugins where others find modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture(scope="session")
def tiny_plugin():
    """The path of the tiny plugin, as text."""
    return str(TINY_PLUGIN)


@pytest.fixture(scope="session")
def registries(tiny_plugin):
    """All parts, with those of the tiny plugin."""
    from bench import plugins

    return plugins.load([tiny_plugin])


@pytest.fixture(scope="session")
def plan(registries):
    """Plans cells of the tiny dataset: ``plan("random", ipcs=(2,))``."""
    from bench.data.spec import parse_dataset
    from bench.running.options.request import Request
    from bench.running.plan.plan import plan

    def planned(*methods, dataset="tiny", ipcs=(1,), seeds=(0,), settings=("dense",), **rest):
        datasets = (parse_dataset(dataset, registries),)
        request = Request(
            methods, datasets, ipcs, seeds, settings, rest.pop("profile", None), rest.pop("overrides", {}), **rest
        )
        return plan(request, registries)

    return planned


@pytest.fixture
def context(tmp_path):
    """Where cells of one test run."""
    from bench.running.cell.context import Context

    return Context(tmp_path / "out", tmp_path / "cache", "cpu", 1)


@pytest.fixture(scope="session")
def reporter():
    """A reporter that nobody listens to."""
    from bench.core.reporter import Reporter

    return Reporter(lambda phase, step, total, loss: None, lambda line: None)


@pytest.fixture(scope="session")
def bench_cli(tmp_path_factory):
    """Runs ``python -m bench`` in a process of its own, by default in a new empty folder."""

    def run(*arguments, cwd=None, env=None, timeout=120):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *map(str, arguments)],
            cwd=cwd or tmp_path_factory.mktemp("cwd"), env={**os.environ, **(env or {})},
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


def in_this_process(*arguments):
    """Runs a command line in this process: quick, where nothing depends on a fresh one."""
    from bench.cli.main import main

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = end.code
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def bench_main():
    """`in_this_process`."""
    return in_this_process


@pytest.fixture
def interruptible():
    """Processes that a test starts can be interrupted, also where the tests run in the background and ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def in_process(monkeypatch):
    """Has `bench_main` carry cells out in this process, where a test sees them and what it has changed holds."""
    from tests.in_process import InProcess

    monkeypatch.setattr("bench.running.engines.local.Local", InProcess)


@pytest.fixture(scope="session")
def finished(bench_main, tiny_plugin, tmp_path_factory):
    """The folder, arguments and outcome of one finished run of four methods; tests copy what they change."""
    out = tmp_path_factory.mktemp("finished") / "out"
    arguments = ["run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "full,random,herding,tiny-walk"]
    return out, arguments, bench_main(*arguments, "--out", out)
