"""A pretend device: tensors that say they lie on an accelerator, and are on the CPU. It finds faults of devices without one.

Arithmetic is real, done by PyTorch's own CPU code. As on a GPU, an operation on tensors of two devices raises, and what makes the
program wait for the device is counted: reading a number, copying to the CPU, copying from it without ``non_blocking``, and
operations whose result has a size that only the device knows. The bytes that are in use there are counted, too.

It is PyTorch's PrivateUse1 backend, written in Python: a tensor is a wrapper around a CPU tensor.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from torch.utils._mode_utils import no_dispatch

NAME = "pretend"
_DEVICE = f"{NAME}:0"

_aten = torch.ops.aten


class MixedDevices(RuntimeError):
    """An operation was given tensors of the pretend device and of the CPU."""


@functools.cache
def missing() -> str | None:
    """Why there is no pretend device in this process, or None if there is. The first call sets it up.

    It must come before the first backward pass of the process: that is when PyTorch starts a thread for each device.
    """
    from torch.utils import backend_registration

    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        return f"PyTorch {torch.__version__} can have no device in Python (2.10 and newer can)"
    backend_registration._setup_privateuseone_for_python_backend(NAME)
    # Activation checkpoints ask for it on whatever device there is beside the CPU.
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]
    register: Any = _LIBRARY.impl
    register("_copy_from", _copy_from, "PrivateUse1")
    for name in _FACTORIES:
        register(name, _factory(name), "PrivateUse1")
    register("lstm.input", functools.partial(_recurrent, _lstm), "AutogradPrivateUse1")
    register("gru.input", functools.partial(_recurrent, _gru), "AutogradPrivateUse1")
    try:
        torch.ones(1, device=_DEVICE, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return "PyTorch takes no new device after its first backward pass in a process"
    return None


def device() -> torch.device:
    """The device.

    Raises:
        RuntimeError: there is none; see `missing`.
    """
    reason = missing()
    if reason is not None:
        raise RuntimeError(reason)
    return torch.device(_DEVICE)


# ----------------------------------------------------------------------------------------------------------------------
# What is counted


@final
@dataclass
class Counts:
    """What happened on the device.

    Attributes:
        waits: each time the program waited for it: what for, and the line of the caller.
        live: bytes in use now.
        peak: the most bytes that were in use at a time.
    """

    waits: list[str] = field(default_factory=list)
    live: int = 0
    peak: int = 0

    def places(self) -> Counter[str]:
        """How often each line waited."""
        return Counter(self.waits)


_counts = Counts()
_storages: Counter[int] = Counter()  # how many tensors share each storage in use


@contextlib.contextmanager
def counting() -> Iterator[Counts]:
    """Counts anew from here; bytes that are in use already count as such."""
    global _counts
    before = _counts
    _counts = Counts(live=before.live, peak=before.live)
    try:
        yield _counts
    finally:
        before.live = _counts.live
        _counts = before


@contextlib.contextmanager
def sizes_only() -> Iterator[None]:
    """Computes no numbers inside: tensors made there have a size alone, and every number that is read is 0. For large shapes."""
    global _inner
    before, _inner = _inner, torch.device("meta")
    try:
        yield
    finally:
        _inner = before


_inner = torch.device("cpu")
"""Where the tensors within are made."""


def _wait(what: str) -> None:
    frames = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename]
    caller = next((frame for frame in reversed(frames) if frame.filename != __file__), frames[-1])
    _counts.waits.append(f"{what} in {Path(caller.filename).name}:{caller.lineno}")


def _use(tensor: PretendTensor) -> None:
    storage = tensor.held.untyped_storage()
    key, size = storage._cdata, storage.nbytes()
    _storages[key] += 1
    if _storages[key] == 1:
        _counts.live += size
        _counts.peak = max(_counts.peak, _counts.live)
    weakref.finalize(tensor, _let_go, key, size).atexit = False


def _let_go(key: int, size: int) -> None:
    _storages[key] -= 1
    if not _storages[key]:
        del _storages[key]
        _counts.live -= size


# ----------------------------------------------------------------------------------------------------------------------
# Tensors


class PretendTensor(torch.Tensor):
    """A tensor of the pretend device.

    Attributes:
        held: the same numbers on the CPU.
    """

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> PretendTensor:  # noqa: D102 (see the class)
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=torch.device(_DEVICE),
        )  # fmt: skip
        made.held = inner
        _use(made)
        return made

    def untyped_storage(self) -> torch.UntypedStorage:
        """That of the tensor within: its address and size tell which tensors share memory."""
        return self.held.untyped_storage()

    def data_ptr(self) -> int:
        """The address on the CPU."""
        return self.held.data_ptr()

    def tolist(self) -> Any:
        """The numbers, by a copy to the CPU."""
        return self.cpu().tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"PretendTensor({self.held!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = list(_tensors((*args, *kwargs.values())))
        target = _target(kwargs)
        _check(function, given)
        _note_waits(function, args, kwargs, target)
        if any(isinstance(value, PretendTensor) and value.held.is_meta for value in given):
            read = _read_as_zero(function, args, target)
            if read is not None:
                return read
        result = function(*map(_unwrapped, args), **{name: _unwrapped(value) for name, value in kwargs.items()})
        if torch.Tag.inplace_view in function.tags:
            with no_dispatch():  # the wrapper's own shape
                function(*args, **kwargs)
        wrappers = {id(value.held): value for value in given if isinstance(value, PretendTensor)}
        return _wrapped(result, wrappers) if _stays(function, args, target) else result


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, PretendTensor):
        return value.held
    if isinstance(value, list | tuple):
        return [_unwrapped(part) for part in value]
    return _inner if isinstance(value, torch.device) and value.type == NAME else value


def _wrapped(value: Any, known: Mapping[int, PretendTensor]) -> Any:
    """What an operation gives, on the device; what it gives back of its own arguments is that argument."""
    if isinstance(value, torch.Tensor):
        return known[id(value)] if id(value) in known else PretendTensor(value)
    return type(value)(_wrapped(part, known) for part in value) if isinstance(value, list | tuple) else value


def _read_as_zero(function: Any, args: tuple[Any, ...], target: str | None) -> Any:
    """What is read from a tensor that has a size alone; None if nothing is."""
    if function is _aten._local_scalar_dense.default:
        return torch.zeros((), dtype=args[0].dtype).item()
    if function is _aten._to_copy.default and target not in (None, NAME):
        return torch.zeros(args[0].shape, dtype=args[0].dtype)
    if function is _aten.copy_.default and not isinstance(args[0], PretendTensor):
        return args[0].zero_()
    return None


def _target(kwargs: Mapping[str, Any]) -> str | None:
    """The kind of device that is asked for by name, if any."""
    wanted = kwargs.get("device")
    return None if wanted is None else torch.device(wanted).type


def _stays(function: Any, args: tuple[Any, ...], target: str | None) -> bool:
    """Whether what comes out is on the device."""
    if function is _aten.copy_.default:
        return isinstance(args[0], PretendTensor)
    return target in (None, NAME)


_COPIES = (_aten.copy_.default, _aten._to_copy.default)
_NO_SCALARS = (_aten.cat.default, _aten.stack.default, _aten.mm.default, _aten.index_put_.default)


def _check(function: Any, given: list[torch.Tensor]) -> None:
    """Refuses tensors of two devices; as on a GPU a single number may come from the CPU, where numbers are combined one by one."""
    if function in _COPIES:
        return
    for value in given:
        if not isinstance(value, PretendTensor) and (value.dim() > 0 or function in _NO_SCALARS):
            raise MixedDevices(f"{function}: expected all tensors on {_DEVICE}, but one {tuple(value.shape)} is on cpu")


# ----------------------------------------------------------------------------------------------------------------------
# Waiting

_READS = {
    _aten._local_scalar_dense.default: "reading a number",
    _aten.equal.default: "comparing tensors",
    _aten.nonzero.default: "nonzero, whose size depends on numbers",
    _aten.masked_select.default: "a selection by a mask",
    _aten.bincount.default: "bincount, whose size depends on numbers",
    _aten.repeat_interleave.Tensor: "repeat_interleave, whose size depends on numbers",
    _aten._linalg_check_errors.default: "whether a matrix can be inverted",
    _aten._unique2.default: "unique, whose size depends on numbers",
}

_INDEXED = (_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default)


def _note_waits(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], target: str | None) -> None:
    if function in _READS:
        _wait(_READS[function])
    elif function is _aten._to_copy.default:
        if target not in (None, NAME):
            _wait("a copy to the CPU")
    elif function is _aten.copy_.default:
        to, source, *rest = args
        if not isinstance(to, PretendTensor):
            _wait("a copy to the CPU")
        elif not isinstance(source, PretendTensor) and not (rest[0] if rest else kwargs.get("non_blocking", False)):
            _wait("a copy from the CPU")
    elif function in _INDEXED:
        if any(part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1]):
            _wait("a selection by a mask")
    elif kwargs.get("check_errors"):
        _wait("whether a matrix can be inverted")


# ----------------------------------------------------------------------------------------------------------------------
# Making tensors

_LIBRARY = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
_FACTORIES = (
    "empty.memory_format",
    "empty_strided",
    "arange",
    "arange.start",
    "arange.start_step",
    "eye",
    "eye.m",
    "linspace",
)


def _factory(name: str) -> Callable[..., torch.Tensor]:
    """The operation that makes a tensor on the CPU, wrapped."""
    packet, _, overload = name.partition(".")
    function = getattr(getattr(_aten, packet), overload or "default")

    def make(*args: Any, **kwargs: Any) -> torch.Tensor:
        return PretendTensor(function(*args, **{**kwargs, "device": _inner, "pin_memory": False}))

    return make


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """A copy between devices, where PyTorch does it with its Python hooks switched off: in ``torch.tensor``."""
    return PretendTensor.__torch_dispatch__(_aten.copy_.default, (), (target, source, non_blocking))  # type: ignore[no-any-return]


# ----------------------------------------------------------------------------------------------------------------------
# Recurrent layers, for which PyTorch has no CPU code that it would take on such a device

_Gates = tuple[torch.Tensor, torch.Tensor]  # of the input and of the state, (B, gates * units)
_States = tuple[torch.Tensor, ...]


def _recurrent(
    cell: Callable[[_Gates, _States], _States],
    clips: torch.Tensor,
    start: torch.Tensor | list[torch.Tensor],
    weights: list[torch.Tensor],
    has_biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[torch.Tensor, ...]:
    """One layer that reads ``(B, T, F)`` forwards: its outputs ``(B, T, units)`` and its last states."""
    if layers != 1 or bidirectional or not has_biases or not batch_first:
        raise NotImplementedError(
            "the pretend device knows recurrent layers of one layer and direction, with biases, batch first"
        )
    from_input, from_state, input_bias, state_bias = weights
    states = tuple(state[0] for state in ([start] if isinstance(start, torch.Tensor) else start))
    outputs = []
    for frame in clips.unbind(1):
        gates = (
            torch.nn.functional.linear(frame, from_input, input_bias),
            torch.nn.functional.linear(states[0], from_state, state_bias),
        )
        states = cell(gates, states)
        outputs.append(states[0])
    return (torch.stack(outputs, dim=1), *(state[None] for state in states))


def _lstm(gates: _Gates, states: _States) -> _States:
    enter, forget, new, leave = (gates[0] + gates[1]).chunk(4, dim=1)
    memory = forget.sigmoid() * states[1] + enter.sigmoid() * new.tanh()
    return leave.sigmoid() * memory.tanh(), memory


def _gru(gates: _Gates, states: _States) -> _States:
    (reset, keep, new), (own_reset, own_keep, own_new) = (part.chunk(3, dim=1) for part in gates)
    candidate = (new + (reset + own_reset).sigmoid() * own_new).tanh()
    kept = (keep + own_keep).sigmoid()
    return ((1 - kept) * candidate + kept * states[0],)
