"""`parity`: a live session again as a backtest of its own window, and what differs.

* Config, strategies, start of history and stop requests are those of the journal; code and candles are today's.
* Candles are read as a backtest reads them. Where the store lacks some, the command that brings them is named.
* Compared is what was decided before the last candle of the session; what is open then is open on both sides.
* A strategy that had no decision time yet is left out, and named.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import restored
from backtestkit_cli.data.load import LocalSource
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.measure.lived import Key
from backtestkit_cli.measure.parity import Parity, compare
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Active, Idle
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, iso
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.backtest import Backtest, OnProgress, end_quietly, nobody
from backtestkit_cli.run.lived import read_lived
from backtestkit_cli.run.plan import plan_backtest
from backtestkit_cli.run.request import Request
from backtestkit_cli.run.sources import is_local, local_source

DIFFERENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParity:
    """A session against its backtest, decided in `[start_ms, end_ms)`; `left_out` had no decision time yet."""

    session: str
    start_ms: int
    end_ms: int
    parity: Parity
    left_out: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of the command that tells it."""
        return DIFFERENT if self.parity.differences else 0

    @property
    def document(self) -> dict[str, Any]:
        """It as a JSON document."""
        told = asdict(self.parity)
        for one in told["differences"]:
            one["decided_at"] = iso(one.pop("decided_ms"))
        window: dict[str, Any] = {"session": self.session, "start": iso(self.start_ms), "end": iso(self.end_ms)}
        window["left_out"] = list(self.left_out)
        return {**window, "equal": self.parity.equal, **told, "exit_code": self.exit_code}


def parity(
    folder: Path,
    project: Path,
    registry: Registry,
    *,
    on_progress: OnProgress = nobody,
    on_abandon: Callable[[str], None] = end_quietly,
) -> SessionParity:
    """Do a session again and compare.

    Raises:
        UsageError: the session cannot be done again, or has not lived through a whole minute.
        DataError: its candles are not where a backtest reads them.
        ConfigError, StrategyError: its code cannot be used any more.
    """
    reader = read_lived(folder)
    start = reader.start
    config = restored(start["config"], project, f"session {folder.name}")
    start_ms, end_ms = int(start["started_ms"]), max(reader.ends_ms.values())
    if end_ms <= start_ms:
        what = f"session {folder.name} has not seen a whole minute yet"
        raise UsageError(Problem("session-too-short", what, Source(file=str(folder)), hint="wait a minute"))
    compared = tuple(name for name in start["strategies"] if _has_decided(config, name, start_ms, end_ms))
    left_out = tuple(name for name in start["strategies"] if name not in compared)
    if not compared:
        what = f"no strategy of session {folder.name} had a decision time yet: {', '.join(left_out)}"
        raise UsageError(Problem("session-too-short", what, Source(file=str(folder)), hint="wait for the first one"))
    source = local_source(config, start["exchange"], registry)
    first_ms = min((start_ms, *start["history_start_ms"].values()))
    market = {
        symbol: _candles(
            config,
            start["exchange"],
            source,
            symbol,
            TimeRange(min(first_ms, *reader.candles.get(symbol, (first_ms,))), symbol_end_ms),
        )
        for symbol, symbol_end_ms in reader.ends_ms.items()
    }
    request = Request(
        strategies=compared,
        symbols=tuple(start["symbols"]),
        exchange=start["exchange"],
        range=f"{iso(start_ms)}..{iso(end_ms)}",
    )
    job = Backtest(
        config=config,
        plan=plan_backtest(config, request),
        registry=registry,
        logs=folder,
        calls_back=False,
        on_progress=on_progress,
        on_abandon=on_abandon,
        watch=_stopping(reader.stops),
    )
    told = [event for event in job if not isinstance(event, Idle | Active)]
    return SessionParity(
        session=folder.name,
        start_ms=start_ms,
        end_ms=end_ms,
        parity=compare(
            reader.lived,
            told,
            market,
            reader.ends_ms,
            price_minutes=config.settings.limits.average_price_candles,
            bridges=config.settings.gap == "bridge",
        ),
        left_out=left_out,
    )


def _has_decided(config: Config, strategy: str, start_ms: int, end_ms: int) -> bool:
    """Whether a decision time of a strategy lies in `[start_ms, end_ms)`."""
    every_ms = config.strategies[strategy].interval.ms
    return -(-start_ms // every_ms) * every_ms < end_ms


def _stopping(stops: Mapping[Key, int]) -> Callable[[StreamWalk], StreamWalk]:
    """Let the walks of a backtest stop when the session was asked to."""

    def stopped(walk: StreamWalk) -> StreamWalk:
        walk.stop_ms = stops.get((walk.terms.strategy, walk.terms.symbol))
        return walk

    return stopped


def _candles(config: Config, exchange: str, source: LocalSource, symbol: str, within: TimeRange) -> dict[int, Candle]:
    """The candles of a symbol, up to the end of the session.

    Raises:
        DataError: they are not all there.
    """
    try:
        known_ms = source.end_ms(symbol)
        rows = source.candles(symbol, within.start_ms, within.end_ms)
    except DataError as error:
        if is_local(config.exchanges[exchange]):
            raise
        raise DataError(_lacking(exchange, symbol, within)) from error
    if rows.is_empty() or (known_ms is not None and known_ms < within.end_ms):
        raise DataError(_lacking(exchange, symbol, within))
    return {row[0]: Candle(*row) for row in rows.iter_rows()}


def _lacking(exchange: str, symbol: str, within: TimeRange) -> Problem:
    begin = iso(within.start_ms - within.start_ms % DAY_MS)[:10]
    end = iso(-(-within.end_ms // DAY_MS) * DAY_MS)[:10]
    return Problem(
        code="session-candles-missing",
        what=f"the candles of {symbol} that the session lived through are not all stored, up to {iso(within.end_ms)}",
        where=Source(symbol=symbol, time_ms=within.end_ms - MINUTE_MS),
        hint=f"backtestkit data fetch --exchange {exchange} --symbol {symbol} --range {begin}..{end}",
    )
