"""Candles from an exchange through ccxt: which answers are believed.

Rules:
* Only closed candles, by the exchange's own clock (the `Date` of its answer), else by ours. The first that has not
  closed is the end.
* ccxt drops what it cannot read and keeps the rest, so rows are judged as they came: a row without a number in every
  field, off the minute grid or not in milliseconds spoils its answer. A candle that comes twice with equal values is
  taken once and counted.
* Nothing is believed to be missing on one answer. Where a minute is absent, a second window that starts elsewhere, at
  the last known candle if there is one, must agree; where there is no known candle at all, the newest candles must
  show that the exchange answers, and a third window must agree too.
* An answer that is not believed is asked for again like one that failed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import polars as pl

from backtestkit_cli.data.ccxt_broker import CcxtBroker
from backtestkit_cli.data.exchange_client import Account, ExchangeClient
from backtestkit_cli.data.retry import LONGEST_SILENCE_MS, Clock, Patience, Tally
from backtestkit_cli.errors import DataError, Problem, Source, TransientError
from backtestkit_cli.model.candle import CANDLE_COLUMNS, Candle, MarketSteps
from backtestkit_cli.model.time import MINUTE_MS

_EARLIEST_MS = 10**11  # a smaller time is in seconds
_SPARE = 3  # candles beyond the end, so that windows that start earlier still reach it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """What one answer says about the time from `since_ms` on: believable candles by open time, unclosed ones too."""

    since_ms: int
    candles: Mapping[int, Candle]
    now_ms: int
    limit: int

    @property
    def reach_ms(self) -> int:
        """The last open time the answer speaks about."""
        return max(self.candles) if self.candles else self.since_ms + (self.limit - 1) * MINUTE_MS

    def until(self, last_ms: int) -> dict[int, Candle | None]:
        """Its candles up to an open time; None for those that have not closed, whose values still change."""
        return {
            time_ms: candle if time_ms + MINUTE_MS <= self.now_ms else None
            for time_ms, candle in sorted(self.candles.items())
            if time_ms <= last_ms
        }

    def first_missing(self) -> int:
        """The first minute without a candle."""
        return next(time_ms for time_ms in count(self.since_ms, MINUTE_MS) if time_ms not in self.candles)

    def starting_at(self, since_ms: int) -> "_Window":
        """The same answer without what lies before."""
        kept = {time_ms: candle for time_ms, candle in self.candles.items() if time_ms >= since_ms}
        reach_ms = self.since_ms + (self.limit - 1) * MINUTE_MS
        return _Window(
            since_ms=since_ms,
            candles=kept,
            now_ms=self.now_ms,
            limit=max(1, (reach_ms - since_ms) // MINUTE_MS + 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """Believed candles, and where the next page starts; None at the end of what the exchange has."""

    candles: list[Candle]
    next_ms: int | None


class CcxtExchange:
    """1m candles and steps of one exchange, over the network.

    `retries` is how often a failed question is asked again, `retry_delay_ms` the first wait, doubled each time; a
    silence of up to `longest_silence_ms` that the exchange asks for is waited out.
    `tally` counts what was met since the object was made, `patience` can tell what is waited for.
    """

    def __init__(
        self,
        id: str,  # noqa: A002  # the key of the configuration
        *,
        api_key: str | None = None,
        secret: str | None = None,
        base_url: str | None = None,
        market: str = "spot",
        timeout_ms: int = 10_000,
        retries: int = 3,
        retry_delay_ms: int = 5000,
        longest_silence_ms: int = LONGEST_SILENCE_MS,
        clock: Clock,
    ) -> None:
        account = Account(
            id=id, api_key=api_key, secret=secret, base_url=base_url, market=market, timeout_ms=timeout_ms
        )
        self.id = id
        self.tally = Tally()
        self.patience = Patience(
            exchange=id,
            retries=retries,
            delay_ms=retry_delay_ms,
            longest_silence_ms=longest_silence_ms,
            clock=clock,
            tally=self.tally,
        )
        self._client = ExchangeClient(account, clock=clock, patience=self.patience, tally=self.tally)

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """Closed 1m candles that open in `[start_ms, end_ms)`, oldest first.

        Columns: time (Int64, open time in UTC ms), open, high, low, close, volume (Float64).

        Raises:
            TransientError: the exchange did not answer, or its answers could not be believed.
            DataError: it kept sending broken candles.
            RejectedError: it refuses for good; the hint says what can be done.
            ConfigError: no such exchange, or a bad `base_url`.
        """
        market = self._market(symbol)
        believed: list[Candle] = []
        next_ms: int | None = -(-start_ms // MINUTE_MS) * MINUTE_MS
        while next_ms is not None and next_ms < end_ms:
            known_ms = believed[-1].time if believed and believed[-1].time == next_ms - MINUTE_MS else None
            limit = min(self._client.limit(market), (end_ms - next_ms) // MINUTE_MS + _SPARE)
            page = self.patience.ask(partial(self._page, market, next_ms, known_ms, limit))
            believed += page.candles
            next_ms = page.next_ms
        return _frame([candle for candle in believed if candle.time < end_ms])

    @property
    def ahead_ms(self) -> int | None:
        """How far our clock was ahead of the exchange's at its last answer, up to a second more; None unknown."""
        return self._client.ahead_ms

    def steps(self, symbol: str) -> MarketSteps:
        """Price and quantity steps of the market; None where the exchange does not say."""
        return self._client.steps(self._market(symbol))

    def broker(self) -> CcxtBroker:
        """Who takes orders for this exchange; its questions keep to the same pace."""
        return CcxtBroker(self._client, self.patience)

    def _market(self, symbol: str) -> Mapping[str, Any]:
        return self.patience.ask(partial(self._client.market, symbol))

    def _page(self, market: Mapping[str, Any], since_ms: int, known_ms: int | None, limit: int) -> _Page:
        """One step forward from `since_ms`; `known_ms` is the candle just before it, if there is one."""
        first = self._window(market, since_ms, limit)
        missing_ms = first.first_missing()
        if first.candles and missing_ms > first.reach_ms:
            return self._believed(first, first.reach_ms)
        if missing_ms > since_ms:
            known_ms = missing_ms - MINUTE_MS
        second = self._window(market, since_ms - MINUTE_MS if known_ms is None else known_ms, limit)
        if known_ms is not None and known_ms not in second.candles:
            raise self._disagreement(market, known_ms) if second.candles else self._nothing(market, since_ms)
        agreed_ms = self._agreed_ms(market, first, second.starting_at(max(since_ms, second.since_ms)))
        if first.until(agreed_ms) or known_ms is not None:
            return self._believed(first, agreed_ms)
        return self._without_any(market, first, agreed_ms)

    def _without_any(self, market: Mapping[str, Any], empty: _Window, agreed_ms: int) -> _Page:
        """Two windows are empty and no candle is known: does the exchange answer at all, and does a third agree?"""
        newest = self._window(market, None, empty.limit)
        if not newest.candles:
            raise self._nothing(market, empty.since_ms)
        if max(newest.candles) < empty.since_ms:
            return _Page(candles=[], next_ms=None)
        third = self._window(market, empty.since_ms - 2 * MINUTE_MS, empty.limit).starting_at(empty.since_ms)
        return self._believed(empty, min(agreed_ms, self._agreed_ms(market, empty, third)))

    def _believed(self, window: _Window, last_ms: int) -> _Page:
        candles = window.until(last_ms)
        closed = [candle for candle in candles.values() if candle is not None]
        unclosed = len(candles) - len(closed)
        self.tally.dropped += unclosed
        return _Page(candles=closed, next_ms=None if unclosed else last_ms + MINUTE_MS)

    def _agreed_ms(self, market: Mapping[str, Any], first: _Window, second: _Window) -> int:
        """The last open time both windows speak about; they must say the same about it and all before."""
        last_ms = min(first.reach_ms, second.reach_ms)
        ours, theirs = first.starting_at(second.since_ms).until(last_ms), second.until(last_ms)
        changed = [at for at in ours.keys() & theirs.keys() if ours[at] and theirs[at] and ours[at] != theirs[at]]
        if ours.keys() != theirs.keys() or changed:
            raise self._disagreement(market, min([*changed, *(ours.keys() ^ theirs.keys())]))
        return last_ms

    def _disagreement(self, market: Mapping[str, Any], time_ms: int) -> TransientError:
        return TransientError(
            Problem(
                code="candles-disagree",
                what=f"{self.id} gave two answers about the same candle of {market['symbol']}",
                where=Source(symbol=market["symbol"], time_ms=time_ms),
                hint="try again later; something between here and the exchange leaves candles out",
            )
        )

    def _nothing(self, market: Mapping[str, Any], time_ms: int) -> TransientError:
        return TransientError(
            Problem(
                code="no-candles",
                what=f"{self.id} sends no candles at all of {market['symbol']}",
                where=Source(symbol=market["symbol"], time_ms=time_ms),
                hint="try again later; if it stays so, the market has no candles at this exchange",
            )
        )

    def _window(self, market: Mapping[str, Any], since_ms: int | None, limit: int) -> _Window:
        answer = self._client.candles(market, since_ms, limit)
        candles: dict[int, Candle] = {}
        for row in answer.rows:
            candle = self._read(market, row)
            if candle.time in candles:
                self._count_double(market, candles[candle.time], candle)
            elif since_ms is None or candle.time >= since_ms:
                candles[candle.time] = candle
        return _Window(since_ms=since_ms or 0, candles=candles, now_ms=answer.now_ms, limit=limit)

    def _count_double(self, market: Mapping[str, Any], candle: Candle, other: Candle) -> None:
        if candle != other:
            raise self._broken(market, "a candle twice, with different values", other)
        self.tally.duplicates += 1

    def _read(self, market: Mapping[str, Any], row: Any) -> Candle:
        if not isinstance(row, (list, tuple)) or len(row) < len(CANDLE_COLUMNS):
            raise self._broken(market, "a candle with fields missing", row)
        values = row[: len(CANDLE_COLUMNS)]
        if any(value is None for value in values):
            raise self._broken(market, "a candle with fields missing", row)
        candle = Candle(int(values[0]), *(float(value) for value in values[1:]))
        if candle.time < _EARLIEST_MS or candle.time % MINUTE_MS:
            raise self._broken(market, "a candle whose time is no whole minute in milliseconds", row)
        if not all(math.isfinite(value) for value in candle):
            raise self._broken(market, "a candle with a value that is no number", row)
        if min(candle.open, candle.high, candle.low, candle.close) <= 0 or candle.volume < 0:
            raise self._broken(market, "a candle with a price or volume that cannot be", row)
        return candle

    def _broken(self, market: Mapping[str, Any], what: str, row: Any) -> DataError:
        first = row[0] if isinstance(row, (list, tuple)) and row else None
        time_ms = first if isinstance(first, int) and first >= _EARLIEST_MS else None
        return DataError(
            Problem(
                code="broken-candle",
                what=f"{self.id} sent {what}",
                where=Source(symbol=market["symbol"], time_ms=time_ms),
                found=str(list(row)[:6]) if isinstance(row, (list, tuple)) else str(row)[:80],
                hint="try again later; if it stays so, leave this time out or take another exchange",
            )
        )


def _frame(candles: list[Candle]) -> pl.DataFrame:
    types = {name: pl.Int64 if name == "time" else pl.Float64 for name in CANDLE_COLUMNS}
    frame = pl.DataFrame(candles, schema=types, orient="row")
    if not frame["time"].is_sorted() or frame["time"].n_unique() != len(frame):
        raise DataError(Problem(code="candle-order", what="candles of two pages overlap", hint="report this as a bug"))
    return frame
