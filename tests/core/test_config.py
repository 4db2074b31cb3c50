"""Options from text and JSON: every mistake at once, types kept, nothing guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

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
    assert str(caught.value) == str(BenchError(f"--set x: {field}={value!r} is not {kind}; fields: {FIELDS}"))


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
    steps=st.integers(-(10**18), 10**18),
    lr=st.floats(allow_nan=False, allow_infinity=False),
    flip=st.booleans(),
    init=st.sampled_from(["real", "noise"]),
    size=st.none() | st.integers(-(10**18), 10**18),
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


@dataclass(frozen=True)
class Bounded:
    """Numbers with bounds, of each kind."""

    steps: Annotated[int, Meta(ge=1)] = 10
    momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    size: Annotated[int, Meta(gt=7)] | None = None
    either: Annotated[int | None, Meta(ge=1, multiple_of=2)] = None
    name: Annotated[str, Meta(max_length=3)] = "abc"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("steps", "0", "steps='0' is not at least 1"),
        ("steps", -1, "steps=-1 is not at least 1"),
        ("steps", "ten", "steps='ten' is not int, at least 1"),
        ("momentum", "1", "momentum='1' is not at least 0 and below 1"),
        ("momentum", -1e-9, "momentum=-1e-09 is not at least 0 and below 1"),
        ("size", 7, "size=7 is not above 7 or none"),
        ("size", "x", "size='x' is not int, above 7, or none"),
        ("either", 3, "either=3 is not at least 1 and a multiple of 2"),
        ("name", "abcd", "name='abcd' is not of at most 3 characters"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_the_bound(field, value, told):
    with pytest.raises(BenchError) as caught:
        config.build(Bounded, {field: value}, "here")
    assert str(caught.value) == (
        f"here: {told}; fields: steps (int, at least 1), momentum (float, at least 0 and below 1), size (int, above 7, or none), "
        "either (int or none, at least 1 and a multiple of 2), name (str, of at most 3 characters)"
    )


def test_values_at_their_bounds_are_taken():
    values = {"steps": 1, "momentum": 0.0, "size": 8, "either": 2, "name": ""}
    assert config.as_dict(config.build(Bounded, values, "")) == values
    assert config.build(Bounded, {"size": "none", "either": None}, "") == Bounded()


def test_all_values_out_of_bounds_stand_in_one_message():
    with pytest.raises(
        BenchError, match=r"^x: steps=0 is not at least 1; no field 'a'; size=1 is not above 7 or none; "
    ):
        config.build(Bounded, {"steps": 0, "a": 1, "size": 1}, "x")


def test_a_whole_number_that_fits_no_tensor_is_refused_even_without_bounds():
    assert build(steps=10**18).steps == 10**18
    for beyond in (10**18 + 1, -(10**30), "9" * 30, 10**5000):
        with pytest.raises(BenchError, match=r"is not at most 10\^18"):
            build(steps=beyond)


def test_bounds_that_a_type_cannot_have_are_a_sentence():
    @dataclass(frozen=True)
    class Wrong:
        name: Annotated[str, Meta(ge=1)] = "a"

    with pytest.raises(BenchError, match=r"^x: name: Can only set `ge` on a numeric type"):
        config.build(Wrong, {"name": "b"}, "x")


def test_the_fields_that_have_no_bounds_are_known():
    assert config.unbounded(Bounded) == []
    assert config.unbounded(Options) == ["steps", "lr", "size", "old"]
