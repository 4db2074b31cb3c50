"""Files: what is written replaces a file only, and what is read is never nested too deeply."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from bench.core.files import parse_json, parse_toml, read_text, write_atomic


def test_a_device_is_written_to_and_stays_one(tmp_path):
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    for path in (link, link.readlink()):
        write_atomic(path, b"x")
        assert stat.S_ISCHR(path.stat().st_mode)
    assert link.is_symlink()
    assert list(tmp_path.iterdir()) == [link]


def test_a_pipe_is_written_to(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"x" * 100_000)
    reader.join(timeout=10)
    assert read == [b"x" * 100_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_is_written_to_behind_what_was_printed(capfd):
    print("first")
    write_atomic(Path("/dev/stdout"), b"second\n")
    print("third")
    assert capfd.readouterr().out == "first\nsecond\nthird\n"


def test_files_in_memory_are_files_though_they_lie_among_the_devices():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "file"
        for data in (b"old", b"new"):
            write_atomic(path, data)
        assert path.read_bytes() == b"new"


def test_a_link_stays_a_link_and_its_file_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, b"new")  # there is no file yet
    assert target.read_bytes() == b"new"
    target.write_bytes(b"old")
    write_atomic(link, b"newer")
    assert link.is_symlink()
    assert target.read_bytes() == b"newer"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "link", "there"]


def test_folders_and_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name, reason in (("folder", "Is a directory"), ("circle", "symbolic links")):
        with pytest.raises(OSError, match=reason):
            write_atomic(tmp_path / name, b"x")
    assert (tmp_path / "folder").is_dir()
    assert (tmp_path / "circle").is_symlink()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "nope"])
def test_json_that_cannot_be_read_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5000, "a = " + "{a=" * 5000, "nope"])
def test_toml_that_cannot_be_read_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_toml(text)


def test_a_text_without_an_end_is_not_read_for_ever(tmp_path):
    with pytest.raises(OSError, match="longer than 1 MiB"):
        read_text(Path("/dev/zero"), most=1 << 20)
    (tmp_path / "text").write_bytes("\ufeffgrün".encode())
    assert read_text(tmp_path / "text") == "grün"
