"""Time: UTC milliseconds, the minute grid, the intervals of candles.

Every time inside the program is an integer count of milliseconds since 1970-01-01T00:00Z. `datetime` is used here,
in `cli/` and in `report/` only.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

MINUTE_MS = 60_000
DAY_MS = 86_400_000

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?\Z")


class Interval(StrEnum):
    """A candle length. The grid of every interval counts from 1970-01-01T00:00Z."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"
    D3 = "3d"

    @property
    def minutes(self) -> int:
        """Length in minutes."""
        return minutes_of(self.value)

    @property
    def ms(self) -> int:
        """Length in milliseconds."""
        return self.minutes * MINUTE_MS


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open `[start_ms, end_ms)`."""

    start_ms: int
    end_ms: int

    def __str__(self) -> str:
        return f"{iso(self.start_ms)} .. {iso(self.end_ms)}"

    @property
    def minutes(self) -> int:
        """Whole minutes inside."""
        return max(0, (self.end_ms - self.start_ms) // MINUTE_MS)


def seconds_of(text: str) -> int:
    """Read a duration such as `90s`, `15m`, `24h` or `2d` as seconds.

    Raises:
        ValueError: the text is no duration.
    """
    match = re.fullmatch(r"(\d{1,9})(s|m|h|d)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 90m, 24h or 2d")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def minutes_of(text: str) -> int:
    """Read a duration such as `90s` (whole minutes only), `15m`, `24h` or `2d` as minutes.

    Raises:
        ValueError: the text is no duration, or no whole number of minutes.
    """
    seconds = seconds_of(text)
    if seconds % 60:
        raise ValueError(f"{text!r} is no whole number of minutes")
    return seconds // 60


def parse_time(value: str | int) -> int:
    """Read a time as UTC milliseconds.

    A whole number is milliseconds; a date is its midnight UTC; a time without zone is UTC; a time with `Z` or an
    offset is what it says.

    Raises:
        ValueError: anything else (the message says which forms are known).
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if not 10**11 <= abs(value) < 10**14:
            raise ValueError(f"{value} is no time in milliseconds (seconds? multiply by 1000)")
        return value
    text = str(value).strip()
    if re.fullmatch(r"\d{12,14}", text):
        return parse_time(int(text))
    if not (_DATE.match(text) or _TIME.match(text)):
        raise ValueError(f"{text!r} is no time such as 2023-03-01, 2023-03-01T12:30Z or milliseconds")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return delta.days * DAY_MS + delta.seconds * 1000 + delta.microseconds // 1000


def to_second(time_ms: int) -> str:
    """Write the second of a time, always in the same form: `2023-03-01T12:30:00Z`."""
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC).isoformat()[:19]}Z"


def clock_text(time_ms: int, now_ms: int) -> str:
    """Write the minute of a time for people: `12:30` today, else `03-01 12:30`; UTC."""
    text = datetime.fromtimestamp(time_ms // 1000, UTC).isoformat(" ")
    return text[11:16] if time_ms // DAY_MS == now_ms // DAY_MS else text[5:16]


def iso(time_ms: int) -> str:
    """Write a time: `2023-03-01T12:30Z`, with seconds and milliseconds only where they are not zero."""
    text = datetime.fromtimestamp(time_ms // 1000, UTC).isoformat()  # many times faster than a format of its own
    milliseconds = time_ms % 1000
    if milliseconds:
        return f"{text[:19]}.{milliseconds:03d}Z"
    return f"{text[:16]}Z" if text[17:19] == "00" else f"{text[:19]}Z"
