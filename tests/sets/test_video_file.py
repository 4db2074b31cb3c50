"""Clips in a video file: the real encoders, the real bytes, the right clips back."""

from __future__ import annotations

import os
from typing import Literal

import pytest
import torch
from bench.baselines.codec import AV1Config, CodecAV1, CodecH264, H264Config, coded_clips

from bench.api import SyntheticSet
from bench.core.config import build
from bench.core.errors import BenchError, DoesNotFit
from bench.core.rng import generator
from bench.distill.real_start import random_choice
from bench.results.artefacts import load_set, save_set
from bench.running.cell.costs import count_set
from bench.sets.video_file import VideoFileSet, decoded, encoded
from tests.oracle.fake_task import FakeTask

Codec = Literal["h264", "av1"]
CODECS: tuple[Codec, ...] = ("h264", "av1")


def waves(count: int, frames: int = 4, height: int = 32, width: int = 32) -> torch.Tensor:
    """Grey waves ``(count, 3, T, H, W)``, uint8: of each clip a brightness of its own, moving on each frame."""
    x = torch.linspace(0, 6, width).view(1, 1, 1, width)
    y = torch.linspace(0, 4, height).view(1, 1, height, 1)
    t = torch.arange(frames).view(1, frames, 1, 1)
    clip = torch.arange(count).view(count, 1, 1, 1)
    grey = 40 + 170 * clip / max(1, count - 1) + 20 * torch.sin(x + y + 0.6 * t)
    return grey.clamp(0, 255).to(torch.uint8)[:, None].expand(-1, 3, -1, -1, -1).contiguous()


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(10 * torch.log10(255**2 / (one.double() - other.double()).square().mean()))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [(32, 32), (17, 23), (8, 8)])
def test_every_frame_comes_back_in_its_place(codec: Codec, size: tuple[int, int]) -> None:
    clips = waves(5, 4, *size)
    found = decoded(encoded(clips, codec, 10), 5, (4, *size), codec)
    assert found.shape == clips.shape
    assert psnr(found, clips) > 38
    shifted = clips.transpose(1, 2).flatten(0, 1).roll(1, dims=0)
    assert psnr(found.transpose(1, 2).flatten(0, 1), shifted) < 25


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_clips_are_the_same_bytes_and_quality_costs(codec: Codec) -> None:
    clips = (waves(20) + torch.randint(0, 20, (20, 3, 4, 32, 32), generator=generator("noise"))).to(torch.uint8)
    files = []
    for _ in range(4):
        rubbish = [
            torch.randint(256, (n,), dtype=torch.uint8) for n in (1000, 50_000, 300_000)
        ]  # what malloc hands out next
        files.append(encoded(clips, codec, 20))
        del rubbish
    assert len(set(files)) == 1
    assert len(encoded(clips, codec, 40)) < len(files[0]) < clips.numel()


@pytest.mark.parametrize("codec", CODECS)
def test_the_bytes_are_those_of_the_file_and_it_is_restored(registries, tmp_path, codec: Codec) -> None:
    data = encoded(waves(6), codec, 20)
    file = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    synthetic = VideoFileSet(file, torch.arange(6) % 3, (4, 32, 32), codec)
    assert count_set(synthetic, None).storage_bytes == len(data)
    save_set(tmp_path / "set", synthetic, {})
    restored, _ = load_set(tmp_path / "set", registries)
    index = torch.tensor([5, 0, 3])
    assert torch.equal(restored.render(index, generator("a")), synthetic.render(index, generator("b")))
    assert bytes(restored.tensors()["file"].tolist()) == data


@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_file_is_refused(codec: Codec) -> None:
    data = encoded(waves(6), codec, 20)
    with pytest.raises(BenchError, match="the video file"):
        decoded(data[: len(data) // 2], 6, (4, 32, 32), codec)


def made(task: FakeTask, codec: Codec) -> SyntheticSet:
    return CodecH264(H264Config()).distill(task) if codec == "h264" else CodecAV1(AV1Config()).distill(task)


@pytest.mark.parametrize("codec", CODECS)
def test_as_many_clips_as_fit_and_not_one_more(codec: Codec) -> None:
    sizes = []
    for ipc in (1, 2, 3, 4):
        synthetic = made(FakeTask(classes=2, per_class=8, ipc=ipc), codec)
        assert torch.bincount(synthetic.labels).tolist() == [ipc, ipc]
        sizes.append(count_set(synthetic, None).storage_bytes)
    assert sizes == sorted(sizes)
    task = FakeTask(classes=2, per_class=8, ipc=8)
    for budget, ipc in ((sizes[2], 3), (sizes[3] - 1, 3), (sizes[0], 1), (10**7, 8)):
        task.budget = budget
        synthetic = made(task, codec)
        assert torch.bincount(synthetic.labels).tolist() == [ipc, ipc]
        assert count_set(synthetic, None).storage_bytes <= budget
    task.budget = sizes[0] - 1
    with pytest.raises(DoesNotFit, match=f"codec-{codec} needs {sizes[0]:,} bytes for one clip a class"):
        made(task, codec)


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_left_of_a_budget_makes_the_same_clips_better(codec: Codec) -> None:
    """The set is at the best quality that fits: the next better one would not."""
    crf, per_class = 40, 3
    task = FakeTask(classes=2, per_class=8, ipc=8)
    order = torch.cat(list(random_choice(task))).view(2, 8)
    index = order[:, :per_class].flatten()
    sizes = {quality: len(encoded(task.pixels(index), codec, quality)) for quality in range(30, crf + 1)}
    task.budget = sizes[36]
    assert len(encoded(task.pixels(order[:, : per_class + 1].flatten()), codec, crf)) > task.budget > sizes[crf]
    synthetic = coded_clips(task, codec, crf, "random")
    assert torch.bincount(synthetic.labels).tolist() == [per_class, per_class]
    best = min(quality for quality, size in sizes.items() if size <= task.budget)
    assert bytes(synthetic.tensors()["file"].tolist()) == encoded(task.pixels(index), codec, best)
    assert best < crf


def test_herding_chooses_other_clips_than_chance_and_the_same_each_time() -> None:
    task = FakeTask(classes=2, per_class=8, ipc=2)
    files = [coded_clips(task, "h264", 20, how).tensors()["file"] for how in ("herding", "herding", "random")]  # type: ignore[arg-type]
    assert torch.equal(files[0], files[1])
    assert not torch.equal(files[0], files[2])


@pytest.mark.parametrize(("kind", "crf"), [(H264Config, 52), (H264Config, -1), (AV1Config, 0), (AV1Config, 64)])
def test_a_quality_that_there_is_not_is_refused(kind: type, crf: int) -> None:
    with pytest.raises(BenchError, match=f"crf={crf} is not at least [01] and at most (51|63)"):
        build(kind, {"crf": crf}, "codec")


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="needs a scheduler that can be asked")
def test_encoding_leaves_the_priority_of_the_process_as_it_is() -> None:
    """SVT-AV1 gives a process of the superuser real-time priority, and every thread that it starts afterwards."""
    before = os.sched_getscheduler(0)
    encoded(torch.zeros(2, 3, 4, 32, 32, dtype=torch.uint8), "av1", 40)
    assert os.sched_getscheduler(0) == before


def test_encoding_leaves_the_environment_as_it_is_and_writes_nothing(capfd, monkeypatch) -> None:
    monkeypatch.delenv("SVT_LOG", raising=False)
    before = dict(os.environ)
    encoded(torch.zeros(1, 3, 2, 16, 16, dtype=torch.uint8), "av1", 40)
    assert dict(os.environ) == before
    assert capfd.readouterr().err == ""
