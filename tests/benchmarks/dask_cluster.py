"""A Dask cluster of this computer: a scheduler and two workers, started by the commands of docs/how-to.md."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from socket import create_connection

from benchmarks.worker import environment

_ADDRESS = ("127.0.0.1", 28786)
_DASK = Path(sys.executable).with_name("dask")


@contextmanager
def dask_cluster() -> Iterator[str | None]:
    """Its address; None where Dask is not installed."""
    if find_spec("distributed") is None:
        print("dask.distributed is not installed; it is left out")
        yield None
        return
    host, port = _ADDRESS
    with ExitStack() as stack:
        _started(stack, "scheduler", "--host", host, "--port", str(port), "--no-dashboard")
        while True:
            with suppress(OSError), create_connection(_ADDRESS):
                break
            time.sleep(0.1)
        address = f"tcp://{host}:{port}"
        _started(stack, "worker", address, "--nthreads", "1", "--nworkers", "2", "--no-dashboard")
        yield address


def _started(stack: ExitStack, *arguments: str) -> None:
    process = subprocess.Popen([_DASK, *arguments], env=environment(), stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
