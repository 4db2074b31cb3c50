"""The search for leaks against all pairs one by one, and against leaks planted in videos."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bench.core.errors import BenchError
from bench.data import leaks
from tests.data import videos


def pictures(rng, count, side=16):
    """Smooth noise ``(count, side, side, 3)``, each picture with a brightness and contrast of its own."""
    fields = gaussian_filter(rng.standard_normal((count, side, side, 3)), (0, side / 8, side / 8, 0), mode="wrap")
    fields *= rng.uniform(20, 60, (count, 1, 1, 1)) / fields.std(axis=(1, 2, 3), keepdims=True)
    return np.clip(fields + rng.uniform(80, 170, (count, 1, 1, 1)), 0, 255).astype(np.uint8)


def one_by_one(test, train, most):
    """Nearest training clip and its distance, of each test clip with a frame within ``most``; in double precision."""
    found = {}
    for i, ours in enumerate(test):
        for k, theirs in enumerate(train):
            for a in ours:
                for b in theirs:
                    rmse = float(np.sqrt(np.mean((a / 255.0 - b / 255.0) ** 2)))
                    if rmse <= most and rmse < found.get(i, (np.inf, 0))[0]:
                        found[i] = (rmse, k)
    return found


def test_it_finds_what_comparing_all_pairs_finds(monkeypatch):
    monkeypatch.setattr(leaks, "_ROWS", 5)  # several blocks, none of them full at the end
    monkeypatch.setattr(leaks, "_TRAIN_BLOCK", 7)
    monkeypatch.setattr(leaks, "_MEASURED", 3)
    monkeypatch.setattr(leaks, "_HASHED", 10)
    rng = np.random.default_rng(0)
    test = pictures(rng, 12 * 3).reshape(12, 3, 16, 16, 3)
    train = pictures(rng, 14 * 4).reshape(14, 4, 16, 16, 3)
    for clip, level in ((1, 0), (4, 4), (6, 9), (9, 30)):  # the last is too noisy to be a leak
        noisy = train[clip, 2] + level * rng.standard_normal((16, 16, 3))
        test[clip, 1] = np.clip(noisy, 0, 255)
    test[4, 0] = np.clip(train[2, 0].astype(int) + 8, 0, 255)  # farther than the other leak of this clip
    test[11, 2] = np.clip(train[0, 3].astype(int) - 6, 0, 255)  # darker
    wanted = one_by_one(test, train, leaks.MOST_RMSE)
    assert set(wanted) == {1, 4, 6, 11}
    found = leaks.find(test, train)
    assert {leak.test: leak.train for leak in found} == {i: k for i, (_, k) in wanted.items()}
    assert [leak.rmse for leak in found] == pytest.approx(sorted(rmse for rmse, _ in wanted.values()), abs=1e-6)
    wide = one_by_one(test, train, 0.12)  # pairs that only resemble each other: hashes aside, none may be lost
    assert len(wide) > len(wanted)
    assert {leak.test: leak.train for leak in leaks.find(test, train, 0.12, 63)} == {i: k for i, (_, k) in wide.items()}


def test_hashes_do_not_see_brightness_and_contrast_and_tell_pictures_apart():
    rng = np.random.default_rng(1)
    frames = pictures(rng, 200)
    hashes = leaks.frame_hashes(frames)
    mapped = leaks.frame_hashes((0.8 * frames + 20).astype(np.uint8))
    assert np.bitwise_count(hashes ^ mapped).max() <= 6
    between = np.bitwise_count(hashes[:, None] ^ hashes[None, :])[np.triu_indices(200, 1)]
    assert 28 < between.mean() < 35  # of 63 bits
    assert (between <= leaks.MOST_BITS).mean() < 0.001


def test_black_frames_are_no_leak():
    black = np.zeros((2, 3, 16, 16, 3), np.uint8)
    assert leaks.find(black, black) == []


@pytest.mark.parametrize(("frames", "wanted"), [(48, 16), (5, 5)])
def test_frames_are_taken_evenly(frames, wanted):
    places = leaks.evenly(frames)
    assert len(set(places)) == wanted
    assert (places[0], places[-1]) == (0, frames - 1)
    assert set(np.diff(places)) <= {frames // wanted, frames // wanted + 1}


def moving(rng, frames=64, side=128):
    """A picture that passes by, 2 pixels a frame."""
    whole = pictures(rng, 1, 2 * side)[0]
    return [np.ascontiguousarray(whole[:side, 2 * k % side : 2 * k % side + side]) for k in range(frames)]


def test_planted_leaks_are_found_in_videos(tmp_path, bench_main, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(2)
    folder = tmp_path / "clips"
    scenes = [moving(rng, 90) for _ in range(5)]
    lines = ["file,label,split"]
    for k, scene in enumerate(scenes):
        videos.write(folder / f"train{k}.avi", scene[:64], "xvid.avi")
        lines.append(f"train{k}.avi,{'ab'[k % 2]},train")
    planted = {
        "same": (scenes[0][:64], "xvid.avi"),
        "later": (scenes[1][23:87], "h264.mp4"),  # shifted by 23 frames, and coded in another way
        "lighter": ([np.clip(f.astype(int) + 5, 0, 255).astype(np.uint8) for f in scenes[2][:64]], "h264.mp4"),
        "other": (moving(rng), "h264.mp4"),
    }
    for name, (frames, codec) in planted.items():
        videos.write(folder / f"{name}.mkv", frames, codec)
        lines.append(f"{name}.mkv,b,test")  # found in whatever class
    (folder / "labels.csv").write_text("\n".join(lines))
    listed = tmp_path / "lists" / "leaks.csv"
    done = bench_main("data", "check", f"folder:{folder}", "--leaks", "--to", listed, "--workers", 1)
    assert done.code == 0, done.err
    assert "3 of 4 test clips show a frame of one of 5 training clips" in done.out
    with listed.open(newline="") as file:
        nearest = {line["test_file"]: line["nearest_train_file"] for line in csv.DictReader(file)}
    assert nearest == {"same.mkv": "train0.avi", "later.mkv": "train1.avi", "lighter.mkv": "train2.avi"}
    assert leaks.read_csv(listed) == set(nearest)


def test_a_file_is_refused_that_is_no_list_of_leaks(tmp_path, bench_main):
    path = tmp_path / "wrong.csv"
    path.write_text("file,label\na,b\n")
    with pytest.raises(BenchError, match="no column 'test_file'"):
        leaks.read_csv(path)
    with pytest.raises(BenchError, match=r"missing\.csv: cannot be read"):
        leaks.read_csv(tmp_path / "missing.csv")
    done = bench_main("data", "check", "shapes-mixed", "--to", "x.csv")
    assert done.code == 2
    assert "--to: this is the file for the list of --leaks" in done.err
