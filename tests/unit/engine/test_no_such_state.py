"""What is no state of an order, no answer and no errand is refused loudly, wherever it turns up."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.engine.test_orders import GUARDED, HELD, OPEN, ORDER, SIGNAL, TASK, placed

from backtestkit_cli.engine.orders.errand import Closing, Guarded, Protecting, begun, moved, order_of
from backtestkit_cli.engine.orders.tracked import ask_of, due_ms, heard, sending, tracked
from backtestkit_cli.model.event import CloseReason
from backtestkit_cli.model.order import Unanswered

NOTHING: Any = object()
ENTERING = begun(TASK)
STRANGE = replace(tracked(ORDER, resends=False), state=NOTHING)
SENT = sending(tracked(ORDER, resends=False))


def closing(**changed: Any) -> Closing:
    assert isinstance(GUARDED, Guarded)
    return replace(
        Closing(task=TASK, held=GUARDED.held, reason=CloseReason.TIME_EXPIRED, guard=GUARDED.guard), **changed
    )


def holding(errand: object) -> Protecting | Guarded:
    assert isinstance(errand, Protecting | Guarded)
    return errand


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda: order_of(NOTHING), id="the order of no errand"),
        pytest.param(lambda: moved(NOTHING, 0), id="no errand, moved"),
        pytest.param(lambda: moved(replace(ENTERING, entry=STRANGE), 0), id="an entry"),
        pytest.param(lambda: moved(replace(holding(HELD), guard=STRANGE), 0), id="a guard that is placed"),
        pytest.param(lambda: moved(replace(holding(GUARDED), guard=STRANGE), 0), id="a guard that stands"),
        pytest.param(lambda: moved(closing(guard=STRANGE), 0), id="a guard that is taken"),
        pytest.param(lambda: moved(closing(guard=None, close=STRANGE), 0), id="a close"),
        pytest.param(lambda: due_ms(STRANGE), id="when it is due"),
        pytest.param(lambda: ask_of(STRANGE, 0), id="what is asked"),
        pytest.param(lambda: heard(SENT, "place", NOTHING, 0), id="an answer to a new order"),
        pytest.param(lambda: heard(placed(Unanswered(why="?")), "query", NOTHING, 0), id="an answer on an unknown one"),
        pytest.param(lambda: heard(placed(OPEN), "query", NOTHING, 0), id="an answer on an accepted one"),
        pytest.param(lambda: placed(replace(OPEN, status=NOTHING)), id="the status of a report"),
    ],
)
def test_what_is_no_state_is_refused_loudly(given: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="Expected code to be unreachable"):
        given()


def test_the_states_that_are_there_are_not_refused() -> None:
    """The same calls with what they are made for, so that the test above cannot pass for another reason."""
    for errand in (ENTERING, HELD, GUARDED, closing(), closing(guard=None), closing(guard=None, close=SENT)):
        assert moved(errand, 0).task.signal == SIGNAL
