"""Options from text and JSON: every mistake at once, types kept, nothing guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core import config
from bench.core.errors import BenchError


@dataclass(frozen=True)
class Options:
    """A field of each kind."""

    steps: int = 10
    lr: float = 0.1
    flip: bool = False
    init: Literal["real", "noise"] = "real"
    size: int | None = None
    old: Optional[float] = None  # noqa: UP045 (the older spelling must work too)
    label: str = "a"
    power: Literal[1, 2] = 1


FIELDS = (
    "steps (int), lr (float), flip (bool), init (one of real|noise), size (int or none), old (float or none), "
    "label (str), power (one of 1|2)"
)


def build(**values):
    return config.build(Options, values, "--set x")


def test_defaults_stand_where_nothing_is_given():
    assert build() == Options()


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("steps", "20", 20), ("steps", "-3", -3), ("lr", "1e-3", 0.001), ("lr", "3", 3.0), ("lr", 3, 3.0),
        ("flip", "True", True), ("flip", "no", False), ("flip", "1", True), ("flip", False, False),
        ("init", "noise", "noise"), ("size", "None", None), ("size", "64", 64), ("size", None, None),
        ("old", "none", None), ("old", "2.5", 2.5), ("label", "1", "1"), ("label", "", ""), ("power", "2", 2),
        ("power", 2, 2),
    ],
)  # fmt: skip
def test_text_is_read_as_the_type_of_its_field(field, text, value):
    read = getattr(build(**{field: text}), field)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", "1.5"), ("steps", "ten"), ("steps", ""), ("steps", 1.0), ("steps", True), ("steps", None),
        ("lr", "nan"), ("lr", "inf"), ("lr", "-Infinity"), ("lr", float("nan")), ("lr", "1e999"), ("lr", "x"), ("lr", True),
        ("lr", None), pytest.param("lr", 10**400, id="lr-huge"), ("flip", "maybe"),
        ("flip", "2"), ("flip", 1), ("flip", None), ("init", "Real"),
        ("size", "1.0"), ("size", ""), ("old", "nan"), ("label", 3), ("label", None), ("power", "3"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(field, value):
    with pytest.raises(BenchError) as caught:
        build(**{field: value})
    kind = next(entry for entry in FIELDS.split(", ") if entry.startswith(f"{field} (")).split(" (")[1][:-1]
    assert str(caught.value) == f"--set x: {field}={value!r} is not {kind}; fields: {FIELDS}"


def test_all_mistakes_stand_in_one_message_with_all_fields():
    with pytest.raises(BenchError) as caught:
        build(steps="ten", nope="1", lr="nan", init="zeros", size="1.5", flip="yes")
    assert str(caught.value) == (
        "--set x: steps='ten' is not int; no field 'nope'; lr='nan' is not float; init='zeros' is not one of real|noise; "
        f"size='1.5' is not int or none; fields: {FIELDS}"
    )


def test_what_a_config_itself_refuses_is_said_in_the_same_form():
    @dataclass(frozen=True)
    class Checked:
        steps: int = 1

        def __post_init__(self):
            if self.steps < 1:
                raise ValueError(f"steps must be at least 1, not {self.steps}")

    with pytest.raises(BenchError, match=r"^here: steps must be at least 1, not 0; fields: steps \(int\)$"):
        config.build(Checked, {"steps": "0"}, "here")


def test_a_config_without_fields_takes_none():
    @dataclass(frozen=True)
    class Empty:
        pass

    with pytest.raises(BenchError, match=r"^here: no field 'a'; fields: none$"):
        config.build(Empty, {"a": "1"}, "here")


OPTIONS = st.builds(
    Options,
    steps=st.integers(),
    lr=st.floats(allow_nan=False, allow_infinity=False),
    flip=st.booleans(),
    init=st.sampled_from(["real", "noise"]),
    size=st.none() | st.integers(),
    old=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    label=st.text(),
    power=st.sampled_from([1, 2]),
)


@given(OPTIONS)
def test_a_config_comes_back_from_its_values(options):
    values = config.as_dict(options)
    assert list(values) == [field.partition(" ")[0] for field in FIELDS.split(", ")]
    assert config.build(Options, values, "") == options


@given(OPTIONS)
def test_a_config_comes_back_from_its_text(options):
    text = {name: str(value) for name, value in config.as_dict(options).items()}
    assert config.build(Options, text, "") == options


@given(st.dictionaries(st.sampled_from(["steps", "lr", "flip", "init", "size", "old", "power"]), st.text(max_size=4)))
def test_any_text_gives_a_config_or_one_sentence(values):
    try:
        built = config.build(Options, values, "here")
    except BenchError as error:
        built = str(error)
    assert isinstance(built, Options) or built.startswith("here: ")
