"""Anyone's folder of clips: three layouts, and every mistake in labels.csv at once."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import torch

from bench.api import ClipRef, Geometry
from bench.core.errors import BenchError, MissingData
from bench.data.clip_store import open_or_build
from bench.data.pixels import SplitClips
from bench.data.sources.folder import Folder, FolderOptions
from bench.data.sources.ucf101 import UCF101, UCFOptions
from bench.sets.real import RealSet
from tests.data.videos import write_numbered

GEOMETRY = Geometry(4, 2, 16, 16)


def folder(path, **options):
    return Folder(FolderOptions(**options), "", str(path))


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def labels(root, text, encoding="utf-8"):
    (root / "labels.csv").write_bytes(text.encode(encoding))


def listed(index):
    return [(clip.key, index.classes[clip.label], clip.split, clip.group, clip.size) for clip in index.clips]


def test_labels_csv_as_spreadsheets_write_it(tmp_path):
    touch(tmp_path, "a/one.mp4", "two.AVI", "b, c/three.bin", "four.mp4")
    labels(
        tmp_path,
        "Split,file,label,group\r\n"
        "test,a/one.mp4,zebra,g1\r\n"
        'train,"b, c/three.bin",ape,\r\n'
        "\r\n"
        "train,./two.AVI, zebra ,g1\r\n"
        "Test,four.mp4,ape,g2\r\n",
        "utf-8-sig",
    )
    index = folder(tmp_path).index(GEOMETRY)
    assert index.classes == ("ape", "zebra")
    assert listed(index) == [
        ("a/one.mp4", "zebra", "test", "g1", 9),
        ("b, c/three.bin", "ape", "train", "b, c/three.bin", 14),
        ("two.AVI", "zebra", "train", "g1", 7),
        ("four.mp4", "ape", "test", "g2", 8),
    ]
    assert index.dataset == f"folder:{tmp_path.name}"
    assert index.notes == ("Groups on both sides of the split: 1 (g1).",)


def test_the_real_columns_in_the_real_order(tmp_path):
    touch(tmp_path, "A/v_A_g01_c01.mp4", "A/v_A_g08_c01.mp4", "B/v_B_g01_c01.mp4", "B/v_B_g08_c01.mp4")
    rows = [f"{c}/v_{c}_g0{g}_c01.mp4,{c},{'train' if g == 8 else 'test'},v_{c}_g0{g}" for c in "AB" for g in (1, 8)]
    labels(tmp_path, "file,label,split,group\n" + "\n".join(rows))
    index = folder(tmp_path).index(GEOMETRY)
    assert [(clip.label, clip.split, clip.group) for clip in index.clips] == [
        (0, "test", "v_A_g01"),
        (0, "train", "v_A_g08"),
        (1, "test", "v_B_g01"),
        (1, "train", "v_B_g08"),
    ]
    assert index.notes == ()


def test_all_mistakes_at_once_with_their_lines(tmp_path):
    touch(tmp_path, "a.mp4")
    labels(
        tmp_path,
        "file,label,split\n"
        "a.mp4,x,train\n"
        "/etc/passwd,x,train\n"
        "../up.mp4,,test\n"
        "a.mp4,y,train\n"
        "C:\\x.mp4,x,train\n"
        '"b\n.mp4",x\n'
        "c.mp4,x,dev\n"
        "d.mp4,x,\n",
    )
    with pytest.raises(BenchError) as caught:
        folder(tmp_path).index(GEOMETRY)
    assert str(caught.value) == (
        f"{tmp_path / 'labels.csv'}: 7 mistakes: line 3: '/etc/passwd' is not below the folder; "
        "line 4: no label, '../up.mp4' is not below the folder; line 5: 'a.mp4' stands already in line 2; "
        "line 6: 'C:\\x.mp4' is not below the folder; line 8: 2 fields instead of 3; ..."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is ''; needed: file,label"),
        ("path,label\na,b\n", "line 1 is 'path,label'; needed: file,label"),
        ("file,label,label\n", "each once"),
        ("file,label,fold\n", "line 1 is 'file,label,fold'"),
        ('file,label\n"a,b\n', "not a CSV file in UTF-8"),
        ("file,label\n\xff\xfe,b\n", "not a CSV file in UTF-8"),
        ("file,label,split\na.mp4,x,dev\n", "1 mistake: line 2: split 'dev' is not train, test or val"),
        ("file,label,split\na.mp4,x,train\nb.mp4,x,\n", "line 3: no split, though other lines have one"),
        ("file,label\n", "no labelled videos"),
        ("file,label,split\na.mp4,x,train\nb.mp4,x,test\n", r"only one class \('x'\)"),
        ("file,label,split\na.mp4,x,train\nb.mp4,y,test\n", "no training clip of class y"),
    ],
)
def test_a_faulty_labels_csv_is_one_sentence(tmp_path, text, message):
    touch(tmp_path, "a.mp4", "b.mp4")
    labels(tmp_path, text, "latin-1")
    with pytest.raises(BenchError, match=message):
        folder(tmp_path).index(GEOMETRY)


def test_files_that_are_not_there_are_counted_and_named(tmp_path):
    touch(tmp_path, "a0.mp4", "b0.mp4")
    rows = [f"{c}{i}.mp4,{c},{'train' if i < 4 else 'test'}" for c in "ab" for i in range(5)]
    labels(tmp_path, "file,label,split\n" + "\n".join(rows))
    with pytest.raises(MissingData, match=r"8 of 10 files .* are missing: a1.mp4, a2.mp4, a3.mp4 and 5 more"):
        folder(tmp_path).index(GEOMETRY)
    assert len(folder(tmp_path).listing().missing) == 8


def test_without_a_split_one_is_drawn_by_group_and_said(tmp_path):
    names = [f"{c}/v_{c}_g{g:02d}_c{i:02d}.avi" for c in ("run", "walk") for g in range(10) for i in range(3)]
    touch(tmp_path, *names, "run/notes.txt", ".hidden/x.avi", "empty/readme.md")
    index = folder(tmp_path).index(GEOMETRY)
    assert index.classes == ("run", "walk")
    assert [clip.key for clip in index.clips] == sorted(names)
    count = Counter((clip.label, clip.split) for clip in index.clips)
    assert count == {(0, "train"): 21, (0, "test"): 9, (1, "train"): 21, (1, "test"): 9}
    sides = {(clip.group, clip.split) for clip in index.clips}
    assert len(sides) == 20
    assert ("v_run_g03", "test") in sides or ("v_run_g03", "train") in sides
    assert index.notes == (
        "No split is given; one was drawn by group with split_seed=0: "
        "42 clips of 14 groups to train and 18 clips of 6 groups to test.",
        "Class folders without a video are left out: 1 (empty/).",
        "Files whose ending is not a video's are left out: 2 (empty/readme.md, run/notes.txt).",
        "Hidden files and folders are left out: 1 (.hidden).",
    )
    other = folder(tmp_path, split_seed=1).index(GEOMETRY)
    assert [clip.split for clip in other.clips] != [clip.split for clip in index.clips]
    assert other.fingerprint != index.fingerprint


def test_clips_are_mirrored_only_if_the_user_says_that_they_may_be(tmp_path):
    videos = tmp_path / "videos"
    for name in ("a", "b"):
        for group in range(4):
            write_numbered(videos / name / f"v_{name}_g{group}_c1.avi", 8)
    plain, allowed = folder(videos).index(GEOMETRY), folder(videos, mirror=True).index(GEOMETRY)
    assert (plain.mirrors, allowed.mirrors) == (False, True)
    assert plain.fingerprint == folder(videos, mirror=False).index(GEOMETRY).fingerprint != allowed.fingerprint
    for index, options in ((plain, {}), (allowed, {"mirror": True})):
        for _ in range(2):  # decoded, then found
            store = open_or_build(folder(videos, **options), index, GEOMETRY, tmp_path / "cache", 1)
            clips = SplitClips(store, "train", torch.device("cpu"))
            assert store.mirrors == clips.mirrors() == RealSet(clips).mirrors == index.mirrors


def test_files_of_the_same_name_in_two_classes_are_not_one_group(tmp_path):
    touch(tmp_path, *(f"{c}/{i:03d}.mov" for c in "ab" for i in range(10)))
    index = folder(tmp_path).index(GEOMETRY)
    assert len({clip.group for clip in index.clips}) == 20
    assert Counter((clip.label, clip.split) for clip in index.clips)[0, "test"] == 3


@pytest.mark.parametrize(
    ("parts", "train", "test", "note"),
    [
        (("train", "test"), ("train",), ("test",), None),
        (("train", "val"), ("train",), ("val",), "The 2 validation clips count as test clips."),
        (
            ("train", "test", "validation"),
            ("train", "validation"),
            ("test",),
            "The 2 validation clips count as train clips.",
        ),
    ],
)
def test_split_folders(tmp_path, parts, train, test, note):
    touch(tmp_path, *(f"{part}/{c}/deep/{c}1.webm" for part in parts for c in ("x", "y")))
    index = folder(tmp_path).index(GEOMETRY)
    assert index.classes == ("x", "y")
    assert {clip.key.split("/")[0] for clip in index.clips if clip.split == "train"} == set(train)
    assert {clip.key.split("/")[0] for clip in index.clips if clip.split == "test"} == set(test)
    assert index.notes == (() if note is None else (note,))


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, *(f"{c}/{c}{i}.mp4" for c in ("train", "car") for i in range(4)))
    assert folder(tmp_path).index(GEOMETRY).classes == ("car", "train")


def test_split_folders_are_found_in_any_case_and_what_lies_beside_them_is_said(tmp_path):
    touch(tmp_path, *(f"{part}/{c}/{c}.mp4" for part in ("Train", "TEST", "val", "extra") for c in "xy"))
    index = folder(tmp_path).index(GEOMETRY)
    assert index.classes == ("x", "y")
    assert Counter(clip.key.split("/")[0] for clip in index.clips if clip.split == "train") == {
        "Train": 2, "val": 2
    }  # fmt: skip
    assert {clip.key.split("/")[0] for clip in index.clips if clip.split == "test"} == {"TEST"}
    assert index.notes == (
        "The 2 validation clips count as train clips.",
        "Folders beside train and test are left out: 1 (extra/).",
    )


@pytest.mark.parametrize("both", [("val", "validation"), ("Train", "train")])
def test_two_folders_of_one_split_are_refused(tmp_path, both):
    touch(tmp_path, *(f"{part}/{c}/{c}.mp4" for part in {"train", "test", *both} for c in "xy"))
    with pytest.raises(BenchError, match=f"{both[0]}/ and {both[1]}/ are one split; keep one of them"):
        folder(tmp_path).index(GEOMETRY)


def test_a_train_folder_alone_is_said_to_be_a_class(tmp_path):
    touch(tmp_path, *(f"{part}/{c}/{c}.mp4" for part in ("Train", "testing") for c in "xyz"))
    (note,) = (note for note in folder(tmp_path).index(GEOMETRY).notes if "taken for a class" in note)
    assert note.startswith("Folder 'Train' is taken for a class: train and test")


def test_everything_that_is_not_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{c}/{i}.mp4" for c in "ab" for i in range(4)))
    touch(
        tmp_path, "loose.mp4", "readme.md", "a/notes.txt", "a/.trash/x.mp4", "a/.x.mp4", "a/._1.mp4", "a/.DS_Store", "b/Thumbs.db",
        "only-words/a.txt", "locked/1.mp4", "a/clip.MP4/deep.3gp", "b/1.ts", "b/1.ogv", "b/1.gif", "b/1.M2TS",
    )  # fmt: skip
    (tmp_path / "none").mkdir()
    (tmp_path / "a/gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a/itself.mp4").symlink_to(tmp_path / "a/itself.mp4")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "b/up").symlink_to(tmp_path / "b", target_is_directory=True)
    (tmp_path / "linked").symlink_to(tmp_path / "a/clip.MP4", target_is_directory=True)
    os.mkfifo(tmp_path / "b/pipe.mp4")
    (tmp_path / os.fsdecode(b"a/caf\xe9.mp4")).write_bytes(b"x")
    really = os.scandir

    def scandir(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    index = folder(tmp_path).index(GEOMETRY)
    assert index.classes == ("a", "b", "linked")
    assert [clip.key for clip in index.clips if not clip.key.endswith(".mp4")] == [
        "a/clip.MP4/deep.3gp", "b/1.M2TS", "b/1.gif", "b/1.ogv", "b/1.ts", "linked/deep.3gp",
    ]  # fmt: skip
    assert sorted(note for note in index.notes if "left out" in note) == [
        "Class folders without a video are left out: 2 (none/, only-words/).",
        "Files and folders whose names are not UTF-8 are left out: 1 (a/caf\\xe9.mp4).",
        "Files whose ending is not a video's are left out: 3 (a/notes.txt, only-words/a.txt, readme.md).",
        "Folders that cannot be opened are left out: 1 (locked/).",
        "Hidden files and folders are left out: 2 (a/.trash, a/.x.mp4).",
        "Links that lead back to a folder above them are left out: 1 (b/up/).",
        "Links that lead nowhere, and what is neither a file nor a folder are left out: 4 "
        "(a/gone.mp4, a/itself.mp4, b/pipe.mp4 and 1 more).",
        "Videos that lie in no class folder are left out: 1 (loose.mp4).",
    ]


@pytest.mark.parametrize("kind", ["a link that leads nowhere", "a folder"])
def test_a_labels_csv_that_cannot_be_read_is_said_and_no_split_is_drawn(tmp_path, kind):
    touch(tmp_path, *(f"{c}/{i}.mp4" for c in "ab" for i in range(4)))
    if kind == "a folder":
        (tmp_path / "labels.csv").mkdir()
    else:
        (tmp_path / "labels.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BenchError, match=r"labels.csv: cannot be read \("):
        folder(tmp_path).index(GEOMETRY)


def test_videos_that_labels_csv_does_not_name_are_said(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4", "deep/d.avi", "e.txt")
    labels(tmp_path, "file,label,split\na.mp4,x,train\nb.mp4,y,train\n")
    assert folder(tmp_path).index(GEOMETRY).notes[-1] == (
        "Videos that labels.csv does not name are left out: 2 (c.mp4, deep/d.avi)."
    )


def test_a_name_in_two_encodings_is_one_class_and_two_cases_are_said(tmp_path):
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    touch(tmp_path, *(f"{c}/{i}.mp4" for c in (composed, apart, "Run", "run") for i in range(4)))
    index = folder(tmp_path).index(GEOMETRY)
    assert index.classes == ("Run", composed, "run")
    assert Counter(clip.label for clip in index.clips)[index.classes.index(composed)] == 8
    assert "Classes whose names differ in upper and lower case alone: Run and run." in index.notes
    assert f"Class folders with the same name in two encodings are one class: {composed}." in index.notes
    labels(tmp_path, "file,label\n" + "".join(f"{c}/{i}.mp4,{c}\n" for c in (composed, apart, "Run") for i in range(4)))
    assert sorted(folder(tmp_path).index(GEOMETRY).classes) == sorted(("Run", composed))


@pytest.mark.parametrize("name", ["a:b", "-i", "50%d", "two\nlines", "file:x", os.fsdecode(b"caf\xe9")])
def test_clips_are_read_from_a_folder_of_any_name(tmp_path, monkeypatch, name):
    write_numbered(tmp_path / name / "clips/a/1.avi", 8)
    write_numbered(tmp_path / name / "clips/b/1.avi", 8)
    monkeypatch.chdir(tmp_path)
    dataset = UCF101(UCFOptions(), name)  # reads below its root as it is given
    for key in ("clips/a/1.avi", "clips/b/1.avi"):
        assert dataset.read(ClipRef(key, 0, "train", key, 1), GEOMETRY).shape == (1, 4, 16, 16, 3)
    if "caf" not in name:
        index = folder(f"{name}/clips").index(GEOMETRY)
        assert folder(f"{name}/clips").read(index.clips[0], GEOMETRY).shape == (1, 4, 16, 16, 3)


def test_a_folder_whose_own_name_no_record_can_hold_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9/a")).mkdir(parents=True)
    with pytest.raises(BenchError, match=r"caf\\xe9: the folder's name is not UTF-8; rename it"):
        folder(tmp_path / os.fsdecode(b"caf\xe9")).index(GEOMETRY)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: touch(path, "clip.mp4")])
def test_no_data_is_one_complete_sentence(tmp_path, make):
    make(tmp_path / "clips")
    with pytest.raises(MissingData, match=r"folder:.*clips: no (such folder|labelled videos; expected labels.csv)"):
        folder(tmp_path / "clips").index(GEOMETRY)


def test_the_fingerprint_follows_what_matters_and_not_where_it_lies(tmp_path):
    def fingerprint(name, change=lambda root: None):
        root = tmp_path / name / "clips"
        touch(root, *(f"{c}/{i}.mp4" for c in "ab" for i in range(4)))
        change(root)
        return folder(root).index(GEOMETRY).fingerprint

    same = fingerprint("one")
    assert fingerprint("two") == same
    others = {
        fingerprint("longer", lambda root: (root / "a/0.mp4").write_bytes(b"longer than before")),
        fingerprint("renamed", lambda root: (root / "a/0.mp4").rename(root / "a/9.mp4")),
        fingerprint("class", lambda root: (root / "a").rename(root / "c")),
        fingerprint("gone", lambda root: (root / "a/0.mp4").unlink()),
    }
    assert len(others | {same}) == 5


def test_a_class_without_test_clips_is_said(tmp_path):
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "b/2.mp4")
    assert folder(tmp_path).index(GEOMETRY).notes[-1] == "No test clip of class a."


def test_from_the_folder_to_the_store(tmp_path):
    root = tmp_path / "clips"
    for name in ("a/1.avi", "a/2.avi", "b/1.avi", "b/2.avi"):
        write_numbered(root / name, 12)
    write_numbered(root / "b/short.avi", 3)
    (root / "a/empty.avi").write_bytes(b"")
    dataset = folder(root)
    index = dataset.index(GEOMETRY)
    store = open_or_build(dataset, index, GEOMETRY, tmp_path / "cache", 1)
    assert store.clips.shape == (4, 1, 4, 16, 16, 3)
    assert dict(store.left_out) == {"a/empty.avi": "the file is empty", "b/short.avi": "3 frames, 4 needed"}
