"""Clips as pictures: PNG and WebP in memory, contact sheets, animated GIFs, MP4s and lossless videos. Takes uint8; no torch."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.core.errors import BenchError

Pixels = NDArray[np.uint8]

EXACT = {"libx264rgb": (".mp4", "rgb24", {"qp": "0", "preset": "veryslow"}), "ffv1": (".mkv", "bgr0", {})}
"""Lossless codecs, each with the file's suffix, the pixel format and options."""

RATE = 8
"""Frames per second."""

_GAP = 2
_PAPER, _INK = 255, 32
_LEAST_SIDE = 64

_LETTERS = 11
"""The height of letters in pixels."""

_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+/()? ")


def png(image: Pixels) -> bytes:
    """A PNG file of ``(H, W, 3)``."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return file.getvalue()


def webp(image: Pixels, quality: int = 85) -> bytes:
    """A lossy WebP file of ``(H, W, 3)``."""
    import av

    context = av.CodecContext.create("libwebp", "w")
    assert isinstance(context, av.VideoCodecContext)
    height, width, _ = image.shape
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate = RATE  # type: ignore[assignment]
    context.options = {"quality": str(quality)}
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def data_uri(file: bytes, kind: str) -> str:
    """A file as text for use in a page: ``data:image/png;base64,...``."""
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"


# ----------------------------------------------------------------------------------------------------------------------
# Contact sheets


def text(line: str) -> Pixels:
    """A line of dark text on a light ground, ``(H, W, 3)``, in capital letters, digits and a few signs; others become ``?``."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_LETTERS)
    legible = "".join(sign if sign in _SIGNS else "?" for sign in line.upper())
    width = max(1, math.ceil(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(legible, font)))
    picture = Image.new("L", (width, _LETTERS + 2), _PAPER)
    ImageDraw.Draw(picture).text((0, _LETTERS), legible, _INK, font, anchor="ls")
    return np.asarray(picture.convert("RGB"))


def enlarged(image: Pixels, scale: int) -> Pixels:
    """Enlarges ``(..., H, W, 3)``: every pixel becomes a square of ``scale`` times ``scale``."""
    return image.repeat(scale, axis=-3).repeat(scale, axis=-2)


def sprite(clip: Pixels) -> Pixels:
    """The frames of ``(T, H, W, 3)`` side by side, ``(H, T * W, 3)``."""
    frames, height, width, _ = clip.shape
    return np.ascontiguousarray(clip.transpose(1, 0, 2, 3)).reshape(height, frames * width, 3)


def contact_sheet(clips: Pixels, names: Sequence[str]) -> Pixels:
    """A picture with one clip per row: its name on the left, then its frames from left to right.

    Args:
        clips: ``(N, T, H, W, 3)``; small ones are enlarged.
        names: the names of the clips.

    Returns:
        ``(H', W', 3)``.
    """
    big = enlarged(clips, _scale(clips))
    count, frames, height, width, _ = big.shape
    labels = [text(name) for name in names]
    left = max(label.shape[1] for label in labels) + 3 * _GAP
    sheet = np.full((count * (height + _GAP) + _GAP, left + frames * (width + _GAP), 3), _PAPER, np.uint8)
    for row, (clip, label) in enumerate(zip(big, labels, strict=True)):
        top = _GAP + row * (height + _GAP)
        _paste(sheet, label, top + max(0, (height - label.shape[0]) // 2), _GAP)
        for column, frame in enumerate(clip):
            _paste(sheet, frame, top, left + column * (width + _GAP))
    return sheet


def mosaic(clips: Pixels, names: Sequence[str]) -> Pixels:
    """Shows all clips at once in about as many rows as columns, each below its name.

    Args:
        clips: ``(N, T, H, W, 3)``; small ones are enlarged.
        names: the names of the clips; cut off at the width of a clip.

    Returns:
        ``(T, H', W', 3)``, with even sizes because MP4 needs them.
    """
    big = enlarged(clips, _scale(clips))
    count, frames, height, width, _ = big.shape
    across = math.ceil(math.sqrt(count))
    labels = [text(name)[:, :width] for name in names]
    line = labels[0].shape[0] + 2 * _GAP
    shape = (-(-count // across) * (line + height) + _GAP, across * (width + _GAP) + _GAP)
    canvas = np.full((frames, shape[0] + shape[0] % 2, shape[1] + shape[1] % 2, 3), _PAPER, np.uint8)
    for place, (clip, label) in enumerate(zip(big, labels, strict=True)):
        top, left = place // across * (line + height), _GAP + place % across * (width + _GAP)
        for picture, frame in zip(canvas, clip, strict=True):
            _paste(picture, label, top + _GAP, left)
            _paste(picture, frame, top + line, left)
    return canvas


def _scale(clips: Pixels) -> int:
    return max(1, -(-_LEAST_SIDE // int(clips.shape[-3])))


def _paste(picture: Pixels, part: Pixels, top: int, left: int) -> None:
    picture[top : top + part.shape[0], left : left + part.shape[1]] = part


# ----------------------------------------------------------------------------------------------------------------------
# Moving pictures


def write_gif(path: Path, clip: Pixels) -> None:
    """Writes ``(T, H, W, 3)`` as an animated GIF that loops, with a palette of its own.

    Raises:
        BenchError: it cannot be written.
    """
    import av
    from av.filter import Graph

    height, width = clip.shape[1:3]
    with _refusing(path), av.open(f"file:{path}", "w", format="gif", options={"loop": "0"}) as container:
        stream = container.add_stream("gif", rate=RATE, width=width, height=height, pix_fmt="pal8")
        graph = Graph()
        source = graph.add_buffer(
            width=width, height=height, format=av.VideoFormat("rgb24"), time_base=Fraction(1, RATE)
        )
        split, generate, use = graph.add("split"), graph.add("palettegen"), graph.add("paletteuse")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(generate, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        for number, image in enumerate(clip):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            graph.push(frame)
        graph.push(None)
        for number in range(len(clip)):
            with_palette = graph.vpull()
            with_palette.pts = number
            container.mux(stream.encode(with_palette))
        container.mux(stream.encode())


def write_mp4(path: Path, clip: Pixels, seconds: float = 6.0) -> None:
    """Writes ``(T, H, W, 3)``, with even H and W, as an H.264 file that repeats it for about ``seconds``.

    Raises:
        BenchError: it cannot be written.
    """
    times = max(1, round(seconds * RATE / len(clip)))
    _write(path, "libx264", "yuv420p", {"crf": "18"}, [image for _ in range(times) for image in clip])


def write_exact(path: Path, clip: Pixels, codec: str) -> None:
    """Writes ``(T, H, W, 3)`` as a video that decodes to exactly these pixels. ``codec`` is one of `EXACT`.

    Raises:
        BenchError: it cannot be written.
    """
    _, pixel_format, options = EXACT[codec]
    _write(path, codec, pixel_format, options, list(clip))


def _write(path: Path, codec: str, pixel_format: str, options: dict[str, str], images: Sequence[Pixels]) -> None:
    import av

    height, width, _ = images[0].shape
    with _refusing(path), av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.thread_count = 1
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


class _refusing:  # noqa: N801 (used as a statement)
    """Turns any error in writing a file into a `BenchError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise BenchError(f"cannot write {self.path}: {error.strerror or error}") from error
