"""What a stream takes up from its stores before its first live tick.

* The position first, then the waiting entry; both may be there. A document of another exchange or strategy ends it:
  what comes after is not taken up either. Nothing is checked, and nothing is written.
* User code is called with each, at the price of the tick. Without a price this tick fails, and every later one too,
  as the original never tries a second time.
* When the strategy was asked last is not stored. Risk profiles and levels are read when they are first needed.
"""

from collections.abc import Mapping

from backtestkit_cli.engine.reference.documents import row_of
from backtestkit_cli.engine.reference.events import Row
from backtestkit_cli.engine.reference.exchange import RequestFailed
from backtestkit_cli.engine.reference.stream import ReferenceStream

NOTHING = (None, False, 0, "")
"""Documents that count as none."""


def restore(stream: ReferenceStream, when_ms: int) -> None:
    """Take up what was stored, once.

    Raises:
        RequestFailed: there was no price to call user code with.
    """
    if not stream.is_restored:
        stream.is_restored = True
        try:
            _restore(stream, when_ms)
        except RequestFailed as failure:
            stream.restore_failure = failure.code
    if stream.restore_failure is not None:
        raise RequestFailed(stream.restore_failure)


def _restore(stream: ReferenceStream, when_ms: int) -> None:
    pending, scheduled = stream.stored("signal"), stream.stored("schedule")
    if pending not in NOTHING:
        stream.pending = _own(stream, pending)
        if stream.pending is None:
            return
        stream.call(when_ms, "restored", stream.pending, stream.exchange.price(when_ms))
    if scheduled not in NOTHING:
        stream.scheduled = _own(stream, scheduled)
        if stream.scheduled is not None:
            stream.call(when_ms, "scheduled", stream.scheduled, stream.exchange.price(when_ms))


def _own(stream: ReferenceStream, document: object) -> Row | None:
    """The row of a document; None where it is of another exchange or strategy."""
    terms = stream.terms
    if not isinstance(document, Mapping):
        return None
    if (document.get("exchangeName"), document.get("strategyName")) != (terms.exchange_name, terms.strategy):
        return None
    return row_of(document, terms.symbol)
