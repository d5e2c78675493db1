"""Finished positions of one stream as columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backtestkit_cli.engine.candles import Bools, Floats, Ints
from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.model.event import Closed, CloseReason, Event
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.model.trade import pnl_quote

if TYPE_CHECKING:
    import polars as pl

REASONS = tuple(CloseReason)
SIDES = (Position.SHORT, Position.LONG)

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades:
    """Columns of one length, in order of closing.

    Times are UTC ms (int64); `side` is 1 long, -1 short (int8); prices are quote currency; `reason` indexes REASONS
    (int8); percents are net of costs; `quantity` is base currency, NaN where nothing is sized. `notes` and `ids` as
    they were given, None where the id follows from the decision.
    """

    decided_ms: Ints
    opened_ms: Ints
    closed_ms: Ints
    side: Codes
    price_open: Floats
    price_close: Floats
    price_take_profit: Floats
    price_stop_loss: Floats
    lifetime_minutes: Floats
    reason: Codes
    pnl_percent: Floats
    ambiguous_minutes: Codes
    profit_at_stake_percent: Floats
    vwap_lag_percent: Floats
    is_bridged: Bools
    quantity: Floats
    notes: str | tuple[str, ...] = ""
    ids: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.closed_ms)

    @property
    def pnl_quote(self) -> Floats:
        """PnL in quote currency, net of costs; NaN where nothing is sized."""
        return np.asarray(pnl_quote(self.quantity, self.price_open, self.pnl_percent))

    def where(self, chosen: Bools) -> "Trades":
        """Some of the trades."""
        if bool(chosen.all()):
            return self
        rows = np.flatnonzero(chosen)
        texts = {name: getattr(self, name) for name in ("notes", "ids")}
        kept: dict[str, Any] = {
            name: tuple(text[row] for row in rows.tolist()) if isinstance(text, tuple) else text
            for name, text in texts.items()
        }
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name not in kept}
        return replace(self, **columns, **kept)

    def id(self, row: int, terms: Terms) -> str:
        """The id of one trade's signal."""
        given = self.ids[row] if self.ids else None
        return given or signal_id(terms.strategy, terms.symbol, int(self.decided_ms[row]))

    def note(self, row: int) -> str:
        """The note of one trade's signal, as plain text."""
        return plain_text(self.notes if isinstance(self.notes, str) else self.notes[row])

    def signal(self, row: int, terms: Terms) -> Signal:
        """The signal of one trade."""
        return Signal(
            id=self.id(row, terms),
            strategy=terms.strategy,
            symbol=terms.symbol,
            position=Position.LONG if self.side[row] > 0 else Position.SHORT,
            price_open=float(self.price_open[row]),
            price_take_profit=float(self.price_take_profit[row]),
            price_stop_loss=float(self.price_stop_loss[row]),
            lifetime_minutes=int(self.lifetime_minutes[row]),
            decided_at=int(self.decided_ms[row]),
            note=self.note(row),
            quantity=_known(self.quantity[row]),
        )

    def closings(self, signals: Iterable[Signal]) -> Iterator[Closed]:
        """The closing event of each trade; `signals` are those of the trades."""
        columns = (
            self.closed_ms,
            self.opened_ms,
            self.price_close,
            self.reason,
            self.pnl_percent,
            self.ambiguous_minutes,
            self.profit_at_stake_percent,
            self.vwap_lag_percent,
            self.is_bridged,
            self.pnl_quote,
        )

        def closed(
            signal: Signal,
            time_ms: int,
            opened_at: int,
            price: float,
            reason: int,
            percent: float,
            minutes: int,
            at_stake: float,
            lag: float,
            is_bridged: bool,
            quote: float,
        ) -> Closed:
            return Closed(
                time_ms=time_ms,
                signal=signal,
                opened_at=opened_at,
                price=price,
                reason=REASONS[reason],
                pnl_percent=percent,
                ambiguous_minutes=minutes,
                profit_at_stake_percent=at_stake,
                vwap_lag_percent=lag,
                is_bridged=is_bridged,
                pnl_quote=None if isnan(quote) else quote,
            )

        return map(closed, signals, *(column.tolist() for column in columns))

    def frame(self) -> "pl.DataFrame":
        """The columns as a polars frame: times as UTC datetimes in ms, side and reason as categories."""
        import polars as pl

        columns: dict[str, Any] = {
            "decided": _times(self.decided_ms),
            "opened": _times(self.opened_ms),
            "closed": _times(self.closed_ms),
            "position": _words(SIDES, (self.side > 0).astype(np.int64)),
            "price_open": self.price_open,
            "price_close": self.price_close,
            "price_take_profit": self.price_take_profit,
            "price_stop_loss": self.price_stop_loss,
            "lifetime_minutes": self.lifetime_minutes.astype(np.int64),
            "reason": _words(REASONS, self.reason),
            "pnl_percent": self.pnl_percent,
            "ambiguous_minutes": self.ambiguous_minutes,
            "profit_at_stake_percent": self.profit_at_stake_percent,
            "vwap_lag_percent": self.vwap_lag_percent,
            "is_bridged": self.is_bridged,
            "quantity": pl.Series(self.quantity, nan_to_null=True),
            "pnl_quote": pl.Series(self.pnl_quote, nan_to_null=True),
        }
        return pl.DataFrame([pl.Series(name, column) for name, column in columns.items()])


def trades_from_frame(frame: "pl.DataFrame") -> Trades:
    """Read back the columns that `Trades.frame` made, with the columns `id` and `note` beside them."""
    words = {"side": _places(SIDES, frame["position"]) * 2 - 1, "reason": _places(REASONS, frame["reason"])}
    times = {f"{name}_ms": frame[name].dt.epoch("ms").to_numpy() for name in ("decided", "opened", "closed")}
    given: dict[str, Any] = {**words, **times, "notes": tuple(frame["note"]), "ids": tuple(frame["id"])}
    given["lifetime_minutes"] = frame["lifetime_minutes"].to_numpy().astype(np.float64)
    given |= {field.name: frame[field.name].to_numpy() for field in fields(Trades) if field.name not in given}
    return Trades(**given)


def _places(words: Sequence[StrEnum], column: "pl.Series") -> Codes:
    """The place of each word of a column among all there are."""
    places = {word.value: place for place, word in enumerate(words)}
    return np.array([places[word] for word in column], dtype=np.int8)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _times(times_ms: Ints) -> "pl.Series":
    import polars as pl

    return pl.Series(times_ms).cast(pl.Datetime("ms", "UTC"))


def _words(words: Sequence[StrEnum], places: Ints | Codes) -> "pl.Series":
    """Words picked by place, as a category."""
    import polars as pl

    names = [word.value for word in words]
    return pl.Series(names, dtype=pl.Enum(names)).gather(places)


def trades_of(events: Iterable[Event]) -> Trades:
    """Collect the finished positions among events, in order of closing."""
    closed = [event for event in events if isinstance(event, Closed)]
    signals = [event.signal for event in closed]

    def floats(values: Iterable[float]) -> Floats:
        return np.array(list(values), dtype=np.float64)

    def ints(values: Iterable[int]) -> Ints:
        return np.array(list(values), dtype=np.int64)

    return Trades(
        decided_ms=ints(signal.decided_at for signal in signals),
        opened_ms=ints(event.opened_at for event in closed),
        closed_ms=ints(event.time_ms for event in closed),
        side=ints(1 if signal.is_long else -1 for signal in signals).astype(np.int8),
        price_open=floats(signal.price_open for signal in signals),
        price_close=floats(event.price for event in closed),
        price_take_profit=floats(signal.price_take_profit for signal in signals),
        price_stop_loss=floats(signal.price_stop_loss for signal in signals),
        lifetime_minutes=floats(signal.lifetime_minutes for signal in signals),
        reason=ints(REASONS.index(event.reason) for event in closed).astype(np.int8),
        pnl_percent=floats(event.pnl_percent for event in closed),
        ambiguous_minutes=ints(event.ambiguous_minutes for event in closed).astype(np.int8),
        profit_at_stake_percent=floats(event.profit_at_stake_percent for event in closed),
        vwap_lag_percent=floats(event.vwap_lag_percent for event in closed),
        is_bridged=np.array([event.is_bridged for event in closed], dtype=bool),
        quantity=floats(np.nan if signal.quantity is None else signal.quantity for signal in signals),
        notes=tuple(signal.note for signal in signals),
        ids=tuple(signal.id for signal in signals),
    )
