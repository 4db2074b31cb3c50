"""The one table of layouts: what `--by` takes, what its help says, and what is rendered."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from bench.cli.main import main
from bench.tables.formats import render
from bench.tables.layouts import BY, LAYOUTS


def test_layouts_are_called_by_their_names():
    assert [layout.name for layout in LAYOUTS.values()] == list(BY) == list(LAYOUTS)
    assert BY[0] == "ipc"


def test_the_help_speaks_of_every_layout(capsys):
    with pytest.raises(SystemExit):
        main(["table", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(layout.help in text for layout in LAYOUTS.values())
    assert f"{{{','.join(BY)}}}" in text


def test_the_help_needs_no_numbers():
    script = (
        "import contextlib, sys\n"
        "from bench.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main(['table', '--help'])\n"
        "assert not {'numpy', 'scipy', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_layout_of_the_table_is_rendered(monkeypatch, make_record):
    monkeypatch.setitem(
        LAYOUTS, "mine", replace(LAYOUTS["ipc"], name="mine", heading="My own", legend=lambda *_: ["Mine."])
    )
    text = render([make_record("dm", [30])], "md", "mine")
    assert text.startswith("# My own\n")
    assert "\nMine.\n" in text


@pytest.mark.parametrize("by", BY)
def test_no_row_with_figures_is_lost_to_programs_but_where_the_layout_has_no_table(make_record, by):
    made = [make_record("dm", [30, 31]), make_record("random", [20, 21]), make_record("mtt", status="oom")]
    lines = render(made, "csv", by).splitlines()
    assert len(lines) == (1 if by in ("probes", "nets") else 4)
