"""What a command prints reaches terminals of every encoding; closed pipes and full disks end it as a user expects."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import output
from bench.results.records import RecordStore

ROOT = Path(__file__).parents[2]
BENCH = f"{shlex.quote(sys.executable)} -m bench"


def shell(line, cwd, **env):
    """The exit codes of a pipeline's commands, and what it wrote on standard output and error."""
    script = f"{line}\necho ${{PIPESTATUS[@]}} > codes"
    done = subprocess.run(
        ["bash", "-c", script], cwd=cwd, env={**os.environ, **env}, capture_output=True, timeout=120, check=False
    )
    return [int(code) for code in (cwd / "codes").read_text().split()], done.stdout, done.stderr.decode()


@pytest.mark.parametrize(
    ("encoding", "row"),
    [
        ("utf-8", "36.7 ± 1.5 †"),
        ("latin-1", "36.7 ± 1.5 +"),
        ("cp437", "36.7 ± 1.5 +"),
        ("ascii", "36.7 +/- 1.5 +"),
    ],
)
def test_signs_that_a_terminal_cannot_write_become_ascii(tmp_path, encoding, row):
    codes, out, err = shell(f"{BENCH} table --out {ROOT / 'results'}", tmp_path, PYTHONIOENCODING=encoding)
    assert (codes, err) == ([0], "")
    assert row in out.decode(encoding)
    assert "n x m" in out.decode(encoding) if encoding == "ascii" else "n × m"


def test_errors_and_names_are_written_in_every_terminal(tmp_path):
    codes, _, err = shell(f"{BENCH} run --datasets folder:Straße--日本", tmp_path, PYTHONIOENCODING="ascii")
    assert codes == [2]
    assert "Stra\\xdfe--\\u65e5\\u672c" in err
    assert "Traceback" not in err


def test_every_sign_that_the_suite_prints_has_a_plain_form():
    files = [path for name in ("bench", "methods", "baselines") for path in (ROOT / name).rglob("*.py")]
    signs = {sign for path in files for sign in path.read_text(encoding="utf-8") if not sign.isascii()}
    assert signs
    assert {sign: sign.encode("ascii", output.PLAIN_SIGNS) for sign in signs if b"\\" in plain(sign)} == {}


def plain(sign):
    output.with_guarded_output(lambda: 0)  # registers the handler
    return sign.encode("ascii", output.PLAIN_SIGNS)


@pytest.mark.parametrize(
    "command", ["list", "--help", "list --help", f"table --out {shlex.quote(str(ROOT / 'results'))}"]
)
def test_a_full_disk_is_an_error_of_one_sentence(tmp_path, command):
    codes, _, err = shell(f"{BENCH} {command} > /dev/full", tmp_path)
    assert (codes, err) == ([2], "error: standard output cannot be written (No space left on device)\n")


def test_a_closed_output_is_an_error_before_anything_is_done(tmp_path, tiny_plugin):
    codes, _, err = shell(f"{BENCH} run --plugin {tiny_plugin} --datasets tiny --methods random >&-", tmp_path)
    assert codes == [2]
    assert err == "error: standard output is closed; open it, or send it to a file or to /dev/null\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes"]


@pytest.mark.parametrize(("closed", "line"), [("2>&-", "table --out nowhere"), ("<&- 2>&-", "list --nope")])
def test_other_closed_streams_change_no_exit_code(tmp_path, closed, line):
    assert shell(f"{BENCH} {line} {closed}", tmp_path) == ([2], b"", "")


def test_a_reader_that_goes_away_ends_a_command_as_any_other_tool(tmp_path):
    """`sleep` holds the pipe open for a moment and reads nothing; then the table finds it closed."""
    codes, _, err = shell(f"{BENCH} table --out {ROOT / 'results'} | true", tmp_path)
    assert (codes, err) == ([output.PIPE_CLOSED, 0], "")


@pytest.mark.parametrize(
    ("sink", "code", "last"),
    [("2>&1 | true", 0, ""), ("> /dev/full", 2, "error: standard output cannot be written (No space left on device)")],
)
def test_a_run_goes_on_when_nobody_reads_what_it_prints(tmp_path, tiny_plugin, sink, code, last):
    line = f"{BENCH} run --plugin {tiny_plugin} --protocol tinier --datasets tiny --methods random {sink}"
    codes, _, err = shell(line, tmp_path)
    assert codes[0] == code
    assert [record.status for record in RecordStore(tmp_path / "results").all()] == ["ok"]
    assert err.rpartition("error: ")[1:] == (("error: ", last.removeprefix("error: ") + "\n") if last else ("", err))


def test_an_error_of_writing_is_told_once_and_the_rest_is_dropped():
    class Full(io.RawIOBase):
        calls = 0

        def write(self, data):
            self.calls += 1
            raise OSError(28, "full")

    inner = Full()
    guard = output.Guard(inner, carries_on=False)
    with pytest.raises(output.OutputLost):
        guard.write(b"abc")
    guard.carries_on = True
    assert guard.write(b"abcd") == 4
    assert (inner.calls, guard.error.strerror) == (1, "full")
