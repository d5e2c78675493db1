"""How candles get into the store: month by month, each month written whole.

* A month that was asked for completely is never asked again; one that broke off goes on from its last candle.
  However often a fetch is killed, the files end up the same to the byte.
* No answer is no news: an empty answer, or one that ends early, counts as "there are no more candles" only when a
  second, different window shows that the source does answer.
* Only closed candles are stored.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import polars as pl

from backtestkit_cli.data.border import SCHEMA, USUAL, Anomaly, checked
from backtestkit_cli.data.files import read_candles
from backtestkit_cli.data.load import outside_window
from backtestkit_cli.data.months import months_between
from backtestkit_cli.data.store import CandleStore, Market
from backtestkit_cli.disk import folder_lock
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.model.candle import CANDLE_COLUMNS, MarketSteps
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, iso
from backtestkit_cli.plugins.ports import CandleSource

OnProgress: TypeAlias = Callable[[int, int], None]
_Stored: TypeAlias = tuple[TimeRange, pl.DataFrame]

_NOTHING: _Stored = (TimeRange(0, 0), pl.DataFrame(schema=SCHEMA))


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What a fetch or an import did. `candles` counts those of the window that are in the store now."""

    window: TimeRange
    candles: int
    written: tuple[str, ...]
    kept: tuple[str, ...]
    repaired: tuple[str, ...]


def fetch(
    source: CandleSource,
    store: CandleStore,
    exchange_name: str,
    symbol: str,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    on_progress: OnProgress | None = None,
    anomaly: Anomaly = USUAL,
) -> FetchReport:
    """Bring the candles that open in `[start_ms, end_ms)` and have closed by `now_ms` into the store.

    `on_progress` is called with the number of months done and of all months.

    Raises:
        DataError: the source gave candles that are refused, or nothing at all.
        ExchangeError: the source failed; the months stored so far stay.
        UsageError: another program is writing the same market.
    """
    window = _whole_minutes(start_ms, min(end_ms, now_ms))
    if window.minutes == 0:
        raise UsageError(_nothing_to_fetch(exchange_name, symbol, TimeRange(start_ms, end_ms), now_ms))
    asker = _Asker(source, f"{exchange_name} {symbol}", symbol, now_ms, anomaly)

    def renewed(part: TimeRange, stored: _Stored | None) -> _Stored | None:
        if stored is not None and _covers(stored[0], part):
            asker.remember(stored[1])
            return None
        renewal = asker.extended(part, *stored) if stored else (part, asker.complete(part))
        asker.remember(renewal[1])
        return renewal

    with _alone(store, exchange_name, symbol):
        market = Market(exchange=exchange_name, symbol=symbol, steps=source.steps(symbol), source=type(source).__name__)
        return _month_by_month(store, market, window, renewed, on_progress)


def import_file(
    path: Path,
    store: CandleStore,
    exchange_name: str,
    symbol: str,
    anomaly: Anomaly = USUAL,
    now_ms: int | None = None,
) -> FetchReport:
    """Put the candles of a file into the store, beside those that are there.

    The file speaks for all of its range: a later fetch does not ask for minutes that are missing inside it.

    Raises:
        DataError: the file or its candles are refused, or the store holds other candles for the same minutes.
        UsageError: another program is writing the same market.
    """
    candles = read_candles(path, anomaly, now_ms)
    window = TimeRange(int(candles["time"][0]), int(candles["time"][-1]) + MINUTE_MS)

    def renewed(part: TimeRange, stored: _Stored | None) -> _Stored:
        new = _inside(candles, part)
        return _united(part, new, *stored, path=path) if stored else (part, new)

    with _alone(store, exchange_name, symbol):
        if store.has_market(exchange_name, symbol):
            market = store.market(exchange_name, symbol)
        else:
            market = Market(exchange=exchange_name, symbol=symbol, steps=MarketSteps(), source=f"file {path.name}")
        return _month_by_month(store, market, window, renewed, None)


def _month_by_month(
    store: CandleStore,
    market: Market,
    window: TimeRange,
    renewed: Callable[[TimeRange, _Stored | None], _Stored | None],
    on_progress: OnProgress | None,
) -> FetchReport:
    """Write each month that `renewed` has something new for; None keeps the stored one.

    The market is noted once there is an answer: one that never gave any leaves no trace.
    """
    written: list[str] = []
    kept: list[str] = []
    repaired: list[str] = []
    count = 0
    parts = months_between(window.start_ms, window.end_ms)
    for done, (month, part) in enumerate(parts):
        if on_progress is not None:
            on_progress(done, len(parts))
        stored = None
        try:
            stored = store.read_month(market.exchange, market.symbol, month)
        except DataError:
            repaired.append(month)
        renewal = renewed(part, stored)
        if done == 0:
            store.write_market(market)
        if renewal is not None:
            asked, candles = renewal
            store.write_month(market.exchange, market.symbol, month, candles, asked)
        (written if renewal else kept).append(month)
        count += len(_inside((renewal or stored or _NOTHING)[1], part))
    if on_progress is not None:
        on_progress(len(parts), len(parts))
    return FetchReport(window=window, candles=count, written=tuple(written), kept=tuple(kept), repaired=tuple(repaired))


class _Asker:
    """Asks a source for windows and believes no silence that is not confirmed."""

    def __init__(self, source: CandleSource, place: str, symbol: str, now_ms: int, anomaly: Anomaly) -> None:
        self._source = source
        self._place = place
        self._symbol = symbol
        self._now_ms = now_ms
        self._anomaly = anomaly
        self._known_ms: int | None = None

    def remember(self, candles: pl.DataFrame) -> None:
        """Note the last candle known so far; a window that reaches back to it cannot honestly be empty."""
        if len(candles):
            self._known_ms = int(candles["time"][-1])

    def complete(self, window: TimeRange) -> pl.DataFrame:
        """All candles of a window; none only when the source provably has none."""
        candles = self._ask(window)
        if len(candles):
            return self._through_end(candles, window)
        if self._known_ms is not None:
            return _inside(self._from_known(self._known_ms, window.end_ms), window)
        return self._without_known(window)

    def _without_known(self, window: TimeRange) -> pl.DataFrame:
        """Answer for a window that was silent, before any candle is known: the wider window, or a market that lives.

        A market that has candles today may still have been silent twice by accident, so the wider window is asked
        once more.
        """
        now_ms = self._now_ms - self._now_ms % MINUTE_MS
        wider = TimeRange(window.start_ms - DAY_MS, min(window.end_ms + DAY_MS, now_ms))
        answer = self._ask(wider)
        if answer.is_empty():
            if self._ask(TimeRange(now_ms - DAY_MS, now_ms)).is_empty():
                raise DataError(self._silence(window))
            answer = self._ask(wider)
        found = _inside(answer, window)
        return self._through_end(found, window) if len(found) else found

    def extended(self, part: TimeRange, asked: TimeRange, candles: pl.DataFrame) -> _Stored:
        """A stored month and what it lacks of `part`; the windows asked for stay in one piece."""
        wanted = TimeRange(min(part.start_ms, asked.start_ms), max(part.end_ms, asked.end_ms))
        answered = _inside(candles, asked)
        if part.start_ms < asked.start_ms or answered.is_empty():
            fresh, fresh_from_ms = self.complete(wanted), wanted.start_ms
        else:
            fresh_from_ms = int(answered["time"][-1])
            fresh = self._from_known(fresh_from_ms, wanted.end_ms)
        earlier = candles.filter(pl.col("time") < fresh_from_ms)
        later = candles.filter(pl.col("time") >= wanted.end_ms)
        return wanted, pl.concat([earlier, fresh, later])

    def _from_known(self, known_ms: int, end_ms: int) -> pl.DataFrame:
        window = TimeRange(known_ms, end_ms)
        candles = self._ask(window)
        if candles.is_empty() or candles["time"][0] != known_ms:
            raise DataError(self._silence(window))
        return self._through_end(candles, window)

    def _through_end(self, candles: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
        """Go on from the last candle until a window that holds it holds nothing more."""
        while (last_ms := int(candles["time"][-1])) + MINUTE_MS < window.end_ms:
            rest = TimeRange(last_ms, window.end_ms)
            more = self._ask(rest)
            if more.is_empty() or more["time"][0] != last_ms:
                raise DataError(self._silence(rest))
            if len(more) == 1:
                break
            candles = pl.concat([candles, more[1:]])
        return candles

    def _ask(self, window: TimeRange) -> pl.DataFrame:
        answer = self._source.candles(self._symbol, window.start_ms, window.end_ms)
        candles = checked(answer, where=self._place, now_ms=self._now_ms, anomaly=self._anomaly)
        if len(candles) != len(_inside(candles, window)):
            raise DataError(outside_window(self._place, window, candles))
        return candles

    def _silence(self, window: TimeRange) -> Problem:
        return Problem(
            code="no-answer",
            what=f"the source gave no candles of {self._symbol} in {window}, and nothing proves that there are none",
            where=Source(file=self._place, symbol=self._symbol, time_ms=window.start_ms),
            hint="check the symbol and the dates; if they are right the exchange is silent: try again later",
        )


def _united(part: TimeRange, new: pl.DataFrame, asked: TimeRange, old: pl.DataFrame, *, path: Path) -> _Stored:
    """Join new candles with those of a stored month; the window asked for stays in one piece."""
    both = old.join(new, on="time", suffix="_new")
    differs = pl.any_horizontal(pl.col(name) != pl.col(f"{name}_new") for name in CANDLE_COLUMNS[1:])
    different = both.filter(differs)
    if len(different):
        raise DataError(
            Problem(
                code="import-conflict",
                what=f"the store holds {len(different)} other candles for minutes of this file",
                where=Source(file=str(path), time_ms=different["time"][0]),
                hint="import under another exchange name, or remove the stored months first",
            )
        )
    touches = part.start_ms <= asked.end_ms and asked.start_ms <= part.end_ms
    whole = TimeRange(min(part.start_ms, asked.start_ms), max(part.end_ms, asked.end_ms)) if touches else part
    return whole, pl.concat([old, new]).unique("time", keep="first").sort("time")


def _covers(asked: TimeRange, part: TimeRange) -> bool:
    return asked.start_ms <= part.start_ms and part.end_ms <= asked.end_ms


def _inside(candles: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
    return candles.filter(pl.col("time").is_between(window.start_ms, window.end_ms, closed="left"))


def _whole_minutes(start_ms: int, end_ms: int) -> TimeRange:
    """Widen the start and narrow the end to whole minutes, so that every candle of the window has closed."""
    return TimeRange(start_ms - start_ms % MINUTE_MS, end_ms - end_ms % MINUTE_MS)


@contextmanager
def _alone(store: CandleStore, exchange_name: str, symbol: str) -> Iterator[None]:
    """Be the only writer of a market, and clear away what a killed one left."""
    with folder_lock(store.folder(exchange_name, symbol)):
        store.remove_leftovers(exchange_name, symbol)
        yield


def _nothing_to_fetch(exchange_name: str, symbol: str, wanted: TimeRange, now_ms: int) -> Problem:
    return Problem(
        code="empty-window",
        what="there is no closed minute to fetch",
        where=Source(file=f"{exchange_name} {symbol}", symbol=symbol),
        found=f"{wanted}, and it is {iso(now_ms)}",
        hint="choose a start before the end, and before now",
    )
