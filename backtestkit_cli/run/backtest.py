"""The backtest: frame × symbols × strategies, group by group.

Candles of a symbol are loaded once for all strategies of a group. Streams that share a risk profile walk in time order
together; all others are independent. Results are told in order of strategy, then symbol, whatever order was asked for
and however many processes worked. Who listens is told of streams that are walked as things happen, of all others
stream by stream. While somebody listens, or a function was given by the program itself, all work is done in this
process.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import numpy as np

from backtestkit_cli.config.market_schema import SampleExchange
from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.load import LocalSource, load_candles
from backtestkit_cli.engine.cache import NOTHING_KEPT, Cache
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import Decider, RowDecider, decision_ticks
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.drawn import DrawnCandles
from backtestkit_cli.engine.gate import Ledger
from backtestkit_cli.engine.reference.desks import Desks
from backtestkit_cli.engine.reference.walk import ReferenceWalk
from backtestkit_cli.engine.result import CandleUse, RunResult, StreamResult, StreamRun, ToldEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.engine.walk import StreamWalk, off_grid_rows, rows_outside
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.measure.fills import FillComparison
from backtestkit_cli.measure.timings import Stopwatch
from backtestkit_cli.model.event import Active, Event, Idle, LevelReached, Progress, RunDone, key_of
from backtestkit_cli.model.policy import ReferencePolicy
from backtestkit_cli.model.time import MINUTE_MS, TimeRange
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.build import build
from backtestkit_cli.report.dump import DumpedFiles, dump
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.stored import Record, record_of
from backtestkit_cli.run.callbacks import callbacks_of
from backtestkit_cli.run.candle_use import candle_use, candles_to_draw, refuse_hole, stream_end_ms
from backtestkit_cli.run.checks.afresh import Afresh, forget
from backtestkit_cli.run.checks.quick import QuickCheck
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.columns import column_choices
from backtestkit_cli.run.context import CURRENT, inside
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.failures import first_of, gate_failures, told_once
from backtestkit_cli.run.finished import FinishedRun
from backtestkit_cli.run.identity import run_id
from backtestkit_cli.run.jobs import Job, Runs, begin
from backtestkit_cli.run.listen import Audience, Listeners
from backtestkit_cli.run.loaded import followed_until_ms, history_from
from backtestkit_cli.run.notices import (
    tell_candles,
    tell_end,
    tell_failure,
    tell_progress,
    tell_start,
    tell_stream_done,
)
from backtestkit_cli.run.plan import Group, Plan, ticks_of
from backtestkit_cli.run.record import manifest_of
from backtestkit_cli.run.reference import notes_of, reference_market, reference_walk, shared_by
from backtestkit_cli.run.risk import ledger_for
from backtestkit_cli.run.sizing import ended_by_odds, history_minutes, prepare_sizing
from backtestkit_cli.run.sources import anomaly_of, local_source
from backtestkit_cli.run.standing import Key, RunCancelled, Standing
from backtestkit_cli.run.strategies import CallingDecider, DecisionStrategy, RowStrategy, Strategy, prepare
from backtestkit_cli.run.stream import Stream, Walking, first_events, walked

OnProgress = Callable[[str, str, int], None]
"""Told of strategy, symbol and the minutes of the frame that are done."""


def nobody(_strategy: str, _symbol: str, _minutes: int) -> None:
    """Nobody listens."""


def _as_it_is(walk: StreamWalk) -> StreamWalk:
    """Nobody watches."""
    return walk


def end_quietly(_message: str) -> None:
    """Nobody is told why the process ends."""


@dataclass(slots=True, kw_only=True)
class Backtest:
    """One backtest: `streams` grows while it runs, so that an interruption keeps what is finished.

    `load` may give candles that are loaded already, from an earlier start on; those who share a `cache` too differ in
    nothing but the params of their strategies. Without `calls_back` the callbacks of the
    config hear nothing. `watch` may put an observer in the place of a walk.
    `runs` are those of a kit; `standing` is for who asks about this one. Without `ends_process` a call that cannot be
    interrupted is told to `on_abandon` and left alone. With `is_recording` language models are asked what they have not
    answered yet, in this process.
    """

    config: Config
    plan: Plan
    registry: Registry
    logs: Path
    jobs: int = 1
    load: Callable[..., Candles] = load_candles
    cache: Cache = NOTHING_KEPT
    on_progress: OnProgress = nobody
    on_abandon: Callable[[str], None] = end_quietly
    streams: list[StreamRun] = field(default_factory=list)
    clock: WallClock = field(default_factory=WallClock)
    started_ms: int = 0
    listeners: Listeners = field(default_factory=Listeners)
    calls_back: bool = True
    watch: Callable[[StreamWalk], StreamWalk] = _as_it_is
    runs: Runs = field(default_factory=Runs)
    standing: Standing = field(default_factory=Standing)
    ends_process: bool = True
    is_recording: bool = False
    stopwatch: Stopwatch = field(init=False)
    recorded: Record | None = None
    audience: Audience = field(init=False)
    registry_again: Registry = field(init=False)
    iterated: tuple[type, ...] = ()

    def __post_init__(self) -> None:
        self.stopwatch = Stopwatch(self.clock.monotonic)
        self.audience = self._audience()
        self.registry_again = self.registry.child()

    def __iter__(self) -> Iterator[Event]:
        """Run, and tell each event as it happens: in order of time within a stream, and among streams that share risk.

        Whoever ends the loop early ends the run; `result("interrupted")` tells what was finished.
        """
        return self.events()

    def events(self, topic: type | UnionType = Event) -> Iterator[Event]:
        """Run, and tell events of a class, or of a union of classes; without idle and active ones it is faster.

        Raises:
            ConfigError, DataError, StrategyError: something of a strategy or its candles is wrong.
        """
        self.iterated = tuple(one for one in get_args(Event) if issubclass(one, topic))
        place, happening = copy_context(), self._happen()
        try:
            while (event := place.run(next, happening, None)) is not None:
                if isinstance(event, self.iterated):
                    yield event
        finally:
            place.run(happening.close)

    def run(self) -> FinishedRun:
        """Run every stream.

        Raises:
            ConfigError, DataError, StrategyError: something of a strategy or its candles is wrong.
            KeyboardInterrupt: the user stopped it; `result("interrupted")` tells what was finished.
        """
        self.iterated = ()
        for _ in self._happen():
            pass
        return self.result()

    def compare_fills(self) -> FillComparison:
        """Run, then once more under each other fill policy on the same candles, and say what the difference is worth.

        Raises:
            ConfigError, DataError, StrategyError: something of a strategy or its candles is wrong.
        """
        from backtestkit_cli.run.compare import compare_fills

        return compare_fills(self, self.run())

    def background(self) -> Job[FinishedRun]:
        """Run in a thread of its own; the answer is its handle.

        Raises:
            UsageError: a job with one of these streams is running.
        """
        return begin(self)

    def _happen(self) -> Generator[Event, None, None]:
        """Run every stream, and give the events that somebody listens for, or iterates over."""
        self.started_ms = self.clock.now_ms()
        self.stopwatch = Stopwatch(self.clock.monotonic)
        self.streams.clear()
        self.standing.reset()
        self.runs.running.append(self)
        try:
            self.audience = self._audience(self._callbacks() if self.calls_back else None)
            yield from self._happen_here() if self._is_heard else self._happen_anywhere()
        except RunCancelled:
            raise
        except Exception as error:
            self.tell_failure(error)
            raise
        finally:
            self.runs.running.remove(self)

    def _happen_anywhere(self) -> Iterator[Event]:
        if self.jobs == 1 or len(self.plan.groups) == 1 or self.registry.has_given or self.is_recording:
            return self._happen_here()
        from backtestkit_cli.run.pool import run_groups

        run_groups(self)
        return iter(())

    def _happen_here(self) -> Iterator[Event]:
        seconds = self.config.settings.limits.signal_seconds
        with inside(None), Deadline(seconds, self.on_abandon, ends_process=self.ends_process) as deadline:
            tell_start(self.audience, self.plan)
            try:
                for group in self.plan.groups:
                    yield from self._run_group(group, deadline)
            finally:
                forget(self.registry_again)
            if self.audience.wants(RunDone):
                tell_end(self.audience, self.result())

    @property
    def percent_done(self) -> float:
        """How much of the simulated time of all streams is done, 0 to 100."""
        within, reached = self.plan.range, self.standing.reached_ms
        done = sum(min(time_ms, within.end_ms) - within.start_ms for time_ms in list(reached.values()))
        return 100 * max(0, done) / ((within.end_ms - within.start_ms) * len(self.plan.keys))

    @property
    def _is_heard(self) -> bool:
        return bool(self.iterated) or not self.audience.is_empty

    def _wants(self, *topics: type) -> bool:
        """Whether anybody hears of one of some classes of events."""
        return self.audience.wants(*topics) or any(topic in self.iterated for topic in topics)

    def _audience(self, callbacks: Listeners | None = None) -> Audience:
        first = Listeners() if callbacks is None else callbacks
        return Audience("backtest", first, self.listeners, exchange=self.plan.exchange, frame=self.plan.frame)

    def _callbacks(self) -> Listeners:
        plan = self.plan
        frame = plan.frame if plan.frame in self.config.frames else None
        return callbacks_of(self.config, self.registry, strategies=plan.strategies, exchange=plan.exchange, frame=frame)

    def _run_group(self, group: Group, deadline: Deadline) -> Iterator[Event]:
        strategies = {
            name: prepare(self.config, name, self.registry, self.cache, is_recording=self.is_recording)
            for name in group.strategies
        }
        sizings = {name: prepare_sizing(self.config, name, self.registry) for name in group.strategies}
        source = self.cache.get(("source",), lambda: local_source(self.config, self.plan.exchange, self.registry))
        ledger = ledger_for(self.config, group.strategies, self.registry, self.audience)
        shared = shared_by(self.plan.policy, ledger)
        is_walked = group.is_shared or isinstance(shared, Desks) or self._wants(Idle, Active)
        together: list[Walking] = []
        for symbol in group.symbols:
            for name, candles in self._candles(source, symbol, history_minutes(strategies, sizings)):
                strategy, sizing = strategies[name], sizings[name]
                quick = self._quick_check(name, symbol, candles, source, deadline)
                stream = Stream(name, symbol, candles, self._terms(name, symbol), self._ticks(name), quick)
                if sizing is not None:
                    sizer = sizing.sizer(candles, source.steps(symbol).quantity, self.audience)
                    ledger.sizers[stream.key] = sizer
                self._progressed(name, symbol, 0)
                if isinstance(strategy, DecisionStrategy):
                    decider = self._decider(stream, strategy, source, deadline)
                    together.append(self._walking(stream, strategy, decider, shared))
                elif is_walked:
                    rows = self._rows(stream, strategy, deadline)
                    together.append(self._walking_rows(stream, strategy, rows, shared))
                else:
                    rows = self._rows(stream, strategy, deadline)
                    yield from self._compute(stream, strategy, rows, ledger)
                if not group.is_shared:
                    yield from self._walk(together)
        yield from self._walk(together)

    def _compute(self, stream: Stream, strategy: Strategy, rows: DraftColumns, ledger: Ledger) -> Iterator[Event]:
        """Run a stream at once; one that is asked to stop before all of it is told is walked from there."""
        with self.stopwatch.piece("columns", *stream.key):
            result = run_columns(stream.candles, rows, stream.ticks, stream.terms, cache=self.cache)
        told, with_levels = 0, self._wants(LevelReached)
        for event in result.events(with_levels=with_levels) if self._wants(*get_args(Event)) else ():
            if self.standing.is_stop_asked(stream.key):
                break
            self._tell(event)
            told += 1
            yield event
        if self.standing.is_stop_asked(stream.key):
            # no idle or active event has been told of this stream so far
            walking = self._walking_rows(stream, strategy, rows, ledger, is_quiet=True)
            yield from self._walk([walking], told, with_levels=with_levels)
        else:
            self._finish(stream, strategy, result, rows)

    def _tell(self, event: Event) -> None:
        self.standing.take(key_of(event), event)
        self.audience.tell(event)

    def _walk(self, together: list[Walking], told: int = 0, *, with_levels: bool = True) -> Iterator[Event]:
        """Walk streams, if there are any, in time order and tell the events of each but the first ones, told before."""
        if not together:
            return
        events: dict[Key, list[Event]] = {one.stream.key: [] for one in together}
        happening = walked([one.walk for one in together])
        for event in first_events(happening, told, with_levels=with_levels):
            events[key_of(event)].append(event)
        for one in together:
            self.standing.begin(one.stream.key, one.walk)
        whose = together[0].stream.key if len(together) == 1 else ()
        with self.stopwatch.piece("walk", *whose):
            for event in happening:
                self._tell(event)
                if not isinstance(event, Idle | Active):
                    events[key_of(event)].append(event)
                yield event
        CURRENT.set(None)
        for one in together:
            self.standing.end(one.stream.key)
            told_events, walk = tuple(events[one.stream.key]), one.walk
            # under `reference` an answer knows the future, so it cannot be asked for again without it
            if isinstance(one.decider, CallingDecider) and isinstance(walk, StreamWalk):
                with self.stopwatch.piece("check", *one.stream.key):
                    one.stream.quick.ask_again(one.decider.strategy, one.decider.asked)
            result = StreamResult(
                terms=one.stream.terms,
                trades=trades_of(told_events),
                funnel=walk.funnel,
                bridged_decisions=walk.bridged_decisions,
                events=ToldEvents(told_events),
            )
            failures, gates = getattr(one.decider, "failures", []), gate_failures(told_events)
            notes = notes_of(walk) if isinstance(walk, ReferenceWalk) else ()
            warnings = [*first_of(failures), *first_of(told_once(gates)), *ended_by_odds(told_events), *notes]
            rows = one.decider.rows if isinstance(one.decider, RowDecider) else None
            self._finish(one.stream, one.strategy, result, rows, warnings, failures=len(failures) + len(gates))
        together.clear()

    def _walking(
        self, stream: Stream, strategy: Strategy, decider: Decider, shared: Ledger | Desks, *, is_quiet: bool = False
    ) -> Walking:
        if isinstance(shared, Desks):
            on_progress, key, candles = self._progressed, stream.key, stream.candles
            original = reference_walk(self.config, self.plan, key, candles, decider, shared, on_progress)
            return Walking(stream, strategy, decider, original)
        walk = self.watch(stream.walk(decider, shared))
        walk.tells_idle, walk.tells_active = (not is_quiet and self._wants(topic) for topic in (Idle, Active))
        return Walking(stream, strategy, decider, walk)

    def _walking_rows(
        self,
        stream: Stream,
        strategy: Strategy,
        rows: DraftColumns,
        shared: Ledger | Desks,
        *,
        is_quiet: bool = False,
    ) -> Walking:
        walking = self._walking(stream, strategy, RowDecider(rows), shared, is_quiet=is_quiet)
        walking.walk.funnel.off_grid = off_grid_rows(rows.position_times, stream.ticks)
        return walking

    def _decider(self, stream: Stream, strategy: DecisionStrategy, source: LocalSource, deadline: Deadline) -> Decider:
        name, symbol, start_ms = stream.name, stream.symbol, self.plan.range.start_ms
        on_progress = self._progressed if self.audience.wants(Progress) else self.on_progress
        context, reach = self.audience.context(name, symbol), self.standing.reach

        def on_time(time_ms: int) -> None:
            reach((name, symbol), time_ms)
            on_progress(name, symbol, (time_ms - start_ms) // MINUTE_MS)
            context.time_ms = time_ms
            CURRENT.set(context)

        timed = replace(strategy, function=self.stopwatch.timed(strategy.function, "decide", *stream.key))
        candles, steps = stream.candles, source.steps(symbol)
        if isinstance(self.plan.policy, ReferencePolicy):
            market = reference_market(self.config, self.plan, symbol, candles, steps)
            return timed.decider_on(market, candles.start_ms, deadline, on_time)
        return timed.decider(symbol, candles, steps, deadline, on_time)

    def _rows(self, stream: Stream, strategy: RowStrategy, deadline: Deadline) -> DraftColumns:
        with inside(self.audience.context(*stream.key)), self.stopwatch.piece("decide", *stream.key):
            rows = strategy.rows(stream.symbol, stream.candles, self._row_times(stream), deadline)
        with self.stopwatch.piece("check", *stream.key):
            stream.quick.make_again(strategy, rows)
        return rows

    def _quick_check(
        self, name: str, symbol: str, candles: Candles, source: LocalSource, deadline: Deadline
    ) -> QuickCheck:
        afresh = Afresh(
            config=self.config,
            plan=self.plan,
            name=name,
            symbol=symbol,
            registry=self.registry,
            deadline=deadline,
            steps=source.steps(symbol),
            own=self.registry_again,
        )
        return QuickCheck(afresh, candles)

    def _progressed(self, name: str, symbol: str, minutes: int) -> None:
        self.standing.reach((name, symbol), self.plan.range.start_ms + minutes * MINUTE_MS)
        self.on_progress(name, symbol, minutes)
        tell_progress(self.audience, self.plan, (name, symbol), minutes)

    def tell_failure(self, error: Exception) -> None:
        """Tell that the run ends with an error."""
        reached_ms = max(self.standing.reached_ms.values(), default=self.plan.range.start_ms)
        tell_failure(self.audience, self.plan, reached_ms, error)

    def _terms(self, name: str, symbol: str) -> Terms:
        return Terms(
            strategy=name,
            symbol=symbol,
            policy=self.plan.policy.nearest,
            costs=self.plan.costs,
            limits=self.config.limits(self.plan.exchange),
        )

    def _ticks(self, name: str) -> Ints:
        plan = self.plan
        if isinstance(plan.policy, ReferencePolicy):
            return np.array(ticks_of(plan), dtype=np.int64)
        interval = self.config.strategies[name].interval
        grid = plan.range.start_ms, plan.range.end_ms, plan.tick.ms, interval.ms
        return self.cache.get(("ticks", *grid), lambda: decision_ticks(*grid))

    def _row_times(self, stream: Stream) -> TimeRange:
        return TimeRange(self.plan.range.start_ms, int(stream.ticks[-1]))

    def result(self, status: Any = "complete") -> FinishedRun:
        """What is known so far, as a run; one with a stream that was stopped is no complete one."""
        plan = self.plan
        status = "stopped" if status == "complete" and self.standing.stopped_ms else status
        streams = tuple(sorted(self.streams, key=lambda stream: (stream.strategy, stream.symbol)))
        return FinishedRun(
            backtest=self,
            run_id=run_id(self.config, plan, streams, status, self.standing.stopped_ms),
            kind="backtest",
            exchange=plan.exchange,
            frame=plan.frame,
            range=plan.range,
            tick=plan.tick,
            policy=plan.policy,
            costs=plan.costs,
            balance=self.config.settings.balance if any(stream.sizing for stream in streams) else None,
            gap=self.config.settings.gap,
            streams=streams,
            warnings=self.audience.warnings,
            status=status,
            shows_notes=self.config.settings.report_show_note,
            columns=column_choices(self.config),
            is_made_up=isinstance(self.config.exchanges[plan.exchange], SampleExchange),
        )

    def dump(self, run: RunResult, report: Report | None = None) -> DumpedFiles:
        """Write the run bundle and the newest report of each stream."""
        times_ms = self.started_ms, self.clock.now_ms()
        report = report or self.report(run)
        return dump(
            run,
            self.logs,
            manifest=manifest_of(self.config, self.plan, run, times_ms=times_ms, jobs=self.jobs),
            record=self.record_for(run),
            report=report,
            stopwatch=self.stopwatch,
        )

    def report(self, run: RunResult) -> Report:
        """Make the report of a run."""
        with self.stopwatch.piece("measure"):
            return build(run, self.record_for(run).events)

    def record_for(self, run: RunResult) -> Record:
        """Take down a run; the events of the last one are kept for its reports and files."""
        if self.recorded is None or self.recorded.run is not run:
            with self.stopwatch.piece("write"):
                self.recorded = record_of(run)
        return self.recorded

    def _candles(
        self, source: LocalSource, symbol: str, history_minutes: Mapping[str, int]
    ) -> Iterator[tuple[str, Candles]]:
        """Each strategy with its candles: from its own start of history on, loaded once for all."""
        limits, within = self.config.settings.limits_model(), self.plan.range
        window = limits.average_price_candles
        starts = {name: within.start_ms - (minutes + window) * MINUTE_MS for name, minutes in history_minutes.items()}
        end_ms = followed_until_ms(self.config, self.plan)
        gap, anomaly = self.config.settings.gap, anomaly_of(self.config)
        with self.stopwatch.piece("load", None, symbol):
            loaded = self.load(source, symbol, min(starts.values()), end_ms, gap, anomaly)
        tell_candles(self.audience, self.plan, symbol, loaded)
        for name, start_ms in starts.items():
            candles = self.cache.get(("candles", loaded, start_ms), partial(history_from, loaded, start_ms))
            if candles.start_ms >= within.end_ms:
                there = str(TimeRange(candles.start_ms, candles.end_ms))
                what, where = f"no candles of {symbol} in {within}", Source(symbol=symbol, time_ms=within.start_ms)
                raise DataError(Problem("no-candles", what, where, found=f"candles in {there}"))
            yield name, candles

    def _finish(
        self,
        stream: Stream,
        strategy: Strategy,
        result: StreamResult,
        rows: DraftColumns | None,
        warnings: Sequence[str] = (),
        failures: int = 0,
    ) -> None:
        self._progressed(stream.name, stream.symbol, self.plan.range.minutes)
        if self.config.settings.gap == "fail":
            refuse_hole(stream.candles, stream.symbol, result)
        schema = self.config.strategies[stream.name]
        run = StreamRun(
            strategy=stream.name,
            symbol=stream.symbol,
            interval=schema.interval,
            form=strategy.form,
            result=result,
            candles=self._candle_use(stream),
            note=schema.note or "",
            sizing=schema.sizing,
            warnings=(*self.plan.warnings[stream.name], *warnings),
            failures=failures,
            rows_outside=0 if rows is None else rows_outside(rows.position_times, stream.ticks, self.plan.range),
            doubts=stream.quick.doubts,
            drawn=self._drawn(stream, result),
        )
        self.streams.append(run)
        tell_stream_done(self.audience, self.plan, stream.key, result)

    def _candle_use(self, stream: Stream) -> CandleUse:
        within, window = self.plan.range, stream.terms.limits.average_price_candles
        key = "use", stream.candles, within, window
        return self.cache.get(key, lambda: candle_use(stream.candles, within, window))

    def _drawn(self, stream: Stream, result: StreamResult) -> DrawnCandles:
        within = self.plan.range
        key = "drawn", stream.candles, within, stream_end_ms(within, result)
        return self.cache.get(key, lambda: candles_to_draw(stream.candles, within, result))
