"""What cannot be trusted is moved out of the way: it is neither read again nor lost."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

SUFFIX = ".damaged"


def set_aside(path: Path) -> Path:
    """Renames a damaged file or folder to ``<name>.damaged`` beside it, in the place of an older one.

    Returns:
        Where it is now: where it was, if the folder cannot be written to.
    """
    target = path.with_name(path.name + SUFFIX)
    with contextlib.suppress(OSError):
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.replace(path, target)
        return target
    return path
