"""Published figures: the file that is shipped, what is refused, and which rows a figure belongs beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.tables.published import COLUMNS, beside, parse, read

SHIPPED = Path(__file__).parents[2] / "results" / "published.csv"

VALID = {
    "paper": "Wang2024", "dataset": "MiniUCF", "split": "4662/1861", "ipc": "1", "method": "DM", "eval_net": "ConvNet3D",
    "metric": "top1", "mean": "15.3", "std": "0.1", "storage": "94MB", "confidence": "first-hand", "source": "a log",
}  # fmt: skip


def text(*lines):
    return "\n".join([",".join(COLUMNS), *(",".join((VALID | line).values()) for line in lines)]) + "\n"


def test_the_shipped_file_is_valid_and_says_where_each_figure_was_read():
    figures = read(SHIPPED)
    assert len(figures) == 36
    assert all(figure.source for figure in figures)
    assert sum(figure.confidence == "secondary" for figure in figures) == 26


@pytest.mark.parametrize(
    ("row", "mean", "paper"),
    [
        (("miniucf", 1, "dm", "convnet3d"), 0.153, "Wang2024"),
        (("miniucf", 1, "dm+sd", "convnet3d"), 0.175, "Wang2024"),
        (("miniucf", 1, "random", "convnet3d"), 0.1152, "independent rerun"),
        (("miniucf", None, "full", "convnet3d"), 0.5617, "independent rerun"),
        (("hmdb51-all-train", 5, "dm", "convnet3d"), 0.08, "Wang2024"),
        (("kinetics400", 5, "dm", "convnet3d"), 0.091, "Wang2024"),
        (("ssv2", 1, "dm+sd", "convnet3d"), 0.04, "Wang2024"),
        (("miniucf", 1, "dm", "cnn-gru"), 0.099, "Wang2024"),
        (("miniucf", 10, "herding", "minic3d"), 0.337, "PRISM2026"),
    ],
)
def test_the_shipped_figures_stand_beside_their_rows(row, mean, paper):
    (found,) = beside(read(SHIPPED), *row)
    assert (found.mean, found.paper) == (mean, paper)


@pytest.mark.parametrize(
    "row",
    [
        ("miniucf (stand-in)", 1, "dm", "convnet3d"),
        ("miniucf (split 2)", 1, "dm", "convnet3d"),
        ("hmdb51", 1, "dm", "convnet3d"),
        ("miniucf", 10, "dm", "convnet3d"),
        ("miniucf", None, "dm", "convnet3d"),
        ("miniucf", 1, "dm", "convnet3d-small"),
        ("miniucf", 1, "dc", "convnet3d"),
    ],
)
def test_nothing_else_has_a_published_figure(row):
    assert beside(read(SHIPPED), *row) == ()


def test_figures_read_first_hand_come_first():
    lines = ({"confidence": "secondary", "mean": "1"}, {"mean": "2"}, {"mean": "3"})
    found = beside(parse(text(*lines), "p.csv"), "miniucf", 1, "dm", "convnet3d")
    assert [figure.mean for figure in found] == [0.02, 0.03, 0.01]


def test_a_figure_is_read_as_fractions():
    (figure,) = parse(text({}), "p.csv")
    assert (figure.mean, figure.std, figure.metric, figure.storage) == (0.153, 0.001, "top1", "94MB")
    (figure,) = parse(text({"std": "", "ipc": "full"}), "p.csv")
    assert (figure.std, figure.ipc) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ipc", "0", "ipc '0' is neither a whole number of at least 1 nor 'full'"),
        ("ipc", "²", "ipc '²' is neither"),
        ("metric", "top3", r"metric 'top3' is unknown \(valid: top1, top5\)"),
        ("confidence", "rumour", r"confidence 'rumour' is unknown \(valid: first-hand, secondary\)"),
        ("mean", "nan", "mean 'nan' is not a number of percent in 0 to 100"),
        ("mean", "", "mean '' is not a number"),
        ("mean", "153", "mean '153' is not"),
        ("std", "-1", "std '-1' is not"),
        ("source", " ", "'source' is empty"),
        ("source", "a,b", "has 13 fields, not 12"),
    ],
)
def test_a_bad_line_is_named(field, value, message):
    with pytest.raises(BenchError, match=f"^p.csv, line 3: {message}"):
        parse(text({}, {field: value}), "p.csv")


def test_another_header_is_refused():
    with pytest.raises(BenchError, match=r"^p\.csv: its first line is 'a,b', not 'paper,"):
        parse("a,b\n1,2\n", "p.csv")


def test_no_file_is_no_figures_and_an_unreadable_one_is_an_error(tmp_path):
    assert read(tmp_path / "none.csv") == ()
    (tmp_path / "published.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(BenchError, match="cannot be read"):
        read(tmp_path / "published.csv")


def test_a_field_that_csv_does_not_take_is_an_error():
    with pytest.raises(BenchError, match=r"^x\.csv, line 2: not CSV: field larger than field limit"):
        parse(f"{','.join(COLUMNS)}\n{'a' * 200_000}\n", "x.csv")
