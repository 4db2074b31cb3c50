"""Networks of PyTorchVideo's model zoo as classifiers of the suite, built from one generator."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, final

import torch
from torch import nn
from typing_extensions import override

from bench.api import ClipShape
from bench.core.classifier import Classifier
from bench.nets.layers import SeededDropout

_IMPORTING = threading.RLock()


@final
class ResidualClassifier(Classifier):
    """X3D, Slow, R(2+1)D or CSN: residual stages, a pool over all that is left of time and space, dropout, a linear layer.

    Args:
        network: as PyTorchVideo builds it; its last block is the head.
        rng: draws the dropout masks.
    """

    def __init__(self, network: Any, rng: torch.Generator) -> None:
        super().__init__()
        *stages, head = network.blocks
        self.stack = nn.Sequential(*stages)
        self.pool = head.pool
        self.dropout = SeededDropout(_rate(head.dropout), rng)
        self.head = head.proj

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """The maps of the last stage, flattened."""
        return self.stack(clips).flatten(1)  # type: ignore[no-any-return]

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """The pooled maps."""
        return self.pool(self.stack(clips)).flatten(1)  # type: ignore[no-any-return]

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.embedding(clips)))  # type: ignore[no-any-return]


@final
class TransformerClassifier(Classifier):
    """MViT: tokens through blocks of pooled attention, dropout, a linear layer that reads the class token.

    Args:
        network: as PyTorchVideo builds it.
        rng: draws the dropout masks.
    """

    def __init__(self, network: Any, rng: torch.Generator) -> None:
        super().__init__()
        self.dropout = SeededDropout(_rate(network.head.dropout), rng)
        self.head = network.head.proj
        network.head = None
        self.stack = network

    @override
    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """The tokens of the last block, normalised and flattened."""
        return self._tokens(clips).flatten(1)

    @override
    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """The class token, ``(B, 768)``."""
        return self._tokens(clips)[:, 0]

    @override
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.embedding(clips)))  # type: ignore[no-any-return]

    def _tokens(self, clips: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.stack(clips)
        return tokens


def x3d_xs(classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
    """X3D-XS (Feichtenhofer 2020). SiLU is its Swish, which has a backward pass of its own that cannot be differentiated."""
    x3d = _models("x3d")
    network = _built(
        lambda: x3d.create_x3d(
            input_channel=clip.channels,
            input_clip_length=clip.frames,
            input_crop_size=min(clip.height, clip.width),
            model_num_class=classes,
            inner_act=nn.SiLU,
            head_activation=None,
        ),
        rng,
    )
    network.blocks[-1].pool.pool = nn.AdaptiveAvgPool3d(1)
    return ResidualClassifier(network, rng)


def slow_r50(classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
    """The slow pathway of SlowFast with a ResNet-50 (Feichtenhofer et al. 2019)."""
    resnet = _models("resnet")
    return ResidualClassifier(
        _built(
            lambda: resnet.create_resnet(
                input_channel=clip.channels,
                model_depth=50,
                model_num_class=classes,
                stem_conv_kernel_size=(1, 7, 7),
                head_pool=nn.AdaptiveAvgPool3d,
            ),
            rng,
        ),
        rng,
    )


def r2plus1d_r50(classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
    """R(2+1)D with a ResNet-50 (Tran et al. 2018)."""
    r2plus1d = _models("r2plus1d")
    return ResidualClassifier(
        _built(
            lambda: r2plus1d.create_r2plus1d(
                input_channel=clip.channels,
                model_depth=50,
                model_num_class=classes,
                dropout_rate=0.5,
                head_pool=nn.AdaptiveAvgPool3d,
                head_activation=None,
            ),
            rng,
        ),
        rng,
    )


def csn_r50(classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
    """ir-CSN-50 (Tran et al. 2019) as ``create_csn`` builds it for 112-pixel clips: no pool in the stem, no dropout."""
    csn = _models("csn")
    return ResidualClassifier(
        _built(
            lambda: csn.create_csn(
                input_channel=clip.channels,
                model_depth=50,
                model_num_class=classes,
                head_pool=nn.AdaptiveAvgPool3d,
            ),
            rng,
        ),
        rng,
    )


def mvit_b(classes: int, clip: ClipShape, rng: torch.Generator) -> Classifier:
    """MViT-B 16x4 (Fan et al. 2021), with as many tokens as the clips give."""
    vision = _models("vision_transformers")
    return TransformerClassifier(
        _built(
            lambda: vision.create_multiscale_vision_transformers(
                spatial_size=(clip.height, clip.width),
                temporal_size=clip.frames,
                input_channels=clip.channels,
                head_num_classes=classes,
                embed_dim_mul=[[1, 2.0], [3, 2.0], [14, 2.0]],
                atten_head_mul=[[1, 2.0], [3, 2.0], [14, 2.0]],
                pool_q_stride_size=[[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]],
                pool_kv_stride_adaptive=[1, 8, 8],
                pool_kvq_kernel=[3, 3, 3],
            ),
            rng,
        ),
        rng,
    )


def _rate(dropout: Any) -> float:
    return 0.0 if dropout is None else float(dropout.p)


def _built(build: Callable[[], Any], rng: torch.Generator) -> Any:
    """What ``build`` makes, with PyTorchVideo's own initial distributions, drawn from ``rng``.

    Its initialisers draw from the global generator of the CPU. That one is seeded from ``rng`` meanwhile, and put back; those
    of other devices (which ``torch.manual_seed`` would seed, too) are not touched.
    """
    seed = int(torch.randint(2**62, (), generator=rng))
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        return build()


# ----------------------------------------------------------------------------------------------------------------------
# The import


def _models(name: str) -> ModuleType:
    """A module of ``pytorchvideo.models``.

    Its heads import ``torchvision.ops.RoIAlign``, which nothing here uses. Where there is no torchvision, or one that
    does not work with this torch, a stand-in takes its place during the import and is gone after it.
    """
    full = f"pytorchvideo.models.{name}"
    with _IMPORTING:
        if full in sys.modules:
            return sys.modules[full]
        with warnings.catch_warnings(), _torchvision_or_stand_in():
            warnings.simplefilter("ignore", DeprecationWarning)  # X3D uses torch.jit.script
            return importlib.import_module(full)


@contextmanager
def _torchvision_or_stand_in() -> Iterator[None]:
    try:
        importlib.import_module("torchvision.ops")
    except Exception:  # a torchvision of another torch raises anything
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # what is left of a failed import
    else:
        yield
        return
    package, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    package.ops = ops  # type: ignore[attr-defined]
    ops.RoIAlign = _NoRoIAlign  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": package, "torchvision.ops": ops}
    try:
        yield
    finally:
        for name in ("torchvision", "torchvision.ops"):
            sys.modules.pop(name, None)


class _NoRoIAlign:
    """Stands where torchvision's RoIAlign would."""

    def __init__(self, *_: object, **__: object) -> None:
        raise ImportError("detection heads need torchvision")
