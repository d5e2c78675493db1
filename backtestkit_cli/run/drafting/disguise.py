"""What a model may not know of a market: which one it is, when it was, and what it cost.

A model that remembers the market would draft from memory, and the past would look like skill.

* Times count from the start of what is shown: `day 1 13:00`.
* Candles are scaled: the first open is 100, the mean volume of a minute 1. Elsewhere numbers that could be a price are
  hidden, as are words that name the market, and dates.
* The answer is about the disguised market; rules without fixed prices hold on the real one alike.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, iso, parse_time

ASSET, DATE, PRICE = "ASSET", "[date]", "[price]"
_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USD", "EUR", "GBP", "TRY", "BTC", "ETH", "BNB")
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
_DATES = re.compile(
    rf"\d{{4}}-\d{{2}}(?:-\d{{2}})?(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?(?:Z|[+-]\d{{2}}:?\d{{2}})?)?"
    rf"|\d{{1,4}}[./]\d{{1,2}}[./]\d{{1,4}}"
    rf"|(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?\b(?:{_MONTHS})\b\.?(?:\s+\d{{1,2}}(?:st|nd|rd|th)?\b)?"
    rf"|\b(?:19|20)\d{{2}}\b|\b\d{{10,16}}\b",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"(?:\d{1,3}(?:[ ,.']\d{3})+(?:[.,]\d+)?|\d+(?:\.\d+)?)(?:\s?k\b)?", re.IGNORECASE)


def market_words(symbol: str, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the words that name a market: its symbol, its base currency, and others that are given."""
    parts = [part for part in re.split(r"[/:_-]", symbol) if part]
    whole = parts[0]
    bases = [whole[: -len(quote)] for quote in _QUOTES if whole.endswith(quote) and len(whole) > len(quote)]
    base = whole if len(parts) > 1 or not bases else bases[0]
    return tuple(sorted({symbol, "".join(parts), base, *more}, key=lambda word: (-len(word), word)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disguise:
    """How one stretch of one market is disguised; `least` and `most` are what may be a price of it."""

    start_ms: int
    words: tuple[str, ...]
    price_factor: float
    volume_factor: float
    least: float
    most: float

    @classmethod
    def of(cls, candles: Candles, start_ms: int, words: tuple[str, ...]) -> "Disguise":
        """Disguise what candles show from a time on; there is at least one."""
        row = max(0, (start_ms - candles.start_ms) // MINUTE_MS)
        opens, volumes = candles.open[row:], candles.volume[row:]
        first = opens[~np.isnan(opens)][0]
        mean = float(np.nanmean(volumes))
        return cls(
            start_ms=start_ms,
            words=words,
            price_factor=100 / float(first),
            volume_factor=1 / mean if mean > 0 else 1.0,
            least=float(np.nanmin(candles.low)) / 2,
            most=float(np.nanmax(candles.high)) * 2,
        )

    def candles(self, candles: Candles) -> Candles:
        """Give candles as they are shown."""
        factor = self.price_factor
        return replace(
            candles,
            open=candles.open * factor,
            high=candles.high * factor,
            low=candles.low * factor,
            close=candles.close * factor,
            volume=candles.volume * self.volume_factor,
        )

    def time(self, time_ms: int) -> str:
        """Give a time as it is shown."""
        day, rest = divmod(time_ms - self.start_ms, DAY_MS)
        hour, minute = divmod(rest // MINUTE_MS, 60)
        return f"day {day + 1} {hour:02d}:{minute:02d}"

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Give a row of a source as it is shown, without its id."""
        return {self.text(key): self._value(key, value) for key, value in row.items() if key != "id"}

    def text(self, text: str) -> str:
        """Hide dates and words that name the market."""
        for word in self.words:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", ASSET, text, flags=re.IGNORECASE)
        return _DATES.sub(DATE, text)

    def _value(self, key: str, value: Any) -> Any:
        match value:
            case bool() | None:
                return value
            case _ if key == "time":
                return self.time(parse_time(value))
            case int() | float():
                return PRICE if self._may_tell(float(value)) else value
            case _:
                text = self.text(value if isinstance(value, str) else json.dumps(value, default=str))
                return _NUMBERS.sub(self._number, text)

    def _number(self, found: re.Match[str]) -> str:
        """Hide a number that could be a price in one of the ways to read it: `30.000` is thirty, or thirty thousand."""
        text = found[0].casefold().removesuffix("k").strip()
        factor = 1000 if found[0][-1] in "kK" else 1
        grouped = re.sub(r"[ ,.'](?=\d{3}(?!\d))", "", text)
        readings = [one.replace(",", ".") for one in (text, grouped) if re.fullmatch(r"\d+([.,]\d+)?", one)]
        return PRICE if any(self._may_tell(float(one) * factor) for one in readings) else found[0]

    def _may_tell(self, number: float) -> bool:
        """Whether a number may be a price, or a time since 1970."""
        size = abs(number)
        return self.least <= size <= self.most or 1e9 <= size < 1e17 or not math.isfinite(size)


@dataclass(frozen=True, slots=True)
class Undisguised:
    """Everything as it is."""

    def candles(self, candles: Candles) -> Candles:
        """Give candles as they are."""
        return candles

    def time(self, time_ms: int) -> str:
        """Give a time as ISO text."""
        return iso(time_ms)

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Give a row as it is."""
        return dict(row)

    def text(self, text: str) -> str:
        """Give a text as it is."""
        return text
