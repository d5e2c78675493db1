"""The state of a signal as plain JSON values and back; what cannot be one of its states is refused.

Numbers come back bit for bit: JSON has the shortest text that reads as the same double.
"""

import json
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from backtestkit_cli.model.signal import SignalState
from backtestkit_cli.state.record import BadRecord

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@cache
def _adapter() -> "TypeAdapter[SignalState]":
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[SignalState, Field(discriminator="kind")])


def signal_body(state: SignalState) -> dict[str, Any]:
    """Write a state."""
    body: dict[str, Any] = _adapter().dump_python(state, mode="json")
    return body


def signal_state(body: dict[str, Any]) -> SignalState:
    """Read a state.

    Raises:
        BadRecord: it is none, or has something more or less than its kind.
    """
    from pydantic import ValidationError

    try:
        state = _adapter().validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = " › ".join(map(str, first["loc"]))
        raise BadRecord(f"it is no state of a signal: {place + ': ' if place else ''}{first['msg']}") from None
    if _text(signal_body(state)) != _text(body):
        raise BadRecord("it has keys or values that no state of a signal has")
    return state


def _text(body: dict[str, Any]) -> str:
    """The body as text, in which 1 and true differ."""
    return json.dumps(body, sort_keys=True)
