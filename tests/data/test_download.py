"""Downloads go on where they broke off, and an archive cannot write outside its folder."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.data import download as module
from bench.data.download import download, unpack, unpack_files

BODY = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """A loopback server of one file that can break off, ignore ranges, or fail.

    Attributes:
        body, etag: what it serves.
        breaks: after how many bytes of the body each of the next answers ends; None: not.
        ranges: whether it honours Range.
        errors: status codes of the next answers.
        asked: (Range, If-Range) of each request.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.etag, self.ranges, self.sized = BODY, '"v1"', True, True
        self.breaks, self.errors, self.asked = [], [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data/file.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        server.asked.append((wanted, condition))
        if server.errors:
            self.send_error(server.errors.pop(0))
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and server.ranges else 0
        if condition is not None and condition != server.etag:
            start = 0
        size = len(server.body)
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if server.sized:
            self.send_header("Content-Length", str(size - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        limit = server.breaks.pop(0) if server.breaks else None
        self.wfile.write(server.body[start:][:limit])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server, target, **options):
    return download(server.url, target, pauses=(0.0, 0.0), timeout=5, **options)


def left_beside(target):
    return sorted(path.name for path in target.parent.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_fetched_with_progress(server, tmp_path):
    seen = []
    target = fetch(server, tmp_path / "new" / "file.bin", progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert seen[-1] == (300_000, 300_000)
    assert left_beside(target) == ["file.bin"]
    fetch(server, target)
    assert len(server.asked) == 1


def test_a_broken_connection_is_taken_up_where_it_broke(server, tmp_path):
    server.breaks = [100_000, 50_000]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY
    assert server.asked == [(None, None), ("bytes=100000-", '"v1"'), ("bytes=150000-", '"v1"')]


def test_another_command_goes_on_with_what_is_kept(server, tmp_path):
    server.breaks = [100_000, 0, 0]
    with pytest.raises(BenchError, match=r"100,000 bytes are kept: give the same command to go on"):
        fetch(server, tmp_path / "file.bin")
    assert left_beside(tmp_path / "file.bin") == ["file.bin.part", "file.bin.part.json"]
    server.asked.clear()
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY
    assert server.asked == [("bytes=100000-", '"v1"')]
    assert left_beside(tmp_path / "file.bin") == ["file.bin"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.breaks, server.ranges = [100_000], False
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY
    assert len(server.asked) == 2


@pytest.mark.parametrize("etag", ['"v2"', None])
def test_a_file_that_changed_is_fetched_anew(server, tmp_path, etag):
    if etag is None:
        server.etag = None
    server.breaks = [100_000, 0, 0]
    with pytest.raises(BenchError):
        fetch(server, tmp_path / "file.bin")
    server.body, server.etag = BODY[::-1] + b"more", etag
    assert fetch(server, tmp_path / "file.bin").read_bytes() == server.body


def test_a_server_that_ignores_if_range_does_not_mix_two_versions(server, tmp_path, monkeypatch):
    server.breaks = [100_000, 0, 0]
    with pytest.raises(BenchError):
        fetch(server, tmp_path / "file.bin")
    server.body, server.etag = BODY[::-1], '"v2"'  # of the same size
    answer = Handler.do_GET

    def careless(self):
        del self.headers["If-Range"]
        answer(self)

    monkeypatch.setattr(Handler, "do_GET", careless)
    assert fetch(server, tmp_path / "file.bin").read_bytes() == server.body


def test_a_part_that_is_complete_is_only_renamed(server, tmp_path):
    server.breaks = [299_999, 0, 0]
    with pytest.raises(BenchError):
        fetch(server, tmp_path / "file.bin")
    (tmp_path / "file.bin.part").write_bytes(BODY)
    server.asked.clear()
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY
    assert server.asked == [("bytes=300000-", '"v1"')]


@pytest.mark.parametrize("beside", [None, "{", '{"url": "http://elsewhere/", "size": 300000, "validator": null}'])
def test_a_part_of_unknown_origin_is_not_used(server, tmp_path, beside):
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    if beside is not None:
        (tmp_path / "file.bin.part.json").write_text(beside)
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY
    assert server.asked == [(None, None)]


def test_a_server_that_does_not_tell_the_size_is_believed(server, tmp_path):
    server.sized = False
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY


def test_a_server_in_trouble_is_asked_again(server, tmp_path):
    server.errors = [503, 502]
    assert fetch(server, tmp_path / "file.bin").read_bytes() == BODY
    server.errors = [503] * 3
    with pytest.raises(BenchError, match="the server says 503 Service Unavailable; get http"):
        fetch(server, tmp_path / "other.bin")


def test_a_refusal_says_how_to_do_it_by_hand(server, tmp_path):
    server.errors = [404]
    target = tmp_path / "file.bin"
    with pytest.raises(BenchError) as caught:
        fetch(server, target)
    assert str(caught.value) == (
        f"{server.url}: the server says 404 Not Found; get {server.url} by hand, put it at {target} "
        "and give the same command again"
    )
    assert len(server.asked) == 1


def test_without_a_network_it_says_so_at_once(tmp_path):
    with Server() as closed:
        url = closed.url
    target = tmp_path / "file.bin"
    with pytest.raises(BenchError, match="cannot be reached") as caught:
        download(url, target, pauses=(60.0,))
    assert f"get {url} by hand, put it at {target}" in str(caught.value)


def test_a_folder_that_cannot_be_written_is_one_sentence(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="cannot write in"):
        fetch(server, tmp_path / "file" / "below" / "file.bin")


def test_too_small_a_disk_is_noticed_before_downloading(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 99))
    with pytest.raises(BenchError, match="needs 300,000 bytes more; 99 bytes are free"):
        fetch(server, tmp_path / "file.bin")
    assert left_beside(tmp_path / "file.bin") == []


# ----------------------------------------------------------------------------------------------------------------------
# Unpacking


def make_zip(path, members, mode=None):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            info = zipfile.ZipInfo(name)
            if mode is not None:
                info.external_attr = mode << 16
            archive.writestr(info, body)
    return path


def below(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_zip_adds_to_what_is_there(tmp_path):
    root = tmp_path / "root"
    (root / "top" / "sub").mkdir(parents=True)
    (root / "top" / "sub" / "mine").write_bytes(b"mine")
    (root / "top" / "old").write_bytes(b"old")
    archive = make_zip(tmp_path / "a.zip", {"top/old": b"new", "top/sub/b": b"b", "top/other/c": b"c", "else": b"x"})
    unpack(archive, root, "top")
    assert below(root) == {"top/old": b"new", "top/sub/mine": b"mine", "top/sub/b": b"b", "top/other/c": b"c"}


@pytest.mark.parametrize(
    "name", ["../evil", "top/../../evil", "/tmp/evil", "C:\\evil", "top\\..\\..\\evil", "\\\\host\\evil"]
)
def test_a_zip_that_reaches_outside_is_refused_whole(tmp_path, name):
    root = tmp_path / "root"
    archive = make_zip(tmp_path / "a.zip", {"top/fine": b"fine", name: b"evil"})
    with pytest.raises(BenchError, match="tries to write outside its folder"):
        unpack(archive, root, "top")
    assert below(root) == {}
    assert [path.name for path in tmp_path.iterdir() if "evil" in path.name] == []


def test_a_zip_with_a_link_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"top/link": b"/etc"}, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(BenchError, match="holds a link"):
        unpack(archive, tmp_path / "root", "top")
    assert below(tmp_path / "root") == {}


def test_a_damaged_zip_is_one_sentence(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"top/x": b"x" * 5000})
    body = bytearray(archive.read_bytes())
    body[1000] ^= 1
    archive.write_bytes(body)
    with pytest.raises(BenchError, match=r"is damaged .*delete it and fetch it again"):
        unpack(archive, tmp_path / "root", "top")
    archive.write_bytes(b"<html>not an archive</html>")
    with pytest.raises(BenchError, match=r"is not a zip, RAR or tar\.gz archive"):
        unpack(archive, tmp_path / "root", "top")


def test_an_archive_of_something_else_is_named(tmp_path):
    with pytest.raises(BenchError, match="holds no folder 'top' but other"):
        unpack(make_zip(tmp_path / "a.zip", {"other/x": b""}), tmp_path / "root", "top")


def test_a_zip_larger_than_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 99))
    with pytest.raises(BenchError, match="unpacks to 100 bytes, 99 are free"):
        unpack(make_zip(tmp_path / "a.zip", {"top/x": b"x" * 100}), tmp_path / "root", "top")


def make_tar(path, members, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(body), kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO(body))
    return path


def test_the_files_of_a_tar_are_put_into_one_folder(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "mine").write_bytes(b"mine")
    archive = make_tar(tmp_path / "a.tar.gz", {"./x.mp4": b"x", "deep/er/y.mp4": b"y" * 3000, "z": b""})
    unpack_files(archive, tmp_path / "root")
    assert below(tmp_path / "root") == {"mine": b"mine", "x.mp4": b"x", "y.mp4": b"y" * 3000, "z": b""}
    with pytest.raises(BenchError, match="holds two files of the same name"):
        unpack_files(make_tar(tmp_path / "b.tgz", {"a/x": b"1", "b/x": b"2"}), tmp_path / "root")


@pytest.mark.parametrize("name", ["../evil", "top/../../evil", "/tmp/evil", "C:\\evil"])
def test_a_tar_that_reaches_outside_is_refused_whole(tmp_path, name):
    archive = make_tar(tmp_path / "a.tar.gz", {"fine": b"fine", name: b"evil"})
    with pytest.raises(BenchError, match="tries to write outside its folder"):
        unpack_files(archive, tmp_path / "root")
    assert below(tmp_path / "root") == {}
    assert [path.name for path in tmp_path.iterdir() if "evil" in path.name] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_with_a_link_or_a_device_is_refused(tmp_path, kind):
    with pytest.raises(BenchError, match=r"holds a link or device \('it'\); nothing was unpacked"):
        unpack_files(make_tar(tmp_path / "a.tar.gz", {"it": b""}, kind), tmp_path / "root")
    assert below(tmp_path / "root") == {}


@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_tar_is_one_sentence(tmp_path, damage):
    archive = make_tar(tmp_path / "a.tar.gz", {"x": os.urandom(50_000)})
    body = bytearray(archive.read_bytes())
    body[25_000] ^= 1
    archive.write_bytes({"cut": body[:25_000], "flipped": body, "other": b"<html>no</html>"}[damage])
    with pytest.raises(BenchError, match=r"is damaged .*delete it and fetch it again"):
        unpack_files(archive, tmp_path / "root")
    assert below(tmp_path / "root") == {}


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Installs fake unpackers: shell scripts, the only programs that are found beside the system's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    system = tmp_path / "system"
    system.mkdir()
    for program in ("sh", "mkdir", "ln", "touch", "echo", "cat"):
        (system / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), str(system)]))

    def install(name, script):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return install


@pytest.fixture
def rar(tmp_path):
    path = tmp_path / "UCF101.rar"
    path.write_bytes(b"Rar!\x1a\x07\x00 and more")
    return path


# As the tools are called: unar ... -output-directory INTO ARCHIVE; bsdtar -xf ARCHIVE -C INTO
UNAR = 'while [ $# -gt 2 ]; do shift; done; mkdir -p "$1/top/a"; echo clip > "$1/top/a/x.avi"'
BSDTAR = 'if [ "$1" = -tf ]; then echo top/a/y.avi; else mkdir -p "$4/top/a"; echo clip > "$4/top/a/y.avi"; fi'
UNRAR = 'if [ "$1" = lb ]; then echo top/z.avi; else mkdir -p "$6/top"; echo clip > "$6/top/z.avi"; fi'
SEVEN = 'if [ "$1" = l ]; then echo "Path = top/w.avi"; else cd "${4#-o}"; mkdir top; echo clip > top/w.avi; fi'


@pytest.mark.parametrize(
    ("name", "script", "file"),
    [
        ("unar", UNAR, "top/a/x.avi"),
        ("bsdtar", BSDTAR, "top/a/y.avi"),
        ("unrar", UNRAR, "top/z.avi"),
        ("7z", SEVEN, "top/w.avi"),
    ],
)
def test_each_rar_tool_is_called_its_own_way(tools, rar, tmp_path, name, script, file):
    tools(name, script)
    unpack(rar, tmp_path / "root", "top")
    assert below(tmp_path / "root") == {file: b"clip\n"}


def test_a_tool_that_fails_leaves_nothing_and_the_next_is_tried(tools, rar, tmp_path):
    tools("unar", UNAR + "; exit 3")
    tools("bsdtar", BSDTAR)
    unpack(rar, tmp_path / "root", "top")
    assert below(tmp_path / "root") == {"top/a/y.avi": b"clip\n"}


def test_all_failures_are_said_with_what_to_do(tools, rar, tmp_path):
    tools("unar", "echo 'unsupported RAR version' >&2; exit 2")
    tools("7z", "exit 7")
    with pytest.raises(BenchError) as caught:
        unpack(rar, tmp_path / "root", "UCF-101")
    message = str(caught.value)
    assert "unar failed (exit code 2: unsupported RAR version); 7z failed (exit code 7: unpacked nothing)" in message
    assert f"unpack it by hand so that its clips lie in {tmp_path / 'root' / 'UCF-101'}" in message
    assert below(tmp_path / "root") == {}


def test_without_any_tool_they_are_named(tools, rar, tmp_path):
    with pytest.raises(BenchError, match="none of unar, bsdtar, unrar, 7z is installed"):
        unpack(rar, tmp_path / "root", "top")


@pytest.mark.parametrize(
    ("lister", "listing"),
    [
        ("lsar", "UCF101.rar: RAR 4\ntop/x\n../evil"),
        ("bsdtar", "top/x\n/tmp/evil"),
        ("unrar", "top/../../evil"),
        ("7z", "Path = top/x\nSize = 3\nPath = ../evil"),
    ],
)
def test_a_rar_that_reaches_outside_is_not_even_unpacked(tools, rar, tmp_path, lister, listing):
    witness = tmp_path / "extracted"
    first = {"bsdtar": "-tf", "unrar": "lb", "7z": "l", "lsar": str(rar)}[lister]
    script = f"if [ \"$1\" = {first} ]; then cat <<'END'\n{listing}\nEND\nelse touch {witness}; fi"
    tools(lister, script)
    if lister == "lsar":
        tools("unar", f"touch {witness}")
    with pytest.raises(BenchError, match="tries to write outside its folder"):
        unpack(rar, tmp_path / "root", "top")
    assert not witness.exists()


def test_a_link_that_a_tool_unpacked_is_refused(tools, rar, tmp_path):
    tools("unar", UNAR + '; ln -s /etc "$1/top/link"')
    with pytest.raises(BenchError, match=r"holds a link or device \('top/link'\)"):
        unpack(rar, tmp_path / "root", "top")
    assert below(tmp_path / "root") == {}


def test_the_call_of_bsdtar_is_one_that_tar_understands(tools, rar, tmp_path):
    """GNU tar takes the same arguments: an oracle for the call that a fake cannot be."""
    with tarfile.open(rar, "w") as archive:
        info = tarfile.TarInfo("top/a/real.avi")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"real"))
    system = next(path for path in map(Path, ("/usr/bin/bsdtar", "/bin/tar", "/usr/bin/tar")) if path.exists())
    tools("bsdtar", f'exec {system} "$@"')
    unpack(rar, tmp_path / "root", "top")
    assert below(tmp_path / "root") == {"top/a/real.avi": b"real"}
