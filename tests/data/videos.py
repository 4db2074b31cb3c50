"""Makes the test's own videos: frames that carry their number, so that it can be read back after lossy coding."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIDE = 128
BITS = 8

CODECS = {
    "xvid.avi": ("mpeg4", {"bf": "2"}, "XVID"),
    "plain.avi": ("mpeg4", {}, None),
    "h264.mp4": ("libx264", {"bf": "2", "preset": "ultrafast"}, None),
    "h264.mkv": ("libx264", {"bf": "3", "b-pyramid": "normal"}, None),
}


def numbered(count: int) -> list[NDArray[np.uint8]]:
    """Frames ``(128, 128, 3)``; frame k shows the 8 bits of k as vertical bars, the highest first."""
    return [
        np.repeat([[255 * (k >> bit & 1) for bit in reversed(range(BITS))]], SIDE // BITS, axis=1)
        .repeat(SIDE, axis=0)[..., None]
        .repeat(3, axis=2)
        .astype(np.uint8)
        for k in range(count)
    ]


def number(image: NDArray[np.uint8]) -> int:
    """The number a frame ``(H, W, 3)`` carries, whatever its size."""
    bar = image.shape[1] // BITS
    bits = [image[:, i * bar + bar // 4 : (i + 1) * bar - bar // 4].mean() > 127 for i in range(BITS)]
    return int("".join("1" if bit else "0" for bit in bits), 2)


def write(path: Path, frames: Iterable[NDArray[np.uint8]], codec: str = "plain.avi") -> Path:
    """Writes a video; ``codec`` is one of CODECS."""
    name, options, tag = CODECS[codec]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=25, options=options)
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        if tag is not None:
            stream.codec_context.codec_tag = tag
        for image in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_numbered(path: Path, count: int, codec: str = "plain.avi") -> Path:
    """A video of ``count`` numbered frames."""
    return write(path, numbered(count), codec)
