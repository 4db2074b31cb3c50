"""``run --log tensorboard``: the event files hold the losses and accuracies of the records, also from worker processes."""

from __future__ import annotations

import sys

import pytest

from bench.api import Evaluation
from bench.results.cells import Cell
from bench.results.records import Record, RecordStore
from bench.running.display.tensorboard import TensorBoardLog, run_name
from bench.running.engines.events import CellFinished, CellLog, CellProgress, CellStarted

pytest.importorskip("tensorboard")

CELL = Cell(
    "dm", 1, {"lr": 3.0}, "shapes-mixed", "f" * 64, {"frames": 8}, "quick", "convnet3d-small", "quick/1", 1,
    "n8-r8-k1-nearest", 0,
)  # fmt: skip


def read(folder):
    """Scalars by tag, as (step, value) pairs, and texts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()
    scalars = {tag: [(entry.step, entry.value) for entry in events.Scalars(tag)] for tag in tags["scalars"]}
    texts = [events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags["tensors"]]
    return scalars, texts


def ended(cell=CELL, **more):
    evaluations = [
        Evaluation(k, ((3 + k, 2 - k), (1, 4)), None, 0.9, True, 0.1, 9, probes={"frozen": 4 + k}) for k in range(2)
    ]
    return Record(cell, "ok", evaluations=tuple(evaluations), **more)


def test_the_events_of_a_cell_are_its_scalars(tmp_path):
    cell_id, title = CELL.id(), CELL.title()
    with TensorBoardLog(tmp_path) as log:
        log.handle(CellProgress("data:shapes-mixed", "data", 1, 2))
        log.handle(CellStarted(cell_id, title))
        for step, loss in ((1, 9.0), (2, 4.0), (3, 1.0)):
            log.handle(CellProgress(cell_id, "distil", step, 3, loss))
        log.handle(CellProgress(cell_id, "evaluate", 7, 20, 0.5))
        log.handle(CellProgress(cell_id, "evaluate", 8, 20, None))
        log.handle(CellLog(cell_id, "a word"))
        log.handle(CellFinished(ended()))
    (folder,) = (tmp_path / "tensorboard").iterdir()
    assert folder.name == run_name(cell_id, title) == f"dm-shapes-mixed-ipc-1-seed-0-{cell_id[:12]}"
    scalars, (text,) = read(folder)
    assert scalars == {
        "distil/loss": [(1, 9.0), (2, 4.0), (3, 1.0)],
        "evaluate/loss": [(7, 0.5)],
        "accuracy/test": [(0, pytest.approx(0.7)), (1, pytest.approx(0.8))],
        "accuracy/train": [(0, pytest.approx(0.9)), (1, pytest.approx(0.9))],
        "accuracy/frozen": [(0, pytest.approx(0.4)), (1, pytest.approx(0.5))],
    }
    assert "lr: 3.0" in text


def test_a_cell_that_goes_on_is_written_behind_and_one_that_starts_anew_in_its_place(tmp_path):
    def part(*steps):
        with TensorBoardLog(tmp_path) as log:
            log.handle(CellStarted(CELL.id(), CELL.title()))
            for step in steps:
                log.handle(CellProgress(CELL.id(), "distil", step, 9, float(step)))
        (folder,) = (tmp_path / "tensorboard").iterdir()
        return [step for step, _ in read(folder)[0]["distil/loss"]]

    assert part(1, 2) == [1, 2]
    (tmp_path / "checkpoints" / CELL.id()).mkdir(parents=True)
    assert part(3, 4) == [1, 2, 3, 4]
    (tmp_path / "checkpoints" / CELL.id()).rmdir()
    assert part(1) == [1]


def test_a_title_makes_a_name_that_every_file_system_takes():
    name = run_name("ab" * 32, "dm+sd · folder:a/b\\c · ipc 1 " + "x" * 300)
    assert name.startswith("dm+sd-folder-a-b-c-ipc-1-x")
    assert name.endswith("-abababababab")
    assert len(name) < 140


def test_a_run_with_workers_writes_what_its_records_say(bench_main, tiny_plugin, tmp_path):
    out = tmp_path / "out"
    done = bench_main(
        "run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "random,tiny-walk", "--jobs", "2", "--out", out,
        "--log", "tensorboard", "--plain",
    )  # fmt: skip
    assert done.code == 0, done.err
    folders = {path.name.rsplit("-", 1)[1]: path for path in (out / "tensorboard").iterdir()}
    records = list(RecordStore(out).all())
    assert sorted(folders) == sorted(record.id[:12] for record in records)
    for record in records:
        scalars, _ = read(folders[record.id[:12]])
        assert [value for _, value in scalars["accuracy/test"]] == pytest.approx(
            [entry.accuracy() for entry in record.evaluations]
        )
        assert len(scalars["evaluate/loss"]) >= len(record.evaluations)
        history = record.history.get("loss", [])
        assert [value for _, value in scalars.get("distil/loss", [])][: len(history)] == pytest.approx(history)


def test_without_the_package_it_says_what_to_install(bench_main, tiny_plugin, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run = bench_main("run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "random", "--log", "tensorboard",
                     "--out", tmp_path)  # fmt: skip
    assert run.code == 2
    assert "--log tensorboard: needs the package tensorboard (pip install tensorboard)" in run.err
    assert not list((tmp_path).glob("cells/*"))


def test_it_is_imported_only_where_it_is_asked_for(bench_main, tiny_plugin, tmp_path, monkeypatch):
    for name in ("bench.running.display.tensorboard", "torch.utils.tensorboard", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it would raise
    run = bench_main("run", "--plugin", tiny_plugin, "--datasets", "tiny", "--methods", "random", "--out", tmp_path)
    assert run.code == 0
    assert not (tmp_path / "tensorboard").exists()
