"""`python -m backtestkit_cli`, and the console script: from a signal or an error to an exit code.

The folder in which the program is started is no place for code: a `polars.py` there never stands in for the library.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from backtestkit_cli.cli.stop import STOP


def main() -> None:
    """Run the command line; never ends with a traceback for anything that is known."""
    code = STOP.exit_code
    try:
        try:
            STOP.listen()
            _open_streams()
            from backtestkit_cli.cli.app import run

            code = run(sys.argv[1:])
        finally:
            STOP.deafen()
    except KeyboardInterrupt:
        STOP.deafen()  # one more signal came in the moment of becoming deaf
    sys.exit(STOP.exit_code if STOP else code)


def _open_streams() -> None:
    """Write what the terminal cannot show as escapes; where there is no stdout or stderr at all, write nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # open until the end
        else:
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
