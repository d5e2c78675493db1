"""The candles of a live session: one question per symbol and minute, to one exchange.

* What is asked for is everything after the newest candle that is known, so an outage is caught up by the next question.
* Symbols are asked for at once. Who has not been answered in time is left out of this minute, and not asked for again
  while the question is under way; its answer is taken as soon as it comes.
* Every candle passes the border together with the ones before it. One that is refused has not come; when the exchange
  keeps sending it until later ones are there, its minute counts as missing.
* Nothing here ends a session: what went wrong is told, and asked again a minute later.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from backtestkit_cli.data.border import Anomaly, checked, typed
from backtestkit_cli.errors import BacktestkitError, DataError, Problem, Source, StrategyError, TransientError
from backtestkit_cli.model.candle import Candle, MarketSteps
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.plugins.places import place_of, raised
from backtestkit_cli.plugins.ports import CandleSource, ShowsTime
from backtestkit_cli.run.live.asking import Asking

CONTEXT_ROWS = 100
REFUSALS = 3
ANSWER_SECONDS = 10.0
"""How long all symbols wait for one that is not answered."""


@dataclass(slots=True, eq=False)
class Feed:
    """New candles of some symbols. `on_trouble` is told of a symbol and what is wrong with its candles.

    All wait `seconds` for one; `on_late` is called when there is more to take or to ask before the next minute.

    A source that `knows_the_time` gives closed candles only, so it is asked also when the clock here seems to be slow.
    """

    source: CandleSource
    knows_the_time: bool
    anomaly: Anomaly
    on_trouble: Callable[[str, BacktestkitError], None]
    asking: Asking = field(default_factory=lambda: Asking(1))
    seconds: float = ANSWER_SECONDS
    on_late: Callable[[], None] = lambda: None
    _asked_ms: dict[str, int] = field(default_factory=dict)
    _under_way: "dict[str, asyncio.Future[pl.DataFrame]]" = field(default_factory=dict)
    _late: set[str] = field(default_factory=set)
    _context: dict[str, pl.DataFrame] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)

    @property
    def ahead_ms(self) -> int | None:
        """How far the clock here is ahead of the exchange's; None unknown."""
        return self.source.ahead_ms if isinstance(self.source, ShowsTime) else None

    async def history(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """All candles that open in `[start_ms, end_ms)`.

        Raises:
            DataError, ExchangeError, StrategyError: they cannot be had.
        """
        frame = await self.asking.ask(partial(self._candles, symbol, start_ms, end_ms))
        whole = checked(frame, where=symbol, anomaly=self.anomaly)
        self._context[symbol] = whole.tail(CONTEXT_ROWS)
        return whole

    async def steps(self, symbol: str) -> MarketSteps:
        """The price and quantity steps of a market.

        Raises:
            DataError, ExchangeError: they cannot be had.
        """
        return await self.asking.ask(partial(self.source.steps, symbol))

    async def newer(self, known_ms: Mapping[str, int], now_ms: int) -> dict[str, Sequence[Candle]]:
        """The candles that have closed, by symbol, from the time on until which each is known, oldest first.

        Symbols without an answer are left out; they are asked for once a minute. An answer has no candles where there
        are none, or trouble.
        """
        asked = [one for symbol, since_ms in known_ms.items() if (one := self._ask(symbol, since_ms, now_ms))]
        if asked:
            await asyncio.wait(asked, timeout=self.seconds)
        answered = {symbol: self._taken(symbol, question) for symbol, question in self._answered(known_ms)}
        if any(self._asked_ms[symbol] != now_ms for symbol in answered):
            self.on_late()  # what was late knows nothing of the newest minute
        return answered

    def give_up(self) -> None:
        """Wait for no answer any more."""
        for question in self._under_way.values():
            question.cancel()

    def close(self) -> None:
        """Ask nothing more."""
        self.give_up()
        self.asking.close()

    def _ask(self, symbol: str, known_ms: int, now_ms: int) -> "asyncio.Future[pl.DataFrame] | None":
        """Ask, unless that was done in this minute, or an earlier question is still under way."""
        end_ms = max(now_ms, known_ms + MINUTE_MS) if self.knows_the_time else now_ms
        if end_ms <= known_ms or symbol in self._under_way or self._asked_ms.get(symbol) == now_ms:
            return None
        self._asked_ms[symbol] = now_ms
        question = self.asking.ask(partial(self._candles, symbol, known_ms, end_ms))
        self._under_way[symbol] = question
        return question

    def _candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """What the source answers; called in a thread of `asking`."""
        try:
            return typed(self.source.candles(symbol, start_ms, end_ms), where=symbol)
        except BacktestkitError:
            raise
        except Exception as error:  # noqa: BLE001  # a plugin of the user
            problem = raised(error, place_of(self.source), f"when it was asked for candles of {symbol}")
        raise StrategyError(problem)

    def _answered(self, symbols: Iterable[str]) -> "Iterator[tuple[str, asyncio.Future[pl.DataFrame]]]":
        """The questions that have ended, in the order of the symbols; who is late is told once."""
        for symbol in symbols:
            question = self._under_way.get(symbol)
            if question is None or question.cancelled():
                continue
            if question.done():
                yield symbol, self._under_way.pop(symbol)
            elif symbol not in self._late:
                self._late.add(symbol)
                question.add_done_callback(lambda _: self.on_late())
                self.on_trouble(symbol, _late(symbol, self.seconds))

    def _taken(self, symbol: str, question: "asyncio.Future[pl.DataFrame]") -> Sequence[Candle]:
        """The candles of an answer; none when something is wrong with it."""
        self._late.discard(symbol)
        try:
            frame = question.result()
            if frame.is_empty():
                return ()
            known = self._context.get(symbol, frame.clear())
            together = self._believed(symbol, pl.concat([known, frame]), len(known))
        except BacktestkitError as error:
            self.on_trouble(symbol, error)
            return ()
        self._refused.pop(symbol, None)
        self._context[symbol] = together.tail(CONTEXT_ROWS)
        return [Candle(*row) for row in together[len(known) :].iter_rows()]

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


def _late(symbol: str, seconds: float) -> TransientError:
    return TransientError(
        Problem(
            "exchange-slow",
            f"no answer about {symbol} within {seconds:g} s; the other symbols go on without it",
            where=Source(symbol=symbol),
            hint="its minutes are caught up when the answer comes; nothing is entered in one that is over by then",
        )
    )
