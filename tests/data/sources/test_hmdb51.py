"""HMDB51 is read as its archives unpack and as the usual scripts arrange it, with both training splits."""

from __future__ import annotations

import pickle
import zipfile
from collections import Counter

import pytest

from bench.api import DeclaredSize, Geometry
from bench.cli import data as command
from bench.core.errors import BenchError, MissingData
from bench.data import download
from bench.data.sources.hmdb51 import HMDB51, HMDB51AllTrain, HMDBOptions, source_of
from tests.data.sources import layouts

GEOMETRY = Geometry(16, 4, 120, 112, 3)


def published(label):
    """70 training and 30 test clips of each class, and so many unused ones that there are 6,766 in all."""
    unused = 1666 // 51 + (label < 1666 % 51)
    return "1" * 70 + "2" * 30 + "0" * unused


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    root = tmp_path_factory.mktemp("hmdb")
    layouts.hmdb(root, layouts.small, published)
    return root


@pytest.mark.parametrize(("kind", "train"), [(HMDB51, 3570), (HMDB51AllTrain, 5236)])
def test_the_published_counts(complete, kind, train):
    dataset = kind(HMDBOptions(), str(complete))
    index = dataset.index(GEOMETRY)
    assert index.classes == tuple(sorted(layouts.HMDB_CLASSES))
    assert Counter(clip.split for clip in index.clips) == {"train": train, "test": 1530}
    assert dataset.declared() == DeclaredSize(51, train, 1530)
    assert index.dataset == dataset.name
    by_class = Counter((clip.label, clip.split) for clip in index.clips)
    unused = 0 if kind is HMDB51 else 32
    assert by_class[50, "train"] == 70 + unused
    assert by_class[50, "test"] == 30
    assert not any("published" in note for note in index.notes)
    assert dataset.geometry(GEOMETRY) == GEOMETRY
    assert pickle.loads(pickle.dumps(dataset)).root == str(complete)
    assert {clip.size for clip in index.clips} == {3}
    assert index.mirrors


def test_the_two_training_splits_are_two_datasets(complete):
    official, everything = (kind(HMDBOptions(), str(complete)).index(GEOMETRY) for kind in (HMDB51, HMDB51AllTrain))
    assert official.fingerprint != everything.fingerprint
    test = [{clip.key for clip in index.clips if clip.split == "test"} for index in (official, everything)]
    assert test[0] == test[1]
    assert {clip.key for clip in official.clips} < {clip.key for clip in everything.clips}


def test_clips_of_one_film_are_one_group_in_all_classes(tmp_path):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "1122")
    index = HMDB51(HMDBOptions(), str(tmp_path)).index(GEOMETRY)
    assert {clip.group for clip in index.clips if clip.split == "train"} == {"#0_Film_(x)"}
    assert {clip.group for clip in index.clips if clip.split == "test"} == {"#1_Film_(x)"}
    assert index.notes == ("The lists name 102 training and 102 test clips; the published ones name 3,570 and 1,530.",)


def test_films_on_both_sides_of_the_split_are_told(tmp_path):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "122")
    notes = HMDB51(HMDBOptions(), str(tmp_path)).index(GEOMETRY).notes
    assert notes[-1] == "51 of 102 test clips are cut from a video of which a training clip is cut, too."


@pytest.mark.parametrize(
    ("key", "action", "source"),
    [
        ("x/brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush_hair", "April_09"),
        ("x/wave/20070723sfjffbartsinger_wave_f_cm_np1_ba_med_0.avi", "wave", "20070723sfjffbartsinger"),
        ("x/run/a_run_Run_f_cm_np12_le_bad_11.avi", "run", "a_run"),
        ("x/run/other.avi", "run", "x/run/other.avi"),
    ],
)
def test_sources(key, action, source):
    assert source_of(key, action) == source


@pytest.mark.parametrize(
    ("clips", "lists"),
    [
        ("videos", "annotations"),
        (".", "."),
        ("hmdb51", "test_train_splits/testTrainMulti_7030_splits"),
        ("videos", "splits"),
    ],
)
def test_the_usual_arrangements_are_found(tmp_path, clips, lists):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "1102", clips, lists)
    dataset = HMDB51(HMDBOptions(), str(tmp_path))
    index = dataset.index(GEOMETRY)
    assert len(index.clips) == 3 * 51
    assert all((tmp_path / clip.key).is_file() for clip in index.clips)
    assert all(dataset.holds(archive) for archive in dataset.archives())


def test_another_split_has_its_own_name(tmp_path):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "12", split=3)
    assert HMDB51(HMDBOptions(split=3), str(tmp_path)).index(GEOMETRY).dataset == "hmdb51 (split 3)"
    with pytest.raises(MissingData, match=r"no split lists \(\*_test_split1.txt\)"):
        HMDB51(HMDBOptions(), str(tmp_path)).index(GEOMETRY)


def test_too_few_classes_are_refused(tmp_path):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "12")
    (tmp_path / "testTrainMulti_7030_splits" / "wave_test_split1.txt").unlink()
    with pytest.raises(BenchError, match=r"lists of 50 classes for split 1; HMDB51 has 51"):
        HMDB51(HMDBOptions(), str(tmp_path)).index(GEOMETRY)


@pytest.mark.parametrize("line", ["../../x.avi 1", "/x.avi 1", "a\\b.avi 1", "a.avi", "a.avi 3", "a.mp4 1"])
def test_a_list_cannot_name_files_elsewhere(tmp_path, line):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "12")
    (tmp_path / "testTrainMulti_7030_splits" / "wave_test_split1.txt").write_text(f"\n{line}\n")
    with pytest.raises(BenchError, match=r"wave_test_split1.txt: line 2: .* is not 'clip.avi 0', 1 or 2"):
        HMDB51(HMDBOptions(), str(tmp_path)).index(GEOMETRY)


def test_missing_clips_are_counted_and_named(tmp_path):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "1102")
    gone = tmp_path / "hmdb51_org" / "wave" / "#0_Film_(x)_wave_u_cm_np1_fr_med_1.avi"
    gone.unlink()
    dataset = HMDB51(HMDBOptions(), str(tmp_path))
    with pytest.raises(
        MissingData, match=r"1 of 153 clips are missing in .*#0_Film_\(x\)_wave.* data fetch hmdb51 --root"
    ):
        dataset.index(GEOMETRY)
    assert dataset.listing().missing == {"hmdb51_org/wave/#0_Film_(x)_wave_u_cm_np1_fr_med_1.avi"}


def test_fetch_unpacks_the_archives_inside_the_archive(tmp_path, monkeypatch, capsys):
    """RAR archives are zips here; there is no network."""
    source, root = tmp_path / "source", tmp_path / "root"
    layouts.hmdb(source, layouts.small, lambda label: "1102")
    inner = tmp_path / "inner"
    inner.mkdir()
    for action in layouts.HMDB_CLASSES:
        with zipfile.ZipFile(inner / f"{action}.rar", "w") as archive:
            for path in (source / "hmdb51_org" / action).iterdir():
                archive.write(path, f"{action}/{path.name}")

    def fake(url, target, progress=None):
        folder = inner if "org" in url else source / "testTrainMulti_7030_splits"
        with zipfile.ZipFile(target, "w") as archive:
            for path in folder.iterdir():
                archive.write(path, path.name if "org" in url else f"testTrainMulti_7030_splits/{path.name}")
        return target

    monkeypatch.setattr(download, "download", fake)
    (tmp_path / "root").mkdir()
    dataset = HMDB51AllTrain(HMDBOptions(), str(root))
    assert command._fetch(dataset) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"hmdb51-all-train is complete in {root}: 204 clips"
    assert (root / "hmdb51_org" / "wave" / "#1_Film_(x)_wave_u_cm_np1_fr_med_3.avi").read_bytes() == b"avi"
    assert sorted(path.name for path in root.iterdir()) == [
        "hmdb51_org", "hmdb51_org.rar", "testTrainMulti_7030_splits", "test_train_splits.rar",
    ]  # fmt: skip


def test_a_clip_with_two_signs_is_refused(tmp_path):
    layouts.hmdb(tmp_path, layouts.small, lambda label: "12")
    path = next(tmp_path.rglob("brush_hair_test_split1.txt"))
    path.write_text(path.read_text() + "#0_Film_(x)_brush_hair_u_cm_np1_fr_med_0.avi 2\n")
    with pytest.raises(BenchError, match=r"1 videos are listed for training and for testing"):
        HMDB51(HMDBOptions(), str(tmp_path)).index(GEOMETRY)
