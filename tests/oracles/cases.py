"""The cases of the oracles: each expression with where its expected values come from."""

from collections.abc import Callable

from oracles import plain
from oracles.plain import Column

Columns = dict[str, Column]

PERCENT_SCALE = ("rsi", "mfi", "adx", "stoch_k", "stoch_d")

PLAIN: dict[str, Callable[[Columns], Column]] = {
    "sma(close, 5)": lambda c: plain.sma(c["close"], 5),
    "ema(close, 4)": lambda c: plain.ema(c["close"], 4),
    "rma(close, 3)": lambda c: plain.rma(c["close"], 3),
    "wma(close, 6)": lambda c: plain.wma(c["close"], 6),
    "rsi(close, 5)": lambda c: plain.rsi(c["close"], 5),
    "macd(close, 3, 6)": lambda c: plain.macd(c["close"], 3, 6),
    "macd_signal(close, 3, 6, 4)": lambda c: plain.macd_signal(c["close"], 3, 6, 4),
    "atr(5)": lambda c: plain.atr(c["high"], c["low"], c["close"], 5),
    "stdev(close, 7)": lambda c: plain.stdev(c["close"], 7),
    "bb_upper(close, 7, 2)": lambda c: plain.band(c["close"], 7, 2),
    "bb_lower(close, 7, 1.5)": lambda c: plain.band(c["close"], 7, -1.5),
    "highest(high, 9)": lambda c: plain.highest(c["high"], 9),
    "lowest(low, 8)": lambda c: plain.lowest(c["low"], 8),
    "change(close, 3)": lambda c: plain.change(c["close"], 3),
    "roc(close, 4)": lambda c: plain.roc(c["close"], 4),
    "adx(4)": lambda c: plain.adx(c["high"], c["low"], c["close"], 4),
    "stoch_k(6, 3)": lambda c: plain.stoch_k(c["high"], c["low"], c["close"], 6, 3),
    "stoch_d(6, 3, 2)": lambda c: plain.stoch_d(c["high"], c["low"], c["close"], 6, 3, 2),
    "obv(6)": lambda c: plain.obv(c["close"], c["volume"], 6),
    "mfi(5)": lambda c: plain.mfi(c["high"], c["low"], c["close"], c["volume"], 5),
    "vwap_window(4)": lambda c: plain.vwap_window(c["close"], c["volume"], c["vwap"], 4),
    "crosses_above(close, open)": lambda c: plain.crosses(c["close"], c["open"]),
    "crosses_below(close, vwap)": lambda c: plain.crosses(c["vwap"], c["close"]),
    "rising(close, 2)": lambda c: plain.rising(c["close"], 2),
    "falling(close, 2)": lambda c: plain.rising(plain.each(lambda x: -x, c["close"]), 2),
    "abs(change(close, 1))": lambda c: plain.each(abs, plain.change(c["close"], 1)),
    "min(open, close, vwap)": lambda c: plain.each(min, c["open"], c["close"], c["vwap"]),
    "max(open, close, vwap)": lambda c: plain.each(max, c["open"], c["close"], c["vwap"]),
    "clip(close, low, vwap)": lambda c: plain.each(lambda x, a, b: min(max(x, a), b), c["close"], c["low"], c["vwap"]),
    "highest(high, 3)[1]": lambda c: plain.before(plain.highest(c["high"], 3), 1),
    "typical": lambda c: c["typical"],
    "vwap": lambda c: c["vwap"],
    "volume": lambda c: c["volume"],
    "hour": lambda c: c["hour"],
    "weekday": lambda c: c["weekday"],
}

TALIB = (
    "sma(close, 5)",
    "ema(close, 4)",
    "wma(close, 6)",
    "rsi(close, 5)",
    "macd(close, 3, 6)",
    "macd_signal(close, 3, 6, 4)",
    "atr(5)",
    "stdev(close, 7)",
    "bb_upper(close, 7, 2)",
    "bb_lower(close, 7, 1.5)",
    "highest(high, 9)",
    "lowest(low, 8)",
    "roc(close, 4)",
    "adx(4)",
    "stoch_k(6, 3)",
    "stoch_d(6, 3, 2)",
)
"""Cases whose expected values come from TA-Lib where no candle is missing."""


def tolerance(case: str, value: float, close: float) -> float:
    """Largest difference to an expected value."""
    return 1e-7 if case.startswith(PERCENT_SCALE) else 1e-9 * max(abs(value), close)
