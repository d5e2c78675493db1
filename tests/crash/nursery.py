"""A process that has imported the program and forks a child for each life, so that a life costs no imports.

Reads one JSON document a line. `{"start": {...}}` answers the process id of a new child, `{"wait": pid}` its exit code
(negative: the signal that killed it), `{"look": pid}` too, or null while it lives. The child runs the real command line
with the clock of `shown_clock`.
"""

import faulthandler
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import ccxt  # noqa: F401  # imported before the fork, as everything a session needs

import backtestkit_cli.cli.app
import backtestkit_cli.run.live.session
from backtestkit_cli.__main__ import main
from backtestkit_cli.state import lease
from crash import failpoints, shown_clock


def live_once(
    folder: str, arguments: list[str], output: str, clock: dict[str, Any], point: str | None, begins: float
) -> int:
    """Run the command line as a process of its own does; the exit code."""
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(f"{output}.{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    faulthandler.register(signal.SIGUSR1)  # where it stands, for the parent that has waited too long
    sys.argv = ["backtestkit", *arguments]
    shown_clock.install(**clock)
    time.sleep(max(0.0, begins - time.monotonic()))
    if point is not None:
        failpoints.install(point)
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def serve() -> None:
    """Answer until the parent goes."""
    lease.LAPSE_MS, lease.RENEW_SECONDS, lease.LOOK_SECONDS = 500, 0.1, 0.02  # the next life waits for it to lapse
    for line in sys.stdin:
        asked = json.loads(line)
        answer: int | None
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        elif "look" in asked:
            ended, status = os.waitpid(asked["look"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            if answer == 0:
                code = 70
                try:
                    code = live_once(**asked["start"])
                except BaseException:  # noqa: BLE001  # a signal that was not heard is one
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    assert Path(backtestkit_cli.__file__).exists()
    serve()
