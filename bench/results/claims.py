"""Who works on which cell. Small files in ``OUT/claims`` keep processes from running the same cell twice.

A claim is a file ``claims/<cell id>/<number>.json``. If two processes try to create one, only one of them succeeds. The
highest number is in force. A process takes a claim over by creating the next number. If the former owner is still alive, it
finds out and stops. This needs neither locks of the file system nor synchronised clocks. No torch is needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import os
import platform
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from bench.core.errors import BenchError
from bench.core.files import parse_json, write_atomic

# How often an owner says that it is alive, and how long it may be silent before another process gets its cell.
BEAT_SECONDS = 10.0
SILENT_SECONDS = 120.0

# About the year 9000, which datetime can still show. A claim with a later time is damaged.
_LAST_TIME = 2.2e11


class ClaimLost(BaseException):
    """Another process has taken the cell over because this one was silent for too long. Nothing is lost."""


@dataclass(frozen=True)
class Owner:
    """A process.

    Attributes:
        host: the name of its machine, to show to people.
        machine: a digest that no other machine, container or boot shares.
        pid, started: the process id, and when the process began, in ticks of its machine: ids are used again.
    """

    host: str
    machine: str
    pid: int
    started: int

    def lives(self) -> bool | None:
        """Whether the process exists; None if it belongs to another machine."""
        return None if self.machine != machine() else _started(self.pid) == self.started


@dataclass(frozen=True)
class Claim:
    """What a claim file says.

    Attributes:
        cell_id, title: the cell.
        number: how many owners the cell has had.
        owner: the process that works on the cell.
        since: when the claim was made, in seconds since 1970 by the owner's clock.
        beat, beat_time: how often the owner has said that it is alive, and when it last did, by its clock.
        phase, step, total: the cell's progress; empty and 0 while unknown.
        phase_since, first_step: when and at which step the phase began.
        released: whether the owner gave the cell up unfinished.
    """

    cell_id: str
    title: str
    number: int
    owner: Owner
    since: float
    beat: int = 0
    beat_time: float = 0.0
    phase: str = ""
    step: int = 0
    total: int = 0
    phase_since: float = 0.0
    first_step: int = 0
    released: bool = False

    def sighting(self) -> Sighting:
        """The number and beat. These change as long as the owner is alive."""
        return self.number, self.beat


Sighting = tuple[int, int]
"""The number and beat of a claim."""


def me() -> Owner:
    """This process."""
    return Owner(platform.node(), machine(), os.getpid(), _started(os.getpid()) or 0)


@final
class Claims:
    """The claims of one folder of results."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / "claims"

    def holder(self, cell_id: str) -> Claim | None:
        """The claim in force, whether or not its owner is alive; None if nobody holds the cell."""
        number = self.highest(cell_id)
        claim = None if number == 0 else self._read(cell_id, number)
        return None if claim is None or claim.released else claim

    def all(self) -> Iterator[Claim]:
        """Every claim in force, in the order of cell ids."""
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if (claim := self.holder(folder.name)) is not None:
                yield claim

    def take(self, cell_id: str, title: str, silent: Sighting | None = None) -> HeldClaim | Claim:
        """Claims a cell for this process.

        Args:
            cell_id, title: the cell.
            silent: a sighting of a claim that has not changed for too long and may be taken over.

        Returns:
            The claim, held until it is released; or the claim of the process that already holds the cell.

        Raises:
            BenchError: the folder cannot be written to.
        """
        while True:
            number = self.highest(cell_id)
            current = None if number == 0 else self._read(cell_id, number)
            if current is not None and not (current.released or is_free(current, silent)):
                return current
            claim = Claim(cell_id, title, number + 1, me(), time.time(), 0, time.time())
            try:
                made = _create(self.path(claim), _text(claim))
            except OSError as error:
                raise BenchError(f"--out {self.out}: cannot claim the cell {cell_id[:12]}: {error.strerror}") from error
            if made and self.highest(cell_id) == claim.number:
                return HeldClaim(self, claim)

    def path(self, claim: Claim) -> Path:
        """The file of a claim."""
        return self.folder / claim.cell_id / f"{claim.number:06}.json"

    def highest(self, cell_id: str) -> int:
        """The number of the claim in force; 0 if there is none."""
        try:
            names = [path.name for path in (self.folder / cell_id).iterdir()]
        except OSError:
            return 0
        return max((int(stem) for name in names if (stem := name.removesuffix(".json")).isdecimal()), default=0)

    def _read(self, cell_id: str, number: int) -> Claim | None:
        """The claim with that number. One that cannot be read gets an unknown owner, who is watched like any other."""
        import msgspec

        unknown = Claim(cell_id, cell_id[:12], number, Owner("unknown", "", 0, 0), 0.0)
        try:
            body = parse_json(self.path(unknown).read_text(encoding="utf-8"))
            claim = msgspec.convert({**body, "cell_id": cell_id, "number": number}, Claim)
        except FileNotFoundError:
            return None  # it has just been released
        except (OSError, ValueError, TypeError, RecursionError, msgspec.MsgspecError):
            return unknown
        times = (claim.since, claim.beat_time, claim.phase_since)
        return claim if all(0 <= seconds < _LAST_TIME for seconds in times) else unknown


def is_free(claim: Claim, silent: Sighting | None) -> bool:
    """Whether a claim may be taken over, because its owner is dead or has been silent for too long."""
    return claim.owner.lives() is False or claim.sighting() == silent


@final
class HeldClaim:
    """A claim of this process. A thread regularly writes down that the process is alive and how far the cell is."""

    def __init__(self, claims: Claims, claim: Claim) -> None:
        self.claims = claims
        self.claim = claim
        self.lost = False
        self._beats = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._live, name="claim", daemon=True)
        self._thread.start()

    def progress(self, phase: str, step: int, total: int) -> None:
        """Notes how far the cell is.

        Raises:
            ClaimLost: another process has the cell now.
        """
        if self.lost:
            raise ClaimLost
        old = self.claim
        new_phase = phase != old.phase or step < old.step
        since, first = (time.time(), step) if new_phase else (old.phase_since, old.first_step)
        self.claim = dataclasses.replace(old, phase=phase, step=step, total=total, phase_since=since, first_step=first)

    def check(self) -> None:
        """Checks that this process still has the cell.

        Raises:
            ClaimLost: another process has it now.
        """
        self.lost = self.lost or not self._is_mine()
        if self.lost:
            raise ClaimLost

    def release(self, finished: bool) -> None:
        """Gives the cell back.

        Args:
            finished: whether its record has been written, which makes the claim superfluous.
        """
        self._done.set()
        self._thread.join()
        if self.lost or not self._is_mine():
            return
        folder = self.claims.path(self.claim).parent
        with contextlib.suppress(OSError):
            if finished:
                # The one in force goes last. Until then other processes see that the cell is taken.
                for path in sorted(folder.iterdir()):
                    path.unlink(missing_ok=True)
                folder.rmdir()
            else:
                self._write(released=True)

    def _live(self) -> None:
        pause = min(1.0, BEAT_SECONDS)  # the first beat comes soon, to show that the cell has begun
        while not self._done.wait(pause):
            pause = BEAT_SECONDS
            if not self._is_mine():
                self.lost = True
                return
            with contextlib.suppress(OSError):  # a full disk, or a network that is down for a moment
                self._write(released=False)

    def _write(self, released: bool) -> None:
        self._beats += 1
        beat = dataclasses.replace(self.claim, beat=self._beats, beat_time=time.time(), released=released)
        write_atomic(self.claims.path(beat), _text(beat).encode())

    def _is_mine(self) -> bool:
        return self.claims.highest(self.claim.cell_id) == self.claim.number


def sweep(out: Path, finished: Callable[[str], bool]) -> None:
    """Removes claims on finished cells whose owners were killed after writing the record but before releasing."""
    claims = Claims(out)
    for claim in list(claims.all()):
        if claim.owner.lives() is False and finished(claim.cell_id):
            shutil.rmtree(claims.folder / claim.cell_id, ignore_errors=True)
    with contextlib.suppress(OSError):  # other claims are there, or there never were any
        claims.folder.rmdir()


# ----------------------------------------------------------------------------------------------------------------------
# Files and processes


def _text(claim: Claim) -> str:
    body: dict[str, Any] = asdict(claim)
    del body["cell_id"], body["number"]
    return json.dumps(body, sort_keys=True) + "\n"


def _create(path: Path, text: str) -> bool:
    """Creates a file together with its contents; False if one of that name exists. Only one of two processes succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.link(temporary, path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        return False  # the folder has just been removed; the caller tries again and creates it anew
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        try:  # without hard links the file is empty for a moment, which readers can handle
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except (FileExistsError, FileNotFoundError):
            return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


@functools.cache
def machine() -> str:
    """A digest that distinguishes this machine, its boot and its namespace of process ids from all others."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _started(pid: int) -> int | None:
    """When a process began, in ticks that do not depend on the clock's setting; None if it is gone or a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return None if after_name[0] in ("Z", "X") else int(after_name[19])
    except (OSError, ValueError, IndexError):
        if Path("/proc/self/stat").exists():
            return None
    import psutil  # systems without /proc

    try:
        return int(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
