"""The backtest: frame × symbols × strategies, group by group.

Candles of a symbol are loaded once for all strategies of a group. Streams that share a risk profile walk in time order
together; all others are independent. Results are told in order of strategy, then symbol, whatever order was asked for
and however many processes worked.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backtestkit_cli import __version__
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.show import effective
from backtestkit_cli.data.load import LocalSource, fingerprint, first_hole, load_candles
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import Decider, RowDecider, decision_ticks
from backtestkit_cli.engine.gate import Ledger
from backtestkit_cli.engine.leap import leap
from backtestkit_cli.engine.result import CandleUse, RunResult, StreamResult, StreamRun
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, walk_together
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.event import Event, key_of
from backtestkit_cli.model.time import MINUTE_MS, TimeRange, iso
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.dump import DumpedFiles, dump
from backtestkit_cli.report.report import Report
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.plan import Group, Plan
from backtestkit_cli.run.risk import ledger_for
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
        if self.jobs > 1 and len(self.plan.groups) > 1:
            from backtestkit_cli.run.pool import run_groups

            run_groups(self)
            return self.result()
        with Deadline(self.config.settings.limits.signal_seconds, self.on_abandon) as deadline:
            for group in self.plan.groups:
                self._run_group(group, deadline)
        return self.result()

    def _run_group(self, group: Group, deadline: Deadline) -> None:
        strategies = {name: prepare(self.config, name, self.registry) for name in group.strategies}
        source = local_source(self.config, self.plan.exchange, self.registry)
        ledger = ledger_for(self.config, group.strategies, self.registry)
        together: list[_Walking] = []
        for symbol in group.symbols:
            for name, candles in self._candles(source, symbol, strategies):
                strategy = strategies[name]
                stream = _Stream(name, symbol, candles, self._terms(name, symbol), self._ticks(name))
                self.on_progress(name, symbol, 0)
                if group.is_shared or isinstance(strategy, DecisionStrategy):
                    decider = self._decider(stream, strategy, source, deadline)
                    together.append(_Walking(stream, strategy, decider, stream.walk(decider, ledger)))
                else:
                    rows = strategy.rows(symbol, candles, self._row_times(stream), deadline)
                    self._finish(stream, strategy, run_columns(candles, rows, stream.ticks, stream.terms), [])
                if not group.is_shared:
                    self._walk(together)
        self._walk(together)

    def _walk(self, together: "list[_Walking]") -> None:
        """Walk streams in time order and tell the events of each."""
        events: dict[tuple[str, str], list[Event]] = {one.stream.key: [] for one in together}
        walks = [one.walk for one in together]
        is_alone = len(walks) == 1 and not any(walks[0].ledger.profiles.values())
        for event in leap(walks[0]) if is_alone else walk_together(walks):
            events[key_of(event)].append(event)
        for one in together:
            told_events, walk = tuple(events[one.stream.key]), one.walk
            result = StreamResult(
                terms=one.stream.terms,
                trades=trades_of(told_events),
                funnel=walk.funnel,
                bridged_decisions=walk.bridged_decisions,
                events=ToldEvents(told_events),
            )
            self._finish(one.stream, one.strategy, result, getattr(one.decider, "failures", []))
        together.clear()

    def _decider(self, stream: "_Stream", strategy: Strategy, source: LocalSource, deadline: Deadline) -> Decider:
        name, symbol, start_ms = stream.name, stream.symbol, self.plan.range.start_ms
        if isinstance(strategy, DecisionStrategy):

            def on_time(time_ms: int) -> None:
                self.on_progress(name, symbol, (time_ms - start_ms) // MINUTE_MS)

            return strategy.decider(symbol, stream.candles, source.steps(symbol), deadline, on_time)
        return RowDecider(strategy.rows(symbol, stream.candles, self._row_times(stream), deadline))

    def _terms(self, name: str, symbol: str) -> Terms:
        return Terms(
            strategy=name,
            symbol=symbol,
            policy=self.plan.policy,
            costs=self.plan.costs,
            limits=self.config.settings.limits_model(),
        )

    def _ticks(self, name: str) -> Ints:
        plan = self.plan
        interval = self.config.strategies[name].interval
        return decision_ticks(plan.range.start_ms, plan.range.end_ms, plan.tick.ms, interval.ms)

    def _row_times(self, stream: "_Stream") -> TimeRange:
        return TimeRange(self.plan.range.start_ms, int(stream.ticks[-1]))

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
            shows_notes=self.config.settings.report_show_note,
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

    def _finish(self, stream: "_Stream", strategy: Strategy, result: StreamResult, failures: Sequence[str]) -> None:
        self.on_progress(stream.name, stream.symbol, self.plan.range.minutes)
        if self.config.settings.gap == "fail":
            _refuse_hole(stream.candles, stream.symbol, result)
        schema = self.config.strategies[stream.name]
        run = StreamRun(
            strategy=stream.name,
            symbol=stream.symbol,
            interval=schema.interval,
            form=strategy.form,
            result=result,
            candles=_use(stream.candles, self.plan.range),
            note=schema.note or "",
            warnings=(*self.plan.warnings[stream.name], *_failures(failures)),
        )
        self.streams.append(run)


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """One strategy on one symbol, with everything the engine needs but its decisions."""

    name: str
    symbol: str
    candles: Candles
    terms: Terms
    ticks: Ints

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.symbol

    def walk(self, decider: Decider, ledger: Ledger) -> StreamWalk:
        return StreamWalk(
            candles=self.candles,
            price=vwap_all(self.candles, self.terms.limits.average_price_candles),
            ticks=self.ticks,
            decider=decider,
            terms=self.terms,
            ledger=ledger,
        )


class _Walking(NamedTuple):
    """A stream on its way."""

    stream: _Stream
    strategy: Strategy
    decider: Decider
    walk: StreamWalk


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
