"""One folder for several environments of tox.ini: without this, tox empties it whenever the next one has another name."""

from __future__ import annotations

from typing import Any

from tox.plugin import impl
from tox.tox_env.info import Info
from tox.tox_env.python.virtual_env.runner import VirtualEnvRunner
from tox.tox_env.register import ToxEnvRegister


class NamelessInfo(Info):
    """What tox notes about a folder, without the name of the environment that made it."""

    def compare(self, value: Any, section: str, sub_section: str | None = None) -> Any:
        """Leave the name out, so that the note of one environment fits the next."""
        if section == "ToxEnv":
            value = {**value, "name": None}
        return super().compare(value, section, sub_section)


class SharedRunner(VirtualEnvRunner):
    """``runner = shared``: a virtual environment that takes a folder as another one has left it."""

    @staticmethod
    def id() -> str:
        """Name that tox.ini uses."""
        return "shared"

    @property
    def cache(self) -> Info:
        """Tox's notes in the folder of the environment."""
        return NamelessInfo(self.env_dir)


@impl
def tox_register_tox_env(register: ToxEnvRegister) -> None:
    """Make the runner known."""
    register.add_run_env(SharedRunner)
