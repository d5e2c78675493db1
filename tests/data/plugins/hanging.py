"""Calls that never come back, each in its own way; run as a program with the way as its argument."""

import itertools
import sys
import threading
import time
from pathlib import Path

from backtestkit_cli.run.deadline import Deadline


def swallow() -> None:
    """Catch whatever comes."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001
            continue


def sleep() -> None:
    """Sleep again after each interruption."""
    while True:
        try:
            time.sleep(60)
        except BaseException:  # noqa: BLE001
            continue


def compute() -> None:
    """Let no other thread run."""
    sum(itertools.repeat(0))


def obey() -> None:
    """Hang in another thread, where nothing can be interrupted."""
    time.sleep(60)


def tell(message: str) -> None:
    """Write the last words."""
    print(Path(message.rpartition("in ")[2]).name, flush=True)


def fail_to_tell(message: str) -> None:
    """Have nothing to say."""
    raise OSError(message)


WAYS = {"swallow": swallow, "sleep": sleep, "compute": compute, "obey": obey, "speechless": sleep}


def watched(way: str) -> None:
    """Make one call that hangs."""
    with Deadline(0.1, fail_to_tell if way == "speechless" else tell) as deadline:
        deadline.run(f"strategy {way}", WAYS[way])


if __name__ == "__main__":
    if sys.argv[1] == "obey":
        thread = threading.Thread(target=watched, args=("obey",))
        thread.start()
        thread.join()
    else:
        watched(sys.argv[1])
