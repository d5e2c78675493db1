"""A market without network: made-up candles that are the same everywhere, for ever.

* Every candle is a pure function of seed, symbol and open time. A window asked as a whole or in parts is bit-equal.
* Noise is a hash of its place, not a stream: nothing is walked from a beginning, any window costs only itself.
* Only operations that IEEE 754 defines to the bit are used (no exp, no log), so neither the machine nor the version
  of numpy changes a digit.
* Days hang between anchors; inside a day the path is a bridge whose steps have clustered volatility, quiet hours,
  quiet weekends and fat tails. Trends of many lengths live in the anchors. Some minutes have no trade at all.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from backtestkit_cli.data.border import SCHEMA
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]

_DAY_MINUTES = DAY_MS // MINUTE_MS
_DAYS_AT_ONCE = 8
_KINDS = {name: np.int64 if name == "time" else np.float64 for name in SCHEMA}
_STEPS_PER_PRICE = 100.0
_STEPS_PER_QUANTITY = 1e6

_KNOWN_PRICES = {"BTC": 35_000.0, "ETH": 2_100.0, "BNB": 310.0, "SOL": 95.0}
_TREND_DAYS = tuple(2**power for power in range(9))
_TREND_SIZE = 0.011
_MINUTE_SIZE = 0.00062
_DRIFT_MINUTES = 240
_DRIFT_SHARE = 0.04
_CLUSTERS = ((30, 0.25), (240, 0.35), (1440, 0.3), (7200, 0.3))
_HOURS = np.array(
    [
        *(0.85, 0.8, 0.75, 0.7, 0.65, 0.65, 0.7, 0.85, 1.0, 1.05, 1.0, 0.95),
        *(1.05, 1.25, 1.45, 1.4, 1.3, 1.2, 1.1, 1.05, 1.05, 1.0, 0.95, 0.9),
    ]
)
_WEEKDAYS_FROM_THURSDAY = np.array([1.05, 1.0, 0.65, 0.7, 1.0, 1.05, 1.1])
_MEAN_QUANTITY_COST = 45_000.0


class SampleExchange:
    """A deterministic market for any symbol and any time."""

    def __init__(self, seed: int = 7) -> None:
        self.seed = seed

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Make the 1m candles that open in `[start_ms, end_ms)`."""
        first = -(-start_ms // MINUTE_MS)
        last = -(-end_ms // MINUTE_MS)
        if last <= first:
            return pl.DataFrame(schema=SCHEMA)
        market = _Market.of(self.seed, symbol)
        first_day, day_after = first // _DAY_MINUTES, -(-last // _DAY_MINUTES)
        whole = {name: np.empty((day_after - first_day) * _DAY_MINUTES, kind) for name, kind in _KINDS.items()}
        for day in range(first_day, day_after, _DAYS_AT_ONCE):
            row = (day - first_day) * _DAY_MINUTES
            for name, column in _columns(market, day, min(day + _DAYS_AT_ONCE, day_after)).items():
                whole[name][row : row + len(column)] = column
        wanted = slice(first - first_day * _DAY_MINUTES, last - first_day * _DAY_MINUTES)
        return pl.DataFrame({name: column[wanted] for name, column in whole.items()}, schema=SCHEMA)

    def steps(self, symbol: str) -> MarketSteps:  # noqa: ARG002  # every made-up market has the same steps
        """Price and quantity steps: 0.01 and 0.000001."""
        return MarketSteps(price=1 / _STEPS_PER_PRICE, quantity=1 / _STEPS_PER_QUANTITY)

    def end_ms(self, symbol: str) -> int | None:  # noqa: ARG002
        """The candles never end."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Market:
    """The noise of one symbol: `key` is its place among all hashes, `price` the level it wanders about."""

    key: int
    price: float

    @classmethod
    def of(cls, seed: int, symbol: str) -> "_Market":
        digest = hashlib.sha256(f"{seed}\n{symbol}".encode("utf-8", errors="surrogatepass")).digest()
        level = digest[8] / 255
        known = next((price for coin, price in _KNOWN_PRICES.items() if symbol.upper().startswith(coin)), None)
        return cls(key=int.from_bytes(digest[:8], "big"), price=known or 40.0 + 960.0 * level * level)

    def bits(self, layer: int, place: _Ints) -> npt.NDArray[np.uint64]:
        """Hash places to 64 even bits (the finalizer of splitmix64 over a Weyl sequence)."""
        offset = (self.key + layer * 0xD1B54A32D192ED03) % 2**64
        mixed = place.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(offset)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))

    def even(self, layer: int, place: _Ints) -> _Floats:
        """Evenly spread numbers in [0, 1)."""
        spread: _Floats = (self.bits(layer, place) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return spread

    def bell(self, layer: int, place: _Ints) -> _Floats:
        """Bell-shaped numbers of mean 0 and deviation 1: the sum of four even ones, taken from one hash."""
        bits = self.bits(layer, place)
        low = np.uint64(0xFFFF)
        total = (bits & low) + (bits >> np.uint64(16) & low) + (bits >> np.uint64(32) & low) + (bits >> np.uint64(48))
        curve: _Floats = (total.astype(np.float64) * 2.0**-16 - (2.0 - 2.0**-15)) * 1.7320508075688772
        return curve

    def smooth(self, layer: int, place: _Ints, length: int) -> _Floats:
        """Bell-shaped noise at every multiple of `length`, and straight lines between."""
        knot, rest = np.divmod(place, length)
        first = int(knot[0])
        heights = self.bell(layer, np.arange(first, int(knot[-1]) + 2))
        share = rest / length
        blended: _Floats = heights[knot - first] * (1.0 - share) + heights[knot - first + 1] * share
        return blended


def _columns(market: _Market, first_day: int, day_after: int) -> dict[str, npt.NDArray[np.generic]]:
    """The candles of whole days, as flat columns."""
    minute = np.arange(first_day * _DAY_MINUTES, day_after * _DAY_MINUTES)
    busy = _activity(market, minute)
    traded = _traded(market, minute, busy)
    close, open_ = _path(market, np.arange(first_day, day_after + 1), minute, busy, traded)
    reach = _MINUTE_SIZE * busy * traded
    above = market.even(4, minute)
    below = market.even(5, minute)
    high = np.maximum(open_, close) * (1.0 + reach * above * above * 1.6)
    low = np.minimum(open_, close) * (1.0 - reach * below * below * 1.6)
    amount = market.even(6, minute)
    quantity = _MEAN_QUANTITY_COST / market.price * busy * busy * (0.1 + 3.0 * amount * amount * amount)
    return {
        "time": minute * MINUTE_MS,
        "open": _on_grid(open_, _STEPS_PER_PRICE),
        "high": _on_grid(high, _STEPS_PER_PRICE),
        "low": _on_grid(low, _STEPS_PER_PRICE),
        "close": _on_grid(close, _STEPS_PER_PRICE),
        "volume": _on_grid(np.maximum(quantity, 1 / _STEPS_PER_QUANTITY), _STEPS_PER_QUANTITY) * traded,
    }


def _activity(market: _Market, minute: _Ints) -> _Floats:
    """How lively each minute is, about 1: the hour, the weekday, and clusters of many lengths."""
    mood = np.zeros(len(minute))
    for layer, (length, size) in enumerate(_CLUSTERS, start=10):
        mood += size * market.smooth(layer, minute, length)
    day, minute_of_day = np.divmod(minute, _DAY_MINUTES)
    lively: _Floats = _growth(mood) * _HOURS[minute_of_day // 60] * _WEEKDAYS_FROM_THURSDAY[day % 7]
    return lively


def _traded(market: _Market, minute: _Ints, busy: _Floats) -> _Floats:
    """1 where somebody traded, else 0: quiet minutes are often empty, the last of a day never."""
    empty = market.even(7, minute) * (0.2 + busy) < 0.012
    return np.where(empty & (minute % _DAY_MINUTES != _DAY_MINUTES - 1), 0.0, 1.0)


def _path(market: _Market, days: _Ints, minute: _Ints, busy: _Floats, traded: _Floats) -> tuple[_Floats, _Floats]:
    """Close and open of each minute: a bridge from anchor to anchor; the open is the close of the minute before."""
    size = _MINUTE_SIZE * busy * traded
    tail = market.even(3, minute)
    fat = np.where(tail < 0.001, 6.0, np.where(tail < 0.03, 2.5, 1.0))
    step = size * (market.bell(2, minute) * fat + _DRIFT_SHARE * market.smooth(8, minute, _DRIFT_MINUTES) * fat)
    by_day = (-1, _DAY_MINUTES)
    wandered = np.cumsum(step.reshape(by_day), axis=1)
    passed = np.cumsum((size * size).reshape(by_day), axis=1)
    anchor = _anchors(market, days)
    slack = anchor[1:] - anchor[:-1] - wandered[:, -1]
    logarithm = anchor[:-1, None] + slack[:, None] * (passed / passed[:, -1:]) + wandered
    logarithm[:, -1] = anchor[1:]  # to the bit, for the next day opens there
    close = market.price * _growth(logarithm)
    open_ = np.empty_like(close)
    open_[:, 1:] = close[:, :-1]
    open_[:, 0] = market.price * _growth(anchor[:-1])
    return close.ravel(), open_.ravel()


def _anchors(market: _Market, days: _Ints) -> _Floats:
    """Where each day begins, as growth about the market's level: trends of one day to most of a year, together."""
    heights = np.zeros(len(days))
    for layer, length in enumerate(_TREND_DAYS, start=20):
        heights += _TREND_SIZE * np.sqrt(float(length)) * market.smooth(layer, days, length)
    return heights


def _growth(exponent: _Floats) -> _Floats:
    """Nearly e to the power of `exponent`, by squaring only: exact to the same bit on every machine."""
    grown = 1.0 + exponent / 1024.0
    for _ in range(10):
        grown = grown * grown
    return grown


def _on_grid(values: _Floats, steps_per_unit: float) -> _Floats:
    """Round to the step; dividing by a whole number gives the double nearest to the decimal number."""
    return np.rint(values * steps_per_unit) / steps_per_unit
