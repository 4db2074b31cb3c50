"""Lets tox find the Pythons that pyenv keeps off the path."""

import os
from pathlib import Path

_VERSIONS = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"

os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), *map(str, sorted(_VERSIONS.glob("3.*/bin")))])
