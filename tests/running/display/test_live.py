"""The display of a run: its arithmetic, its lines, and that no title can break it."""

from __future__ import annotations

import io

import pytest

from bench.api import Evaluation
from bench.core.text import duration
from bench.results.cells import Cell
from bench.results.records import Record
from bench.running.display.live import SECONDS_BETWEEN_LINES, PlainDisplay, TerminalDisplay, make_display
from bench.running.display.progress import outcome, phase_seconds_left, remaining_seconds
from bench.running.engines.events import CellFinished, CellLog, CellProgress, CellStarted


def record(method="dm", seed=0, status="ok", reason="", dataset="shapes-mixed", correct=(27, 28)):
    cell = Cell(method, 1, {}, dataset, "f" * 64, {"frames": 8}, "quick", "net", "quick/1", 1, "n8-r8-k1-nearest", seed)
    evaluations = [
        Evaluation(k, ((right, 0), (100 - right, 0)), None, 1.0, True, 0.1, 9) for k, right in enumerate(correct)
    ]
    return Record(cell, status, reason, evaluations=tuple(evaluations) if status == "ok" else ())


class Clock:
    """A clock that stands still until it is set."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stream():
    return io.StringIO()


# ----------------------------------------------------------------------------------------------------------------------
# Arithmetic and wording


@pytest.mark.parametrize(
    ("finished", "running", "workers", "expected"),
    [
        ({}, {}, 1, 100.0),
        ({"a": 20.0}, {}, 1, 180.0),
        ({"a": 20.0, "b": 10.0}, {}, 1, 70.0),
        ({"a": 0.0}, {}, 1, 90.0),
        ({"a": 20.0}, {"b": 15.0}, 1, 165.0),
        ({"a": 20.0}, {"b": 500.0}, 1, 140.0),
        ({"a": 20.0}, {}, 2, 140.0),
        ({"a": 10.0}, {}, 2, 70.0),
        ({}, {}, 2, 70.0),
        ({"unknown": 77.0}, {}, 1, 100.0),
    ],
)
def test_remaining_time_scales_the_estimates_by_what_happened(finished, running, workers, expected):
    estimates = {"a": 10.0, "b": 20.0, "c": 70.0}
    assert remaining_seconds(estimates, finished, running, workers) == pytest.approx(expected)


def test_remaining_time_is_shared_by_workers_down_to_the_longest_cell():
    estimates = {str(k): 10.0 for k in range(8)}
    assert remaining_seconds(estimates, {}, {}, 4) == 20
    assert remaining_seconds(estimates, {}, {}, 100) == 10


def test_remaining_time_is_unknown_without_estimates():
    assert remaining_seconds({}, {}, {}, 1) is None
    assert remaining_seconds({"a": 3.0}, {"a": 4.0}, {}, 1) is None


def test_a_phase_that_resumes_late_is_timed_from_there():
    assert phase_seconds_left(first_step=3000, step=3100, total=5000, elapsed=50.0) == 950
    assert phase_seconds_left(1, 1, 10, 0.0) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"), (41, "41 s"), (99.4, "99 s"), (99.5, "2 min"), (180, "3 min"), (5940, "99 min"), (5999, "1 h 40 min"),
        (7500, "2 h 05 min"), (7170, "2 h 00 min"), (172800, "2 d 0 h"), (97200, "27 h 00 min"), (190000, "2 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_like_speech(seconds, text):
    assert duration(seconds) == text


def test_outcomes_in_words():
    assert outcome(record()) == "ok, accuracy 27.5 % (2 networks)"
    assert outcome(record(correct=(40,))) == "ok, accuracy 40.0 % (1 network)"
    assert outcome(record(status="skipped", reason="whole clips\nonly")) == r"skipped (whole clips\x0aonly)"
    assert outcome(record(status="interrupted")) == "interrupted"


# ----------------------------------------------------------------------------------------------------------------------
# Lines


def test_plain_lines_of_a_run(stream, clock):
    cells = [record("random"), record("dm", 1), record("mtt", 2, "skipped", "whole clips only"), record("dc", 3)]
    estimates = {cell.id: seconds for cell, seconds in zip(cells[1:], (20.0, 5.0, 90.0), strict=True)}
    with PlainDisplay(stream, clock) as display:
        display.start(4, 1, estimates)
        display.handle(CellStarted(cells[1].id, cells[1].cell.title()))
        display.handle(CellProgress(cells[1].id, "distil", 1, 100, 2.0))
        clock.now += 40
        display.handle(CellLog(cells[1].id, "kept a checkpoint"))
        display.handle(CellFinished(cells[1]))
        display.handle(CellFinished(cells[2]))
    assert stream.getvalue().splitlines() == [
        "4 cells, 1 done before, 2 min left",
        "[2/4] dm · shapes-mixed · ipc 1 · seed 1: started, 2 min left",
        "dm · shapes-mixed · ipc 1 · seed 1: kept a checkpoint",
        "[2/4] dm · shapes-mixed · ipc 1 · seed 1: ok, accuracy 27.5 % (2 networks), 40 s, 3 min left",
        "[3/4] mtt · shapes-mixed · ipc 1 · seed 2: skipped (whole clips only), 3 min left",
    ]


def test_a_cell_that_goes_on_counts_with_the_time_that_it_had_taken(stream, clock):
    """It took a second here, and two minutes in all, as was thought: the cell after it takes its two minutes."""
    cells = [record("dm", 0), record("dm", 1)]
    with PlainDisplay(stream, clock) as display:
        display.start(2, 0, {cell.id: 120.0 for cell in cells})
        display.handle(CellStarted(cells[0].id, cells[0].cell.title(), 119.0))
        clock.now += 1
        display.handle(CellFinished(cells[0]))
    assert stream.getvalue().splitlines() == [
        "2 cells, 4 min left",
        "[1/2] dm · shapes-mixed · ipc 1 · seed 0: goes on after 2 min, 2 min left",
        "[1/2] dm · shapes-mixed · ipc 1 · seed 0: ok, accuracy 27.5 % (2 networks), 2 min, 2 min left",
    ]


def test_the_last_line_promises_nothing(stream, clock):
    with PlainDisplay(stream, clock) as display:
        display.start(1, 0, {record().id: 5.0})
        display.handle(CellStarted(record().id, "dm"))
        clock.now += 7
        display.handle(CellFinished(record()))
    assert stream.getvalue().endswith("ok, accuracy 27.5 % (2 networks), 7 s\n")


def test_progress_lines_keep_their_distance(stream, clock):
    with PlainDisplay(stream, clock) as display:
        display.start(1, 0, {})
        display.handle(CellStarted("x", "dm"))
        for step in range(1, 1001):
            clock.now += 0.1
            display.handle(CellProgress("x", "distil", step, 2000, 0.123456))
    lines = stream.getvalue().splitlines()[2:]
    assert len(lines) == 3  # 100 seconds
    assert lines[0] == "dm: distil 300/2000, loss 0.1235, 3 min left in distil"
    assert SECONDS_BETWEEN_LINES == 30


def test_each_phase_is_timed_on_its_own(stream, clock):
    with PlainDisplay(stream, clock) as display:
        display.start(1, 0, {})
        display.handle(CellStarted("x", "dm"))
        display.handle(CellProgress("x", "distil", 1, 10))
        clock.now += 1000
        display.handle(CellProgress("x", "evaluate", 100, 300))
        clock.now += 40
        display.handle(CellProgress("x", "evaluate", 200, 300))
    assert stream.getvalue().splitlines()[2:] == ["dm: evaluate 100/300", "dm: evaluate 200/300, 40 s left in evaluate"]


def test_parallel_cells_share_the_time(stream, clock):
    estimates = {str(k): 60.0 for k in range(4)}
    with PlainDisplay(stream, clock) as display:
        display.start(4, 0, estimates)
        for k in range(2):
            display.handle(CellStarted(str(k), f"cell {k}"))
    assert stream.getvalue().splitlines() == [
        "4 cells, 4 min left",
        "[1/4] cell 0: started, 4 min left",
        "[2/4] cell 1: started, 2 min left",
    ]


def test_cells_at_a_time_and_revised_estimates_change_what_is_left(stream, clock):
    cells = [record("dm", seed) for seed in range(4)]
    with PlainDisplay(stream, clock) as display:
        display.start(4, 0, {cell.id: 60.0 for cell in cells}, 2)
        display.handle(CellStarted(cells[0].id, cells[0].cell.title()))
        clock.now += 60
        display.revise({cell.id: 60.0 if cell is cells[0] else 10.0 for cell in cells})
        display.handle(CellFinished(cells[0]))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "4 cells, 2 min left"  # 240 s of work, two at a time
    assert lines[-1].endswith("60 s, 15 s left")


def test_a_failed_cell_does_not_bend_the_estimate(stream, clock):
    failed = record(status="failed", reason="boom")
    with PlainDisplay(stream, clock) as display:
        display.start(2, 0, {failed.id: 1000.0, "other": 60.0})
        display.handle(CellStarted(failed.id, "dm"))
        clock.now += 1
        display.handle(CellFinished(failed))
    assert stream.getvalue().endswith("failed (boom), 1 s, 60 s left\n")


def test_data_may_be_decoded_before_the_grid_starts(stream, clock):
    with PlainDisplay(stream, clock) as display:
        display.handle(CellProgress("data:ucf101", "data", 1, 100))
        clock.now += 30
        display.handle(CellProgress("data:ucf101", "data", 31, 100))
        display.handle(CellLog("data:ucf101", "left out a.avi: empty"))
        display.start(1, 0, {"x": 5.0})
        display.handle(CellStarted("x", "dm"))
    assert stream.getvalue().splitlines() == [
        "data:ucf101: data 31/100, 69 s left in data",
        "data:ucf101: left out a.avi: empty",
        "1 cell, 5 s left",
        "[1/1] dm: started, 5 s left",
    ]


def test_control_characters_do_not_reach_the_stream(stream, clock):
    bad = record(dataset="a\x1b[2Jb\nc", status="failed", reason="x\x1b[31m")
    with PlainDisplay(stream, clock) as display:
        display.start(1, 0, {})
        display.handle(CellStarted(bad.id, bad.cell.title()))
        display.handle(CellLog(bad.id, "y\rz"))
        display.handle(CellFinished(bad))
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 4


# ----------------------------------------------------------------------------------------------------------------------
# Bars


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_bars_show_titles_with_brackets_and_what_ended(terminal, stream, clock):
    dataset = "shapes-mixed[frames=16]"
    first, second = (
        record(dataset=dataset),
        record("[/bold]", 1, dataset=dataset, status="failed", reason="[red] :smile:"),
    )
    with TerminalDisplay(stream, clock) as display:
        display.start(2, 0, {first.id: 60.0, second.id: 60.0})
        display.handle(CellStarted(first.id, first.cell.title()))
        display.handle(CellStarted(second.id, second.cell.title()))
        display.handle(CellProgress(first.id, "distil", 1, 500, 0.25))
        clock.now += 10
        display.handle(CellProgress(first.id, "distil", 101, 500, 0.125))
        display._progress.refresh()
        shown = stream.getvalue()
        display.handle(CellFinished(second))
        display.handle(CellFinished(first))
    assert f"dm · {dataset} · ipc 1 · seed 0" in shown
    assert f"[/bold] · {dataset} · ipc 1 · seed 1" in shown
    assert "distil 101/500, loss 0.125, 40 s left in distil" in shown
    assert "0/2, 50 s left" in shown
    printed = stream.getvalue()
    assert f"[1/2] [/bold] · {dataset} · ipc 1 · seed 1: failed ([red] :smile:), 10 s, 50 s left" in printed
    assert f"[2/2] dm · {dataset} · ipc 1 · seed 0: ok, accuracy 27.5 % (2 networks), 10 s\n" in printed


def test_bars_of_ended_cells_go_away_and_the_cursor_comes_back(terminal, stream, clock):
    with TerminalDisplay(stream, clock) as display:
        display.handle(CellProgress("data:x", "data", 5, 10))
        assert len(display._progress.tasks) == 1
        display.start(3, 1, {})
        assert [(task.description, task.completed, task.total) for task in display._progress.tasks] == [
            ("all cells", 1, 3)
        ]
        display.handle(CellStarted(record().id, "dm"))
        assert len(display._progress.tasks) == 2
        display.handle(CellFinished(record()))
        assert [(task.completed, task.total) for task in display._progress.tasks] == [(2, 3)]
        assert stream.getvalue().count("\x1b[?25l") == 1
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_a_second_start_takes_the_place_of_the_first(terminal, stream, clock):
    with TerminalDisplay(stream, clock) as display:
        display.start(3, 1, {})
        display.handle(CellStarted(record().id, "dm"))
        display.handle(CellFinished(record()))
        display.start(7, 2, {})
        assert [(task.completed, task.total) for task in display._progress.tasks] == [(2, 7)]


def test_an_error_within_closes_the_display(terminal, stream, clock):
    display = TerminalDisplay(stream, clock)

    def stopped_by_the_user():
        with display:
            display.start(1, 0, {})
            assert display._progress.live.is_started
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_by_the_user()
    assert not display._progress.live.is_started


def test_a_display_that_saw_nothing_prints_nothing(terminal, stream, clock):
    for display in (TerminalDisplay(stream, clock), PlainDisplay(stream, clock)):
        with display:
            pass
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("plain", "is_terminal", "environment", "expected"),
    [
        (None, True, {}, TerminalDisplay),
        (None, False, {}, PlainDisplay),
        (None, True, {"NO_COLOR": "1"}, PlainDisplay),
        (None, True, {"NO_COLOR": ""}, TerminalDisplay),
        (None, True, {"TERM": "dumb"}, PlainDisplay),
        (True, True, {}, PlainDisplay),
        (False, False, {}, TerminalDisplay),
    ],
)
def test_the_stream_decides_unless_the_user_does(terminal, monkeypatch, plain, is_terminal, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert type(make_display(Terminal() if is_terminal else io.StringIO(), plain)) is expected
