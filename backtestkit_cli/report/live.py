"""What the report of a live session tells: the report of a backtest, of a session that goes on and holds few trades.

* The newest trades of each stream are held, the sums run on over all of them. As long as all are held, every figure is
  of the whole session; from then on the sections made of trades say that they are of the newest.
* Funnel, candles and buy and hold are of the whole session in any case. Buy and hold counts each symbol once.
* What is open is in no figure: it is said first, and the result is not held against buy and hold as long as it is.
* Of the original's figures there are none: it counts live otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.measure.equity import stream_equity
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.totals import Totals
from backtestkit_cli.measure.trust import Finding, counted, trust
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.report.build import OVERVIEW, OverviewColumn, head_of, result_sections
from backtestkit_cli.report.columns import with_choices
from backtestkit_cli.report.report import (
    Chapter,
    Column,
    Depth,
    Fact,
    Facts,
    Findings,
    Lead,
    Measures,
    Report,
    Section,
    Table,
    table_section,
)
from backtestkit_cli.report.sections import buy_and_hold_percent, candle_facts, funnel_facts, sum_of, trades_table
from backtestkit_cli.report.warnings import shared_warnings

SIDE_BY_SIDE = ("trades", "win_rate_percent", "return_percent", "pnl_percent", "profit_factor", "max_drawdown_percent")
OF_ALL = frozenset(("open_now", "totals", "funnel", "candles"))
"""The sections that are of the whole session, however few trades are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a stream holds: a position since `opened_ms`, or an entry that waits, None while it does."""

    signal: Signal
    opened_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveStreamRun:
    """One stream of a session. Its `run` holds the newest trades, measured over `newest` of the session's range, which
    begins when the last trade closed that is not held any more; `before` are the totals of those, `totals` of all. Its
    strategy sees candles from `history_start_ms` on, of which the journal has only those of the session."""

    run: StreamRun
    newest: TimeRange
    before: Totals
    totals: Totals
    held: Held | None = None
    history_start_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it holds a position."""
        return self.held is not None and self.held.opened_ms is not None


Streams: TypeAlias = Sequence[LiveStreamRun]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveRun:
    """A session as far as it has come. The range of `run` is that of the session; it ran in so many `starts`, and was
    away for some minutes between them. `whole` are the totals of all streams in order of closing.
    """

    run: RunResult
    streams: tuple[LiveStreamRun, ...]
    whole: Totals
    starts: int = 1
    away_minutes: int = 0
    reconciled: int = 0
    lost_lines: int = 0

    def part(self, strategy: str, symbol: str) -> "LiveRun":
        """One of its streams by itself."""
        (one,) = (one for one in self.streams if (one.run.strategy, one.run.symbol) == (strategy, symbol))
        return replace(self, run=self.run.part((one.run,)), streams=(one,), whole=one.totals)


def live_report(session: LiveRun) -> Report:
    """Make the report of a session, or of a part of it."""
    run = session.run
    findings = [(*_of_session(session), *_trust(one, run)) for one in session.streams]
    several = len(session.streams) > 1
    told = (*shared_warnings(run, findings), *_open_now(session)) if several else findings[0]
    chapters: list[Chapter] = [_whole_chapter(session, told)] if several else []
    depth: Depth = "full" if several else "summary"
    for one, found in zip(session.streams, findings, strict=True):
        chapters.append(_stream_chapter(one, run, found, depth))
    report = Report(
        run_id=run.run_id,
        kind="live",
        headline=next((finding.text for finding in _open_now(session)), ""),
        strategies=tuple(dict.fromkeys(one.run.strategy for one in session.streams)),
        symbols=tuple(dict.fromkeys(one.run.symbol for one in session.streams)),
        lead=_lead(session, told),
        head=_head(session),
        overview=_overview(session) if several else None,
        chapters=tuple(chapters),
    )
    return with_choices(report, "trades", run.columns.get("live", ()))


def _balance(session: LiveRun) -> float | None:
    return session.run.balance if any(one.run.sizing for one in session.streams) else None


def _lead(session: LiveRun, findings: Sequence[Finding]) -> Lead:
    run, whole, balance = session.run, session.whole, _balance(session)
    counted_streams = [one for one in session.streams if balance is None or one.run.sizing]
    is_all = len(counted_streams) == len(session.streams)
    made = None if balance is None else whole.pnl_quote or 0.0
    is_same_money = balance is not None or len(_one_of_each_symbol(counted_streams)) == len(counted_streams)
    return Lead(
        pnl_percent=whole.pnl if is_all else sum(one.totals.pnl for one in counted_streams),
        hold_percent=_held_percent(counted_streams, run, is_money=balance is not None),
        trades=sum(one.totals.trades for one in counted_streams),
        streams=len(counted_streams),
        warnings=sum(finding.level == "warning" for finding in findings),
        is_interrupted=False,
        is_optimistic=run.policy.is_optimistic,
        is_comparable=is_same_money and not any(one.is_open for one in session.streams),
        balance=balance,
        pnl_quote=made,
        return_percent=None if balance is None or made is None else 100 * made / balance,
    )


def _held_percent(streams: Streams, run: RunResult, *, is_money: bool) -> float | None:
    """Buy and hold with one stake per symbol, of a balance the same share each; None while one has no price."""
    held = [buy_and_hold_percent(one.run, run) for one in _one_of_each_symbol(streams)]
    known = [percent for percent in held if percent is not None]
    if not known or len(known) < len(held):
        return None
    return sum(known) / len(known) if is_money else sum(known)


def _one_of_each_symbol(streams: Streams) -> Streams:
    return list({one.run.symbol: one for one in streams}.values())


def _open_now(session: LiveRun) -> Iterator[Finding]:
    count = sum(one.is_open for one in session.streams)
    if count:
        text = "one position is open; it is" if count == 1 else f"{count} positions are open; they are"
        yield Finding("info", "open-now", f"{text} in no figure")


def _head(session: LiveRun) -> Facts:
    facts = [fact for fact in head_of(session.run).facts if fact.key != "frame"]
    place = next(index for index, fact in enumerate(facts) if fact.key == "range") + 1
    told = (
        Fact(key="starts", label="Starts", value=session.starts, form="count"),
        Fact(key="away_minutes", label="Minutes away", value=session.away_minutes, form="count"),
    )
    return Facts((*facts[:place], *told, *facts[place:]))


def _of_session(session: LiveRun) -> Iterator[Finding]:
    if session.away_minutes:
        away = f"the session was away for {counted(session.away_minutes, 'minute')} between its starts"
        yield Finding("warning", "session-away", f"{away}: nothing was entered then")
    if session.reconciled:
        said = f"the state was settled by hand {counted(session.reconciled, 'time')}"
        yield Finding("warning", "settled-by-hand", f"{said}: what came of such positions is in no figure")
    if session.lost_lines:
        lost = f"the disk did not take {counted(session.lost_lines, 'line')} of the journal"
        yield Finding("warning", "journal-incomplete", f"{lost}: what stood there is missing after a restart")


def _part(one: LiveStreamRun, run: RunResult) -> RunResult:
    """A run of the newest trades alone, with what the balance was when it begins."""
    began = None if run.balance is None else run.balance + (one.before.pnl_quote or 0.0)
    return replace(run, range=one.newest, streams=(one.run,), balance=began)


def _trust(one: LiveStreamRun, run: RunResult) -> tuple[Finding, ...]:
    found = trust(one.run, _part(one, run))
    if not one.is_open:
        return found
    return (*found, Finding("info", "open-now", "a position is open: what it is worth is in no figure until it closes"))


def _stream_chapter(one: LiveStreamRun, run: RunResult, findings: tuple[Finding, ...], depth: Depth) -> Chapter:
    stream, part = one.run, _part(one, run)
    trades, balance = stream.result.trades, run.balance if stream.sizing else None
    sections = [
        _held_section([one]),
        _totals_section(one.totals, balance, is_told=bool(one.before.trades)),
        *result_sections(trades, stream_equity(stream, part.range, part.balance), part, stream.result.funnel, findings),
        Section(key="candles", title="Stream and candles", block=_candle_facts(one, run), depth="full"),
        Section(
            key="trades",
            title="Trades",
            block=trades_table(stream, shows_notes=run.shows_notes),
            depth="summary" if len(trades) else "record",
        ),
    ]
    if one.before.trades:
        newest = f", newest {len(trades)} trades"
        sections = [
            section if section.key in OF_ALL else replace(section, title=section.title + newest) for section in sections
        ]
    return Chapter(strategy=stream.strategy, symbol=stream.symbol, sections=tuple(sections), depth=depth)


def _candle_facts(one: LiveStreamRun, run: RunResult) -> Facts:
    """What a stream rested on; history that was there before the session is not in its journal."""
    facts = {fact.key: fact for fact in candle_facts(one.run, run).facts}
    begin = replace(facts["history_start"], key="journal_start", label="Session's candles from")
    facts["history_start"] = replace(facts["history_start"], value=one.history_start_ms)
    facts["candles"] = replace(facts["candles"], label="Candles of the session")
    order = [key for name in facts for key in ((name, "journal_start") if name == "history_start" else (name,))]
    return Facts(tuple((facts | {"journal_start": begin})[key] for key in order))


def _whole_chapter(session: LiveRun, findings: tuple[Finding, ...]) -> Chapter:
    funnel = sum_of(one.run.result.funnel for one in session.streams)
    return Chapter(
        sections=(
            _held_section(session.streams),
            _totals_section(session.whole, _balance(session), is_told=bool(session.whole.trades)),
            Section(key="funnel", title="Signal funnel", block=funnel_facts(funnel)),
            Section(key="warnings", title="How far to trust it", block=Findings(findings)),
        )
    )


def _totals_section(totals: Totals, balance: float | None, *, is_told: bool) -> Section:
    depth: Depth = "summary" if is_told else "record"
    block = Measures(totals.metrics(balance))
    return Section(key="totals", title="All trades of the session", block=block, depth=depth)


def _held_section(streams: Streams) -> Section:
    held = [(one.run, one.held, one.held.signal) for one in streams if one.held is not None]
    since = [hold.signal.decided_at if hold.opened_ms is None else hold.opened_ms for _, hold, _ in held]
    states = ["waits" if hold.opened_ms is None else "open" for _, hold, _ in held]
    table = Table(
        (
            Column(key="strategy", label="Strategy", values=[run.strategy for run, *_ in held]),
            Column(key="symbol", label="Symbol", values=[run.symbol for run, *_ in held]),
            Column(key="state", label="State", values=states),
            Column(key="since", label="Since", values=since, form="time", unit="UTC"),
            Column(key="position", label="Side", values=[str(signal.position) for *_, signal in held]),
            Column(key="price_open", label="Entry", values=[one.price_open for *_, one in held], form="price"),
            Column(
                key="price_take_profit",
                label="Take profit",
                values=[one.price_take_profit for *_, one in held],
                form="price",
            ),
            Column(
                key="price_stop_loss", label="Stop loss", values=[one.price_stop_loss for *_, one in held], form="price"
            ),
        ),
        row="position",
    )
    return table_section("open_now", "Open now", table)


def _overview(session: LiveRun) -> Table:
    balance = _balance(session)
    measured = [*(one.totals.metrics(balance if one.run.sizing else None) for one in session.streams)]
    values = [_values(one) for one in (*measured, session.whole.metrics(balance))]
    columns = [
        Column(key="strategy", label="Strategy", values=[*(one.run.strategy for one in session.streams), "all"]),
        Column(key="symbol", label="Symbol", values=[*(one.run.symbol for one in session.streams), ""]),
    ]
    known: list[OverviewColumn] = [one for one in OVERVIEW if one[0] in SIDE_BY_SIDE]
    if balance is not None:
        known.insert(2, ("return_percent", "Return", "signed", "%"))
    columns += [
        Column(key=key, label=label, values=[one.get(key) for one in values], form=form, unit=unit)
        for key, label, form, unit in known
    ]
    held = [buy_and_hold_percent(one.run, session.run) for one in session.streams]
    whole = _held_percent(session.streams, session.run, is_money=balance is not None)
    columns.append(Column(key="buy_and_hold_percent", label="Hold", values=[*held, whole], form="signed", unit="%"))
    return Table(tuple(columns), has_total=True)


def _values(measured: tuple[Metric, ...]) -> dict[str, float | None]:
    return {metric.key: metric.value for metric in measured}
