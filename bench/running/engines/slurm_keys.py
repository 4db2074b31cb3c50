"""The folder in ``OUT/logs`` from which the workers in Slurm jobs read the keys of a run."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.results.claims import Owner, me

_PREFIX = ".keys-"
_OWNER = "owner.json"

# A folder whose owner is on another machine, or was before this one was started anew, is left over after so long: no
# certificate is used by then.
_LEFT_OVER_SECONDS = 366 * 86400.0


def new_name() -> str:
    """A name for the jobs of one run, which no other run has."""
    return f"bench-{secrets.token_hex(4)}"


def folder_of(logs: Path, name: str) -> Path:
    """The folder of the keys of a run, by the name of its jobs."""
    return logs / f"{_PREFIX}{name}"


@contextlib.contextmanager
def kept(logs: Path, name: str, security: Any) -> Iterator[Path]:
    """A folder with what workers show and believe, which only this user can read; it goes at the end.

    Args:
        logs, name: see `folder_of`.
        security: keys and certificates as text; those of workers become the paths of files.
    """
    folder = folder_of(logs, name)
    folder.mkdir(mode=0o700)
    try:
        (folder / _OWNER).write_text(json.dumps(asdict(me())), encoding="utf-8")
        for field in ("tls_ca_file", "tls_worker_cert", "tls_worker_key"):
            path = folder / f"{field.removeprefix('tls_')}.pem"
            path.touch(mode=0o600)
            path.write_text(getattr(security, field), encoding="utf-8")
            setattr(security, field, str(path))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(logs: Path) -> None:
    """Clears away what dead runs have left: keys, and jobs that have not started. Those that have end with their cells."""
    for folder in logs.glob(f"{_PREFIX}*"):
        if _is_left_over(folder):
            cancel(folder.name.removeprefix(_PREFIX), "--state=PENDING")
            shutil.rmtree(folder, ignore_errors=True)


def cancel(name: str, *which: str) -> None:
    """Cancels the jobs of that name, or those of them that ``which`` selects. A Ctrl-C does not reach the command."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.Popen(
            ["scancel", f"--name={name}", *which], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        ).wait(timeout=30)  # fmt: skip


def _is_left_over(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, TypeError):
        if time.time() - folder.stat().st_mtime > _LEFT_OVER_SECONDS:
            return True
        return Owner(**json.loads((folder / _OWNER).read_text(encoding="utf-8"))).lives() is False
    return False
