"""``python -m bench``."""

import signal
import sys

from bench.cli.main import main

if __name__ == "__main__":
    code = main()
    if code > 128:  # interrupted: a further Ctrl-C has nothing left to stop but the tidying up
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
