"""UCF101 and MiniUCF are read as their archives unpack, and what is missing is said in full."""

from __future__ import annotations

import csv
import pickle
from collections import Counter
from pathlib import Path

import pytest

from bench.api import DeclaredSize, Geometry
from bench.core.errors import BenchError, MissingData
from bench.data.sources.ucf101 import MINI_CLASSES, UCF101, MiniUCF, UCFOptions

GEOMETRY = Geometry(16, 4, 120, 112, 3)
COUNTS = [
    (row["class"], int(row["train"]), int(row["test"]))
    for row in csv.DictReader((Path(__file__).parent / "ucf101_split1_counts.csv").read_text().splitlines())
]


def spelled(action: str) -> str:
    """How the archive spells a class in file names."""
    return action.replace("HandstandPushups", "HandStandPushups")


def listed(action: str, part: str, count: int) -> list[str]:
    """Clips of a class, groups 1 to 7 for testing and 8 to 25 for training, as split 1 has it."""
    groups = range(1, 8) if part == "test" else range(8, 26)
    return [
        f"{action}/v_{spelled(action)}_g{groups[i % len(groups)]:02d}_c{i // len(groups) + 1:02d}.avi"
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """The three lists with the published counts and the line ends of the original."""
    root = tmp_path_factory.mktemp("ucf")
    folder = root / "ucfTrainTestlist"
    folder.mkdir()
    parts = {
        "classInd": [f"{i} {action}" for i, (action, _, _) in enumerate(COUNTS, 1)],
        "trainlist01": [f"{f} {i}" for i, (a, n, _) in enumerate(COUNTS, 1) for f in listed(a, "train", n)],
        "testlist01": [file for action, _, count in COUNTS for file in listed(action, "test", count)],
    }
    for name, lines in parts.items():
        (folder / f"{name}.txt").write_bytes("".join(f"{line}\r\n" for line in lines).encode())
    return root


@pytest.fixture(scope="module")
def complete(lists):
    """Every listed clip, as a file of three bytes."""
    for part in ("train", "test"):
        for action, train, test in COUNTS:
            for file in listed(action, part, train if part == "train" else test):
                path = lists / "UCF-101" / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"avi")
    return lists


@pytest.mark.parametrize(("kind", "classes", "train", "test"), [(UCF101, 101, 9537, 3783), (MiniUCF, 50, 4662, 1861)])
def test_the_published_counts(complete, kind, classes, train, test):
    dataset = kind(UCFOptions(), str(complete))
    index = dataset.index(GEOMETRY)
    split = Counter(clip.split for clip in index.clips)
    assert (len(index.classes), split["train"], split["test"]) == (classes, train, test)
    assert dataset.declared() == DeclaredSize(classes, train, test)
    assert kind(UCFOptions(split=2), "").declared() is None
    by_class = Counter((index.classes[clip.label], clip.split) for clip in index.clips)
    published = {(a, part): count for a, n, m in COUNTS for part, count in (("train", n), ("test", m))}
    assert by_class == {key: count for key, count in published.items() if key[0] in index.classes}
    assert not {c.group for c in index.clips if c.split == "train"} & {
        c.group for c in index.clips if c.split == "test"
    }
    assert pickle.loads(pickle.dumps(dataset)).root == str(complete)
    assert index.mirrors


def test_labels_keys_and_groups(complete):
    index = UCF101(UCFOptions(), str(complete)).index(GEOMETRY)
    assert index.classes == tuple(action for action, _, _ in COUNTS)
    first = index.clips[0]
    assert (first.key, first.label, first.split, first.group, first.size) == (
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
        0,
        "train",
        "v_ApplyEyeMakeup_g08",
        3,
    )
    mini = MiniUCF(UCFOptions(), str(complete)).index(GEOMETRY)
    assert set(mini.classes) == MINI_CLASSES
    assert list(mini.classes) == sorted(mini.classes, key=index.classes.index)
    assert mini.fingerprint != index.fingerprint


@pytest.mark.parametrize("spelling", ["HandstandPushups", "HandStandPushups", "handstandpushups"])
def test_a_class_is_found_however_it_is_spelled(tmp_path, spelling):
    folder = tmp_path / "ucfTrainTestlist"
    folder.mkdir()
    (folder / "classInd.txt").write_text("1 Archery\r\n2 HandstandPushups\r\n")
    (folder / "trainlist01.txt").write_text(
        "Archery/v_Archery_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n"
    )
    (folder / "testlist01.txt").write_text("Archery/v_Archery_g01_c01.avi\r\n")
    files = [
        "Archery/v_Archery_g08_c01.avi",
        "Archery/v_Archery_g01_c01.avi",
        f"{spelling}/v_{spelling}_g08_c01.avi",
    ]
    for file in files:
        path = tmp_path / "UCF-101" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"avi")
    index = UCF101(UCFOptions(), str(tmp_path)).index(GEOMETRY)
    assert index.clips[1].key == f"UCF-101/{spelling}/v_{spelling}_g08_c01.avi"
    assert index.clips[1].label == 1


def test_another_split_has_its_own_name_and_fingerprint(tmp_path):
    folder, clips = tmp_path / "ucfTrainTestlist", tmp_path / "UCF-101" / "Archery"
    folder.mkdir()
    clips.mkdir(parents=True)
    names = [f"v_Archery_g0{i}_c01.avi" for i in (1, 2)]
    (folder / "classInd.txt").write_text("1 Archery\n")
    for split, (train, test) in {1: names, 2: names[::-1]}.items():
        (folder / f"trainlist0{split}.txt").write_text(f"Archery/{train} 1\n")
        (folder / f"testlist0{split}.txt").write_text(f"Archery/{test}\n")
    for name in names:
        (clips / name).write_bytes(b"avi")
    one, two = (UCF101(UCFOptions(split=split), str(tmp_path)).index(GEOMETRY) for split in (1, 2))
    assert (one.dataset, two.dataset) == ("ucf101", "ucf101 (split 2)")
    assert [clip.group for clip in two.clips] == ["v_Archery_g02", "v_Archery_g01"]
    assert one.fingerprint != two.fingerprint


def test_missing_lists_are_said_with_what_to_do(tmp_path):
    with pytest.raises(MissingData) as caught:
        MiniUCF(UCFOptions(split=3), str(tmp_path / "here")).index(GEOMETRY)
    message = str(caught.value)
    for part in (
        "miniucf: no classInd.txt, trainlist03.txt, testlist03.txt",
        f"python -m bench data fetch miniucf --root {tmp_path / 'here'}",
        "https://www.crcv.ucf.edu/data/UCF101/UCF101.rar",
        "https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
        "--root",
        "--stand-in",
    ):
        assert part in message


def test_missing_clips_are_counted_and_named(tmp_path, lists):
    (tmp_path / "ucfTrainTestlist").symlink_to(lists / "ucfTrainTestlist")
    present = tmp_path / "UCF-101" / "Diving"
    present.mkdir(parents=True)
    (present / "v_Diving_g08_c01.avi").write_bytes(b"avi")
    dataset = MiniUCF(UCFOptions(), str(tmp_path))
    with pytest.raises(
        MissingData, match=r"6,522 of 6,523 clips are missing .*v_ApplyEyeMakeup_g01_c01.avi, .* 6,519 more"
    ):
        dataset.index(GEOMETRY)
    listing = dataset.listing()
    assert len(listing.clips) == 6523
    assert [clip.key for clip in listing.clips if clip.key not in listing.missing] == [
        "UCF-101/Diving/v_Diving_g08_c01.avi"
    ]
    lists_archive, clips_archive = dataset.archives()
    assert dataset.holds(lists_archive)
    assert not dataset.holds(clips_archive)


@pytest.mark.parametrize("line", ["../../etc/passwd", "Archery/../../x.avi", "Archery", "/Archery/x.avi", "a/b/c.avi"])
def test_a_list_cannot_name_files_elsewhere(tmp_path, line):
    folder = tmp_path / "ucfTrainTestlist"
    folder.mkdir()
    (folder / "classInd.txt").write_text("1 Archery\n")
    (folder / "trainlist01.txt").write_text(f"\n{line} 1\n")
    (folder / "testlist01.txt").write_text("")
    with pytest.raises(BenchError, match=r"trainlist01.txt: line 2: .* is not Class/clip.avi"):
        UCF101(UCFOptions(), str(tmp_path)).index(GEOMETRY)


def test_a_class_list_out_of_order_is_refused(tmp_path, lists):
    folder = tmp_path / "ucfTrainTestlist"
    folder.mkdir()
    for part in ("trainlist01", "testlist01"):
        (folder / f"{part}.txt").write_text("")
    (folder / "classInd.txt").write_text("1 Archery\n3 Diving\n")
    with pytest.raises(BenchError, match="line 2: '3 Diving' is not '2 ClassName'"):
        UCF101(UCFOptions(), str(tmp_path)).index(GEOMETRY)


def _with(lists, tmp_path, **changed):
    """The published lists with some of them changed: name=function of their lines."""
    folder = tmp_path / "ucfTrainTestlist"
    folder.mkdir()
    for path in (lists / "ucfTrainTestlist").iterdir():
        lines = path.read_text().split()
        if path.stem != "testlist01":  # two fields a line
            lines = [f"{one} {other}" for one, other in zip(lines[::2], lines[1::2], strict=True)]
        (folder / path.name).write_text("\n".join(changed.get(path.stem, lambda lines: lines)(lines)))
    return str(tmp_path)


@pytest.mark.parametrize("kind", [UCF101, MiniUCF])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"testlist01": lambda lines: [*lines, "Basketball/v_Basketball_g08_c01.avi"]},
            r"1 videos are listed for training and for testing \(UCF-101/Basketball/v_Basketball_g08_c01.avi\)",
        ),
        ({"classInd": lambda lines: lines[:60]}, r"class '\w+' is not in classInd.txt"),
        ({"trainlist01": lambda lines: [line for line in lines if "Basketball/" not in line]}, "no training clip of class Basketball"),
        ({"testlist01": lambda lines: [*lines, "Basketbal/v_Basketbal_g01_c01.avi"]}, "line 3784: class 'Basketbal' is not in"),
        ({"classInd": lambda lines: [*lines, "102 basketball"]}, "class 'basketball' is there twice"),
    ],
)  # fmt: skip
def test_lists_that_contradict_themselves_are_one_sentence(lists, tmp_path, kind, changed, message):
    with pytest.raises(BenchError, match=message):
        kind(UCFOptions(), _with(lists, tmp_path, **changed)).listing()


def test_doubled_lines_count_once_and_odd_counts_are_said(lists, tmp_path):
    line = "Basketball/v_Basketball_g08_c01.avi 8"
    root = _with(lists, tmp_path, trainlist01=lambda lines: [line, *lines, line], testlist01=lambda lines: lines[1:])
    listing = UCF101(UCFOptions(), root).listing()
    assert len(listing.clips) == 9537 + 3782
    assert listing.notes == (
        "Videos listed more than once count once: 1 (UCF-101/Basketball/v_Basketball_g08_c01.avi).",
        "The lists name 9,537 training and 3,782 test clips of 101 classes; the published ones name 9,537 and 3,783 of 101.",
    )
