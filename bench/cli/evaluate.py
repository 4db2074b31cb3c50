"""Judge a stored set again, alone: new networks are trained on it and tested; nothing is distilled.

python -m bench evaluate results/artefacts/3f2a...            a folder with memory.safetensors and manifest.json
python -m bench evaluate SET --datasets folder:clips          the real clips lie elsewhere now
python -m bench evaluate SET --nets cnn-gru,slow_r50          on other networks than the set's own
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import plugins
from bench.api import Dataset, Geometry
from bench.core import paths
from bench.core.errors import BenchError
from bench.core.precision import FULL, computing, require
from bench.core.text import printable, split_list
from bench.results.cells import read_cell
from bench.running.options.request import networks as networks_named
from bench.running.plan.planned_dataset import check_tested

if TYPE_CHECKING:
    from bench.plugins import Registries

SUMMARY = "judge a stored set again, without distilling"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``evaluate``."""
    parser.add_argument("path", metavar="PATH", help="folder of a stored set")
    parser.add_argument(
        "--datasets", metavar="D", help="where the real test clips are (default: the dataset it was made from)"
    )
    parser.add_argument("--root", metavar="DIR", help="where the dataset lies (default: data/NAME, or BENCH_DATA/NAME)")
    parser.add_argument("--protocol", metavar="NAME", help="another protocol than the set's own")
    parser.add_argument(
        "--nets", "--network", metavar="A,B", help="other networks than the set's own; see `list networks`, or all"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, or auto (default)")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE.py", help="a plugin file; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """Loads, trains, tests, prints."""
    from bench.results.artefacts import load_set

    registries = plugins.load(args.plugin)
    synthetic, manifest = load_set(Path(args.path), registries)
    try:
        cell, classes, digest = read_cell(manifest["cell"]), list(manifest["classes"]), manifest["dataset"]["digest"]
        dataset = _dataset(args, registries, manifest)
        geometry = Geometry(**cell.geometry)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BenchError(f"{args.path}: manifest.json is damaged: {type(error).__name__}: {error}") from error
    index = dataset.index(geometry)
    if list(index.classes) != classes:
        raise BenchError(
            f"--datasets: the set was made for the classes {', '.join(classes[:3])} ... "
            f"({len(classes)}), the dataset has {', '.join(index.classes[:3])} ... ({len(index.classes)})"
        )
    check_tested(index, cell.judged_on)
    names = (cell.network,) if args.nets is None else networks_named(split_list(args.nets), registries)
    clip = geometry.shape()
    networks = [registries.networks.get(name)() for name in names]
    refusals = {network.name: reason for network in networks if (reason := network.declines(clip)) is not None}
    if len(refusals) == len(networks):
        raise BenchError(f"--nets: {'; '.join(refusals.values())}")
    protocol = registries.protocols.get(args.protocol or cell.protocol.partition("/")[0])()

    import torch

    from bench.core.reporter import Reporter
    from bench.data.clip_store import open_or_build
    from bench.data.pixels import SplitClips
    from bench.judging.evaluate import evaluate_set
    from bench.nets.builder import Builder
    from bench.running.cell.checks import check_set
    from bench.running.cell.costs import count_set
    from bench.running.devices import choose_device
    from bench.running.display.live import make_display
    from bench.running.engines.events import CellProgress

    device = torch.device(choose_device(args.device))
    require(cell.precision, str(device))
    try:
        check_set(synthetic, len(classes), clip, cell.ipc)
    except (BenchError, RuntimeError, IndexError) as error:
        raise BenchError(f"{args.path}: memory.safetensors is damaged: {error}") from error
    with make_display(sys.stderr, plain=None) as display:
        reporter = Reporter(
            step=lambda phase, step, total, loss: display.handle(CellProgress("evaluate", phase, step, total, loss)),  # type: ignore[arg-type]
            log=lambda message: None,
        )
        store = open_or_build(
            dataset, index, geometry, paths.cache_root(), os.cpu_count() or 1,
            lambda done, total: reporter.step("data", done, total, None),
        )  # fmt: skip
        test = SplitClips(store, cell.judged_on, device)
        builder = Builder(device, cell.precision)
        with computing(cell.precision):
            found = {
                network.name: evaluate_set(synthetic, test, store.classes, clip, network, protocol, builder, reporter)
                for network in networks
                if network.name not in refusals
            }
    report = count_set(synthetic, None)
    computed = "" if cell.precision == FULL else f" in {cell.precision}"
    if store.digest != digest:
        print("note: the real clips are not the ones that the set was made from", file=sys.stderr)
    what = printable(f"{cell.method} on {index.dataset}")
    print(f"{what}, {len(synthetic)} clips, {report.storage_bytes} bytes stored")
    for name, evaluations in found.items():
        print(
            f"protocol {protocol.name}/{protocol.version}, network {name}{computed}, {len(test)} {cell.judged_on} clips"
        )
        for entry in evaluations:
            fit = "" if entry.fitted else "  (did not fit its set)"
            print(
                f"  network {entry.network}: accuracy {100 * entry.accuracy():.2f} %, training {100 * entry.train_accuracy:.1f} %{fit}"
            )
        mean = sum(entry.accuracy() for entry in evaluations) / len(evaluations)
        print(f"mean accuracy {100 * mean:.2f} % over {len(evaluations)} networks")
    for reason in refusals.values():
        print(f"left out: {reason}", file=sys.stderr)
    return 0


def _dataset(args: argparse.Namespace, registries: Registries, manifest: dict[str, Any]) -> Dataset[Any]:
    from bench.data.spec import parse_dataset
    from bench.data.standin import stand_in

    if args.datasets is not None:
        return parse_dataset(args.datasets, registries, args.root)
    name, options = manifest["dataset"]["name"], manifest["dataset"]["options"]
    made_from = manifest["cell"]["dataset"]
    if registries.datasets.get(name).takes_argument:
        raise BenchError(
            f"--datasets: say where the real clips are now, as {name}:PATH (the set was made from {made_from})"
        )
    text = ",".join(f"{key}={value}" for key, value in options.items())
    dataset = parse_dataset(f"{name}[{text}]", registries, args.root)
    return stand_in(dataset) if made_from.endswith("(stand-in)") else dataset
