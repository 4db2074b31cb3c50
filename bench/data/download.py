"""Fetching public archives: downloads that resume, and unpacking that cannot write outside its folder."""

from __future__ import annotations

import errno
import gzip
import http.client
import json
import os
import shutil
import ssl
import stat
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from filelock import FileLock, Timeout

from bench.core.errors import BenchError
from bench.core.files import parse_json, write_atomic
from bench.core.text import first_few

BLOCK = 1 << 20
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""

PAUSES = (1.0, 4.0, 15.0)
"""Seconds to wait before each further attempt. An attempt that brings bytes starts the count again."""


# ----------------------------------------------------------------------------------------------------------------------
# Downloading


@dataclass(frozen=True)
class _Remote:
    """What identifies one version of a file on a server; kept beside a partial download."""

    url: str
    size: int | None
    validator: str | None


class _Broken(Exception):
    """The connection ended early; the rest can be asked for."""


def download(
    url: str,
    target: Path,
    progress: Callable[[int, int | None], None] | None = None,
    pauses: Sequence[float] = PAUSES,
    timeout: float = TIMEOUT,
) -> Path:
    """Downloads a file, going on from where an earlier attempt ended if the server still has the same file.

    Until it is complete the file is ``<target>.part``; what the server said about it is in ``<target>.part.json``.

    Args:
        url: http or https.
        target: where the file goes; returned at once if it is there.
        progress: called with (bytes so far, bytes in all or None).
        pauses: seconds before each further attempt.
        timeout: seconds without a byte after which a connection is given up.

    Raises:
        BenchError: it cannot be fetched. The message says how to get the file by hand, and how much of it is kept.
    """
    if target.exists():
        return target
    part = target.with_name(f"{target.name}.part")
    by_hand = f"get {url} by hand, put it at {target} and give the same command again"
    with _disk(target.parent), _alone(target):
        failures, arrived = 0, False
        while not target.exists():
            before = _length(part)
            try:
                _attempt(url, part, progress, timeout)
                os.replace(part, target)
                _beside(part).unlink(missing_ok=True)
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise BenchError(f"{url}: the server says {error.code} {error.reason}; {by_hand}") from error
                reason = f"the server says {error.code} {error.reason}"
            except urllib.error.URLError as error:
                reason = f"cannot be reached ({error.reason})"
                if not arrived:  # most likely there is no network: say so at once
                    failures = len(pauses)
            except (_Broken, TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
                reason = f"the connection broke ({str(error) or type(error).__name__})"
            else:
                continue
            arrived = arrived or _length(part) > before
            failures = 1 if _length(part) > before else failures + 1
            if failures > len(pauses):
                resumable = (
                    f"{_length(part):,} bytes are kept: give the same command to go on; or " if _length(part) else ""
                )
                raise BenchError(f"{url}: {reason}; {resumable}{by_hand}")
            time.sleep(pauses[failures - 1])
    return target


def _attempt(url: str, part: Path, progress: Callable[[int, int | None], None] | None, timeout: float) -> None:
    """One request: appends to ``part`` if the server goes on with the same file, else starts again.

    Raises:
        _Broken: the file is not complete yet.
    """
    known = _read_remote(_beside(part), url)
    done = _length(part) if known is not None else 0
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    if known is not None and done:
        request.add_header("Range", f"bytes={done}-")
        if known.validator is not None:
            request.add_header("If-Range", known.validator)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if known is not None and known.size == done:
            return
        part.unlink()
        raise _Broken("the file on the server is another one now") from error
    with response:
        remote, start = _answer(url, response)
        if start and (start != done or known is None or not _same(remote, known)):
            part.unlink(missing_ok=True)
            raise _Broken("the file on the server is another one now")
        done = start
        if remote.size is not None and remote.size - done > shutil.disk_usage(part.parent).free:
            raise OSError(errno.ENOSPC, f"the file needs {remote.size - done:,} bytes more")
        if not done:
            part.unlink(missing_ok=True)
            write_atomic(_beside(part), json.dumps(asdict(remote)).encode())
        with part.open("ab") as file:
            while block := response.read(BLOCK):
                file.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, remote.size)
            file.flush()
            os.fsync(file.fileno())
    if remote.size is not None and done != remote.size:
        if done > remote.size:
            part.unlink()
        raise _Broken(f"{done:,} of {remote.size:,} bytes")


def _answer(url: str, response: http.client.HTTPResponse) -> tuple[_Remote, int]:
    """What the server sends, and the byte it starts at."""
    etag = response.headers.get("ETag")
    strong = etag if etag is not None and not etag.startswith("W/") else None
    validator = strong or response.headers.get("Last-Modified")
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")  # bytes 10-99/100
        first, _, size = rest.partition("/")
        start = first.partition("-")[0]
        if unit != "bytes" or not start.isdecimal():
            raise _Broken("the server sent an unreadable part")
        return _Remote(url, int(size) if size.isdecimal() else None, validator), int(start)
    length = response.headers.get("Content-Length", "")
    return _Remote(url, int(length) if length.isdecimal() else None, validator), 0


def _same(one: _Remote, other: _Remote) -> bool:
    """Whether two answers are of the same version of a file, as far as the server tells."""
    pairs = ((one.size, other.size), (one.validator, other.validator))
    return all(a == b or a is None or b is None for a, b in pairs)


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_remote(path: Path, url: str) -> _Remote | None:
    """What is known of a partial download; None if nothing, or if it is of another file."""
    try:
        remote = _Remote(**parse_json(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    identified = remote.validator is not None or remote.size is not None
    return remote if remote.url == url and identified else None


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0.5)
    except Timeout:
        raise BenchError(f"{target} is being fetched by another run") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Turns errors of the disk into one sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = f"; {shutil.disk_usage(folder).free:,} bytes are free" if error.errno == errno.ENOSPC else ""
        raise BenchError(f"cannot write in {folder}: {error.strerror or error}{full}") from error


# ----------------------------------------------------------------------------------------------------------------------
# Unpacking


def unpack(archive: Path, root: Path, folder: str) -> None:
    """Unpacks a zip or RAR archive whose top folder is ``folder`` into ``root``, adding to what is there.

    It is unpacked into a temporary folder first, and moved only if it holds nothing but files and folders.

    Raises:
        BenchError: damaged, of an unknown kind, no tool can open it, or it tries to reach outside its folder.
    """
    with _unpacked(archive, root, root / folder) as fresh:
        if not (fresh / folder).is_dir():
            raise BenchError(
                f"{archive} holds no folder '{folder}' but {first_few(sorted(p.name for p in fresh.iterdir()))}"
            )
        _merge(fresh / folder, root / folder)


def unpack_files(archive: Path, folder: Path) -> None:
    """Unpacks a zip, RAR or tar.gz archive and moves its files, whatever folders they are in, into ``folder``.

    Raises:
        BenchError: as `unpack`, or two of its files have the same name.
    """
    with _unpacked(archive, folder, folder) as fresh:
        files = [Path(parent, name) for parent, _, names in os.walk(fresh) for name in names]
        if len({path.name for path in files}) < len(files):
            raise BenchError(f"{archive} holds two files of the same name in different folders; nothing was unpacked")
        for path in files:
            os.replace(path, folder / path.name)


@contextmanager
def _unpacked(archive: Path, root: Path, wanted: Path) -> Iterator[Path]:
    """A temporary folder below ``root`` with what an archive holds, nothing but files and folders."""
    with _disk(root), tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as name:
        fresh = Path(name)
        if zipfile.is_zipfile(archive):
            _unzip(archive, fresh)
        elif archive.suffix.lower() == ".rar":
            _unrar(archive, fresh, wanted)
        elif archive.suffix.lower() in (".gz", ".tgz"):
            _untar(archive, fresh)
        else:
            raise BenchError(f"{archive} is not a zip, RAR or tar.gz archive; delete it and fetch it again")
        _check_tree(archive, fresh)
        yield fresh


def _untar(archive: Path, into: Path) -> None:
    """Writes the files of a compressed tar archive one by one; nothing else in it is ever made."""
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as opened:
            for member in opened:
                _check_names(archive, [member.name])
                if member.isdir():
                    continue
                source = opened.extractfile(member) if member.isreg() else None
                if source is None:
                    raise BenchError(f"{archive} holds a link or device ('{member.name}'); nothing was unpacked")
                target = into / PurePosixPath(member.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(source, file, BLOCK)
            while stream.read(BLOCK):  # its checksum stands at its very end
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BenchError(f"{archive} is damaged ({error}); delete it and fetch it again") from error


def _unzip(archive: Path, into: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            _check_names(archive, [member.filename for member in members])
            links = [member.filename for member in members if stat.S_ISLNK(member.external_attr >> 16)]
            if links:
                raise BenchError(f"{archive} holds a link ('{links[0]}'); nothing was unpacked")
            needed, free = sum(member.file_size for member in members), shutil.disk_usage(into).free
            if needed > free:
                raise BenchError(f"{archive} unpacks to {needed:,} bytes, {free:,} are free in {into.parent}")
            opened.extractall(into)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise BenchError(f"{archive} is damaged ({error}); delete it and fetch it again") from error


@dataclass(frozen=True)
class _Tool:
    """An external program that opens RAR archives.

    Attributes:
        program: its command.
        lister: the command and arguments that list members, one a line, followed by the archive.
        names: member names from what the lister prints.
        extract: arguments; ``{archive}`` and ``{into}`` are filled in.
    """

    program: str
    lister: tuple[str, ...]
    names: Callable[[list[str]], list[str]]
    extract: tuple[str, ...]


TOOLS = (
    _Tool(
        "unar",
        ("lsar",),
        lambda lines: lines[1:],  # the first line names the archive
        ("-quiet", "-no-directory", "-force-overwrite", "-output-directory", "{into}", "{archive}"),
    ),
    _Tool("bsdtar", ("bsdtar", "-tf"), list, ("-xf", "{archive}", "-C", "{into}")),
    _Tool("unrar", ("unrar", "lb"), list, ("x", "-idq", "-o+", "-p-", "{archive}", "{into}/")),
    _Tool(
        "7z",
        ("7z", "l", "-ba", "-slt"),
        lambda lines: [line.removeprefix("Path = ") for line in lines if line.startswith("Path = ")],
        ("x", "-y", "-bd", "-o{into}", "{archive}"),
    ),
)


def _unrar(archive: Path, into: Path, wanted: Path) -> None:
    """Unpacks with the first tool that can; each starts with an empty folder."""
    failed: list[str] = []
    for tool in TOOLS:
        if shutil.which(tool.program) is None:
            continue
        if shutil.which(tool.lister[0]) is not None:
            listed = _call([*tool.lister, str(archive)])
            if listed.returncode == 0:
                _check_names(archive, tool.names(listed.stdout.splitlines()))
        filled = [part.format(archive=archive, into=into) for part in tool.extract]
        result = _call([tool.program, *filled])
        if result.returncode == 0 and any(into.iterdir()):
            return
        said = " ".join((result.stderr or result.stdout).split())[-200:] or "unpacked nothing"
        failed.append(f"{tool.program} failed (exit code {result.returncode}: {said})")
        for path in into.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    names = ", ".join(tool.program for tool in TOOLS)
    raise BenchError(
        f"{archive} cannot be unpacked: {'; '.join(failed) or f'none of {names} is installed'}. "
        f"Install one of {names}, or unpack it by hand so that its clips lie in {wanted}"
    )


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace"
    )


def _check_names(archive: Path, names: Sequence[str]) -> None:
    for name in names:
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        if posix.is_absolute() or windows.anchor or ".." in posix.parts or ".." in windows.parts:
            raise BenchError(f"{archive} tries to write outside its folder ('{name}'); nothing was unpacked")


def _check_tree(archive: Path, folder: Path) -> None:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                raise BenchError(
                    f"{archive} holds a link or device ('{path.relative_to(folder)}'); nothing was unpacked"
                )


def _merge(source: Path, target: Path) -> None:
    """Moves a tree into another on the same disk; files of the same name are replaced."""
    if not target.exists():
        source.rename(target)
        return
    for path in sorted(source.iterdir()):
        if path.is_dir():
            _merge(path, target / path.name)
        else:
            os.replace(path, target / path.name)
