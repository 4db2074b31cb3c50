"""From a video file to the frames of a clip: sequential decoding, so that every frame is exactly the one asked for.

Seeking is off by a frame or two in files with B-frames, and a container's own frame count is often wrong; so each file is
decoded from its start and its frames are counted. A file that raises an error at any frame is unreadable as a whole: which
frames it would lose depends on the decoder. A file that merely ends early has the frames that it has, and damage that the
decoder conceals goes unnoticed.

A clip is what a person sees who plays the file: turned and mirrored as its display matrix says, with square pixels, and the
video itself, not a cover or a preview. docs/data.md lists all that a container tells and what is done with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.errors import UnreadableClip

if TYPE_CHECKING:
    from av.video.format import VideoFormat
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from bench.api import Geometry

HELD_BYTES = 256 << 20
"""Decoded frames are held up to this much, until the length is known; a longer video is decoded twice instead."""

MOST_STRETCH = 8
"""Pixels wider or higher than this are taken for a mistake in the file, and shown square."""


class Picture(NamedTuple):
    """A decoded frame, and the width of its pixels by their height."""

    frame: VideoFrame
    stretch: Fraction


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
        for number, picture in enumerate(_decoded(path)):
            if number in rows:
                pixels[rows[number]] = _scale(reformatter, picture, geometry)
    return pixels[place.reshape(windows.shape)]


def check_opens(path: Path) -> None:
    """Decodes the first frame of a file.

    Raises:
        UnreadableClip: it cannot be done.
    """
    if next(_decoded(path), None) is None:
        raise UnreadableClip("no frames")


def _hold(path: Path, limit: int) -> tuple[list[Picture] | None, int]:
    """The decoded frames of a file, or None where they would take more than ``limit`` bytes; and their number."""
    held: list[Picture] | None = []
    size = length = 0
    for picture in _decoded(path):
        length += 1
        size += sum(plane.buffer_size for plane in picture.frame.planes)
        if size > limit:
            held = None
        if held is not None:
            held.append(picture)
    return held, length


def _decoded(path: Path) -> Iterator[Picture]:
    """All frames of a file's video, in the order they are shown."""
    import av

    try:
        if path.stat().st_size == 0:
            raise UnreadableClip("the file is empty")
        # Half a packet at the end of a cut file is dropped; decoded, it would be an error or rubbish, as chance has it.
        with (
            _opened(path) as source,
            av.open(source, "r", options={"fflags": "+discardcorrupt"}, **_lenient_metadata()) as container,
        ):
            stream = _shown(container)
            stream.codec_context.thread_count = 1  # a process a core decodes more than threads in one
            stretch = _stretch(stream)
            for frame in container.decode(stream):
                yield Picture(frame, stretch)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableClip(f"does not decode: {getattr(error, 'strerror', None) or error}") from error


def _lenient_metadata() -> dict[str, Any]:
    """What tells `av.open` that a title need not be UTF-8. PyAV 19 does not have to be told, and must not be."""
    import av

    return {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}


def _opened(path: Path) -> contextlib.AbstractContextManager[Any]:
    """What PyAV opens a file by. A bare path could be taken for an address (``a:b``), and must be UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.open("rb")
    return contextlib.nullcontext(f"file:{path}")


def _shown(container: Any) -> VideoStream:
    """The stream that a player shows: not a picture that goes with the file, the default before others, then the largest.

    Raises:
        UnreadableClip: there is none, or nothing can decode it.
    """
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    videos: list[VideoStream] = [stream for stream in container.streams.video if not stream.disposition & still]
    if not videos:
        pictures = len(container.streams.video)
        raise UnreadableClip("no video stream" + (", only a cover picture" if pictures else ""))
    readable = [stream for stream in videos if getattr(stream, "codec_context", None) is not None]
    if not readable:
        raise UnreadableClip("does not decode: nothing here decodes its kind of video")
    return max(readable, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height))


def _stretch(stream: VideoStream) -> Fraction:
    """The width of a pixel by its height, 1 where the file does not say or says nonsense."""
    ratio = stream.sample_aspect_ratio
    if not ratio or not Fraction(1, MOST_STRETCH) <= ratio <= MOST_STRETCH:
        return Fraction(1)
    return Fraction(ratio)


def _scale(reformatter: VideoReformatter, picture: Picture, geometry: Geometry) -> NDArray[np.uint8]:
    """One frame scaled, upright and centre-cropped: uint8 ``(H, W, 3)``."""
    import av
    from av.video.reformatter import Interpolation

    frame = picture.frame
    width, height = scaled_size(round(frame.width * picture.stretch), frame.height, geometry.scale)
    try:
        scaled = reformatter.reformat(
            _plain(frame), width, height, "rgb24", interpolation=Interpolation.AREA, threads=1
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UnreadableClip(f"cannot be scaled: {error}") from error
    pixels = upright(np.asarray(scaled.to_ndarray(), np.uint8), _matrix(frame))
    height, width = pixels.shape[:2]
    left, top = (width - geometry.size) // 2, (height - geometry.size) // 2
    return pixels[top : top + geometry.size, left : left + geometry.size]


def _matrix(frame: VideoFrame) -> bytes | None:
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if found is None else bytes(found)


def upright(picture: NDArray[np.uint8], matrix: bytes | None) -> NDArray[np.uint8]:
    """A picture ``(H, W, 3)`` turned and mirrored as a display matrix says, as ffmpeg does. Angles go to the next right one.

    Args:
        picture: as it is stored.
        matrix: nine 32-bit integers, rows of ``(x, y, 1) -> (x', y', w)``, in this machine's byte order; None: as stored.
    """
    if matrix is None:
        return picture
    (a, b, _), (c, d, _) = np.frombuffer(matrix, np.int32)[:6].reshape(2, 3).astype(int).tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        picture, a, d = picture.transpose(1, 0, 2), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _plain(frame: VideoFrame) -> VideoFrame:
    """The frame as its plain twin would be: in 8 bits, and all lines of one picture.

    The scaler treats both kinds worse: it halves the colours of deep frames sideways, and scales the two fields of an
    interlaced frame apart, so that every second line of the result is of another moment.
    """
    plain = twin(frame.format)
    if plain is not None:
        frame = frame.reformat(format=plain, threads=1)
    return _woven(frame) if frame.interlaced_frame else frame


def twin(format: VideoFormat) -> str | None:
    """The 8-bit format with the same planes as a deeper YUV format; None for other formats."""
    if format.is_rgb or format.has_palette or format.is_bit_stream or format.components[0].bits <= 8:
        return None
    if len(format.components) < 3:
        return "gray"
    halves = format.chroma_width(2) == 1, format.chroma_height(2) == 1
    return {(True, True): "yuv420p", (True, False): "yuv422p"}.get(halves, "yuv444p")


def _woven(frame: VideoFrame) -> VideoFrame:
    """The same picture without the mark that its lines are of two fields."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", "mode=prog"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
