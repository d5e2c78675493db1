"""Small candles and sources for the tests of this folder."""

import polars as pl

from backtestkit_cli.data.border import SCHEMA
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, parse_time

MARCH = parse_time("2023-03-01")
APRIL = parse_time("2023-04-01")


def candles(minutes: range | list[int], start_ms: int = MARCH) -> pl.DataFrame:
    """Candles at these minutes after the start; each price tells its minute."""
    lines = [(start_ms + n * MINUTE_MS, 100.0 + n, 101.5 + n, 99.5 + n, 101.0 + n, 1.0 + n % 3) for n in minutes]
    return pl.DataFrame(lines, schema=SCHEMA, orient="row")


class ListSource:
    """A source of given candles that notes what it is asked, and can fail to answer some of the questions."""

    def __init__(self, frame: pl.DataFrame, *, silent: tuple[int, ...] = (), longest_rows: int = 10**9) -> None:
        self.frame = frame
        self.silent = silent
        self.longest_rows = longest_rows
        self.asked: list[tuple[int, int]] = []

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Give the candles of the window, or nothing when this question is one of the silent ones."""
        self.asked.append((start_ms, end_ms))
        if len(self.asked) in self.silent:
            return self.frame.clear()
        inside = pl.col("time").is_between(start_ms, end_ms, closed="left")
        return self.frame.filter(inside).head(self.longest_rows)

    def steps(self, symbol: str) -> MarketSteps:
        """Steps of 0.5 and 0.25."""
        return MarketSteps(price=0.5, quantity=0.25)

    def end_ms(self, symbol: str) -> int | None:
        """The close of the last candle."""
        return int(self.frame["time"][-1]) + MINUTE_MS if len(self.frame) else 0


__all__ = ["APRIL", "DAY_MS", "MARCH", "MINUTE_MS", "ListSource", "candles"]
