"""``python -m bench data``: what it counts, its exit codes, and that it fetches only what is not there."""

from __future__ import annotations

import argparse
import io
import zipfile

import av
import numpy as np
import pytest

from bench.cli import data
from bench.core.errors import BenchError
from bench.data import download

NAMES = [f"{action}/v_{action}_g{group:02d}_c01.avi" for action in ("Archery", "Diving") for group in (1, 8, 9)]
URL = "https://www.crcv.ucf.edu/data/UCF101/"


def video(frames=20):
    """The bytes of a small avi."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for k in range(frames):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 9 * k, np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())
    return file.getvalue()


def lists():
    """The members of the archive of lists, for two classes."""
    train = [name for name in NAMES if "_g01_" not in name]
    return {
        "ucfTrainTestlist/classInd.txt": "1 Archery\r\n2 Diving\r\n",
        "ucfTrainTestlist/trainlist01.txt": "".join(f"{name} 1\r\n" for name in train),
        "ucfTrainTestlist/testlist01.txt": "".join(f"{name}\r\n" for name in NAMES if name not in train),
    }


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)


def put(root, members):
    for name, body in members.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else body.encode())


def bench(capsys, *args):
    """Runs ``data``: exit code, lines on standard output."""
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    code = data.run(parser.parse_args(args))
    return code, capsys.readouterr().out.splitlines()


def rows(lines):
    """The table: class -> train, test, present, missing, unreadable."""
    return {
        fields[0]: [int(n) for n in fields[1:]]
        for line in lines
        if len(fields := line.split()) == 6 and fields[1].isdigit()
    }


@pytest.fixture
def ucf(tmp_path):
    """Lists of six clips; one clip missing, one empty, one too short for the paper's geometry, three in order."""
    put(tmp_path, lists())
    bodies = [video(), video(), None, b"", video(3), video()]
    put(tmp_path, {f"UCF-101/{name}": body for name, body in zip(NAMES, bodies, strict=True) if body is not None})
    return tmp_path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_check_counts_by_class_and_names_what_is_wrong(ucf, capsys, workers):
    code, lines = bench(capsys, "check", "ucf101", "--root", str(ucf), "--workers", workers)
    assert code == 1
    assert rows(lines) == {"Archery": [2, 1, 2, 1, 0], "Diving": [2, 1, 3, 0, 1]}
    assert lines[-3:] == [
        f"missing: UCF-101/{NAMES[2]}",
        f"unreadable: UCF-101/{NAMES[3]}: the file is empty",
        "5 of 6 clips present, 1 of them unreadable",
    ]


def test_check_decode_finds_what_a_run_would_leave_out(ucf, capsys):
    code, lines = bench(capsys, "check", "ucf101", "--root", str(ucf), "--workers", "1", "--decode")
    assert code == 1
    assert f"unreadable: UCF-101/{NAMES[4]}: 3 frames, 16 needed" in lines
    assert lines[-1] == "5 of 6 clips present, 2 of them cannot be used"


def test_check_quick_opens_nothing(ucf, capsys):
    code, lines = bench(capsys, "check", "ucf101", "--root", str(ucf), "--quick")
    assert code == 1
    assert lines[-1] == "5 of 6 clips present, none was opened"
    put(ucf, {f"UCF-101/{NAMES[2]}": b"no video"})
    assert bench(capsys, "check", "ucf101", "--root", str(ucf), "--quick")[0] == 0


def test_check_of_a_folder_in_order(tmp_path, capsys):
    put(tmp_path, {f"{c}/{i}.avi": video(4) for c in "ab" for i in range(4)})
    code, lines = bench(capsys, "check", f"folder:{tmp_path}", "--workers", "1")
    assert code == 0
    assert rows(lines) == {"a": [3, 1, 4, 0, 0], "b": [3, 1, 4, 0, 0]}
    assert lines[0].startswith("No split is given")
    assert lines[-1] == "8 of 8 clips present, 0 of them unreadable"


def test_check_of_files_named_but_absent(tmp_path, capsys):
    put(tmp_path, {"labels.csv": "file,label,split\na.avi,x,train\nb.avi,y,train\nc.avi,x,test\n", "a.avi": video(4)})
    code, lines = bench(capsys, "check", f"folder:{tmp_path}", "--workers", "1")
    assert code == 1
    assert lines[-2:] == ["missing: b.avi, c.avi", "1 of 3 clips present, 0 of them unreadable"]


def test_check_of_procedural_clips(capsys):
    code, lines = bench(capsys, "check", "shapes-motion[train=3,test=2]")
    assert code == 0
    assert lines[-1] == "40 of 40 clips present, nothing to look for: clips are drawn when they are read"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("check", "ucf102"), "did you mean ucf101"),
        (("check", "ucf101", "--root", "nowhere"), "no classInd.txt, trainlist01.txt, testlist01.txt in nowhere"),
        (("check", "ucf101[split=4]"), r"split='4' is not one of 1\|2\|3"),
        (("fetch", "shapes-motion"), "'shapes-motion' has no public archive"),
        (("fetch", "folder:."), "'folder' has no public archive"),
    ],
)
def test_bad_input_is_one_sentence(capsys, args, message):
    with pytest.raises(BenchError, match=message):
        bench(capsys, *args)


def test_no_workers_are_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        bench(capsys, "check", "shapes-motion", "--workers", "0")
    assert ended.value.code == 2
    assert "argument --workers: '0' is not a whole number of at least 1" in capsys.readouterr().err


@pytest.fixture
def web(monkeypatch):
    """Serves archives without a network, and lists what was asked for. RAR archives are zips here."""
    asked, served = [], {}

    def fake(url, target, progress=None):
        asked.append(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        pack(target, served[url])
        progress(1, 1)
        return target

    monkeypatch.setattr(download, "download", fake)
    return asked, served


def test_fetch_downloads_unpacks_and_verifies(tmp_path, capsys, web):
    asked, served = web
    served[f"{URL}UCF101TrainTestSplits-RecognitionTask.zip"] = lists()
    served[f"{URL}UCF101.rar"] = {f"UCF-101/{name}": b"avi" for name in NAMES}
    code, lines = bench(capsys, "fetch", "ucf101", "--root", str(tmp_path / "new"))
    assert code == 0
    assert asked == [f"{URL}UCF101TrainTestSplits-RecognitionTask.zip", f"{URL}UCF101.rar"]
    assert lines[-1] == f"ucf101 is complete in {tmp_path / 'new'}: 6 clips"
    assert all((tmp_path / "new" / "UCF-101" / name).read_bytes() == b"avi" for name in NAMES)
    code, lines = bench(capsys, "fetch", "ucf101", "--root", str(tmp_path / "new"))
    assert code == 0
    assert len(asked) == 2


def test_fetch_asks_only_for_what_is_not_there(ucf, capsys, web):
    asked, _ = web
    (ucf / "UCF-101" / NAMES[2]).write_bytes(b"avi")
    (ucf / "ucfTrainTestlist" / "classInd.txt").unlink()
    pack(ucf / "UCF101TrainTestSplits-RecognitionTask.zip", lists())  # fetched by hand
    code, _ = bench(capsys, "fetch", "ucf101", "--root", str(ucf))
    assert (code, asked) == (0, [])


def test_fetch_notices_an_archive_that_lacks_clips(ucf, capsys, web):
    _, served = web
    served[f"{URL}UCF101.rar"] = {f"UCF-101/{NAMES[0]}": b"avi"}
    with pytest.raises(
        BenchError, match=r"was unpacked, but 1 of 6 clips are missing \(UCF-101/Archery/v_Archery_g09_c01"
    ):
        bench(capsys, "fetch", "ucf101", "--root", str(ucf))


def test_progress_without_a_terminal_is_ten_lines(capsys):
    advance = data._tenths("file", "bytes")
    for done in range(0, 1001):
        advance(done, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[3] == "file: 300 of 1,000 bytes"


def test_fetch_without_a_network_names_every_archive_in_one_message(tmp_path, monkeypatch, capsys):
    def unreachable(url, target, progress):
        raise BenchError(f"{url}: cannot be reached; put it at {target}")

    monkeypatch.setattr(download, "download", unreachable)
    with pytest.raises(BenchError) as error:
        bench(capsys, "fetch", "miniucf", "--root", str(tmp_path))
    for name in ("UCF101TrainTestSplits-RecognitionTask.zip", "UCF101.rar"):
        assert f"{URL}{name}" in str(error.value)
        assert str(tmp_path / name) in str(error.value)
