"""Judge a stored set again: train new networks on it and test them. Nothing is distilled.

python -m bench evaluate results/artefacts/3f2a...            a folder with memory.safetensors and manifest.json
python -m bench evaluate SET --datasets folder:clips          the real clips have moved
python -m bench evaluate SET --nets cnn-gru,slow_r50          other networks than the set's own
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import Dataset, Geometry
from bench.cli.shared import add_plugin, load_parts
from bench.core import paths
from bench.core.errors import BenchError
from bench.core.paths import possible
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
    parser.add_argument("path", type=possible, metavar="PATH", help="folder of a stored set")
    parser.add_argument(
        "--datasets",
        metavar="D",
        help="where the real test clips are (default: the dataset it was made from; for clips of your own, say folder:PATH)",
    )
    parser.add_argument(
        "--root", type=possible, metavar="DIR", help="the dataset's folder (default: data/NAME, or BENCH_DATA/NAME)"
    )
    parser.add_argument("--protocol", metavar="NAME", help="a protocol other than the set's own")
    parser.add_argument(
        "--nets", "--network", metavar="A,B", help="networks other than the set's own (see `list networks`), or all"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N, or auto (default)")
    add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Loads, trains, tests, prints."""
    from bench.results.artefacts import load_set

    registries = load_parts(args.plugin)
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
            by_network = {
                network.name: evaluate_set(synthetic, test, store.classes, clip, network, protocol, builder, reporter)
                for network in networks
                if network.name not in refusals
            }
    report = count_set(synthetic, None)
    computed = "" if cell.precision == FULL else f" in {cell.precision}"
    if store.digest != digest:
        print("note: these are not the real clips that the set was made from", file=sys.stderr)
    what = printable(f"{cell.method} on {index.dataset}")
    print(f"{what}, {len(synthetic)} clips, {report.storage_bytes} bytes stored")
    for name, evaluations in by_network.items():
        print(
            f"protocol {protocol.name}/{protocol.version}, network {name}{computed}, {len(test)} {cell.judged_on} clips"
        )
        for evaluation in evaluations:
            fit = "" if evaluation.fitted else "  (did not fit its set)"
            print(
                f"  network {evaluation.network}: accuracy {100 * evaluation.accuracy():.2f} %, "
                f"training {100 * evaluation.train_accuracy:.1f} %{fit}"
            )
        mean = sum(evaluation.accuracy() for evaluation in evaluations) / len(evaluations)
        print(f"mean accuracy {100 * mean:.2f} % over {len(evaluations)} networks")
    for reason in refusals.values():
        print(f"left out: {reason}", file=sys.stderr)
    return 0


def _dataset(args: argparse.Namespace, registries: Registries, manifest: dict[str, Any]) -> Dataset[Any]:
    """The dataset with the real test clips."""
    from bench.data.spec import parse_dataset
    from bench.results.artefacts import made_from

    if args.datasets is not None:
        return parse_dataset(args.datasets, registries, args.root)
    dataset = made_from(manifest, registries, args.root)
    if dataset is None:
        name, shown = manifest["dataset"]["name"], manifest["cell"]["dataset"]
        raise BenchError(
            f"--datasets: say where the real clips are now, as {name}:PATH (the set was made from {shown})"
        )
    return dataset
