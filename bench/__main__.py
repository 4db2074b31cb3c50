"""``python -m bench``."""

import os
import sys


def leave_the_current_folder() -> None:
    """Takes the current folder, which ``-m`` puts first, off the search path, unless the suite itself lies there.

    A ``torch.py`` or ``random.py`` that happens to lie there must not run.
    """
    here = os.getcwd()
    is_safe = getattr(sys.flags, "safe_path", False)  # Python 3.11: -P, which puts nothing there
    if not is_safe and sys.path[:1] == [here] and os.path.dirname(os.path.dirname(os.path.abspath(__file__))) != here:
        del sys.path[0]


if __name__ == "__main__":
    leave_the_current_folder()
    from bench.cli.main import command

    command()
