"""What a stream made of its candles: how many there are, where they end, and which prices are known of them.

* Minutes are counted between the start of history and the end of the frame, prices are those inside the frame.
* A price at a time is the last one known by then; before the first candle there is none.
"""

import numpy as np

from backtestkit_cli.data.load import fingerprint, first_hole
from backtestkit_cli.data.marks import month_marks
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.drawn import DrawnCandles, drawing_interval, drawn_candles
from backtestkit_cli.engine.result import CandleUse, StreamResult
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.measure.equity import mark_times
from backtestkit_cli.model.time import MINUTE_MS, TimeRange, iso


def candle_use(candles: Candles, within: TimeRange, price_candles: int) -> CandleUse:
    """Take down which candles a stream rested on; `price_candles` is the window of the VWAP price."""
    first, last = max(0, candles.row(within.start_ms)), min(len(candles), candles.row(within.end_ms))
    close = candles.close[first:last]
    there = close[~np.isnan(close)] if candles.present is not None else close
    frame = slice(0, last)
    return CandleUse(
        fingerprint=fingerprint(candles),
        history_start_ms=candles.start_ms,
        data_end_ms=candles.end_ms,
        candles=len(candles) if candles.present is None else int(candles.present.sum()),
        missing_minutes=0 if candles.present is None else int((~candles.present[frame]).sum()),
        bridged_minutes=0 if candles.bridged is None else int(candles.bridged[frame].sum()),
        price_first=float(there[0]) if len(there) else None,
        price_last=float(there[-1]) if len(there) else None,
        daily_prices=prices_at(candles, mark_times(within), price_candles),
        months=month_marks(candles),
    )


def prices_at(candles: Candles, times_ms: Ints, price_candles: int) -> tuple[float | None, ...]:
    """The price at each time: the last known one, None before the first candle."""
    rows = np.arange(len(candles)) if candles.present is None else np.flatnonzero(candles.present)
    place = np.searchsorted(rows, (times_ms - candles.start_ms) // MINUTE_MS) - 1
    known_ms = candles.start_ms + (rows[np.maximum(place, 0)] + 1) * MINUTE_MS
    prices = price_at(candles, known_ms, price_candles).tolist()
    return tuple(price if is_known else None for price, is_known in zip(prices, (place >= 0).tolist(), strict=True))


def candles_to_draw(candles: Candles, within: TimeRange, result: StreamResult) -> DrawnCandles:
    """The candles that charts show: to the end of the stream."""
    return drawn_candles(candles, TimeRange(within.start_ms, stream_end_ms(within, result)), drawing_interval(within))


def stream_end_ms(within: TimeRange, result: StreamResult) -> int:
    """The end of the frame, or of the last trade if that is later."""
    closed_ms = result.trades.closed_ms
    return max(within.end_ms, int(closed_ms[-1])) if len(closed_ms) else within.end_ms


def refuse_hole(candles: Candles, symbol: str, result: StreamResult) -> None:
    """Accept no missing minute up to the last close of a trade.

    Raises:
        DataError: one is missing.
    """
    trades = result.trades
    end_ms = int(trades.closed_ms[-1]) if len(trades) else candles.end_ms
    hole = first_hole(candles, candles.start_ms, end_ms)
    if hole is not None:
        start_ms, minutes = hole
        what = f"{minutes} minutes of {symbol} are missing from {iso(start_ms)} on, and `gap: fail` allows no hole"
        hint = "fetch the missing candles, or choose `gap: skip`"
        raise DataError(Problem("hole-in-candles", what, Source(symbol=symbol, time_ms=start_ms), hint=hint))
