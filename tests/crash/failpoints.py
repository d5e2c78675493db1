"""Places in the keeping and telling of events at which a child kills itself, as `kill -9` would.

A point is a text such as `after told:7`: the seventh time that the program passes there is its last moment.
"""

import os
import signal
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any

from backtestkit_cli.cli.screen import JsonLines
from backtestkit_cli.data.ccxt_broker import CcxtBroker
from backtestkit_cli.engine.orders.errand import order_of
from backtestkit_cli.engine.orders.tracked import Sent
from backtestkit_cli.run.live.session import Live
from backtestkit_cli.state.order import OrderState
from backtestkit_cli.state.session import SessionState

When = Callable[..., bool]


def _has_events(_state: object, record: Any) -> bool:
    return bool(record.untold)


def _is_told(_state: object, record: Any) -> bool:
    return not record.untold


def _always(*_: object) -> bool:
    return True


def _is_intended(_state: object, _strategy: str, _symbol: str, errand: Any) -> bool:
    order = order_of(errand)
    return order is not None and isinstance(order.state, Sent)


def _is_answered(_state: object, _strategy: str, _symbol: str, errand: Any) -> bool:
    return not _is_intended(_state, _strategy, _symbol, errand)


POINTS: dict[str, tuple[type, str, bool, When]] = {
    "before the state is kept": (SessionState, "keep", False, _has_events),
    "after the state is kept": (SessionState, "keep", True, _has_events),
    "before the money is kept": (SessionState, "keep_money", False, _always),
    "after the money is kept": (SessionState, "keep_money", True, _always),
    "after the journal": (Live, "_tell", True, _always),
    "after it is told": (JsonLines, "event", True, _always),
    "after it is kept as told": (SessionState, "keep", True, _is_told),
}
"""By name: the method that is passed, whether its work is done then, and which of its calls count."""
ORDER_POINTS: dict[str, tuple[type, str, bool, When]] = {
    "after an order is intended": (OrderState, "keep", True, _is_intended),
    "before an order is sent": (CcxtBroker, "place", False, _always),
    "after an order is answered": (CcxtBroker, "place", True, _always),
    "before the answer is kept": (OrderState, "keep", False, _is_answered),
    "after the answer is kept": (OrderState, "keep", True, _is_answered),
    "before a cancel": (CcxtBroker, "cancel", False, _always),
    "after a cancel": (CcxtBroker, "cancel", True, _always),
}
"""The same of sessions that send orders."""


def install(point: str) -> None:
    """Die at a point."""
    name, _, number = point.partition(":")
    kind, method, is_done, when = (POINTS | ORDER_POINTS)[name]
    work, passed = getattr(kind, method), count(1)

    @wraps(work)
    def watched(*arguments: Any) -> Any:
        is_last = when(*arguments) and next(passed) == int(number)
        if is_last and not is_done:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = work(*arguments)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(kind, method, watched)
