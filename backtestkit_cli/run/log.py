"""The logger of user code: standard logging, each record with the place in the run it was written at.

* Records carry `strategy`, `exchange`, `frame`, `symbol` (empty texts outside of a run) and `time_ms` (simulated).
* Nobody hears it until a handler is added to the logger `backtestkit`, or a command is run with `-v`.
"""

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backtestkit_cli.model.time import iso
from backtestkit_cli.run.context import CURRENT

if TYPE_CHECKING:
    ContextAdapter = logging.LoggerAdapter[logging.Logger]
else:
    ContextAdapter = logging.LoggerAdapter

LOGGER = logging.getLogger("backtestkit")
LOGGER.addHandler(logging.NullHandler())


class ContextLogger(ContextAdapter):
    """Adds the place in the run to every record."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the context beside what the caller gives as `extra`."""
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), **_place()}}


def _place() -> dict[str, Any]:
    context = CURRENT.get()
    if context is None:
        return {"strategy": "", "exchange": "", "frame": "", "symbol": "", "time_ms": None}
    return {
        "strategy": context.strategy,
        "exchange": context.exchange,
        "frame": context.frame,
        "symbol": context.symbol,
        "time_ms": context.time_ms,
    }


log = ContextLogger(LOGGER, {})


class _Telling(logging.Handler):
    """Gives every record as one line of text."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a record; what cannot be written is reported as logging does."""
        try:
            self._tell(_line(record, self.format(record)))
        except Exception:  # noqa: BLE001  # a record that cannot be written ends no run
            self.handleError(record)


def _line(record: logging.LogRecord, text: str) -> str:
    time_ms = getattr(record, "time_ms", None)
    names = [getattr(record, name, "") for name in ("strategy", "symbol")]
    place = [*([iso(time_ms)] if time_ms is not None else []), *(name for name in names if name)]
    return " ".join([*place, f"{record.levelname.lower()}: {text}"])


def verbosity() -> int:
    """How much is told now: 0, 1 or 2."""
    if not any(isinstance(handler, _Telling) for handler in LOGGER.handlers):
        return 0
    return 2 if LOGGER.level == logging.DEBUG else 1


@contextmanager
def shown(tell: Callable[[str], None], verbose: int) -> Iterator[None]:
    """Tell what is logged: nothing at 0, info and above at 1, all at 2."""
    if not verbose:
        yield
        return
    handler, level = _Telling(tell), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)
