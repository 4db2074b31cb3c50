"""Figures that papers report, read from ``published.csv``, and which rows of the suite they belong beside."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final, get_args

from bench.core import paths
from bench.core.errors import BenchError

FILE = "published.csv"

COLUMNS = (
    "paper", "dataset", "split", "ipc", "method", "eval_net", "metric", "mean", "std", "storage", "confidence", "source",
)  # fmt: skip

Metric = Literal["top1", "top5"]
Confidence = Literal["first-hand", "secondary"]

# How papers call what the suite calls otherwise. A data set counts only with the split the suite has; any other name of a
# method or a network is compared in lower case, signs between its words as hyphens.
_DATASETS = {
    ("MiniUCF", "4662/1861"): "miniucf",
    ("HMDB51", "5236/1530"): "hmdb51-all-train",
    ("K400", "-"): "kinetics400",
    ("SSv2", "-"): "ssv2",
}
_METHODS = {"DM+S2D": "dm+sd", "MTT+S2D": "mtt+sd", "FRePo+S2D": "frepo+sd", "random real init": "random"}


@final
@dataclass(frozen=True)
class Reported:
    """One figure of a paper.

    Attributes:
        paper: where it was reported.
        dataset: the suite's name of the data set and split, or None where the suite has none.
        ipc: clips per class, or None for the full data.
        method, network: the suite's names, where it has them.
        metric: ``top1`` or ``top5`` accuracy.
        mean, std: fractions; std is None where none was given.
        storage: as printed, or "".
        confidence: ``first-hand``, or ``secondary`` if read in a text that reprints the table.
        source: where it was read.
    """

    paper: str
    dataset: str | None
    ipc: int | None
    method: str
    network: str
    metric: Metric
    mean: float
    std: float | None
    storage: str
    confidence: Confidence
    source: str


def figures_of(out: Path) -> tuple[Reported, ...]:
    """The figures in a folder of results, or else those that come with the suite.

    Raises:
        BenchError: the file cannot be read, or a line of it is not valid.
    """
    own = out / FILE
    return read(own if own.exists() else paths.shipped(f"results/{FILE}"))


def read(path: Path) -> tuple[Reported, ...]:
    """The figures of a file; none if there is no such file.

    Raises:
        BenchError: it cannot be read, or a line of it is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path}: cannot be read ({error})") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> tuple[Reported, ...]:
    """The figures of a CSV text.

    Args:
        text: a header of exactly `COLUMNS`, then one line a figure; accuracies in percent.
        name: what messages call it.

    Raises:
        BenchError: a line is not valid; says which, and why.
    """
    reader = csv.reader(io.StringIO(text))
    try:
        header, *lines = [(values, reader.line_num) for values in reader] or [([], 0)]
    except csv.Error as error:
        raise BenchError(f"{name}, line {reader.line_num}: not CSV: {error}") from error
    if tuple(header[0]) != COLUMNS:
        raise BenchError(f"{name}: its first line is '{','.join(header[0])}', not '{','.join(COLUMNS)}'")
    return tuple(_figure(values, f"{name}, line {number}") for values, number in lines if values)


def beside(
    figures: Sequence[Reported], dataset: str, ipc: int | None, method: str, network: str
) -> tuple[Reported, ...]:
    """The figures that belong beside a row, those read first-hand before others, else in the order given.

    Args:
        figures: as read.
        dataset: name as records hold it; of a stand-in it is never a paper's.
        ipc: clips per class, or None for the full data.
        method, network: names.
    """
    row = (dataset, ipc, method, network)
    of_row = [f for f in figures if (f.dataset, f.ipc, f.method, f.network) == row]
    return tuple(sorted(of_row, key=lambda figure: figure.confidence != "first-hand"))


def _figure(values: Sequence[str], where: str) -> Reported:
    if len(values) != len(COLUMNS):
        raise BenchError(f"{where}: has {len(values)} fields, not {len(COLUMNS)}")
    line = dict(zip(COLUMNS, map(str.strip, values), strict=True))
    for column in ("paper", "dataset", "method", "eval_net", "source"):
        if not line[column]:
            raise BenchError(f"{where}: '{column}' is empty")
    if line["ipc"] != "full" and not re.fullmatch("[1-9][0-9]*", line["ipc"]):
        raise BenchError(f"{where}: ipc '{line['ipc']}' is neither a whole number of at least 1 nor 'full'")
    metric: Metric = "top5" if line["metric"] == "top5" else "top1"
    confidence: Confidence = "secondary" if line["confidence"] == "secondary" else "first-hand"
    for column, value, valid in (("metric", metric, Metric), ("confidence", confidence, Confidence)):
        if line[column] != value:
            raise BenchError(f"{where}: {column} '{line[column]}' is unknown (valid: {', '.join(get_args(valid))})")
    return Reported(
        paper=line["paper"],
        dataset=_DATASETS.get((line["dataset"], line["split"])),
        ipc=None if line["ipc"] == "full" else int(line["ipc"]),
        method=_METHODS.get(line["method"], _name(line["method"])),
        network=_name(line["eval_net"]),
        metric=metric,
        mean=_percentage(line["mean"], where, "mean"),
        std=_percentage(line["std"], where, "std") if line["std"] else None,
        storage=line["storage"],
        confidence=confidence,
        source=line["source"],
    )


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _percentage(text: str, where: str, column: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) > 100:
        raise BenchError(f"{where}: {column} '{text}' is not a number of percent in 0 to 100")
    return round(float(text) / 100, 10)  # 10.7 / 100 is not the float that 0.107 is
