"""All that a GPU has to tell, in at most eight minutes: ``python benchmarks/gpu.py`` writes ``gpu.json`` and prints a table.

It needs a GPU, PyTorch, and of the suite's packages numpy, msgspec, filelock, platformdirs, psutil, safetensors and
typing-extensions; what needs others (av, pytorchvideo, scipy) is left out and said so. In four parts, each with a share of the
time; the file is written after each, so that a run that is cut short leaves what it has.

- the machine: its convolution rate and its copying rate;
- the tests of devices (`tests/device/checks.py`): every part, for real;
- a step of every method that learns, beside the same written plainly, and beside what its convolutions take at that rate;
- 200 steps of DM at the published scale: 50 classes, 64 real clips of 16x112x112 each, IPC 1.

``--device cpu --quick`` only shows that it runs.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from bench import plugins  # noqa: E402
from bench.api import ClipShape, Workload  # noqa: E402
from bench.core.precision import computing  # noqa: E402
from bench.nets.flops import flops  # noqa: E402
from bench.plugins import Registries  # noqa: E402
from benchmarks.plain import PLAIN  # noqa: E402
from benchmarks.task import BenchTask  # noqa: E402
from tests.device import checks  # noqa: E402

MINUTES = 8.0
SHARES = {"machine": 0.05, "checks": 0.4, "steps": 0.3, "dm at the published scale": 0.25}
"""Of the time; what a part leaves goes to the next."""

RATES = ("float32", "tf32", "bf16")
QUICK = ClipShape(3, 8, 32, 32)
PUBLISHED = ClipShape(3, 16, 112, 112)
SHARED = ("real-means", "real-gradients", "real-gradients-of-frames")
"""Upstream work that is part of a step; other artefacts are made before."""

VALUES: dict[str, dict[str, Any]] = {
    "batch_real": {"dm": 64, "dc": 32, "dsa": 32, "frepo": 256},
    "syn_steps": {"": 10},
    "experts": {"": 1},
    "max_start_epoch": {"": 1},
    "static_batch": {"": 32},
    "static_steps": {"": 1},
}

Report = dict[str, Any]


def main() -> int:
    """Runs all parts.

    Returns:
        0 if every check passed, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:N or cpu")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything: only whether it runs")
    parser.add_argument("--to", type=Path, default=Path("gpu.json"), metavar="FILE", help="default: gpu.json")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(
            f"--device {args.device}: no CUDA device is available here (--device cpu --quick shows that it runs)"
        )
    device = torch.device(args.device)
    os.environ.setdefault("BENCH_CACHE", tempfile.mkdtemp(prefix="bench-gpu-"))
    registries, report = plugins.load(), {}
    parts: dict[str, Callable[[float], Iterator[Report]]] = {
        "machine": functools.partial(machine, device, args.quick),
        "checks": functools.partial(run_checks, registries, device, args.quick),
        "steps": functools.partial(time_steps, registries, device, args.quick),
        "dm at the published scale": functools.partial(published_dm, registries, device, args.quick),
    }
    start, due = time.monotonic(), 0.0
    for name, part in parts.items():
        due += 60 * MINUTES * SHARES[name]
        with computing("float32"):
            for found in part(start + due):
                report[name] = found
                args.to.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {time.monotonic() - start:.0f} s in all", file=sys.stderr)
    print(table(report))
    return 1 if report["checks"]["failed"] else 0


def synchronise(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Callable[[], object], device: torch.device, rounds: int = 3) -> float:
    """The shortest of some rounds, after one that does not count."""
    found = []
    for _ in range(rounds + 1):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        found.append(time.perf_counter() - start)
    return min(found[1:])


# ----------------------------------------------------------------------------------------------------------------------
# The machine


def machine(device: torch.device, quick: bool, until: float) -> Iterator[Report]:
    """Its name, and its rates: ConvNet3D's second convolution, forward, in IEEE single precision, in TF32 and in bfloat16."""
    found: Report = {"torch": torch.__version__, "device": "cpu", "cores": os.cpu_count()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "device": properties.name,
            "gib": properties.total_memory / 2**30,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    clips, frames = (1, 1) if quick else (32, 16)
    maps = torch.randn(clips, 64, frames, 28, 28, device=device).contiguous(memory_format=torch.channels_last_3d)
    kernel = torch.randn(128, 64, 3, 7, 7, device=device).contiguous(memory_format=torch.channels_last_3d)
    operations = 2.0 * clips * 128 * 64 * 3 * 7 * 7 * frames * 14 * 14

    def rate(precision: str) -> float:
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        given, weight = maps.to(kind), kernel.to(kind)
        with computing("tf32" if precision == "tf32" else "float32"):
            work = functools.partial(torch.nn.functional.conv3d, given, weight, None, (1, 2, 2), (1, 3, 3))
            return operations / seconds(work, device, 1 if quick else 5)

    found["flops"] = {precision: rate(precision) for precision in (RATES if device.type == "cuda" else RATES[:1])}
    source = torch.empty((1 << 24) if quick else (1 << 30), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    found["bytes per second"] = 2 * source.numel() / seconds(lambda: target.copy_(source), device)
    yield found


# ----------------------------------------------------------------------------------------------------------------------
# The tests of devices


def run_checks(registries: Registries, device: torch.device, quick: bool, until: float) -> Iterator[Report]:
    """What passed, what failed and why, what was left out and why."""
    found: Report = {"passed": [], "failed": {}, "left out": {}}
    for name, check in every_check(registries, device, quick):
        if time.monotonic() > until:
            found["left out"][name] = "no time was left"
            continue
        try:
            check()
            found["passed"].append(name)
        except ImportError as error:
            found["left out"][name] = f"needs {error.name}"
        except Exception as error:  # whatever a device makes of it
            found["failed"][name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        yield found
    yield found


def every_check(
    registries: Registries, device: torch.device, quick: bool
) -> Iterator[tuple[str, Callable[[], object]]]:
    """All checks, by name."""
    methods = ["random", "dm"] if quick else registries.methods.names()
    networks = ["convnet3d-small"] if quick else registries.networks.names()
    protocols = ["quick"] if quick else registries.protocols.names()
    share = 0.01 if device.type == "cpu" else 0.05  # other sums, of which learning amplifies the rounding
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in methods:
            yield f"method {name}", functools.partial(checks.method, name, registries, device, place / name, share)
        for label in checks.SETTINGS[: 1 if quick else None]:
            yield f"setting {label}", functools.partial(checks.setting, "dm", label, registries, device, place / label)
        for name in [] if quick else ["dm", "frepo"]:
            yield (
                f"resumed {name}",
                functools.partial(checks.resumed, name, registries, device, place / f"{name}-resumed"),
            )
        for name in checks.SETS:
            yield f"set {name}", functools.partial(checks.kind_of_set, name, device)
        yield "sets under way", functools.partial(checks.sets_under_way, device)
        for name in networks:
            yield f"network {name}", functools.partial(checks.network, name, registries, device)
        yield "dropout", functools.partial(checks.masks, device)
        for name in protocols:
            yield f"protocol {name}", functools.partial(checks.protocol, name, registries, device)
        yield "waits of a test", functools.partial(checks.tests_wait_once, device, registries)
        yield "motion", functools.partial(checks.motion_energy, device)


# ----------------------------------------------------------------------------------------------------------------------
# Steps


def time_steps(registries: Registries, device: torch.device, quick: bool, until: float) -> Iterator[Report]:
    """Seconds of a step of each method that learns, at the clips of `quick` and at the published ones."""
    found: Report = {}
    names = [
        name
        for name in registries.methods.names()
        if "steps" in registries.methods.get(name).Config.__dataclass_fields__
        and registries.methods.origin(name).where.startswith("methods")
    ]
    shapes = {"quick": ("convnet3d-small", QUICK), "published": ("convnet3d", PUBLISHED)}
    for scale in ["quick"] if quick else shapes:
        for name in ["dm", "dc", "mtt", "frepo"] if quick else names:
            if time.monotonic() > until:
                found[f"{name}, {scale}"] = {"left out": "no time was left"}
                continue
            try:
                found[f"{name}, {scale}"] = one_step(registries, name, *shapes[scale], device, quick)
            except (RuntimeError, ImportError) as error:
                found[f"{name}, {scale}"] = {"left out": " ".join(str(error).split())[:300]}
            yield found
    yield found


def values_of(fields: dict[str, Any], name: str, quick: bool) -> dict[str, Any]:
    """Hyper-parameters of a method for one step: those of `VALUES` that it has."""
    found = {}
    for field, by_method in VALUES.items():
        value = by_method.get(name.partition("+")[0], by_method.get(""))
        if field in fields and value is not None:
            found[field] = min(value, 2) if quick else value
    return found


def one_step(
    registries: Registries, name: str, network: str, clip: ClipShape, device: torch.device, quick: bool
) -> Report:
    """Seconds of a step with its real side, those of the same written plainly, and operations, which give the limit."""
    classes, steps = (2, 1) if quick else (10, 5)
    kind, net = registries.methods.get(name), registries.networks.get(network)()
    values = values_of(kind.Config.__dataclass_fields__, name, quick)
    real = min(values.get("batch_real", 8), 64)
    task = BenchTask(classes, real, 1, clip, net, device)
    work = Workload(classes, real * classes, 1, clip, task.setting)
    method, none = (kind(kind.Config(**values, steps=count)) for count in (steps, 0))

    def suite() -> None:
        for artefact in SHARED:
            task.made.pop(artefact, None)
        method.distill(task)

    rounds = 1 if quick else 2
    passes = (method.clip_passes(work) - none.clip_passes(work)) / steps
    found = {"seconds": seconds(suite, device, rounds) / steps, "operations": passes * flops(net, classes, clip)}
    plain = PLAIN.get(name.partition("+")[0]) if "+" not in name else None
    if plain is not None:
        learned = torch.randn(classes, 1, *clip.dims(), device=device, requires_grad=True)
        optimiser = torch.optim.SGD([learned], lr=0.01, momentum=0.5)
        size = values["syn_steps"] if name == "mtt" else real
        found["plain seconds"] = (
            seconds(
                lambda: [plain(task, network, learned, optimiser, size, step) for step in range(steps)], device, rounds
            )
            / steps
        )
    return found


def published_dm(registries: Registries, device: torch.device, quick: bool, until: float) -> Iterator[Report]:
    """Steps of DM with 50 classes, 64 real clips each; as many of 200 as there is time for."""
    classes, real, steps, clip, network = 50, 64, 200, PUBLISHED, "convnet3d"
    if quick:
        classes, real, steps, clip, network = 2, 2, 2, QUICK, "convnet3d-small"
    kind = registries.methods.get("dm")
    net = registries.networks.get(network)()
    start = time.monotonic()
    found: Report = {"classes": classes, "real clips a class": real, "steps": 0, "losses": []}

    class OutOfTime(Exception):
        pass

    class Watched(BenchTask):
        def progress(self, step: int, total: int, **metrics: Any) -> None:
            if "loss" in metrics:
                found["steps"] = step
                if step % 20 == 0 or step == total:
                    found["losses"].append(float(metrics["loss"]))
            if time.monotonic() > until:
                raise OutOfTime

    task = Watched(classes, real, 1, clip, net, device)
    try:
        for first in range(0, steps, 20):  # block by block, so that real sides and steps alternate
            task.made.clear()
            before = found["steps"]
            kind(kind.Config(steps=min(20, steps - first), batch_real=real)).distill(task)
            found["steps"] = before + min(20, steps - first)
            synchronise(device)
            found["seconds"] = time.monotonic() - start
            if device.type == "cuda":
                found["peak GiB"] = torch.cuda.max_memory_allocated(device) / 2**30
            yield found
    except OutOfTime:
        found["seconds"] = time.monotonic() - start
    yield found


# ----------------------------------------------------------------------------------------------------------------------
# The table


def table(report: Report) -> str:
    """What docs/performance.md shows."""
    rate = report["machine"]["flops"]["float32"]
    lines = [
        f"{report['machine']['device']}, PyTorch {report['machine']['torch']}; convolutions at "
        + ", ".join(f"{value / 1e12:.3g} TFLOP/s in {name}" for name, value in report["machine"]["flops"].items())
        + f"; copies at {report['machine']['bytes per second'] / 1e9:.3g} GB/s",
        "",
        f"{len(report['checks']['passed'])} checks passed, {len(report['checks']['failed'])} failed, "
        f"{len(report['checks']['left out'])} left out",
        *(f"- failed: {name}: {why}" for name, why in report["checks"]["failed"].items()),
        "",
        "| step | seconds | written plainly | its convolutions alone |",
        "|---|---|---|---|",
    ]
    for name, step in report["steps"].items():
        if "seconds" in step:
            plain = f"{step['plain seconds']:.3g}" if "plain seconds" in step else ""
            lines.append(f"| {name} | {step['seconds']:.3g} | {plain} | {step['operations'] / rate:.3g} |")
        else:
            lines.append(f"| {name} | left out: {step['left out']} | | |")
    dm = report["dm at the published scale"]
    lines += ["", f"DM, {dm['classes']} classes: {dm['steps']} steps in {dm.get('seconds', 0.0):.3g} s"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
