"""Records as text, in every layout and every format."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from bench.results.records import Record
from bench.tables import raw, text_table
from bench.tables.columns import Extra
from bench.tables.intervals import Intervals, estimator_of
from bench.tables.layout import Options
from bench.tables.layouts import LAYOUTS
from bench.tables.leaderboard import leaderboards
from bench.tables.leaks import Leaks
from bench.tables.mean_ranks import over_datasets
from bench.tables.published import Reported
from bench.tables.rows import Leaderboard

Format = Literal["terminal", "md", "latex", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)

MADE = "Made from the records by"

RESULTS = Path("results")
"""The usual folder of results."""


def command(folder: Path) -> str:
    """What writes the tables of a folder of results."""
    return "python -m bench table --write" + ("" if folder == RESULTS else f" --out {shlex.quote(str(folder))}")


def render(
    records: Iterable[Record],
    fmt: Format | Literal["markdown"] = "terminal",
    by: str = "ipc",
    published: Sequence[Reported] = (),
    extra: Sequence[Extra] = (),
    intervals: Intervals = "student",
    leaks: Leaks | None = None,
    folder: Path = RESULTS,
) -> str:
    """All tables of these records as text that ends in a line break.

    Args:
        records: of any cells.
        fmt: how to write them; ``markdown`` is ``md``.
        by: the layout, one of `bench.tables.layouts.BY`.
        published: figures of papers, to stand beside the measured ones.
        extra: columns of a leaderboard that people see only if they ask. CSV and JSON always have them.
        intervals: how they are made.
        leaks: which test clips leaked into train: leaderboards, CSV and JSON show the accuracy without them, too.
        folder: where the records lie; Markdown says by which command it was made.
    """
    boards = leaderboards(records, published=published, estimator=estimator_of(intervals), leaks=leaks)
    return render_boards(boards, fmt, by, extra, intervals, folder)


def render_boards(
    boards: Sequence[Leaderboard],
    fmt: Format | Literal["markdown"] = "terminal",
    by: str = "ipc",
    extra: Sequence[Extra] = (),
    intervals: Intervals = "student",
    folder: Path = RESULTS,
) -> str:
    """`render` of leaderboards that are made already, with the same kind of intervals."""
    layout, options = LAYOUTS[by], Options(tuple(extra), intervals)
    if fmt == "csv":
        return raw.as_csv(layout.lines(boards, options))
    if fmt == "json":
        return raw.as_json(layout.lines(boards, options), boards, over_datasets(boards))
    tables = layout.tables(boards, options)
    legend = " ".join(layout.legend(boards, options)) if tables else layout.nothing
    if fmt in ("md", "markdown"):
        made = f"{MADE} `{command(folder)}`.\n"
        return "\n".join([f"# {layout.heading}\n", made, text_table.markdown(tables, legend)])
    if not tables:
        return f"{legend}\n"
    write = {"terminal": text_table.terminal, "latex": text_table.latex, "html": text_table.html}[fmt]
    return write(tables, legend)
