"""A live session as far as it has come, ready for its report: of one that runs, or of the journal of any."""

from pathlib import Path
from typing import cast

from backtestkit_cli.config.market_schema import SampleExchange
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import reread
from backtestkit_cli.engine.result import RunResult, RunStatus, StreamResult, StreamRun, ToldEvents
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.model.time import Interval, TimeRange, iso
from backtestkit_cli.report.live import Held, LiveRun, LiveStreamRun, live_report
from backtestkit_cli.report.report import Report
from backtestkit_cli.run.columns import column_choices
from backtestkit_cli.run.failures import first_of
from backtestkit_cli.run.live.tally import StreamTally, Tally
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.journal import JOURNAL, read_journal


def live_run(tally: Tally, config: Config) -> LiveRun | None:
    """A session as its tally has it; None until it has seen a whole minute."""
    if not tally.start or tally.end_ms <= tally.start["started_ms"]:
        return None
    start, settings = tally.start, config.settings
    range_ = TimeRange(start["started_ms"], tally.end_ms)
    streams = tuple(_stream(key, tally, config, range_) for key in sorted(tally.streams))
    run = RunResult(
        run_id=start["session"],
        kind="live",
        exchange=start["exchange"],
        frame="live",
        range=range_,
        tick=Interval.M1,
        policy=cast("FillPolicy", settings.policy()),  # no session begins under another one
        costs=settings.costs_model(),
        gap=settings.gap,
        streams=tuple(one.run for one in streams),
        status=_status(tally),
        shows_notes=settings.report_show_note,
        columns=column_choices(config),
        is_made_up=isinstance(config.exchanges[start["exchange"]], SampleExchange),
        balance=settings.balance if any(one.run.sizing for one in streams) else None,
    )
    return LiveRun(
        run=run,
        streams=streams,
        whole=tally.whole,
        starts=tally.starts,
        away_minutes=tally.away_minutes,
        reconciled=tally.reconciled,
        lost_lines=tally.lost_lines,
    )


def read_tally(folder: Path, until: int | None = None) -> Tally:
    """Read the journal of a session, or its first bytes; lines of another version, and damaged ones, are left out."""
    tally = Tally()
    for line in read_journal(folder, until=until):
        try:
            tally.take(line)
        except (KeyError, TypeError, ValueError):
            continue
    return tally


def stored_live_run(folder: Path, project: Path) -> LiveRun:
    """A session as its journal tells it.

    Raises:
        UsageError: it keeps too little, or the session has not seen a whole minute.
        ConfigError: this version cannot read its config.
    """
    tally = read_tally(folder)
    where = Source(file=str(folder / JOURNAL))
    if not tally.start:
        what = f"session {folder.name} does not keep what a report is made of"
        raise UsageError(Problem("session-not-repeatable", what, where, hint="an older version wrote it"))
    session = live_run(tally, reread(tally.start["config"], project))
    if session is None:
        what = f"session {folder.name} has not seen a whole minute yet"
        raise UsageError(Problem("session-too-short", what, where, hint="wait a minute"))
    return session


def session_report(folder: Path, project: Path) -> Report:
    """The report of a session, made of its journal.

    Raises:
        UsageError, ConfigError: as `stored_live_run`.
    """
    return live_report(stored_live_run(folder, project))


def _status(tally: Tally) -> RunStatus:
    return "not ended" if tally.is_over is None else "ended" if tally.is_over else "left"


def _stream(key: Key, tally: Tally, config: Config, within: TimeRange) -> LiveStreamRun:
    name, symbol = key
    schema, stream = config.strategies[name], tally.streams[key]
    newest = TimeRange(within.start_ms if stream.dropped_ms is None else stream.dropped_ms, within.end_ms)
    settings = config.settings
    terms = Terms(
        strategy=name,
        symbol=symbol,
        policy=cast("FillPolicy", settings.policy()),
        costs=settings.costs_model(),
        limits=settings.limits_model(),
    )
    result = StreamResult(
        terms=terms,
        trades=trades_of(stream.newest),
        funnel=stream.funnel,
        bridged_decisions=0,  # a minute that is filled in is known too late for a decision
        events=ToldEvents(()),
    )
    run = StreamRun(
        strategy=name,
        symbol=symbol,
        interval=schema.interval,
        form=tally.start["forms"][name],
        result=result,
        candles=tally.markets[symbol].use(newest),
        note=schema.note or "",
        sizing=schema.sizing,
        warnings=tuple(first_of(_failures(stream))),
        failures=sum(count for _, count in stream.failures.values()),
    )
    held = None if stream.held is None else Held(signal=stream.held, opened_ms=stream.opened_ms)
    return LiveStreamRun(
        run=run,
        newest=newest,
        before=stream.before,
        totals=stream.totals,
        held=held,
        history_start_ms=tally.start.get("history_start_ms", {}).get(name),
    )


def _failures(stream: StreamTally) -> list[str]:
    return [
        f"{iso(first_ms)}: {what}{f' ({count} times)' if count > 1 else ''}"
        for what, (first_ms, count) in stream.failures.items()
    ]
