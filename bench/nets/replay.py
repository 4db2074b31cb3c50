"""Passes without gradients on a GPU, recorded as CUDA graphs where that pays: small kernels take longer to launch than to run.

A graph runs the very kernels that it was recorded from, so what comes out is the same to the bit, which is checked. Whether it
pays is measured, once for each GPU, network and size of a pass, and kept in the cache; where it does not, or cannot be, passes
run as ever and the log says why. (``torch.compile`` would fuse kernels and change rounding: a record would then depend on what
was measured.)
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

import torch

from bench.core.classifier import Classifier
from bench.core.files import write_atomic
from bench.core.repeated_frames import stands_still
from bench.nets.layers import SeededDropout

Pass = Callable[[], torch.Tensor]

PAYS = 1.1
"""A graph is used if it is at least so many times as fast."""

_ROUNDS = 5


class Recorder(ABC):
    """What records passes on a device."""

    @abstractmethod
    def name(self) -> str:
        """The device and the software that measurements hold for."""

    @abstractmethod
    def record(self, work: Pass) -> Pass:
        """Calls that do what ``work`` did when it was recorded, on the same tensors, and give the same tensor each time.

        Raises:
            RuntimeError: it cannot be recorded.
        """

    @abstractmethod
    def wait(self) -> None:
        """Until the device has done all that it was given."""


@final
class CudaRecorder(Recorder):
    """CUDA graphs of one GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def name(self) -> str:
        """See `Recorder`."""
        return f"{torch.cuda.get_device_name(self._device)}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}"

    def record(self, work: Pass) -> Pass:
        """See `Recorder`. The work is first done on a stream of its own, so that libraries are set up before the recording."""
        with torch.cuda.device(self._device):
            now, beside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(now)
            with torch.cuda.stream(beside):
                for _ in range(3):
                    work()
            now.wait_stream(beside)
            graph = torch.cuda.CUDAGraph()
            # Another thread may be copying the next clips meanwhile.
            with torch.cuda.graph(graph, stream=beside, capture_error_mode="thread_local"):
                found = work()

        def replayed() -> torch.Tensor:
            graph.replay()
            return found

        return replayed

    def wait(self) -> None:
        """See `Recorder`."""
        torch.cuda.synchronize(self._device)


def replays_on(device: torch.device, cache: Path, log: Callable[[str], None]) -> Replays | None:
    """For a cell on that device; None on a CPU, which launches nothing."""
    return Replays(CudaRecorder(device), cache / "passes", log) if device.type == "cuda" else None


@final
class Replays:
    """The recorded passes of a cell, by network and size. Each new network's weights are copied to where a recording reads them.

    Args:
        recorder: see there.
        kept: folder of what was measured.
        log: told once of each kind of pass.
    """

    def __init__(self, recorder: Recorder, kept: Path, log: Callable[[str], None]) -> None:
        self._recorder = recorder
        self._kept = kept
        self._log = log
        self._recorded: dict[str, _Recorded | None] = {}

    def served(self, network: Classifier, kind: str, another: Callable[[], Classifier]) -> Classifier:
        """The network, with its passes without gradients replayed where that pays.

        Args:
            network: the network.
            kind: what it is and computes in.
            another: makes one of that kind, with any weights.
        """
        return _ReplayedNetwork(network, kind, another, self)

    def find(
        self, network: Classifier, name: str, clips: torch.Tensor, kind: str, another: Callable[[], Classifier]
    ) -> _Recorded | None:
        """The recording of ``network.name(clips)``; None where such passes run as ever."""
        mode = "training" if network.training else "evaluation"
        key = f"{kind} in {mode}, {name} of {list(clips.shape)} {clips.dtype} in strides {list(clips.stride())}"
        if key not in self._recorded:
            self._recorded[key] = self._decided(key, network, name, clips, another)
        return self._recorded[key]

    def _decided(
        self, key: str, network: Classifier, name: str, clips: torch.Tensor, another: Callable[[], Classifier]
    ) -> _Recorded | None:
        recorder = self._recorder
        path = self._kept / f"{hashlib.sha256(f'{recorder.name()}: {key}'.encode()).hexdigest()[:24]}.json"
        known = _read(path)
        if known is False:
            return None
        recorded = None
        try:
            recorded = _Recorded(another().train(network.training), name, clips, recorder)
            if known:
                return recorded
            pays, why = _compared(recorder, functools.partial(getattr(network, name), clips), recorded, network, clips)
        except RuntimeError as error:  # out of memory is one, too: a recording keeps room for its whole pass
            pays, why = False, f"it cannot be recorded ({str(error).splitlines()[0]})"
        self._log(f"{key}: {'replayed' if pays else 'not replayed'}, {why}")
        with contextlib.suppress(OSError):
            self._kept.mkdir(parents=True, exist_ok=True)
            told = {"pass": key, "on": recorder.name(), "replayed": pays, "because": why}
            write_atomic(path, json.dumps(told, indent=2).encode())
        return recorded if pays else None


def _compared(
    recorder: Recorder, plain: Pass, recorded: _Recorded, network: Classifier, clips: torch.Tensor
) -> tuple[bool, str]:
    """Whether a recording is to be used, and why."""
    replayed = functools.partial(recorded, network, clips)
    if not torch.equal(plain(), replayed()):
        return False, "its results differ"
    gain = _seconds(recorder, plain) / _seconds(recorder, replayed)
    return gain >= PAYS, f"{gain:.2f} times as fast"


def _seconds(recorder: Recorder, work: Pass) -> float:
    """Of one call, the fastest of a few."""
    taken = []
    for _ in range(_ROUNDS):
        recorder.wait()
        start = time.perf_counter()
        work()
        recorder.wait()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _read(path: Path) -> bool | None:
    """Whether passes of that kind are replayed, if that was measured."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["replayed"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, bool) else None


@final
class _Recorded:
    """One recorded pass, with the tensors that it reads."""

    def __init__(self, twin: Classifier, name: str, clips: torch.Tensor, recorder: Recorder) -> None:
        self._weights = list(_held(twin.requires_grad_(False)))
        self._clips = clips.clone()  # in the same layout
        self._replay = recorder.record(functools.partial(getattr(twin, name), self._clips))

    def __call__(self, network: Classifier, clips: torch.Tensor) -> torch.Tensor:
        torch._foreach_copy_(self._weights, list(_held(network)))
        self._clips.copy_(clips)
        return self._replay().clone()  # the next replay writes there


@final
class _ReplayedNetwork(Classifier):
    """See `Replays.served`."""

    def __init__(self, network: Classifier, kind: str, another: Callable[[], Classifier], replays: Replays) -> None:
        super().__init__()
        self.network = network
        self._kind = kind
        self._another = another
        self._replays = replays

    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """See `Classifier`."""
        return self._run("features", clips)

    def embedding(self, clips: torch.Tensor) -> torch.Tensor:
        """See `Classifier`."""
        return self._run("embedding", clips)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See `Classifier`."""
        return self._run("forward", clips)

    def _run(self, name: str, clips: torch.Tensor) -> torch.Tensor:
        recorded = None
        if not torch.is_grad_enabled() and not stands_still(clips) and _is_function(self.network):
            recorded = self._replays.find(self.network, name, clips, self._kind, self._another)
        if recorded is None:
            found: torch.Tensor = getattr(self.network, name)(clips)
            return found
        return recorded(self.network, clips)


def _held(network: Classifier) -> Iterator[torch.Tensor]:
    yield from (parameter.detach() for parameter in network.parameters())
    yield from network.buffers()


def _is_function(network: Classifier) -> bool:
    """Whether a pass depends on the weights and the clips alone, and leaves the network as it was."""
    drawing = (SeededDropout, torch.nn.modules.batchnorm._NormBase)
    return not any(layer.training and isinstance(layer, drawing) for layer in network.modules())
