"""The leaderboards as tables: one for each IPC (or budget in bytes) and temporal setting, then mean ranks over datasets."""

from __future__ import annotations

from collections.abc import Sequence

from bench.tables.columns import columns_of, filled, legend_of
from bench.tables.layout import Layout, Options, every_line, line_table
from bench.tables.mean_ranks import over_datasets, ranks_table
from bench.tables.rows import Leaderboard
from bench.tables.text_table import TextTable


def _tables(boards: Sequence[Leaderboard], options: Options) -> list[TextTable]:
    return [_table(board, options) for board in boards] + list(map(ranks_table, over_datasets(boards)))


def _table(board: Leaderboard, options: Options) -> TextTable:
    """Without the columns that are empty in every row."""
    lines = every_line([board], options)
    return line_table(board.title, filled(columns_of("leaderboard", options.extra), lines), lines, board.remarks)


def _legend(boards: Sequence[Leaderboard], options: Options) -> list[str]:
    return legend_of(columns_of("leaderboard", options.extra), every_line(boards, options), options.intervals)


LAYOUT = Layout(
    name="ipc",
    help="IPC and setting",
    heading="Leaderboards",
    tables=_tables,
    legend=_legend,
    file="leaderboard",
)
