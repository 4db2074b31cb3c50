"""Clips as pictures: PNG files, contact sheets, GIF, MP4 and videos that lose nothing."""

from __future__ import annotations

import av
import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.report import pictures


@pytest.fixture
def clips():
    """Three clips of noise, not square, of five frames."""
    return np.random.default_rng(0).integers(0, 256, (3, 5, 16, 24, 3), np.uint8)


def decoded(file):
    with av.open(str(file)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_a_png_holds_the_pixels(clips, tmp_path):
    (tmp_path / "a.png").write_bytes(pictures.png(clips[0, 0]))
    assert (decoded(tmp_path / "a.png")[0] == clips[0, 0]).all()


def test_a_sprite_has_the_frames_side_by_side(clips):
    sprite = pictures.sprite(clips[1])
    assert sprite.shape == (16, 5 * 24, 3)
    assert (sprite[:, 48:72] == clips[1, 2]).all()


def test_a_webp_is_near_the_pixels(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(96))[..., None].repeat(3, axis=2).astype(np.uint8)
    (tmp_path / "a.webp").write_bytes(pictures.webp(smooth))
    difference = np.abs(decoded(tmp_path / "a.webp")[0].astype(int) - smooth)
    assert difference.mean() < 3
    assert (tmp_path / "a.webp").stat().st_size < smooth.nbytes / 10


@pytest.mark.parametrize("codec", pictures.EXACT)
def test_exact_video_decodes_to_the_same_pixels(clips, tmp_path, codec):
    file = tmp_path / ("a" + pictures.EXACT[codec][0])
    pictures.write_exact(file, clips[0], codec)
    assert (decoded(file) == clips[0]).all()


def test_a_contact_sheet_has_a_row_a_clip_and_a_column_a_frame(clips):
    sheet = pictures.contact_sheet(clips, ["a", "b", "long name"])
    height, width = 64, 96  # enlarged by 4
    assert sheet.shape[0] == 3 * (height + 2) + 2
    left = sheet.shape[1] - 5 * (width + 2)
    found = sheet[2 + height + 2 : 2 + 2 * height + 2 : 4, left + 3 * (width + 2) : left + 3 * (width + 2) + width : 4]
    assert (found == clips[1, 3]).all()
    assert (sheet[: height + 2, :left].min(axis=2) < 128).any()  # the name


def test_letters_differ_and_what_is_unknown_is_a_question_mark():
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+/()?"
    glyphs = {pictures.text(sign).tobytes() for sign in signs}
    assert len(glyphs) == len(signs)
    assert (pictures.text("é") == pictures.text("?")).all()
    assert (pictures.text("ab") == pictures.text("AB")).all()


def test_a_gif_plays_every_frame_and_is_near_the_pixels(clips, tmp_path):
    mosaic = pictures.mosaic(clips, ["a", "b", "c"])
    assert mosaic.shape[0] == 5
    pictures.write_gif(tmp_path / "a.gif", mosaic)
    found = decoded(tmp_path / "a.gif")
    assert found.shape == mosaic.shape
    own = np.abs(found.astype(int) - mosaic).mean()
    other = np.abs(found.astype(int) - np.roll(mosaic, 1, axis=0)).mean()
    assert own < other / 2


def test_an_mp4_repeats_the_clip(clips, tmp_path):
    mosaic = pictures.mosaic(clips, ["a", "b", "c"])
    pictures.write_mp4(tmp_path / "a.mp4", mosaic, seconds=2)
    found = decoded(tmp_path / "a.mp4")
    assert found.shape == (15, *mosaic.shape[1:])
    assert np.abs(found[5].astype(int) - found[0]).mean() < np.abs(found[1].astype(int) - found[0]).mean() / 2


def test_a_file_that_cannot_be_written_is_one_sentence(clips, tmp_path):
    with pytest.raises(BenchError, match=r"cannot write .*nowhere"):
        pictures.write_gif(tmp_path / "nowhere" / "a.gif", clips[0])
