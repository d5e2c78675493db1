"""What a live session keeps of its orders: one record per stream, the position on its way through the exchange.

It is kept before anything is sent, and after each answer; so whoever finds an order sent asks what became of it.
"""

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from backtestkit_cli.engine.orders.errand import Errand
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.plugins.ports import StateStore
from backtestkit_cli.state.session import stream_key, stream_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ORDER = "order"


@cache
def _adapter() -> "TypeAdapter[Errand]":
    from pydantic import Field, TypeAdapter

    return TypeAdapter(Annotated[Errand, Field(discriminator="kind")])


def errand_body(errand: Errand) -> dict[str, Any]:
    """An errand as plain JSON values."""
    body: dict[str, Any] = _adapter().dump_python(errand, mode="json")
    return body


def errand_of(body: dict[str, Any], key: str) -> Errand:
    """The errand of a body.

    Raises:
        StateError: it is none.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_python(body)
    except ValidationError as error:
        why = error.errors(include_url=False, include_input=False)[0]["msg"]
        what = f"the orders of {key} are whole but have something that no orders have: {why}"
        hint = "look at the exchange and say what is true with `backtestkit session reconcile`"
        raise StateError(Problem("state-unreadable", what, Source(key=key), hint=hint)) from None


class OrderState:
    """The records of the orders of one state folder, typed."""

    def __init__(self, store: StateStore) -> None:
        self.store = store

    def errand(self, strategy: str, symbol: str) -> Errand | None:
        """The newest errand of a stream; None where it never had one.

        Raises:
            StateError: its record is damaged.
        """
        key = stream_key(strategy, symbol)
        body = self.store.load(ORDER, key)
        return None if body is None else errand_of(body, key)

    def errands(self) -> dict[tuple[str, str], Errand]:
        """Every errand, by strategy and symbol.

        Raises:
            StateError: a record is damaged.
        """
        found = {key: self.store.load(ORDER, key) for key in self.store.keys(ORDER)}
        return {stream_of(key): errand_of(body, key) for key, body in found.items() if body is not None}

    def keep(self, strategy: str, symbol: str, errand: Errand) -> None:
        """Keep an errand; once this returns it survives a power cut.

        Raises:
            StateError: it could not be written.
        """
        self.store.save(ORDER, stream_key(strategy, symbol), errand_body(errand))
