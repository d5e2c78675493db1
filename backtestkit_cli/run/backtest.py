"""The backtest: frame × symbols × strategies, symbol by symbol.

Candles of a symbol are loaded once for all its strategies. Streams are independent of one another and told in order
of strategy, then symbol, whatever order was asked for and however many processes worked.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from backtestkit_cli import __version__
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.show import effective
from backtestkit_cli.data.load import LocalSource, fingerprint, first_hole, load_candles
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import decision_ticks
from backtestkit_cli.engine.result import CandleUse, RunResult, StreamResult, StreamRun
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.time import MINUTE_MS, TimeRange, iso
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.dump import DumpedFiles, dump
from backtestkit_cli.report.report import Report
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.sources import anomaly_of, local_source
from backtestkit_cli.run.strategies import DecisionStrategy, Strategy, prepare

OnProgress = Callable[[str, str, int], None]
"""Told of strategy, symbol and the minutes of the frame that are done."""


@dataclass(frozen=True, slots=True)
class ToldEvents:
    """Events that happened, told again at every call."""

    events: tuple[Event, ...]

    def __call__(self) -> Iterator[Event]:
        return iter(self.events)


def _nobody(_strategy: str, _symbol: str, _minutes: int) -> None:
    """Nobody listens."""


def _end_quietly(_message: str) -> None:
    """Nobody is told why the process ends."""


@dataclass(slots=True, kw_only=True)
class Backtest:
    """One backtest: `streams` grows while it runs, so that an interruption keeps what is finished."""

    config: Config
    plan: Plan
    registry: Registry
    logs: Path
    jobs: int = 1
    on_progress: OnProgress = _nobody
    on_abandon: Callable[[str], None] = _end_quietly
    streams: list[StreamRun] = field(default_factory=list)
    clock: WallClock = field(default_factory=WallClock)
    started_ms: int = 0

    def __iter__(self) -> Iterator[Event]:
        """Run, and tell the events of each stream in order of time, one stream after the other."""
        for stream in self.run().streams:
            yield from stream.result.events()

    def run(self) -> RunResult:
        """Run every stream.

        Raises:
            ConfigError, DataError, StrategyError: something of a strategy or its candles is wrong.
            KeyboardInterrupt: the user stopped it; `result("interrupted")` tells what was finished.
        """
        self.started_ms = self.clock.now_ms()
        if self.jobs > 1 and len(self.plan.symbols) > 1:
            from backtestkit_cli.run.pool import run_symbols

            run_symbols(self)
            return self.result()
        strategies = {name: prepare(self.config, name, self.registry) for name in self.plan.strategies}
        source = local_source(self.config, self.plan.exchange, self.registry)
        with Deadline(self.config.settings.limits.signal_seconds, self.on_abandon) as deadline:
            for symbol in self.plan.symbols:
                for name, candles in self._candles(source, symbol, strategies):
                    self.streams.append(self._stream(name, symbol, strategies[name], candles, source, deadline))
        return self.result()

    def result(self, status: Any = "complete") -> RunResult:
        """What is known so far, as a run."""
        plan = self.plan
        streams = tuple(sorted(self.streams, key=lambda stream: (stream.strategy, stream.symbol)))
        return RunResult(
            run_id=run_id(self.config, plan, streams, status),
            kind="backtest",
            exchange=plan.exchange,
            frame=plan.frame,
            range=plan.range,
            tick=plan.tick,
            policy=plan.policy,
            costs=plan.costs,
            gap=self.config.settings.gap,
            streams=streams,
            status=status,
        )

    def dump(self, run: RunResult, report: Report | None = None) -> DumpedFiles:
        """Write the run bundle and the newest report of each stream."""
        finished_ms = self.clock.now_ms()
        manifest = {
            "started_at": iso(self.started_ms),
            "finished_at": iso(finished_ms),
            "duration_ms": finished_ms - self.started_ms,
            "versions": {name: version(name) for name in ("backtestkit-cli", "numpy", "polars")},
            "python": platform.python_version(),
            "jobs": self.jobs,
            "exchange": self.plan.exchange,
            "frame": self.plan.frame,
            "range": [iso(self.plan.range.start_ms), iso(self.plan.range.end_ms)],
            "strategies": list(self.plan.strategies),
            "symbols": list(self.plan.symbols),
            "code": {name: code_hash(self.config, name) for name in self.plan.strategies},
            "candles": {f"{one.strategy} {one.symbol}": one.candles.fingerprint for one in run.streams},
            "config": {row.path: row.value for row in effective(self.config)},
        }
        return dump(run, self.logs, manifest=manifest, report=report)

    def _candles(
        self, source: LocalSource, symbol: str, strategies: dict[str, Strategy]
    ) -> Iterator[tuple[str, Candles]]:
        """Each strategy with its candles: from its own start of history on, loaded once for all."""
        limits, within = self.config.settings.limits_model(), self.plan.range
        window = limits.average_price_candles
        starts = {
            name: within.start_ms - (strategy.history_minutes + window) * MINUTE_MS
            for name, strategy in strategies.items()
        }
        follow_minutes = limits.max_wait_minutes + limits.max_lifetime_minutes
        end_ms = within.end_ms + follow_minutes * MINUTE_MS
        loaded = load_candles(
            source, symbol, min(starts.values()), end_ms, self.config.settings.gap, anomaly_of(self.config)
        )
        for name in strategies:
            candles = loaded.from_time(starts[name])
            if candles.start_ms >= within.end_ms:
                there = str(TimeRange(candles.start_ms, candles.end_ms))
                what, where = f"no candles of {symbol} in {within}", Source(symbol=symbol, time_ms=within.start_ms)
                raise DataError(Problem("no-candles", what, where, found=f"candles in {there}"))
            yield name, candles

    def _stream(
        self, name: str, symbol: str, strategy: Strategy, candles: Candles, source: LocalSource, deadline: Deadline
    ) -> StreamRun:
        plan, schema = self.plan, self.config.strategies[name]
        terms = Terms(
            strategy=name,
            symbol=symbol,
            policy=plan.policy,
            costs=plan.costs,
            limits=self.config.settings.limits_model(),
        )
        ticks = decision_ticks(plan.range.start_ms, plan.range.end_ms, plan.tick.ms, schema.interval.ms)
        warnings = list(plan.warnings[name])
        self.on_progress(name, symbol, 0)
        if isinstance(strategy, DecisionStrategy):

            def on_time(time_ms: int) -> None:
                self.on_progress(name, symbol, (time_ms - plan.range.start_ms) // MINUTE_MS)

            decider = strategy.decider(symbol, candles, source.steps(symbol), deadline, on_time)
            walk = StreamWalk(
                candles=candles,
                price=vwap_all(candles, terms.limits.average_price_candles),
                ticks=ticks,
                decider=decider,
                terms=terms,
            )
            events = tuple(walk.run())
            warnings += _failures(decider.failures)
            result = StreamResult(
                terms=terms,
                trades=trades_of(events),
                funnel=walk.funnel,
                bridged_decisions=walk.bridged_decisions,
                events=ToldEvents(events),
            )
        else:
            within = TimeRange(plan.range.start_ms, int(ticks[-1]))
            result = run_columns(candles, strategy.rows(symbol, candles, within, deadline), ticks, terms)
        self.on_progress(name, symbol, plan.range.minutes)
        if self.config.settings.gap == "fail":
            _refuse_hole(candles, symbol, result)
        return StreamRun(
            strategy=name,
            symbol=symbol,
            interval=schema.interval,
            form=strategy.form,
            result=result,
            candles=_use(candles, plan.range),
            note=schema.note or "",
            warnings=tuple(warnings),
        )


def _failures(failures: Sequence[str]) -> list[str]:
    """The first failures of a strategy, in words."""
    if not failures:
        return []
    more = f" (and {len(failures) - 3} more)" if len(failures) > 3 else ""
    return [*failures[:2], failures[2] + more] if len(failures) > 2 else list(failures)


def _refuse_hole(candles: Candles, symbol: str, result: StreamResult) -> None:
    trades = result.trades
    end_ms = int(trades.closed_ms[-1]) if len(trades) else candles.end_ms
    hole = first_hole(candles, candles.start_ms, end_ms)
    if hole is not None:
        start_ms, minutes = hole
        what = f"{minutes} minutes of {symbol} are missing from {iso(start_ms)} on, and `gap: fail` allows no hole"
        hint = "fetch the missing candles, or choose `gap: skip`"
        raise DataError(Problem("hole-in-candles", what, Source(symbol=symbol, time_ms=start_ms), hint=hint))


def _use(candles: Candles, within: TimeRange) -> CandleUse:
    first, last = max(0, candles.row(within.start_ms)), min(len(candles), candles.row(within.end_ms))
    close = candles.close[first:last]
    there = close[~np.isnan(close)] if candles.present is not None else close
    frame = slice(0, last)
    return CandleUse(
        fingerprint=fingerprint(candles),
        history_start_ms=candles.start_ms,
        data_end_ms=candles.end_ms,
        candles=len(candles) if candles.present is None else int(candles.present.sum()),
        missing_minutes=0 if candles.present is None else int((~candles.present[frame]).sum()),
        bridged_minutes=0 if candles.bridged is None else int(candles.bridged[frame].sum()),
        price_first=float(there[0]) if len(there) else None,
        price_last=float(there[-1]) if len(there) else None,
    )


def run_id(config: Config, plan: Plan, streams: Sequence[StreamRun], status: str) -> str:
    """Twelve hex digits of what decides a run: config, code, candles, options; the same run has the same id."""
    decided = {
        "package": __version__,
        "status": status,
        "settings": config.settings.model_dump(mode="json", exclude={"notify", "state", "broker", "columns"}),
        "exchange": config.exchanges[plan.exchange].model_dump(mode="json"),
        "strategies": {
            name: [config.strategies[name].model_dump(mode="json"), code_hash(config, name)] for name in plan.strategies
        },
        "frame": [plan.frame, plan.range.start_ms, plan.range.end_ms, plan.tick.value],
        "candles": [[stream.strategy, stream.symbol, stream.candles.fingerprint] for stream in streams],
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]


def code_hash(config: Config, name: str) -> str | None:
    """The hash of the file a strategy's code or signals stand in; None for rules and installed modules."""
    schema = config.strategies[name]
    path: Path | None = None
    if schema.signals:
        path = config.project / schema.signals
    elif schema.use and ".py:" in schema.use:
        path = config.project / schema.use.rpartition(":")[0]
    return hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else None


def told(stream: StreamRun) -> StreamRun:
    """The stream with its events in hand, so that it can be sent to another process."""
    return replace(stream, result=replace(stream.result, events=ToldEvents(tuple(stream.result.events()))))
