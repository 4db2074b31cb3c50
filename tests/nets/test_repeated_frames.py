"""Clips that stand still pass a network as a few frames: the same values and gradients as all of their frames."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.api import ClipShape
from bench.core.repeated_frames import concatenate, distinct_frames, repeat_frame, repeats_one_frame, select_clips
from bench.core.rng import generator
from bench.nets.convnet2d import FrameConvNet
from bench.nets.convnet3d import ConvNet3D, SmallConvNet3D
from bench.nets.repeated_frames import through


def frame(*shape):
    return torch.randn(shape, generator=generator("frame"), dtype=torch.float64)


def networks(frames):
    rng = generator("network")
    small, published = ClipShape(3, frames, 16, 16), ClipShape(3, frames, 64, 64)
    yield SmallConvNet3D(5, small, rng), small
    yield FrameConvNet(5, small, 8, rng), small
    if frames in (8, 15):  # takes seconds
        yield ConvNet3D(5, published, rng), published


@pytest.mark.parametrize("frames", [2, 3, 5, 6, 7, 8, 12, 15, 16])
def test_values_and_gradients_of_both_orders_are_those_of_the_whole_clip(frames):
    for network, shape in networks(frames):
        network.double().eval()
        image = frame(2, 3, 1, shape.height, shape.width).requires_grad_(True)
        found = []
        for clips in (repeat_frame(image, frames), repeat_frame(image, frames).contiguous()):
            features, logits = network.features(clips), network(clips)
            weights = list(network.parameters())
            first = torch.autograd.grad(logits.square().sum(), weights, create_graph=True)
            second = torch.autograd.grad(sum(g.square().sum() for g in first), [image], retain_graph=True)[0]
            (slope,) = torch.autograd.grad(features.square().sum(), [image])
            found.append([features, logits, slope, second, *first])
        for still, whole in zip(*found, strict=True):
            scale = float(whole.detach().abs().max())
            torch.testing.assert_close(still, whole, rtol=1e-9, atol=1e-9 * scale + 1e-12)


def test_fewer_frames_are_computed():
    seen = []
    network = SmallConvNet3D(5, ClipShape(3, 16, 16, 16), generator("network"))
    for layer in network.stack:
        if isinstance(layer, nn.Conv3d):
            layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2]))
    network.features(repeat_frame(frame(1, 3, 1, 16, 16).float(), 16))
    assert seen == [3, 5, 7]


@pytest.mark.parametrize(
    "layer",
    [nn.Conv3d(3, 4, 3), nn.Conv3d(3, 4, 3, stride=2, padding=1), nn.GroupNorm(1, 3), nn.AvgPool3d((1, 2, 2))],
)
def test_a_layer_that_is_not_known_is_refused(layer):
    with pytest.raises(TypeError):
        through(nn.Sequential(layer), frame(1, 3, 1, 8, 8).float(), 16)


def test_half_precision_is_near():
    network = SmallConvNet3D(5, ClipShape(3, 16, 16, 16), generator("network")).eval()
    clips = repeat_frame(frame(2, 3, 1, 16, 16).float(), 16)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(
            network(clips).float(),
            network(clips.contiguous()).float(),
            rtol=0.02,
            atol=0.02 * float(network(clips).abs().max()),
        )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_rows_and_joined_keep_layout_and_stillness(layout):
    images = frame(5, 3, 1, 4, 6)
    for clips in (repeat_frame(images, 7), frame(5, 3, 7, 4, 6)):
        whole = concatenate([clips[:2], clips[2:]], 5, layout)
        assert torch.equal(whole, clips)
        chosen = select_clips(whole, torch.tensor([3, 0, 3]))
        assert torch.equal(chosen, clips[[3, 0, 3]])
        for kept in (whole, chosen):
            assert repeats_one_frame(kept) == repeats_one_frame(clips)
            assert distinct_frames(kept).is_contiguous(memory_format=layout)


def test_a_single_frame_does_not_stand_still():
    assert not repeats_one_frame(repeat_frame(frame(1, 3, 1, 4, 4), 1))
    assert not repeats_one_frame(frame(1, 3, 7, 4, 4))
