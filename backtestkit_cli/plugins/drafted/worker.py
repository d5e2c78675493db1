"""The process a drafted strategy runs in: limits first, then the text, one call, one answer.

One line of JSON and the candles come in; one line of JSON, empty where all is well, and the drafts go out. What the
strategy prints goes nowhere.
"""

import ctypes
import json
import os
import resource
import sys
from contextlib import suppress
from io import BytesIO
from typing import IO, Any

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


def limit(cpu_seconds: int, memory: int) -> None:
    """Give up what a strategy does not need: processor time, memory, longer files, and the network where possible."""
    leave = getattr(ctypes.CDLL(None), "unshare", None)
    if leave is not None and leave(_NEW_NETWORK) != 0:
        leave(_NEW_USER | _NEW_NETWORK)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer one question."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        asked = json.loads(sys.stdin.buffer.readline())
        limit(asked["cpu_seconds"], asked["memory"])
        try:
            frame = _called(asked)
        except BaseException as error:  # noqa: BLE001  # `sys.exit` too
            answer.write(json.dumps({"what": _described(error), "line": _line(error, asked["file"])}).encode())
            return
        answer.write(b"{}\n")
        _write(frame, answer)


def _called(asked: dict[str, Any]) -> Any:
    import polars as pl

    candles = pl.read_ipc_stream(sys.stdin.buffer.read())
    names: dict[str, Any] = {"__name__": "drafted"}
    exec(compile(asked["text"], asked["file"], "exec", dont_inherit=True), names)  # noqa: S102  # it was agreed to
    answer = names[asked["name"]](candles.lazy(), **asked["params"])
    frame = answer.collect() if isinstance(answer, pl.LazyFrame) else answer
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"the answer is of type {type(frame).__name__}, not a LazyFrame")
    return frame


def _write(frame: Any, answer: IO[bytes]) -> None:
    written = BytesIO()
    frame.write_ipc_stream(written)
    answer.write(written.getvalue())


def _described(error: BaseException) -> str:
    text = ""
    with suppress(Exception):
        text = str(error)[:500]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, file: str) -> int | None:
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


if __name__ == "__main__":
    main()
