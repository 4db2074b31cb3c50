"""The system's own count of what it killed for memory, as Linux writes it, and what a cell makes of it."""

from __future__ import annotations

import json

import pytest

from bench.results.records import RecordStore
from bench.running.engines import oom_killer
from bench.running.engines.engine import Order, Run
from bench.running.engines.local import Local

KILLS = "low 0\nhigh 0\nmax 7\noom 5\noom_kill 3\noom_group_kill 1\n"
OLD = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


def system(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"proc__self__cgroup": "0::/a/b\n", "sys__fs__cgroup__a__b__memory_dot_events": KILLS}, 3),
        ({"proc__self__cgroup": "0::/\n", "proc__vmstat": "nr_free_pages 7\noom_kill 11\n"}, 11),
        (
            {
                "proc__self__cgroup": "5:memory,cpu:/c\n0::/\n",
                "sys__fs__cgroup__memory__c__memory_dot_oom_control": OLD,
                "proc__vmstat": "oom_kill 11\n",
            },
            2,
        ),
        ({"proc__self__cgroup": "5:memory:/outer\n", "sys__fs__cgroup__memory__memory_dot_oom_control": OLD}, 2),
        ({"proc__vmstat": "nr_free_pages 7\n"}, None),
        ({}, None),
    ],
)
def test_the_count_is_that_of_the_nearest_group_that_keeps_one(tmp_path, files, count):
    assert oom_killer.count(system(tmp_path, **files)) == count


def test_a_cell_that_the_system_kills_goes_on_with_fewer_clips_and_ends_as_oom(
    plan, registries, tiny_plugin, context, monkeypatch
):
    kills = iter(range(100))
    monkeypatch.setattr(oom_killer, "count", lambda: next(kills))  # one more each time that somebody looks
    (cell,) = plan("tiny-broken", overrides={"tiny-broken": {"how": "kill"}})
    events = []
    Local(1).run([Order(cell, "")], Run((tiny_plugin,), context, attempts=2), events.append)
    record = RecordStore(context.out).read(cell.cell.id())
    cause = "SIGKILL; the system ran out of memory and killed it"
    assert (record.status, record.reason) == ("oom", f"its worker process died 2 times ({cause})")
    (note,) = (context.out / "checkpoints").rglob("retried.json")
    kept = json.loads(note.read_text())
    assert (kept["reason"], kept["clips_at_a_time"]) == (f"its worker process died ({cause})", 32)
