"""Events that are columns already, as columns of the table of events: no object is made of any of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backtestkit_cli.engine.candles import Ints
from backtestkit_cli.engine.listed import CLOSED, KINDS, LEVEL_REACHED, WHY, ListedEvents, ListedSignals

if TYPE_CHECKING:
    import polars as pl


def event_columns(events: ListedEvents, ids: Sequence[str]) -> "dict[str, pl.Series]":
    """Name each column; times in UTC ms, null where a kind of event has nothing to say; `ids` are storable."""
    import polars as pl

    is_level, is_closed = events.kind == LEVEL_REACHED, events.kind == CLOSED
    place = _places(events.signal)
    return {
        "id": pl.Series(ids, dtype=pl.String).gather(place),
        **{name: column.gather(place) for name, column in _of_signals(events.signals).items()},
        "time": pl.Series(events.time_ms),
        "kind": _words(KINDS, events.kind),
        "price": pl.Series(events.price, nan_to_null=True),
        "reason": _words([reason.value for reason in WHY], events.why),
        "pnl_percent": pl.Series(np.where(is_closed, events.pnl_percent, np.nan), nan_to_null=True),
        "side": _words(("loss", "profit"), np.where(is_level, events.is_profit, -1)),
        "level": pl.Series(events.level).gather(_places(np.where(is_level, np.arange(len(is_level)), -1))),
        "rules": _rules(events),
    }


def _of_signals(signals: ListedSignals) -> "dict[str, pl.Series]":
    import polars as pl

    return {
        "position": _words(("short", "long"), (signals.side > 0).astype(np.int64)),
        "price_open": pl.Series(signals.price_open),
        "price_take_profit": pl.Series(signals.price_take_profit),
        "price_stop_loss": pl.Series(signals.price_stop_loss),
        "lifetime_minutes": pl.Series(signals.lifetime_minutes),
        "decided": pl.Series(signals.decided_ms),
    }


def _rules(events: ListedEvents) -> "pl.Series":
    import polars as pl

    told: list[str | None] = [None] * len(events.kind)
    for row, rules in events.rules.items():
        told[row] = " ".join(rules)
    return pl.Series(told, dtype=pl.String)


def _words(words: Sequence[str], places: Any) -> "pl.Series":
    import polars as pl

    return pl.Series(words, dtype=pl.String).gather(_places(places))


def _places(places: Ints) -> "pl.Series":
    """Places to gather from; -1 gathers null."""
    import polars as pl

    there = pl.Series("place", places)
    return pl.select(pl.when(there >= 0).then(there)).to_series().cast(pl.UInt32)
