"""A run that is told to end (by a scheduler, a service, a closed terminal) ends like one that is interrupted by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from bench.cli.stopping import interrupted_by_signals
from bench.results.records import RecordStore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these signals are POSIX's")


@pytest.mark.parametrize(
    ("number", "all_of_them"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, False)],
)
def test_a_run_that_is_told_to_end_records_its_cell_and_leaves_nothing(tmp_path, tiny_plugin, number, all_of_them):
    scratch, out = tmp_path / "t", tmp_path / "out"  # short: sockets lie in it
    scratch.mkdir()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "bench", "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "tiny-walk",
            "--set", "tiny-walk.steps=5000", "--out", str(out),
        ],
        cwd=tmp_path, env={**os.environ, "TINY_PAUSE": "0.05", "TMPDIR": str(scratch)}, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # whoever started the tests may ignore it, as nohup does
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    limit = time.monotonic() + 60
    while not list(out.rglob("claims/*/*.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.5)
    if all_of_them:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number, told
    assert "Traceback" not in told
    assert told.endswith("interrupted\n")
    (record,) = RecordStore(out).all()
    assert (record.status, record.reason) == ("interrupted", "stopped by the user; run the same command again to go on")
    assert [
        path for path in scratch.iterdir() if not path.name.startswith("torchinductor_")
    ] == []  # a cache of PyTorch
    assert [path for path in out.rglob(".*") if path.name != ".gitignore"] == []


def test_a_signal_that_somebody_ignores_stays_ignored_and_handlers_come_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with interrupted_by_signals() as stop:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.exit_code() == 130
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGHUP, before)
