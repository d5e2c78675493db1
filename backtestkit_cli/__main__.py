"""`python -m backtestkit_cli`, and the console script: from a signal or an error to an exit code."""

import signal
import sys
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: the same clean way out as Ctrl-C."""


def main() -> None:
    """Run the command line; never ends with a traceback for anything that is known."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from backtestkit_cli.cli.app import run

        sys.exit(run(sys.argv[1:]))
    except Terminated:
        sys.exit(143)
    except KeyboardInterrupt:
        sys.exit(130)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


if __name__ == "__main__":
    main()
