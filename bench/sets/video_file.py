"""Real clips one after another in one video file, which is what is stored."""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal, final

import torch
from typing_extensions import override

from bench.api import SyntheticSet
from bench.core.config import Value
from bench.core.errors import BenchError
from bench.core.upload import upload

Codec = Literal["h264", "av1"]

# Elementary streams, which any player reads. A container's index would take more bytes than these small pictures.
_FORMATS: dict[str, str] = {"h264": "h264", "av1": "obu"}
_ENCODERS: dict[str, str] = {"h264": "libx264", "av1": "libsvtav1"}
_LEAST = 16  # pixels: one macroblock

_OPTIONS: dict[str, dict[str, str]] = {
    # Macroblock-tree rate control reads memory that it never wrote where pictures are a few blocks wide: the file would
    # change from run to run.
    "h264": {"preset": "slow", "x264-params": "mbtree=0"},
    "av1": {"preset": "6", "svtav1-params": "lp=1"},
}


@final
class VideoFileSet(SyntheticSet):
    """Clips that are decoded once, from the start to the end of the file, when the first is rendered.

    Attributes:
        file: ``(bytes,)`` uint8.
        labels: ``(N,)`` int64 in the order of the clips in the file.
        shape: frames, height and width of a clip; pictures in the file may be larger, and are cut at the right and below.
        codec: ``h264`` or ``av1``.
    """

    name = "video-file"

    def __init__(self, file: torch.Tensor, labels: torch.Tensor, shape: tuple[int, int, int], codec: Codec) -> None:
        if codec not in _FORMATS:
            raise BenchError(f"video file: no codec '{codec}' (valid: {', '.join(_FORMATS)})")
        self.file = file
        self.labels = labels
        self.shape = shape
        self.codec: Codec = codec

    @classmethod
    @override
    def restore(
        cls, tensors: Mapping[str, torch.Tensor], labels: torch.Tensor, options: Mapping[str, Value]
    ) -> SyntheticSet:
        frames, height, width = (int(options[name]) for name in ("frames", "height", "width"))  # type: ignore[arg-type]
        return cls(tensors["file"], labels, (frames, height, width), options["codec"])  # type: ignore[arg-type]  # checked there

    @override
    def options(self) -> dict[str, Value]:
        """The codec and the shape of a clip."""
        frames, height, width = self.shape
        return {"codec": self.codec, "frames": frames, "height": height, "width": width}

    @override
    def tensors(self) -> dict[str, torch.Tensor]:
        return {"file": self.file}

    @override
    def render(self, index: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        from bench.data.pixels import normalise

        return normalise(self._clips[upload(index, self._clips.device)])

    @functools.cached_property
    def _clips(self) -> torch.Tensor:
        data = self.file.cpu().numpy().tobytes()
        return upload(decoded(data, len(self.labels), self.shape, self.codec), self.file.device)


def encoded(clips: torch.Tensor, codec: Codec, crf: int) -> bytes:
    """One file of all frames of some clips, in their order, at a constant quality; the same bytes each time.

    Colours are stored at half the resolution (yuv420p), the only way that both codecs share. Pictures are padded with their edges
    to even sides of at least 16 pixels. Where a key frame stands is up to the encoder.

    Args:
        clips: ``(N, 3, T, H, W)`` uint8.
        codec: ``h264`` (x264) or ``av1`` (SVT-AV1).
        crf: the lower the better: 0 to 51 for H.264, 1 to 63 for AV1.

    Raises:
        BenchError: PyAV lacks the encoder, or it refuses.
    """
    import av
    import numpy as np

    _, _, _, height, width = clips.shape
    below, right = (max(_LEAST, side + side % 2) - side for side in (height, width))
    file = io.BytesIO()
    try:
        with _quiet(), _ordinary_priority(), av.open(file, "w", format=_FORMATS[codec]) as container:
            options = {"crf": str(crf), **_OPTIONS[codec]}
            stream: Any = container.add_stream(_ENCODERS[codec], rate=25, options=options)
            stream.pix_fmt, stream.height, stream.width = "yuv420p", height + below, width + right
            stream.codec_context.thread_count = 1
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
            number = 0
            for clip in clips.permute(0, 2, 3, 4, 1).cpu().numpy():  # (T, H, W, 3)
                for image in np.pad(clip, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge"):
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    frame.pts = number
                    container.mux(stream.encode(frame))
                    number += 1
            container.mux(stream.encode())
    except (av.error.FFmpegError, ValueError) as error:
        raise BenchError(
            f"{codec}: clips of {width}x{height} cannot be coded with {_ENCODERS[codec]}: {error}"
        ) from error
    return file.getvalue()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps SVT-AV1 from writing its settings to standard error, unless the user wants that."""
    wanted = "SVT_LOG" in os.environ
    os.environ.setdefault("SVT_LOG", "1")
    try:
        yield
    finally:
        if not wanted:
            del os.environ["SVT_LOG"]


@contextlib.contextmanager
def _ordinary_priority() -> Iterator[None]:
    """Undoes what SVT-AV1 does to a process of the superuser: it gives it real-time priority, ahead of all others."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before[0]:
            os.sched_setscheduler(0, *before)


def decoded(data: bytes, count: int, shape: tuple[int, int, int], codec: Codec) -> torch.Tensor:
    """The clips of a file, ``(count, 3, T, H, W)`` uint8; frames are counted, never looked for.

    Raises:
        BenchError: it does not decode, or holds another number of frames.
    """
    import av
    import numpy as np

    frames, height, width = shape
    pixels = np.empty((count * frames, height, width, 3), np.uint8)
    count_decoded = 0
    try:
        with av.open(io.BytesIO(data), "r", format=_FORMATS[codec]) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                if count_decoded < len(pixels):
                    pixels[count_decoded] = frame.to_ndarray(format="rgb24")[:height, :width]
                count_decoded += 1
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise BenchError(f"the video file does not decode: {error}") from error
    if count_decoded != len(pixels):
        raise BenchError(f"the video file holds {count_decoded} frames; {count} clips of {frames} need {len(pixels)}")
    return torch.from_numpy(pixels).view(count, frames, height, width, 3).permute(0, 4, 1, 2, 3)
