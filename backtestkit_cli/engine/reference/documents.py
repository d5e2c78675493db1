"""How the original writes down what it keeps, and how it reads it back.

* What is read back is taken as it is. A number that is missing is NaN, which is never reached and never over.
* A row that was read back keeps its document, with the fields that nobody knows: only what an activation changes is
  written anew.
* The exchange and the strategy of a row decide whether it is taken up; its symbol is not looked at.
"""

from collections.abc import Mapping
from typing import Any

from backtestkit_cli.engine.reference.events import Row
from backtestkit_cli.engine.reference.progress import SeenLevels
from backtestkit_cli.engine.reference.signals import number
from backtestkit_cli.engine.reference.stores import Document
from backtestkit_cli.model.signal import Position


def row_of(document: Document, symbol: str) -> Row:
    """The row of a document, for the stream of a symbol.

    Raises:
        ValueError: it is neither long nor short.
    """
    return Row(
        id=str(document.get("id")),
        strategy=document["strategyName"],
        symbol=symbol,
        position=Position(str(document.get("position"))),
        price_open=_figure(document, "priceOpen"),
        price_take_profit=_figure(document, "priceTakeProfit"),
        price_stop_loss=_figure(document, "priceStopLoss"),
        lifetime_minutes=_figure(document, "minuteEstimatedTime"),
        decided_at=_figure(document, "scheduledAt"),
        note=document.get("note") or "",
        pending_at=_figure(document, "pendingAt"),
        is_scheduled=bool(document.get("_isScheduled")),
        document=document,
    )


def _figure(document: Document, name: str) -> Any:
    value = document.get(name)
    return value if isinstance(value, int | float) else number(value)


def document_of(row: Row, exchange: str) -> dict[str, Any]:
    """The document of a row."""
    kept = row.document or {
        "id": row.id,
        "priceOpen": row.price_open,
        "position": row.position.value,
        "note": row.note,
        "priceTakeProfit": row.price_take_profit,
        "priceStopLoss": row.price_stop_loss,
        "minuteEstimatedTime": row.lifetime_minutes,
        "symbol": row.symbol,
        "exchangeName": exchange,
        "strategyName": row.strategy,
        "scheduledAt": row.decided_at,
    }
    return {**kept, "pendingAt": row.pending_at, "_isScheduled": row.is_scheduled}


def levels_of(document: object) -> dict[str, SeenLevels]:
    """The levels seen of each signal, in the order of the document."""
    signals = document if isinstance(document, Mapping) else {}
    return {signal_id: _seen(levels) for signal_id, levels in signals.items()}


def _seen(levels: Document) -> SeenLevels:
    return {
        "profit": list(dict.fromkeys(levels.get("profitLevels") or ())),
        "loss": list(dict.fromkeys(levels.get("lossLevels") or ())),
    }


def levels_document(levels: Mapping[str, SeenLevels]) -> dict[str, Any]:
    """The document of the levels seen."""
    return {
        signal_id: {"profitLevels": list(seen["profit"]), "lossLevels": list(seen["loss"])}
        for signal_id, seen in levels.items()
    }
