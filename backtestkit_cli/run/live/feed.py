"""The candles of a live session: one question per symbol and minute, to one exchange, in one thread.

* What is asked for is everything after the newest candle that is known, so an outage is caught up by the next question.
* Every candle passes the border together with the ones before it. One that is refused has not come; when the exchange
  keeps sending it until later ones are there, its minute counts as missing.
* Nothing here ends a session: what went wrong is told, and asked again a minute later.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from backtestkit_cli.data.border import Anomaly, checked
from backtestkit_cli.errors import BacktestkitError, DataError
from backtestkit_cli.model.candle import CANDLE_COLUMNS, Candle
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.plugins.ports import CandleSource

CONTEXT_ROWS = 100
REFUSALS = 3


@dataclass(slots=True, eq=False)
class Feed:
    """New candles of some symbols. `on_trouble` is told of a symbol and what is wrong with its candles.

    A source that `knows_the_time` gives closed candles only, so it is asked also when the clock here seems to be slow.
    """

    source: CandleSource
    knows_the_time: bool
    anomaly: Anomaly
    on_trouble: Callable[[str, BacktestkitError], None]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "feed"))
    _context: dict[str, pl.DataFrame] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)

    async def history(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """All candles that open in `[start_ms, end_ms)`.

        Raises:
            DataError, ExchangeError: they cannot be had.
        """
        frame = await self._ask(symbol, start_ms, end_ms)
        whole = checked(frame, where=symbol, anomaly=self.anomaly)
        self._context[symbol] = whole.tail(CONTEXT_ROWS)
        return whole

    async def newer(self, symbol: str, known_ms: int, now_ms: int) -> Sequence[Candle]:
        """The candles from `known_ms` on that have closed, oldest first; none where there are none, or trouble."""
        end_ms = max(now_ms, known_ms + MINUTE_MS) if self.knows_the_time else now_ms
        if end_ms <= known_ms:
            return ()
        try:
            frame = await self._ask(symbol, known_ms, end_ms)
            if frame.is_empty():
                return ()
            known = self._context.get(symbol, frame.clear())
            together = self._believed(symbol, pl.concat([known, frame.select(CANDLE_COLUMNS)]), len(known))
        except BacktestkitError as error:
            self.on_trouble(symbol, error)
            return ()
        self._refused.pop(symbol, None)
        self._context[symbol] = together.tail(CONTEXT_ROWS)
        return [Candle(*row) for row in together[len(known) :].iter_rows()]

    def close(self) -> None:
        """Wait for nothing any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        asked = partial(self.source.candles, symbol, start_ms, end_ms)
        return await asyncio.get_running_loop().run_in_executor(self._thread, asked)

    def _believed(self, symbol: str, together: pl.DataFrame, known: int) -> pl.DataFrame:
        """Known candles and new ones, as far as the border lets them in."""
        try:
            return checked(together, where=symbol, anomaly=self.anomaly)
        except DataError as error:
            self._refused[symbol] = self._refused.get(symbol, 0) + 1
            if self._refused[symbol] < REFUSALS or len(together) < known + REFUSALS:
                raise
            self.on_trouble(symbol, error)
        good = together[:known]
        for row in range(known, len(together)):
            with suppress(DataError):  # it is taken for a missing one
                good = checked(pl.concat([good, together[row : row + 1]]), where=symbol, anomaly=self.anomaly)
        return good
