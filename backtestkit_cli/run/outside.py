"""An exchange outside of a run: candles, price and formats, for scripts and notebooks.

* Local exchanges are read where their candles are, all others are asked over the network; the candle store of backtests
  is left alone.
* Only closed candles: what has not closed at the time asked for does not exist. The time is now; for files it is the
  end of their data.
* Larger candles are built from 1m candles on the UTC grid, as in a run, so a long window of them takes many requests.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from backtestkit_cli.config.fields import STRATEGY_INTERVALS
from backtestkit_cli.data.border import Anomaly, checked
from backtestkit_cli.data.load import LocalSource
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.market import CandleWindow, known_candles
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.rounding import write_price, write_quantity
from backtestkit_cli.model.time import MINUTE_MS, Interval, TimeRange, iso, parse_time
from backtestkit_cli.plugins.ports import CandleSource
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.plan import checked_symbol, read_range

_LATE_MINUTES = 5
"""How old the newest candle of an exchange may be to count as its present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideExchange:
    """One exchange of a project; times are ISO texts or UTC ms."""

    name: str
    source: LocalSource | CandleSource
    price_candles: int
    anomaly: Anomaly
    clock: WallClock = field(default_factory=WallClock)

    def candles(
        self,
        symbol: str,
        interval: str = "1m",
        limit: int | None = None,
        *,
        range: str | None = None,  # noqa: A002  # the word of the command line
        at: str | int | None = None,
    ) -> CandleWindow:
        """The last `limit` candles that have closed by `at`, or those inside a range `A..B`; fewer if some are missing.

        Raises:
            UsageError: an argument makes no sense.
            DataError, ExchangeError, ConfigError: the candles cannot be had.
        """
        length_ms = _interval(interval).ms
        now_ms = self._now_ms(symbol, at)
        if (limit is None) == (range is None):
            what = "give either limit or range" if limit is None else "limit and range are both given"
            raise UsageError(Problem("conflict", what, hint='candles("BTCUSDT", "1h", 24)'))
        if range is not None:
            asked = read_range(range)
            within = TimeRange(-(-asked.start_ms // length_ms) * length_ms, min(asked.end_ms, now_ms))
        else:
            end_ms = now_ms // length_ms * length_ms
            within = TimeRange(end_ms - _count(limit) * length_ms, end_ms)
        if within.end_ms - within.start_ms < length_ms:
            return known_candles(_none(within.start_ms), interval)
        return known_candles(self._loaded(symbol, within), interval)

    def price(self, symbol: str, at: str | int | None = None) -> float:
        """The VWAP price at a time, as a strategy would see it.

        Raises:
            UsageError: an argument makes no sense.
            DataError: no candle has just closed then, so there is no fresh price.
            ExchangeError, ConfigError: the candles cannot be had.
        """
        now_ms = self._now_ms(symbol, at) // MINUTE_MS * MINUTE_MS
        minutes = self.price_candles + (_LATE_MINUTES if at is None else 0)
        within = TimeRange(now_ms - minutes * MINUTE_MS, now_ms)
        candles = self._loaded(symbol, within, pad=at is not None)
        if len(candles):
            price = float(price_at(candles, np.array([candles.end_ms]), self.price_candles)[0])
            if not np.isnan(price):
                return price
        what = f"{self.name} has no fresh price of {symbol} at {iso(now_ms)}"
        where, hint = Source(symbol=symbol, time_ms=now_ms), "no candle of that minute is there; ask for another time"
        raise DataError(Problem("no-candles", what, where, hint=hint))

    def steps(self, symbol: str) -> MarketSteps:
        """Price and quantity steps of a market; None where they are not known.

        Raises:
            UsageError: it is no symbol.
            DataError, ExchangeError, ConfigError: the market cannot be had.
        """
        return self.source.steps(checked_symbol(symbol))

    def format_price(self, symbol: str, price: float) -> str:
        """Write a price on the market's price step; in full precision when the step is not known."""
        return write_price(price, self.steps(symbol).price)

    def format_quantity(self, symbol: str, quantity: float) -> str:
        """Write a quantity, cut to the market's quantity step; in full precision when the step is not known."""
        return write_quantity(quantity, self.steps(symbol).quantity)

    def _now_ms(self, symbol: str, at: str | int | None) -> int:
        checked_symbol(symbol)
        now_ms = self.clock.now_ms()
        end_ms = getattr(self.source, "end_ms", None)
        known_ms = end_ms(symbol) if end_ms is not None else None
        present_ms = now_ms if known_ms is None else min(now_ms, known_ms)
        if at is None:
            return present_ms
        try:
            return min(parse_time(at), now_ms)
        except (ValueError, OverflowError, TypeError) as error:
            expected = "a time such as 2023-03-01T12:30Z, or milliseconds"
            raise UsageError(Problem("bad-time", str(error), found=str(at)[:60], expected=expected)) from None

    def _loaded(self, symbol: str, within: TimeRange, *, pad: bool = True) -> Candles:
        """Closed 1m candles of a window, up to its end even where the last are missing."""
        frame = checked(
            self.source.candles(symbol, within.start_ms, within.end_ms), where=symbol, anomaly=self.anomaly
        ).filter(pl.col("time").is_between(within.start_ms, within.end_ms - MINUTE_MS))
        if frame.is_empty():
            return _none(within.start_ms)
        candles = Candles.from_rows(*(column.to_numpy() for column in frame))
        return _padded(candles, (within.end_ms - candles.end_ms) // MINUTE_MS) if pad else candles


def _padded(candles: Candles, minutes: int) -> Candles:
    """Candles with minutes without one behind them."""
    if minutes <= 0:
        return candles
    there = np.ones(len(candles), dtype=bool) if candles.present is None else candles.present
    opened, high, low, close, volume = (
        np.pad(column, (0, minutes), constant_values=np.nan)
        for column in (candles.open, candles.high, candles.low, candles.close, candles.volume)
    )
    present = np.pad(there, (0, minutes))
    return replace(candles, open=opened, high=high, low=low, close=close, volume=volume, present=present)


def _none(start_ms: int) -> Candles:
    nothing = np.zeros(0)
    return Candles(start_ms=start_ms, open=nothing, high=nothing, low=nothing, close=nothing, volume=nothing)


def _interval(text: str) -> Interval:
    if text not in STRATEGY_INTERVALS:
        expected = ", ".join(STRATEGY_INTERVALS)
        raise UsageError(Problem("bad-interval", "no such interval", found=str(text)[:60], expected=expected))
    return Interval(text)


def _count(limit: int | None) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise UsageError(
            Problem("bad-value", "limit is no count of candles", found=str(limit)[:60], expected="1 or more")
        )
    return limit
