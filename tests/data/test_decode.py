"""Decoding takes exactly the frames that the geometry names, whatever the codec, and says why a file cannot be used."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st

from bench.api import Geometry
from bench.core.errors import UnreadableClip
from bench.data.decode import check_opens, read_video, scaled_size, window_frames
from tests.data.videos import CODECS, number, write, write_numbered

# length, geometry -> the frames, worked out by hand
WINDOWS = [
    (50, Geometry(8, 4, 64, 64, 3), [[*range(0, 29, 4)], [*range(10, 39, 4)], [*range(21, 50, 4)]]),
    (50, Geometry(8, 4, 64, 64, 1), [[*range(10, 39, 4)]]),
    (20, Geometry(8, 4, 64, 64, 2), [[*range(0, 15, 2)], [*range(5, 20, 2)]]),
    (9, Geometry(8, 4, 64, 64, 2), [[*range(8)], [*range(1, 9)]]),
    (8, Geometry(8, 4, 64, 64, 3), [[*range(8)]] * 3),
    (33, Geometry(1, 4, 64, 64, 2), [[0], [32]]),
]


@pytest.mark.parametrize(("length", "geometry", "frames"), WINDOWS)
def test_windows_are_where_they_should_be(length, geometry, frames):
    assert window_frames(length, geometry).tolist() == frames


@given(st.integers(1, 24), st.integers(1, 9), st.integers(1, 6), st.integers(0, 300))
def test_windows_span_the_video(frames, gap, views, extra):
    length = frames + extra
    windows = window_frames(length, Geometry(frames, gap, 8, 8, views))
    step = min(gap, length // frames)
    assert windows.shape == (views, frames)
    assert (np.diff(windows, axis=1) == step).all()
    if views == 1:
        before, after = windows[0, 0], length - 1 - windows[0, -1]
        assert after - before in (0, 1)
    else:
        assert windows[0, 0] == 0
        assert windows[-1, -1] == length - 1
        assert np.ptp(np.diff(windows[:, 0])) <= 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("length", "geometry", "frames"), [WINDOWS[0], WINDOWS[2], WINDOWS[4]])
def test_every_frame_is_exactly_the_one_asked_for(tmp_path, codec, length, geometry, frames):
    clip = read_video(write_numbered(tmp_path / codec, length, codec), geometry)
    assert clip.shape == (geometry.views, geometry.frames, 64, 64, 3)
    assert clip.dtype == np.uint8
    assert [[number(image) for image in view] for view in clip] == frames


@pytest.mark.parametrize("codec", ["xvid.avi", "h264.mp4", "h264.mkv"])
def test_the_exactness_test_has_b_frames(tmp_path, codec):
    with av.open(str(write_numbered(tmp_path / codec, 50, codec))) as container:
        kinds = [PictureType(frame.pict_type) for frame in container.decode(video=0)]
    assert kinds.count(PictureType.B) > 10


def test_xvid_is_tagged_as_such(tmp_path):
    with av.open(str(write_numbered(tmp_path / "xvid.avi", 10, "xvid.avi"))) as container:
        assert container.streams.video[0].codec_context.codec_tag == "XVID"


@pytest.mark.parametrize("held", [0, 200_000])
def test_a_long_video_is_decoded_twice_to_the_same_frames(tmp_path, held):
    path = write_numbered(tmp_path / "xvid.avi", 60, "xvid.avi")
    geometry = Geometry(8, 4, 64, 64, 3)
    np.testing.assert_array_equal(read_video(path, geometry, held_bytes=held), read_video(path, geometry))


@pytest.mark.parametrize(
    ("size", "short", "scaled"),
    [
        ((320, 240), 120, (160, 120)),
        ((240, 320), 120, (120, 160)),
        ((170, 128), 112, (149, 112)),
        ((64, 64), 112, (112, 112)),
    ],
)
def test_the_shorter_side_is_scaled_and_the_aspect_kept(size, short, scaled):
    assert scaled_size(*size, short) == scaled


@pytest.mark.parametrize("upright", [False, True])
def test_the_centre_is_cropped_and_colours_are_rgb(tmp_path, upright):
    strips = np.zeros((80, 160, 3), np.uint8)  # a quarter blue, half red, a quarter green
    strips[:, :40, 2] = strips[:, 40:120, 0] = strips[:, 120:, 1] = 255
    frame = strips.transpose(1, 0, 2) if upright else strips
    path = write(tmp_path / "strips.avi", [np.ascontiguousarray(frame)] * 4)
    wide = read_video(path, Geometry(1, 1, 40, 40))[0, 0]  # scaled to 80 x 40: the crop is the red half
    inner = wide[2:-2, 2:-2]
    assert inner[..., 0].min() > 200
    assert inner[..., 1:].max() < 60
    narrow = read_video(path, Geometry(1, 1, 40, 20))[0, 0]
    np.testing.assert_array_equal(narrow, wide[10:30, 10:30])


def test_scaling_averages_areas(tmp_path):
    columns = np.zeros((96, 96, 3), np.uint8)
    columns[:, ::2] = 255  # nearest or bilinear sampling at a quarter of the size would not give grey everywhere
    clip = read_video(write(tmp_path / "h264.mp4", [columns] * 2, "h264.mp4"), Geometry(1, 1, 24, 24))
    assert abs(clip.astype(float).mean() - 127) < 8
    assert clip.std() < 8


def test_a_title_that_is_not_utf_8_is_no_obstacle(tmp_path):
    path = write_numbered(tmp_path / "plain.avi", 8)
    body = path.read_bytes()
    assert body.count(b"Lavf") == 1  # the writer's name, one of the file's metadata
    path.write_bytes(body.replace(b"Lavf", b"L\xe4vf"))
    assert [number(image) for image in read_video(path, Geometry(8, 1, 64, 64))[0]] == list(range(8))


def _audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _damaged(path: Path) -> Path:
    write_numbered(path, 50, "h264.mp4")
    body = bytearray(path.read_bytes())
    start = body.index(b"mdat") + 4
    body[start + 2500 : start + 2800] = b"\xff" * 300
    path.write_bytes(body)
    return path


def _bytes(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: _bytes(folder / "empty.avi", b""), "the file is empty"),
        (lambda folder: _bytes(folder / "text.avi", b"not a video\n" * 100), "does not decode: Invalid data"),
        (lambda folder: _bytes(folder / "noise.mp4", np.random.default_rng(0).bytes(5000)), "does not decode"),
        (lambda folder: _audio_only(folder / "sound.wav"), "no video stream"),
        (lambda folder: _damaged(folder / "damaged.mp4"), "does not decode: Invalid data"),
        (lambda folder: write_numbered(folder / "short.avi", 7), "7 frames, 8 needed"),
        (lambda folder: folder / "nowhere.avi", "No such file"),
        (lambda folder: folder, "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, make, reason, capfd):
    with pytest.raises(UnreadableClip, match=reason):
        read_video(make(tmp_path), Geometry(8, 4, 64, 64))
    assert capfd.readouterr() == ("", "")  # the decoder itself stays silent


@pytest.mark.parametrize(("share", "least"), [(0.75, 30), (0.8, 40), (0.9, 50)])
def test_a_file_that_ends_early_has_the_frames_it_has(tmp_path, share, least):
    path = write_numbered(tmp_path / "cut.avi", 60, "xvid.avi")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    clip = read_video(path, Geometry(8, 1, 64, 64, 2))
    assert [number(image) for image in clip[0]] == list(range(8))
    last = number(clip[1, -1])
    assert least <= last < 59
    assert [number(image) for image in clip[1]] == list(range(last - 7, last + 1))


def test_opening_looks_at_the_first_frame_only(tmp_path):
    check_opens(write_numbered(tmp_path / "one.avi", 1))
    check_opens(_damaged(tmp_path / "damaged.mp4"))
    with pytest.raises(UnreadableClip, match="the file is empty"):
        check_opens(_bytes(tmp_path / "empty.avi", b""))


# ----------------------------------------------------------------------------------------------------------------------
# What a container tells of how to show it

ONE = Geometry(1, 1, 48, 48)
FRAMES = 2


def _corners(height=48, width=48):
    """A white, a red, a green and a blue quarter, so that no turn or mirroring leaves it as it is."""
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[: height // 2, width // 2 :] = (255, 0, 0)
    picture[height // 2 :, : width // 2] = (0, 255, 0)
    picture[height // 2 :, width // 2 :] = (0, 0, 255)
    return picture


def _grey(level):
    return np.full((48, 48, 3), level, np.uint8)


def _written(path, *streams, options=None):
    """A file of still videos, one for each ``(picture, settings)``; settings are attributes of the stream or its codec."""
    with av.open(str(path), "w", options=options or {}) as container:
        made = []
        for picture, settings in streams:
            settings = dict(settings)
            codec = settings.pop("codec", "libx264")
            stream = container.add_stream(codec, rate=25, options=settings.pop("options", {}))
            if isinstance(picture, np.ndarray):
                picture = av.VideoFrame.from_ndarray(picture, format="rgb24")
            stream.height, stream.width = picture.height, picture.width
            stream.pix_fmt = settings.pop("pix_fmt", "yuv420p")
            if "disposition" in settings:
                stream.disposition = settings.pop("disposition").value  # PyAV 17 takes numbers only
            for name, value in settings.items():
                setattr(stream.codec_context, name, value)
            made.append((stream, picture))
        for stream, picture in made:
            for _ in range(FRAMES):
                picture.pts = None
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
    return path


def _with_more_bits(frame, name):
    """The same picture with more bits a number: each is shifted up."""
    deep = av.VideoFrame(frame.width, frame.height, name)
    bits = deep.format.components[0].bits - 8
    for own, plane in zip(frame.planes, deep.planes, strict=True):
        rows = np.frombuffer(own, np.uint8).reshape(own.height, own.line_size)[:, : own.width].astype("<u2") << bits
        padded = np.zeros((plane.height, plane.line_size // 2), "<u2")
        padded[:, : plane.width] = rows
        plane.update(padded.tobytes())
    return deep


def _shown(path, geometry=ONE):
    return read_video(path, geometry)[0, 0].astype(int)


def _error(path, picture, geometry=ONE):
    """How far the middles of the quarters are from what they should be; their edges are blurred by coding."""
    size = geometry.size
    near = [size // 4 - 4, size // 4 + 4, 3 * size // 4 - 4, 3 * size // 4 + 4]
    return np.abs(_shown(path, geometry) - picture)[np.ix_(near, near)].max()


@pytest.mark.parametrize(
    ("matrix", "seen"),
    [
        ((1, 0, 0, 1), lambda p: p),
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),  # a telephone held upright
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),  # the camera that looks at its owner
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
    ],
)
def test_a_clip_is_turned_and_mirrored_as_its_file_says(tmp_path, matrix, seen):
    path = _written(tmp_path / "phone.mp4", (_corners(), {}))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2: after the type, times, numbers, layer and volume
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert _error(path, seen(_corners())) < 12


def test_an_upright_video_is_cropped_upright(tmp_path):
    wide = np.hstack([_grey(0), _corners(), _grey(0)])
    path = _written(tmp_path / "phone.mp4", (wide, {}))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert _error(path, np.rot90(_corners(), -1)) < 12


@pytest.mark.parametrize(("ratio", "width"), [(Fraction(2), 24), (Fraction(1, 2), 96), (Fraction(99), 48)])
def test_pixels_that_are_not_square_are_made_so_unless_that_is_nonsense(tmp_path, ratio, width):
    path = _written(tmp_path / "tv.mkv", (_corners(48, width), {"sample_aspect_ratio": ratio}))
    assert _error(path, _corners()) < 12


@pytest.mark.parametrize(
    ("streams", "level"),
    [
        ([(_grey(200), {"codec": "mjpeg", "pix_fmt": "yuvj420p", "disposition": Disposition.attached_pic}), (_grey(90), {})], 90),
        ([(_grey(200)[:32, :32], {}), (_grey(90), {})], 90),
        ([(_grey(90), {}), (_grey(200), {})], 90),
        ([(_grey(200), {"disposition": Disposition(0)}), (_grey(90)[:32, :32], {"disposition": Disposition.default})], 90),
    ],
    ids=["cover", "larger", "first of equals", "default"],
)  # fmt: skip
def test_the_video_is_read_and_not_what_goes_with_it(tmp_path, streams, level):
    path = _written(tmp_path / ("clip.mkv" if "mjpeg" not in str(streams) else "clip.mp4"), *streams)
    assert abs(_shown(path, Geometry(1, 1, 32, 32)) - level).max() < 6


@pytest.mark.parametrize("deep", ["yuv420p10le", "yuv422p10le", "yuv420p12le"])
@pytest.mark.parametrize("size", [48, 32, 24])
def test_more_bits_show_what_eight_bits_show(tmp_path, deep, size):
    geometry = Geometry(1, 1, size, size)
    wave = np.indices((48, 48)).sum(0)
    picture = np.stack([wave * 2, 255 - wave, (wave * 5) % 256], -1).astype(np.uint8)
    picture[8:24, 8:24] = (255, 0, 0)
    plain = deep.removesuffix("10le").removesuffix("12le")
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=plain)
    shown = [
        _shown(_written(tmp_path / f"{name}.mkv", (each, {"codec": "ffv1", "pix_fmt": name})), geometry)
        for name, each in ((deep, _with_more_bits(frame, deep)), (plain, frame))
    ]
    assert np.abs(shown[0] - shown[1]).max() <= 5


@pytest.mark.parametrize("size", [48, 24])
def test_an_interlaced_video_is_shown_as_whole_pictures(tmp_path, size):
    geometry = Geometry(1, 1, size, size)
    rows = np.zeros((48, 48, 3), np.uint8)
    rows[::2] = 200  # the two fields differ: apart, each line of the half size would be all of one
    rows[:, 24:] = (180, 40, 40)
    settings = {"options": {"flags": "+ilme+ildct", "x264-params": "tff=1", "qp": "0"}}
    path = _written(tmp_path / "tv.mkv", (rows, settings))
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    plain = _written(tmp_path / "plain.mkv", (rows, {"options": {"qp": "0"}}))
    assert np.abs(_shown(path, geometry) - _shown(plain, geometry)).max() <= 2
