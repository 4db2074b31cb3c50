"""The command line as a whole: what a shell completes."""

from __future__ import annotations

import pytest

from bench.cli.main import COMMANDS


@pytest.mark.parametrize(("line", "answers"), [("vdbench ta", "table "), ("vdbench table --by by", "bytes ")])
def test_the_tab_key_completes_commands_and_choices(tmp_path, bench_cli, line, answers):
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    bench_cli(env=asked | {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"})
    assert answer.read_text() == answers


def test_without_a_command_all_commands_are_listed(bench_main):
    outcome = bench_main()
    assert (outcome.code, outcome.out) == (2, "")
    assert all(f"\n    {command}" in outcome.err for command in COMMANDS)
