"""Plugins that do what they must not: to their process, to the run that plans them, to the run that imports them. No other cell
meets any of it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench import plugins
from bench.results.claims import Claims
from bench.results.records import RecordStore
from tests.security.hostile import HABITS

HOSTILE = str(Path(__file__).with_name("hostile.py"))
NAMES = {habit.__name__: f"hostile-{habit.__name__.replace('_', '-')}" for habit in HABITS}


def sleepers():
    """Processes that a habit would leave behind."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] == ["sleep", "1000"]:
            found.append(process)
    return {process.pid for process in found}


@pytest.fixture(scope="module")
def run(tiny_plugin, tmp_path_factory, bench_cli):
    """Each habit, and a decent method after all of them: the outcome, the records by method, and how long it took."""
    out, before, start = tmp_path_factory.mktemp("hostile") / "out", sleepers(), time.monotonic()
    outcome = bench_cli(
        "run", "--plugin", tiny_plugin, "--plugin", HOSTILE, "--datasets", "tiny-nearest", "--attempts", "1", "--methods",
        ",".join([*NAMES.values(), "tiny-noise"]), "--out", out, timeout=300,
    )  # fmt: skip
    records = {record.cell.method: record for record in RecordStore(out).all()}
    return outcome, records, time.monotonic() - start, sleepers() - before, out


@pytest.fixture(scope="module")
def decent(tiny_plugin, tmp_path_factory, bench_main):
    """The record of the decent method where no other has been."""
    out = tmp_path_factory.mktemp("decent") / "out"
    bench_main("run", "--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--methods", "tiny-noise", "--out", out)
    return next(RecordStore(out).all())


def test_the_next_cell_is_as_if_it_had_run_alone(run, decent):
    found = run[1]["tiny-noise"]
    assert (found.status, found.changed) == ("ok", ())
    assert found.id == decent.id
    assert (found.evaluations, found.set, found.history) == (decent.evaluations, decent.set, decent.history)
    assert found.provenance["threads"] == decent.provenance["threads"]


@pytest.mark.parametrize(
    ("habit", "told"),
    [
        ("threads", "threads of torch: 1 -> 3"),
        ("onednn", "oneDNN: True -> False"),
        ("patch", "torch.cdist replaced"),
        ("optimiser", "torch.optim.sgd.SGD.step replaced"),
        ("thread", "a thread left running: left"),
    ],
)
def test_a_cell_that_changed_its_process_is_marked(run, habit, told):
    outcome, records, *_ = run
    assert (records[NAMES[habit]].status, records[NAMES[habit]].changed) == ("ok", (told,))
    assert f"its cells changed what all code of their processes shares ({told}); no other cell met that" in outcome.out


def test_a_run_ends_and_nothing_that_was_left_behind_outlives_it(run):
    outcome, records, seconds, left, _ = run
    assert (outcome.code, left) == (1, set())
    assert seconds < 250
    for habit in ("child", "daemon", "forks", "prints"):
        assert records[NAMES[habit]].status == "ok"
    assert records[NAMES["ends"]].reason == "its worker process died (exit code 7)"
    assert len(records) == len(NAMES) + 1


def test_what_a_plugin_prints_does_not_stand_between_the_tables(run):
    assert "a plugin prints" in run[0].err
    assert "a plugin prints" not in run[0].out


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        ("logs_nothing", "TypeError: task.log(): the message is text, not NoneType"),
        ("steps_in_words", "TypeError: task.progress(): step is a whole number, not str"),
        ("loses_a_list", "TypeError: task.progress(): loss is a number or a tensor of one, not list"),
        ("meets_torch", "RuntimeError: "),
        ("raises_what_nobody_catches", "Stop: enough"),
        ("interrupts_itself", "KeyboardInterrupt ("),
        ("leaves_its_generator", "GeneratorExit: early"),
    ],
)
def test_an_error_names_the_line_of_the_plugin_and_keeps_its_traceback(run, bench_main, habit, reason):
    record, out = run[1][NAMES[habit]], run[4]
    lines = Path(HOSTILE).read_text(encoding="utf-8").splitlines()
    assert record.status == "failed"
    assert record.reason.startswith(reason)
    number = int(record.reason.rpartition("hostile.py:")[2].rstrip(")"))
    assert lines[number - 1].startswith("    ")
    assert f'File "hostile.py", line {number}, in {habit}' in record.traceback
    assert str(Path.cwd()) not in record.traceback
    shown = bench_main("status", record.id[:10], "--out", out)
    assert shown.code == 0
    assert f"line {number}, in {habit}" in shown.out
    log = out / "logs" / f"{record.id[:12]}.log"
    assert f"with folders: {log}" in shown.out
    assert f'File "{HOSTILE}", line {number}' in log.read_text()


# ----------------------------------------------------------------------------------------------------------------------
# Planning

PLANNED = """
import os, sys, time
from dataclasses import dataclass
from bench.api import Method, NoOptions

class {name}(Method):
    \"\"\"Plans badly.\"\"\"
    name = "{method}"
    def distill(self, task): return task.real_set()
    def stored_bytes(self, work): {stored}
    def clip_passes(self, work): {passes}
    def declines(self, work): {declines}
"""

FAULTS = {
    "raises": ({"declines": "raise KeyError('here')"}, "KeyError: 'here' (odd.py:"),
    "mistakes": ({"stored": "from bench.core.errors import BenchError; raise BenchError('no idea')"}, "no idea"),
    "exits": ({"passes": "sys.exit(3)"}, "SystemExit: 3 (odd.py:"),
    "negative": ({"stored": "return -5"}, "stored_bytes() gives -5; needed is a whole number of bytes, 0 or more"),
    "text": ({"stored": "return 'many'"}, "stored_bytes() gives 'many'; needed is"),
    "huge": ({"stored": "return 10**30"}, "stored_bytes() gives 1000000000000000000000000000000; needed is"),
    "infinite": ({"passes": "return float('inf')"}, "clip_passes() gives inf; needed is a finite number, 0 or more"),
    "wordless": ({"declines": "return 5"}, "declines() gives 5; needed is a reason or None"),
}


def planned(method, **bodies):
    parts = {"stored": "return 4", "passes": "return 0.0", "declines": "return None"} | bodies
    return PLANNED.format(name=method.title(), method=method, **parts)


def test_what_plugins_do_while_a_run_is_planned_becomes_rows(tmp_path, tiny_plugin, bench_main, monkeypatch):
    monkeypatch.setenv("BENCH_PLUGIN_SECONDS", "20")
    (tmp_path / "odd.py").write_text("".join(planned(name, **bodies) for name, (bodies, _) in FAULTS.items()))
    (tmp_path / "dies.py").write_text(planned("dies", stored="os._exit(0)"))
    (tmp_path / "hangs.py").write_text(planned("hangs", declines="time.sleep(1000)"))
    files = [value for name in ("odd", "dies", "hangs") for value in ("--plugin", tmp_path / f"{name}.py")]
    names = [*FAULTS, "dies", "hangs", "tiny-noise"]
    arguments = ["run", *files, "--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--out", tmp_path / "out"]
    arguments += ["--methods", ",".join(names)]
    dry = bench_main(*arguments, "--dry-run")
    assert dry.code == 0, dry.err
    assert "fail: when it was planned: its process ended (exit code 0)" in dry.out
    outcome = bench_main(*arguments)
    assert outcome.code == 1, outcome.err
    found = {record.cell.method: record for record in RecordStore(tmp_path / "out").all()}
    assert {name: record.status for name, record in found.items()} == dict.fromkeys(names, "failed") | {
        "tiny-noise": "ok"
    }
    for name, (_, reason) in FAULTS.items():
        assert found[name].reason.startswith(f"when it was planned: {reason}"), found[name].reason
    assert found["dies"].reason == "when it was planned: its process ended (exit code 0)"
    assert found["hangs"].reason == "when it was planned: no answer within 20 s"
    assert "odd.py" in found["raises"].traceback


DATASET = """
import os
from bench.api import Dataset
from tests.tiny_plugin import Tiny as Parent

class {name}(Dataset):
    \"\"\"Lists badly.\"\"\"
    name = "{dataset}"
    default_profile = "tiny-nearest"
    def geometry(self, profile): return profile
    def index(self, geometry): {index}
    def read(self, clip, geometry): raise KeyError
"""


def test_a_dataset_that_fails_costs_only_its_own_cells(tmp_path, tiny_plugin, bench_main):
    for name, index in (("raising", "raise KeyError('no list')"), ("ending", "os._exit(0)"), ("listing", "return []")):
        text = DATASET.format(name=name.title(), dataset=name, index=index)
        (tmp_path / f"{name}.py").write_text(text)
    files = [value for name in ("raising", "ending", "listing") for value in ("--plugin", tmp_path / f"{name}.py")]
    outcome = bench_main(
        "run", *files, "--plugin", tiny_plugin, "--datasets", "raising,ending,listing,tiny-nearest", "--methods",
        "tiny-noise", "--out", tmp_path / "out",
    )  # fmt: skip
    assert outcome.code == 1, outcome.err
    found = {record.cell.dataset: record for record in RecordStore(tmp_path / "out").all()}
    assert {name: record.status for name, record in found.items()} == {
        "raising": "failed", "ending": "failed", "listing": "failed", "tiny-nearest": "ok",
    }  # fmt: skip
    assert found["raising"].reason == "when its clips were listed: KeyError: 'no list' (raising.py:11)"
    assert found["ending"].reason == "when its clips were listed: its process ended (exit code 0)"


# ----------------------------------------------------------------------------------------------------------------------
# Imports


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os; os._exit(0)", "its process ended (exit code 0)"),
        ("import time; time.sleep(1000)", "no answer within 3 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process ended (SIGKILL)"),
        ("raise SystemExit('no license')", "SystemExit: no license (bad.py:1)"),
    ],
)
def test_a_plugin_that_ends_or_stops_whoever_imports_it_is_unavailable(tmp_path, text, reason):
    bad = tmp_path / "bad.py"
    bad.write_text(text)
    start = time.monotonic()
    registries = plugins.load([str(bad)], probes=plugins.Probes([str(bad)], seconds=3.0))
    assert [(plugin.name, plugin.reason) for plugin in registries.methods.unavailable()] == [("bad", reason)]
    assert time.monotonic() - start < 60


LASTING = {
    "thread": ("threading.Thread(target=time.sleep, args=(1000,), name='left').start()", "a thread left running: left"),
    "process": ("subprocess.Popen(['sleep', '1000'])", "a process left running: sleep"),
    "fork": ("os.fork() or time.sleep(1000)", "a process left running: python"),
    "atexit": ("atexit.register(lambda: os._exit(77))", "atexit.register called"),
    "closing": ("os.close(1)", "standard output closed or redirected"),
    "stream": ("sys.stdout = open(os.devnull, 'w')", "sys.stdout replaced"),
    "builtin": ("builtins.sum = max", "builtins.sum replaced"),
    "library": ("json.dumps = str", "json.dumps replaced"),
    "class": ("pathlib.Path.read_text = None", "pathlib.Path.read_text replaced"),
    "suite": (
        "bench.core.errors.BenchError = OSError",
        "bench.core.errors.BenchError replaced",
    ),
    "timer": ("signal.alarm(40)", "a timer set"),
    "limit": ("resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, -1))", "the limit RLIMIT_STACK lowered"),
}


def test_a_plugin_whose_import_lasts_is_unavailable_and_this_process_imports_none_of_it(tmp_path):
    imports = "import atexit, builtins, json, os, pathlib, resource, signal, subprocess, sys, threading, time, bench.core.errors"
    files = []
    for name, (text, _) in LASTING.items():
        files.append(str(tmp_path / f"{name}.py"))
        Path(files[-1]).write_text(f"{imports}\n{planned(name)}\n{text}\n", encoding="utf-8")
    before = sleepers()
    registries = plugins.load(files, probes=plugins.Probes(files))
    reasons = {plugin.name: plugin.reason for plugin in registries.methods.unavailable()}
    assert list(reasons) == list(LASTING)
    for name, (_, told) in LASTING.items():
        assert reasons[name].startswith(f"its import changes what the whole run shares: {told}"), reasons[name]
    assert not {Path(file) for file in files} & {
        Path(file) for module in list(sys.modules.values()) if (file := vars(module).get("__file__"))
    }
    del registries
    gc.collect()
    assert sleepers() == before


def test_an_import_that_changes_nothing_for_long_is_none_of_these(tmp_path):
    """Threads and processes that end, what libraries do at their import, limits that are raised."""
    decent = tmp_path / "decent.py"
    decent.write_text(
        "import resource, subprocess, threading, time\nimport av, multiprocessing.pool, numpy, torch.optim, torch.utils.data\n"
        "threading.Thread(target=time.sleep, args=(0.1,)).start()\nsubprocess.run(['true'])\nsubprocess.Popen(['true'])\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\nresource.setrlimit(resource.RLIMIT_NOFILE, (min(soft + 9, hard), hard))\n"
        "import torch\ntorch.ones(2).sum()\n" + planned("decent")
    )
    registries = plugins.load([str(decent)], probes=plugins.Probes([str(decent)]))
    assert registries.methods.unavailable() == ()
    assert "decent" in registries.methods.names()


def test_a_plugin_changes_nothing_of_the_process_that_plans(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("KEPT", "as it was")
    folder, recursion, hook, trace = Path.cwd(), sys.getrecursionlimit(), sys.excepthook, sys.gettrace()
    changing = tmp_path / "changing.py"
    changing.write_text(
        planned("changing") + "\nos.environ.update(KEPT='changed', NEW='1')\nos.chdir('/')\nos.umask(0o007)\n"
        "import gc\nsys.setrecursionlimit(5000)\nsys.excepthook = None\nsys.settrace(lambda *a: None)\ngc.disable()\n"
        "print('printed')\nos.write(1, b'written')\nos.system('echo shouted')\n"
    )
    registries = plugins.load([str(changing)], probes=plugins.Probes([str(changing)]))
    assert registries.methods.unavailable() == ()
    assert "changing" in registries.methods.names()
    assert (os.environ["KEPT"], "NEW" in os.environ, Path.cwd()) == ("as it was", False, folder)
    mask = os.umask(0o022)
    os.umask(mask)
    assert mask != 0o007
    assert (sys.getrecursionlimit(), sys.excepthook, sys.gettrace(), gc.isenabled()) == (recursion, hook, trace, True)
    out, err = capfd.readouterr()
    assert out == ""
    assert all(text in err for text in ("printed", "written", "shouted"))


def test_a_worker_loads_the_plugins_of_its_cell_alone(tmp_path, tiny_plugin, bench_cli):
    """One that breaks torch when it is imported costs its own cells; its neighbour's are as if it were not there."""
    (tmp_path / "rude.py").write_text(
        planned("rude").replace("import os", "import torch\ntorch.set_num_threads(3)\ntorch.cdist = None\nimport os")
    )
    outcome = bench_cli(
        "run", "--plugin", tmp_path / "rude.py", "--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--methods",
        "rude,tiny-noise", "--out", tmp_path / "out",
    )  # fmt: skip
    assert outcome.code == 1, outcome.err
    found = {record.cell.method: record for record in RecordStore(tmp_path / "out").all()}
    assert (found["tiny-noise"].status, found["tiny-noise"].changed) == ("ok", ())
    assert found["tiny-noise"].provenance["threads"] == 1
    assert found["rude"].status == "failed"
    assert set(found["rude"].changed) == {"threads of torch: 1 -> 3", "torch.cdist replaced"}


# ----------------------------------------------------------------------------------------------------------------------
# Debugging


def test_debug_ends_at_the_first_error_with_the_traceback_of_the_plugin(tmp_path, tiny_plugin):
    arguments = ["--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--out", str(tmp_path / "out"), "--debug"]
    command = [sys.executable, "-m", "bench", "run", *arguments, "--methods"]

    def run(*methods):
        return subprocess.run(
            [*command, ",".join(methods)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )

    done = run("tiny-noise", "tiny-broken", "random")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert f'File "{tiny_plugin}", line ' in done.stderr
    assert "ValueError: two\nlines" in done.stderr
    found = {record.cell.method: record.status for record in RecordStore(tmp_path / "out").all()}
    assert found == {"tiny-noise": "ok"}  # what ended before stands, what failed is still to do
    assert not any(Claims(tmp_path / "out").all())


def test_debug_raises_in_planning_and_in_imports_too(tmp_path, tiny_plugin, bench_main):
    (tmp_path / "odd.py").write_text(planned("odd", stored="raise KeyError('here')"))
    (tmp_path / "bad.py").write_text("raise KeyError('at once')")
    rest = ["--plugin", tiny_plugin, "--datasets", "tiny-nearest", "--out", tmp_path / "out", "--debug"]
    with pytest.raises(KeyError, match="here"):
        bench_main("run", "--plugin", tmp_path / "odd.py", "--methods", "odd", *rest)
    with pytest.raises(KeyError, match="at once"):
        bench_main("run", "--plugin", tmp_path / "bad.py", "--methods", "random", *rest)
    outcome = bench_main("run", "--methods", "tiny-noise", "--jobs", "2", *rest)
    assert (outcome.code, "--debug: cells run in this process" in outcome.err) == (2, True)
