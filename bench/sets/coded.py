"""Any set with its float tensors stored in fewer bytes: as float16, or as uint8 with a scale and an offset of each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.rng import generator
from bench.core.storage import PLAIN, STORAGES, Storage

_AFFINE = ".affine"
_LABELS = "labels"
_INNER = "inner."
_SAVED = 2  # float32 numbers that scale and offset take: shorter tensors gain nothing and stay as they are


@final
class CodedSet(SyntheticSet):
    """A set that stores coded tensors and renders what they decode to, so that training sees what coding loses.

    Attributes:
        storage: ``float16`` or ``uint8``.
        inner: the set that the decoded tensors make.

    Args:
        coded: as `encode` makes them, ``labels`` among them if the set stores labels of its own.
        labels: integer labels; read only if ``coded`` holds none.
        kind, options: class and options of the inner set.
        storage: see above.

    Raises:
        BenchError: no such storage codec.
    """

    name = "coded"

    def __init__(
        self,
        coded: Mapping[str, torch.Tensor],
        labels: torch.Tensor,
        kind: type[SyntheticSet],
        options: Mapping[str, Value],
        storage: Storage,
    ) -> None:
        if storage not in STORAGES:
            raise BenchError(f"coded set: no storage codec '{storage}' (valid: {', '.join(STORAGES)})")
        self._coded = {_INNER + name: tensor for name, tensor in coded.items()}
        self._options = dict(options)
        self.storage = storage
        decoded = decode(coded)
        self.labels = decoded.pop(_LABELS, labels)
        self.labels_counted = _LABELS in coded
        self.inner = kind.restore(decoded, self.labels, options)

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        kinds = {kind.name: kind for kind in SyntheticSet.__subclasses__() if hasattr(kind, "name")}
        rest = {name.removeprefix(_INNER): value for name, value in options.items() if name.startswith(_INNER)}
        coded = {name.removeprefix(_INNER): tensor for name, tensor in tensors.items()}
        return cls(coded, labels, kinds[str(options["kind"])], rest, options["storage"])  # type: ignore[arg-type]  # checked there

    @override
    def options(self) -> dict[str, Value]:
        """The codec, the kind of the inner set, and its options."""
        inner = {_INNER + name: value for name, value in self._options.items()}
        return {"storage": self.storage, "kind": self.inner.name, **inner}

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        """The coded tensors, and of uint8 ones scale and offset, ``(2,)`` float32."""
        return self._coded

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self.inner.render(index, rng)


def coded(synthetic: SyntheticSet, storage: Storage) -> SyntheticSet:
    """The set under a storage codec; itself if nothing in it is float, or the codec is ``float32``.

    A learned rate is a single number and stays as it is.
    """
    plain = {name: tensor.detach() for name, tensor in synthetic.stored().items()}
    rate = plain.pop("rate", None) if synthetic.rate is not None else None
    if storage == PLAIN or not any(tensor.is_floating_point() for tensor in plain.values()):
        return synthetic
    made = CodedSet(encode(plain, storage), synthetic.labels, type(synthetic), synthetic.options(), storage)
    made.label_loss, made.rate = synthetic.label_loss, rate
    return made


def encode(tensors: Mapping[str, torch.Tensor], storage: Storage) -> dict[str, torch.Tensor]:
    """Each float tensor as the codec stores it; others, and float ones too short to gain, as they are.

    ``float16``: rounded, a relative error of at most 2^-11 from 6e-5 up. ``uint8``: 256 even steps from the least to the largest
    number of the tensor, an error of at most half a step, 1/510 of that range; scale and offset stand in ``NAME.affine``.
    """
    made: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or storage == PLAIN or tensor.numel() <= _SAVED:
            made[name] = tensor
        elif storage == "float16":
            made[name] = tensor.to(torch.float16)
        else:
            least, most = tensor.min(), tensor.max()
            scale = (most - least) / 255
            steps = (tensor - least) / torch.where(scale > 0, scale, 1.0)
            made[name] = steps.round().clamp(0, 255).to(torch.uint8)
            made[name + _AFFINE] = torch.stack([scale, least]).to(torch.float32)
    return made


def decode(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that `encode` coded, float32 where they were float."""
    made: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_AFFINE):
            continue
        if name + _AFFINE in tensors:
            scale, offset = tensors[name + _AFFINE]
            made[name] = tensor.to(torch.float32) * scale + offset
        else:
            made[name] = tensor.to(torch.float32) if tensor.dtype == torch.float16 else tensor
    return made


def loss_of(plain: SyntheticSet, stored: SyntheticSet, batch: int = 64) -> dict[str, float]:
    """How far the rendered clips of a set are from those of its coded form: ``max`` and ``rms``, in network units.

    Where they render at random, both draw the same.
    """
    most, squares, count = 0.0, 0.0, 0
    with torch.no_grad():
        for number, start in enumerate(range(0, len(plain), batch)):
            index = torch.arange(start, min(start + batch, len(plain)))
            plain_clips, stored_clips = (
                each.render(index, generator("storage loss", number)) for each in (plain, stored)
            )
            apart = (plain_clips - stored_clips).double()
            most = max(most, float(apart.abs().max()))
            squares += float(apart.square().sum())
            count += apart.numel()
    return {"max": most, "rms": (squares / max(1, count)) ** 0.5}
