"""From a video file to the frames of a clip: sequential decoding, so that every frame is exactly the one asked for.

Seeking is off by a frame or two in files with B-frames, and a container's own frame count is often wrong; so each file is
decoded from its start and its frames are counted. A file that raises an error at any frame is unreadable as a whole: which
frames it would lose depends on the decoder. A file that merely ends early has the frames that it has, and damage that the
decoder conceals goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import UnreadableClip

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from numpy.typing import NDArray

    from bench.api import Geometry

HELD_BYTES = 256 << 20
"""Decoded frames are held up to this much, until the length is known; a longer video is decoded twice instead."""


def window_frames(length: int, geometry: Geometry) -> NDArray[np.int64]:
    """The source frames ``(views, T)`` that each window takes from a video of ``length`` frames.

    Windows start at evenly spaced frames, the first at 0, the last so that it ends with the video; one alone is centred.

    Raises:
        UnreadableClip: the video has fewer than T frames.
    """
    if length < geometry.frames:
        raise UnreadableClip(f"{length} frames, {geometry.frames} needed" if length else "no frames")
    gap = min(geometry.gap, length // geometry.frames)
    slack = length - ((geometry.frames - 1) * gap + 1)
    steps = geometry.views - 1
    starts = np.arange(steps + 1) * slack // steps if steps else np.array([slack // 2])
    frames: NDArray[np.int64] = starts[:, None] + gap * np.arange(geometry.frames)
    return frames


def scaled_size(width: int, height: int, short: int) -> tuple[int, int]:
    """Width and height after scaling the shorter side to ``short`` pixels; the longer one is rounded."""
    if width <= height:
        return short, max(short, round(height * short / width))
    return max(short, round(width * short / height)), short


def read_video(path: Path, geometry: Geometry, held_bytes: int = HELD_BYTES) -> NDArray[np.uint8]:
    """Decodes the frames of a file that the geometry asks for: uint8 ``(views, T, H, W, 3)``, RGB.

    Args:
        path: a video file.
        geometry: which frames, and their size.
        held_bytes: the most decoded pixels kept while the length is not known.

    Raises:
        UnreadableClip: broken, empty, no video in it, or too short.
    """
    from av.video.reformatter import VideoReformatter

    held, length = _hold(path, held_bytes)
    windows = window_frames(length, geometry)
    wanted, place = np.unique(windows, return_inverse=True)
    pixels = np.empty((len(wanted), geometry.size, geometry.size, 3), np.uint8)
    reformatter = VideoReformatter()  # keeps one scaling context for all frames
    if held is not None:
        for row, number in enumerate(wanted):
            pixels[row] = _scale(reformatter, held[number], geometry)
    else:
        rows = {int(number): row for row, number in enumerate(wanted)}
        for number, frame in enumerate(_decoded(path)):
            if number in rows:
                pixels[rows[number]] = _scale(reformatter, frame, geometry)
    return pixels[place.reshape(windows.shape)]


def check_opens(path: Path) -> None:
    """Decodes the first frame of a file.

    Raises:
        UnreadableClip: it cannot be done.
    """
    if next(_decoded(path), None) is None:
        raise UnreadableClip("no frames")


def _hold(path: Path, limit: int) -> tuple[list[VideoFrame] | None, int]:
    """The decoded frames of a file, or None where they would take more than ``limit`` bytes; and their number."""
    held: list[VideoFrame] | None = []
    size = length = 0
    for frame in _decoded(path):
        length += 1
        size += sum(plane.buffer_size for plane in frame.planes)
        if size > limit:
            held = None
        if held is not None:
            held.append(frame)
    return held, length


def _decoded(path: Path) -> Iterator[VideoFrame]:
    """All frames of a file's first video stream, in the order they are shown."""
    import av

    try:
        if path.stat().st_size == 0:
            raise UnreadableClip("the file is empty")
        # Half a packet at the end of a cut file is dropped; decoded, it would be an error or rubbish, as chance has it.
        with av.open(str(path), options={"fflags": "+discardcorrupt"}, **_lenient_metadata()) as container:
            if not container.streams.video:
                raise UnreadableClip("no video stream")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1  # a process a core decodes more than threads in one
            yield from container.decode(stream)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableClip(f"does not decode: {getattr(error, 'strerror', None) or error}") from error


def _lenient_metadata() -> dict[str, Any]:
    """What tells `av.open` that a title need not be UTF-8. PyAV 19 does not have to be told, and must not be."""
    import av

    return {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}


def _scale(reformatter: VideoReformatter, frame: VideoFrame, geometry: Geometry) -> NDArray[np.uint8]:
    """One frame scaled and centre-cropped: uint8 ``(H, W, 3)``."""
    import av
    from av.video.reformatter import Interpolation

    width, height = scaled_size(frame.width, frame.height, geometry.scale)
    try:
        scaled = reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA, threads=1)
    except (av.error.FFmpegError, ValueError) as error:
        raise UnreadableClip(f"cannot be scaled: {error}") from error
    left, top = (width - geometry.size) // 2, (height - geometry.size) // 2
    return np.asarray(scaled.to_ndarray(), np.uint8)[top : top + geometry.size, left : left + geometry.size]
