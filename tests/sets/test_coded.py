"""Storage codecs: error bounds, what is counted, and that training sees what is stored."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors import safe_open

from bench.api import SyntheticSet
from bench.core.rng import generator
from bench.results.artefacts import load_set, save_set
from bench.running.cell.costs import count_set
from bench.sets.adaptive import AdaptiveSet
from bench.sets.coded import CodedSet, coded, decode, encode, loss_of
from bench.sets.dense import DenseSet
from bench.sets.keyframes import KeyframeSet
from bench.sets.static_dynamic import StaticDynamicSet

LABELS = torch.arange(4) % 2


def numbers(*shape: int) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=generator("coded", *shape))


def sets() -> dict[str, SyntheticSet]:
    flags = torch.tensor([[1, 0, 0, 1], [1, 1, 0, 1]], dtype=torch.uint8)
    soft = DenseSet(numbers(4, 3, 4, 8, 8), torch.softmax(numbers(4, 2), dim=1))
    soft.rate = torch.tensor(0.02)
    return {
        "dense": DenseSet(numbers(4, 3, 4, 8, 8), LABELS),
        "soft": soft,
        "keyframes": KeyframeSet(numbers(4, 3, 2, 8, 8), LABELS, 4, "linear"),
        "adaptive": AdaptiveSet(numbers(5, 3, 8, 8), flags, LABELS[:2]),
        "memories": StaticDynamicSet(
            LABELS, 4, static=numbers(4, 2, 3, 8, 8), dynamic=numbers(4, 2, 1, 4, 8, 8),
            hallucinator=(numbers(3, 4, 3, 3, 3) / 30, numbers(3)),
        ),
    }  # fmt: skip


def rendered(synthetic: SyntheticSet) -> torch.Tensor:
    return synthetic.render(torch.arange(len(synthetic)), generator("render"))


def test_uint8_is_off_by_half_a_step_at_most_and_reaches_it() -> None:
    plain = numbers(100, 100)
    stored = encode({"x": plain}, "uint8")
    assert (stored["x"].dtype, stored["x.affine"].shape) == (torch.uint8, (2,))
    off = (decode(stored)["x"] - plain).abs().max()
    half_step = (plain.max() - plain.min()) / 510
    assert 0.99 * half_step < off < 1.0001 * half_step


def test_float16_is_off_by_a_thousandth_at_most() -> None:
    plain = numbers(100, 100)
    off = (decode(encode({"x": plain}, "float16"))["x"] - plain).abs() / plain.abs()
    assert 1e-4 < off.max() < 1e-3


@pytest.mark.parametrize("value", [0.0, -7.5])
def test_a_constant_tensor_comes_back_as_it_is(value: float) -> None:
    plain = torch.full((5,), value)
    assert torch.equal(decode(encode({"x": plain}, "uint8"))["x"], plain)


def test_what_is_not_finite_does_not_hide_in_whole_numbers() -> None:
    broken = encode({"x": torch.tensor([1.0, 2.0, 3.0, torch.nan])}, "uint8")
    assert not torch.isfinite(broken["x.affine"]).all()


@pytest.mark.parametrize("storage", ["float16", "uint8"])
@pytest.mark.parametrize("name", sorted(sets()))
def test_bytes_shrink_to_what_the_codec_says(name: str, storage: str) -> None:
    plain = sets()[name]
    made = coded(plain, storage)  # type: ignore[arg-type]
    floats = {k: t.numel() for k, t in plain.stored().items() if t.is_floating_point() and k != "rate"}
    rest = count_set(plain, None).storage_bytes - 4 * sum(floats.values())
    each, beside = (2, 0) if storage == "float16" else (1, 8)
    assert count_set(made, None).storage_bytes == rest + sum(each * n + beside for n in floats.values())


@pytest.mark.parametrize("storage", ["float16", "uint8"])
@pytest.mark.parametrize("name", sorted(sets()))
def test_a_coded_set_renders_what_it_stores_also_from_the_archive(registries, tmp_path, name, storage) -> None:
    plain = sets()[name]
    made = coded(plain, storage)
    assert isinstance(made, CodedSet)
    loss = loss_of(plain, made)
    assert 0 < loss["rms"] < loss["max"] < 0.5
    one, other = (s.render(torch.arange(len(s)), generator("storage loss", 0)) for s in (plain, made))
    assert loss["max"] == pytest.approx(float((one - other).abs().max()))
    assert loss["rms"] == pytest.approx(float((one - other).square().mean().sqrt()), rel=1e-4)
    save_set(tmp_path / "set", made, {})
    restored, _ = load_set(tmp_path / "set", registries)
    assert torch.equal(rendered(restored), rendered(made))
    assert torch.equal(restored.labels, made.labels)
    assert restored.rate == made.rate
    assert dataclasses.astuple(count_set(restored, None)) == dataclasses.astuple(count_set(made, None))


def test_pixels_and_the_plain_codec_leave_a_set_as_it_is() -> None:
    pixels = DenseSet(torch.zeros(4, 3, 4, 8, 8, dtype=torch.uint8), LABELS)
    assert coded(pixels, "uint8") is pixels
    plain = sets()["dense"]
    assert coded(plain, "float32") is plain


def test_soft_labels_are_trained_on_as_they_are_stored() -> None:
    made = coded(sets()["soft"], "uint8")
    labels = sets()["soft"].labels
    off = (made.labels - labels).abs().max()
    assert 0 < off <= (labels.max() - labels.min()) / 510 + 1e-6
    assert "labels" not in made.stored()


@pytest.mark.parametrize("storage", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("name", sorted(sets()))
def test_an_archive_holds_what_is_counted_and_the_class_of_each_clip(tmp_path, name, storage) -> None:
    made = coded(sets()[name], storage)
    save_set(tmp_path / "set", made, {})
    with safe_open(tmp_path / "set" / "memory.safetensors", "pt") as file:
        stored = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it has no other way)
    is_soft = made.labels.is_floating_point()
    if not is_soft or made.labels_counted:
        assert torch.equal(stored.pop("labels"), made.hard_labels())
    report = count_set(made, None)
    assert sum(tensor.numel() * tensor.itemsize for tensor in stored.values()) == report.storage_bytes
    found = report.labels()
    each = {"float32": 4, "float16": 2, "uint8": 1}[storage]
    assert (found is not None) == is_soft
    assert found is None or found.bytes == 4 * 2 * each


def test_a_codec_shrinks_float64_labels_too_and_plain_ones_count_eight_bytes() -> None:
    plain = DenseSet(numbers(4, 3, 4, 8, 8), torch.softmax(numbers(4, 2).double(), dim=1))
    for made, each in ((plain, 8), (coded(plain, "float16"), 2), (coded(plain, "uint8"), 1)):
        found = count_set(made, None).labels()
        assert found is not None
        assert found.bytes == 4 * 2 * each
