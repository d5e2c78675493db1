"""`explain`: tell what a stored run did at one instant, or with one signal, and why.

* The run is done again by walk, which is the meaning, with the config of its bundle; only the streams asked about, and
  those that share risk with them. Decider, gate and ledger are watched, never replaced by another opinion.
* The events are compared with the stored ones; where they differ, the story says so.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.rules.sight import SeenRules, seen_rules
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.measure.story import Story
from backtestkit_cli.measure.telling import decision_of, held_at, life_of, neighbours, price_seen
from backtestkit_cli.model.policy import ReferencePolicy
from backtestkit_cli.model.time import iso, parse_time
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.frames import events_table
from backtestkit_cli.report.stored import EVENTS_FILE, whole_file
from backtestkit_cli.run.backtest import Backtest, OnProgress, end_quietly, nobody
from backtestkit_cli.run.plan import Group, Plan, unknown_name
from backtestkit_cli.run.repeat import read_manifest, repeat
from backtestkit_cli.run.strategies import RulesStrategy, prepare
from backtestkit_cli.run.watcher import Watched, Watcher

if TYPE_CHECKING:
    import polars as pl

SHOWN_IDS = 6


class Asked(NamedTuple):
    """What is asked about: an instant, and the streams."""

    time_ms: int
    streams: tuple[tuple[str, str], ...]


def explain(
    bundle: Path,
    when: str,
    project: Path,
    registry: Registry,
    *,
    strategy: str | None = None,
    symbol: str | None = None,
    on_progress: OnProgress = nobody,
    on_abandon: Callable[[str], None] = end_quietly,
) -> tuple[Story, ...]:
    """Tell the story of an instant, or of a signal, in each stream that is asked about.

    `when` is a time, or the id of a signal or the beginning of one.

    Raises:
        UsageError: there is no such signal, strategy or symbol, or the run cannot be done again.
        DataError, ConfigError, StrategyError: its bundle, its candles or its code cannot be used any more.
    """
    manifest = read_manifest(bundle)
    stored = _stored_events(bundle, manifest)
    with tempfile.TemporaryDirectory(prefix="backtestkit-") as folder:
        job = repeat(manifest, project, registry, Path(folder))
        job.on_progress, job.on_abandon = on_progress, on_abandon
        _refuse_reference(bundle, job.plan)
        asked = _asked(job.plan, stored, when, strategy, symbol)
        job.plan = replace(job.plan, groups=tuple(_groups(job, asked)))
        watcher = Watcher(asked.time_ms, asked.streams)
        job.listeners, job.watch = watcher.listeners(), watcher.watch
        run = job.run()
    return tuple(
        replace(
            _story(job, stream, watcher.watched[stream.strategy, stream.symbol], bundle.name, asked.time_ms),
            difference=_difference(run, stream, stored),
        )
        for stream in run.streams
        if (stream.strategy, stream.symbol) in asked.streams
    )


def _refuse_reference(bundle: Path, plan: Plan) -> None:
    if isinstance(plan.policy, ReferencePolicy):
        what = f"run {bundle.name} was filled as the original does, by an engine that has no gates to tell of"
        hint = "run the backtest with another fill policy, and explain that"
        raise UsageError(Problem("not-explainable", what, Source(file=str(bundle)), hint=hint))


def _story(job: Backtest, stream: StreamRun, watched: Watched, run_id: str, time_ms: int) -> Story:
    walk, events = watched.walk, tuple(stream.result.events())
    before_ms, after_ms = neighbours(walk.ticks.tolist(), time_ms)
    decision = decision_of(walk, _rules(job, stream, watched, time_ms), watched.heard)
    return Story(
        run_id=run_id,
        strategy=stream.strategy,
        symbol=stream.symbol,
        form=stream.form,
        interval=stream.interval.value,
        asked_ms=time_ms,
        is_decision_time=bool((walk.ticks == time_ms).any()),
        grid_before_ms=before_ms,
        grid_after_ms=after_ms,
        start_ms=job.plan.range.start_ms,
        end_ms=job.plan.range.end_ms,
        data_end_ms=walk.candles.end_ms,
        policy=walk.terms.policy,
        held=held_at(events, time_ms),
        price=price_seen(walk, time_ms),
        decision=decision,
        life=life_of(walk, events, decision, watched.heard) if decision else None,
    )


def _rules(job: Backtest, stream: StreamRun, watched: Watched, time_ms: int) -> SeenRules | None:
    """What the rules of a stream saw, where it has rules and was asked."""
    if stream.form != "rules":
        return None
    strategy = prepare(job.config, stream.strategy, job.registry)
    if not isinstance(strategy, RulesStrategy):
        return None
    candles = watched.walk.candles
    price = partial(price_at, candles, count=stream.result.terms.limits.average_price_candles)
    return seen_rules(strategy.compiled, candles, time_ms, price)


def _groups(job: Backtest, asked: Asked) -> Iterator[Group]:
    """The groups with the streams that are asked about; the others of a group only where they have a say."""
    for group in job.plan.groups:
        own = [
            (strategy, symbol)
            for symbol in group.symbols
            for strategy in group.strategies
            if (strategy, symbol) in asked.streams
        ]
        # filled holes reach over the start of history, so what a group loads together is loaded together again
        if own and (group.is_shared or job.config.settings.gap == "bridge"):
            yield group
        elif own:
            strategies = tuple(sorted({strategy for strategy, _ in own}))
            yield Group(strategies=strategies, symbols=tuple(sorted({symbol for _, symbol in own})), is_shared=False)


def _asked(plan: Plan, stored: "pl.DataFrame", when: str, strategy: str | None, symbol: str | None) -> Asked:
    """Read what is asked about: an exact id first, then a time, then the beginning of an id."""
    _refuse_unknown("strategy", strategy, plan.strategies)
    _refuse_unknown("symbol", symbol, plan.symbols)
    streams = tuple(
        (one, market)
        for one in plan.strategies
        for market in plan.symbols
        if strategy in (None, one) and symbol in (None, market)
    )
    decided = _signals(stored, streams)
    named = [one for one in decided if one[0] == when]
    if not named:
        try:
            return Asked(parse_time(when), streams)
        except (ValueError, OverflowError):
            named = [one for one in decided if when and one[0].startswith(when)]
    if len(named) == 1:
        _, time_ms, one, market = named[0]
        return Asked(time_ms, ((one, market),))
    raise UsageError(_no_signal(plan, when, [one for one, *_ in named]))


def _signals(stored: "pl.DataFrame", streams: Sequence[tuple[str, str]]) -> list[tuple[str, int, str, str]]:
    """Every signal of the run with the time of its decision and its stream."""
    import polars as pl

    known = stored.filter(pl.col("id").is_not_null()).select(
        "id", pl.col("decided").dt.epoch("ms"), "strategy", "symbol"
    )
    return [row for row in known.unique(maintain_order=True).iter_rows() if (row[2], row[3]) in streams]


def _refuse_unknown(kind: str, name: str | None, known: Sequence[str]) -> None:
    if name is not None and name not in known:
        raise UsageError(unknown_name(kind, name, dict.fromkeys(known)))


def _no_signal(plan: Plan, when: str, ids: Sequence[str]) -> Problem:
    shown = ", ".join(ids[:SHOWN_IDS]) + (f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else "")
    if ids:
        what, hint = f"{len(ids)} signals of the run have an id that is or begins with {when!r}", "give more of the id"
        return Problem("ambiguous-signal", what, expected=shown, hint=f"{hint}, or --strategy and --symbol")
    return Problem(
        "unknown-signal",
        f"{when!r} is no time, and no signal of the run has an id that begins with it",
        expected=f"a time such as {iso(plan.range.start_ms)}, or the id of a signal",
        hint="the ids are in trades.parquet and events.parquet of the run",
    )


def _stored_events(bundle: Path, manifest: dict[str, Any]) -> "pl.DataFrame":
    import polars as pl

    try:
        return pl.read_parquet(BytesIO(whole_file(bundle, EVENTS_FILE, manifest["files"])))
    except (OSError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        what, where = f"the events of run {bundle.name} cannot be read: {error}", Source(file=str(bundle / EVENTS_FILE))
        raise DataError(Problem("damaged-run", what, where, hint="run the backtest again")) from None


def _difference(run: RunResult, stream: StreamRun, stored: "pl.DataFrame") -> str:
    """How the events of a stream differ from the stored ones; empty where they do not."""
    import polars as pl

    own = (pl.col("strategy") == stream.strategy) & (pl.col("symbol") == stream.symbol)
    now = events_table(replace(run, streams=(stream,)))
    then = stored.filter(own)
    if now.equals(then):
        return ""
    for row in range(min(len(now), len(then))):
        if now.row(row) != then.row(row):
            return f"from {now.row(row, named=True)['time']:%Y-%m-%dT%H:%M} on"
    return f"{len(then)} events are stored, {len(now)} came now"
