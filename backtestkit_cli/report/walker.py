"""What the report of a walker tells: who stands where, what is luck in it, and everything about the best.

* The table has everybody who finished, in order of place; `rank` says how many are better beyond luck.
* How many were tried is said first: the best of many is flattered by luck.
* A strategy that is varied by exactly two params is drawn as a map of the metric.
"""

import json
from collections.abc import Iterator, Sequence
from shlex import quote

import numpy as np

from backtestkit_cli.measure.contest import (
    Contest,
    Failed,
    Outcome,
    Standing,
    best_of,
    daily_equity,
    is_lower_better,
    known_metrics,
    scope_of,
    standings,
)
from backtestkit_cli.measure.equity import STAKE, mark_times
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.ranking import LEAST_DAYS, LEVEL, MOST_RANKED, RESAMPLES, block_days
from backtestkit_cli.measure.trust import Finding, counted
from backtestkit_cli.report.build import overview_columns, terms_of
from backtestkit_cli.report.columns import with_choices
from backtestkit_cli.report.drawings import drawings_of
from backtestkit_cli.report.report import (
    Chapter,
    Column,
    Curve,
    Fact,
    Facts,
    Findings,
    Form,
    Lead,
    Measures,
    Report,
    Section,
    Table,
    table_section,
)
from backtestkit_cli.report.sections import FINGERPRINT_DIGITS, months
from backtestkit_cli.report.text import form_of, text_of
from backtestkit_cli.report.walker_heat import heat_sections

MAIN_TABLE = "ranking"
CURVE_POINTS = 60
LONGEST_HEAD = 12
BESIDE = ("trades", "win_rate_percent", "pnl_percent", "return_percent", "sharpe_ratio")
DRAWDOWNS = ("max_drawdown_percent", "balance_drawdown_percent")


def walker_report(contest: Contest, top: int | None = None, ranking: Sequence[Standing] | None = None) -> Report:
    """Make the report; a narrow reader gets the first `top` rows. `ranking` spares ranking again."""
    rows = standings(contest) if ranking is None else ranking
    best = best_of(contest.outcomes, contest.metric).outcome
    findings = tuple(_findings(contest, best))
    chapters = [Chapter(name="comparison", sections=tuple(_comparison(contest, rows, findings, top)))]
    if best is not None:
        chapters.append(Chapter(name="best", sections=tuple(_best(contest, best))))
    report = Report(
        run_id=contest.run.run_id,
        kind="walker",
        strategies=(contest.walker,),
        symbols=contest.symbols,
        headline=_headline(contest, best),
        lead=_lead(contest, best, findings),
        head=_head(contest, best),
        overview=None,
        chapters=tuple(chapters),
        drawings=drawings_of(contest, rows),
    )
    return with_choices(report, MAIN_TABLE, contest.run.columns.get("walker", ()))


def metric_of(contest: Contest, outcome: Outcome) -> Metric:
    """The metric that ranks, as an outcome has it."""
    return _metric(contest.metric, outcome)


def _metric(key: str, outcome: Outcome) -> Metric:
    known = known_metrics()[key]
    return Metric(
        key=key,
        label=known.label,
        value=outcome.figures.get(key),
        unit=known.unit,
        reason=outcome.reasons.get(key),
        is_signed=known.is_signed,
    )


def _headline(contest: Contest, best: Outcome | None) -> str:
    label = known_metrics()[contest.metric].label
    tried = counted(len(contest.outcomes), "contestant")
    if not contest.outcomes:
        return "no contestant came to a result"
    if best is None:
        return f"none of {tried} has a figure to rank by: {label}"
    value = _metric(contest.metric, best)
    told = text_of(value.value, form_of(value), value.unit)
    return f"best of {tried} by {label} ({told}): {best.contestant.name}"


def _lead(contest: Contest, best: Outcome | None, findings: Sequence[Finding]) -> Lead:
    """The result of the best one."""
    figures = {} if best is None else best.figures
    return Lead(
        pnl_percent=float(figures.get("pnl_percent") or 0.0),
        hold_percent=contest.outcomes[0].hold_percent if contest.outcomes else None,
        trades=int(figures.get("trades") or 0),
        streams=len(contest.symbols),
        warnings=sum(one.level == "warning" for one in findings),
        is_interrupted=contest.run.status == "interrupted",
        is_optimistic=contest.run.policy.is_optimistic,
        balance=contest.run.balance,
        pnl_quote=figures.get("pnl_quote"),
        return_percent=figures.get("return_percent"),
        is_undecided=best is None,
    )


def _head(contest: Contest, best: Outcome | None) -> Facts:
    direction = "lower" if is_lower_better(contest.metric) else "higher"
    label, tried = known_metrics()[contest.metric].label, len(contest.contestants)
    return Facts(
        (
            Fact(key="run_id", label="Comparison", value=contest.run.run_id),
            Fact(key="kind", label="Kind", value="walker", depth="record"),
            Fact(key="status", label="Status", value=contest.run.status),
            Fact(key="walker", label="Walker", value=contest.walker),
            Fact(key="note", label="Note", value=contest.note, depth="summary" if contest.note else "record"),
            Fact(key="metric", label="Metric", value=f"{label}, {direction} is better"),
            Fact(key="metric_key", label="", value=contest.metric, depth="record"),
            Fact(key="contestants", label="Contestants", value=tried, form="count", depth="record"),
            Fact(key="tested", label="Tested", value=f"{len(contest.outcomes)} of {tried}"),
            Fact(key="finished", label="", value=len(contest.outcomes), form="count", depth="record"),
            Fact(key="failed", label="", value=len(contest.failed), form="count", depth="record"),
            Fact(key="best", label="Best", value=None if best is None else best.contestant.name),
            Fact(key="symbols", label="Symbols", value=contest.symbols),
            *terms_of(contest.run),
            Fact(key="data_fingerprint", label="Data", value=contest.fingerprint[:FINGERPRINT_DIGITS]),
        )
    )


# ---- the comparison


def _comparison(
    contest: Contest, rows: Sequence[Standing], findings: tuple[Finding, ...], top: int | None
) -> Iterator[Section]:
    yield table_section(MAIN_TABLE, "Who stands where", ranking_table(contest, rows, top))
    yield Section(key="warnings", title="How far to trust it", block=Findings(findings))
    yield from heat_sections(contest)
    yield table_section("missing", "What is N/A", missing_table(contest, rows))
    yield table_section("failed_contestants", "Who failed", failed_table(contest.failed))


def ranking_table(contest: Contest, rows: Sequence[Standing], top: int | None) -> Table:
    """Everybody who finished, in order of place; a narrow reader gets the first `top` rows."""
    outcomes = [row.outcome for row in rows]
    metrics = [_metric(contest.metric, one) for one in outcomes]
    known = known_metrics()[contest.metric]
    form: Form = form_of(metrics[0]) if metrics and metrics[0].value is not None else "number"
    columns = [
        Column(key="strategy", label="Strategy", values=[one.contestant.name for one in outcomes]),
        Column(key="place", label="Place", values=[row.place for row in rows], form="count"),
        Column(key="rank", label="Rank", values=[row.rank for row in rows], form="count"),
        Column(
            key="value",
            label=_short_label(contest.metric, known.label),
            values=[row.value for row in rows],
            form=form,
            unit=known.unit,
        ),
    ]
    columns += [
        Column(key=key, label=label, values=[one.figures.get(key) for one in outcomes], form=shape, unit=unit)
        for key, label, shape, unit in overview_columns(is_money=contest.run.balance is not None)
        if key in (*BESIDE, *DRAWDOWNS) and key != contest.metric
    ]
    columns += [
        Column(key="base", label="", values=[one.contestant.strategy for one in outcomes], depth="record"),
        Column(key="params", label="", values=[_params(one) for one in outcomes], depth="record"),
        Column(key="run_id", label="", values=[one.run_id for one in outcomes], depth="record"),
        Column(key="failures", label="", values=[one.failures for one in outcomes], form="count", depth="record"),
    ]
    return Table(tuple(columns), row="contestant", first=top)


def _short_label(key: str, label: str) -> str:
    """The head of the column of the metric: as other tables have it, or a short one, for the report names it."""
    known = {one: short for is_money in (False, True) for one, short, _, _ in overview_columns(is_money=is_money)}
    return known.get(key, label if len(label) <= LONGEST_HEAD else "Value")


def _params(outcome: Outcome) -> str:
    return ", ".join(f"{key}={value}" for key, value in outcome.contestant.params)


def missing_table(contest: Contest, rows: Sequence[Standing]) -> Table:
    """Who has no value of the metric, and why."""
    found = [
        (row.outcome.contestant.name, row.outcome.reasons.get(contest.metric)) for row in rows if row.value is None
    ]
    return Table(
        (
            Column(key="strategy", label="Strategy", values=[name for name, _ in found]),
            Column(key="reason", label="Reason", values=[reason or "no finite number" for _, reason in found]),
        ),
        row="contestant",
    )


def failed_table(failed: Sequence[Failed]) -> Table:
    """Who came to no result, and why."""
    return Table(
        (
            Column(key="strategy", label="Strategy", values=[one.contestant.name for one in failed]),
            Column(key="code", label="Code", values=[one.code for one in failed]),
            Column(key="what", label="What", values=[one.what for one in failed]),
        ),
        row="contestant",
    )


# ---- what to know about it


def _findings(contest: Contest, best: Outcome | None) -> Iterator[Finding]:
    found = [*_doubts(contest, best), *_ranks_told(contest)]
    yield from sorted(found, key=lambda one: one.level != "warning")


def _doubts(contest: Contest, best: Outcome | None) -> Iterator[Finding]:
    tested, all_of_them = len(contest.outcomes), len(contest.contestants)
    if best is not None and tested > 1:
        text = (
            f"the best of {tested} is flattered by luck, the more the more were tried: expect less of it on candles "
            "it was not chosen on"
        )
        yield Finding("warning", "best-of-many", text)
    untested = all_of_them - tested - len(contest.failed)
    if untested:
        text = f"{counted(untested, 'contestant')} of {all_of_them} not tested: the walker was {contest.run.status}"
        yield Finding("warning", "not-tested", text)
    if contest.failed:
        text = (
            f"{counted(len(contest.failed), 'contestant')} failed and stand{'s' * (len(contest.failed) == 1)} nowhere"
        )
        yield Finding("warning", "contestants-failed", text)
    for outcome in contest.outcomes:
        if outcome.failures:
            text = f"the code of {outcome.contestant.name} failed {counted(outcome.failures, 'time')}: what it would "
            yield Finding("warning", "contestant-errors", text + "have decided then is missing")
    if best is not None:
        told = [one for one in best.findings if one.level == "warning"]
        if told:
            text = f"{counted(len(told), 'warning')} about the best one itself, see below"
            yield Finding("warning", "best-in-doubt", text)
    for text in contest.run.warnings:
        yield Finding("warning", "from-the-run", text)
    if contest.run.policy.is_optimistic:
        text = f"fill policy {contest.run.policy.name} is optimistic: it books better than could have been traded"
        yield Finding("warning", "optimistic-fills", text)
    if contest.run.is_made_up:
        text = f"the market of {contest.run.exchange} is made up, whatever the symbol is called"
        yield Finding("info", "made-up-market", text)


def _ranks_told(contest: Contest) -> Iterator[Finding]:
    days, tested = len(mark_times(contest.run.range)), len(contest.outcomes)
    if days < LEAST_DAYS:
        text = f"{counted(days, 'day')} are too few to tell anybody from luck: all share rank 1 below {LEAST_DAYS} days"
        yield Finding("warning", "short-comparison", text)
    elif tested > 1:
        text = (
            f"rank is 1 + the number of contestants whose days were better beyond luck: at most {100 * LEVEL:g} % of "
            f"comparisons like this one find a difference that is none ({RESAMPLES} paired resamples in blocks of "
            f"{counted(block_days(days), 'day')}, Holm over {counted(tested * (tested - 1) // 2, 'pair')})"
        )
        yield Finding("info", "rank", text)
    if tested > MOST_RANKED:
        yield Finding("info", "rank-limit", f"ranks are told of the first {MOST_RANKED} places, against all others")
    if scope_of(contest.metric) is not None:
        text = "places are those of the original: of equal ones the last tested stands first, the best is the first one"
        yield Finding("info", "original-order", text)


# ---- the best


def _best(contest: Contest, best: Outcome) -> Iterator[Section]:
    yield Section(key="contestant", title="Which one", block=_which(contest, best))
    yield from result_sections(best)
    equity = daily_equity(best, contest)
    start = equity.values[0] if equity.is_money else STAKE
    points = thinned(tuple((100 * (equity.values / start - 1)).tolist()))
    yield Section(key="pnl_curve_percent", title="PnL day by day", block=Curve(points))
    yield Section(key="months", title="Month by month", block=months(equity), depth="full")
    yield Section(key="best_warnings", title="How far to trust it by itself", block=Findings(tuple(best.findings)))


def result_sections(outcome: Outcome, key: str = "metrics", title: str = "Result") -> Iterator[Section]:
    """Every figure of one outcome; those of money where it is sized."""
    metrics = [_metric(one, outcome) for one in outcome.figures if "." not in one]
    is_shown = [one for one in metrics if outcome.is_money or one.reason != "nothing is sized"]
    yield Section(key=key, title=title, block=Measures(tuple(is_shown)))
    originals = tuple(_metric(one, outcome) for one in outcome.figures if "." in one)
    if originals:
        block = Measures(originals)
        whole = "original" if key == "metrics" else f"{key}_original"
        yield Section(key=whole, title="As the original measures", block=block, depth="full")


def thinned(values: Sequence[float]) -> tuple[float, ...]:
    """As many values of a curve as a line shows, its ends among them."""
    chosen = np.linspace(0, len(values) - 1, min(CURVE_POINTS, len(values))).round().astype(int).tolist()
    return tuple(values[one] for one in chosen)


def _which(contest: Contest, best: Outcome) -> Facts:
    run = contest.run
    symbols = " ".join(f"--symbol {quote(symbol)}" for symbol in contest.symbols)
    sets = "".join(
        f" --set {quote(f'strategies.{best.contestant.strategy}.params.{key}={_set_text(value)}')}"
        for key, value in best.contestant.params
    )
    command = f"backtestkit backtest {best.contestant.strategy} {symbols} --exchange {run.exchange} --frame {run.frame}"
    return Facts(
        (
            Fact(key="name", label="Contestant", value=best.contestant.name),
            Fact(key="strategy", label="Strategy", value=best.contestant.strategy, depth="record"),
            *(
                Fact(key=f"params.{key}", label=key, value=_text(value), indent=1)
                for key, value in best.contestant.params
            ),
            Fact(key="best_run_id", label="Run", value=best.run_id),
            Fact(key="command", label="Its trades", value=command + sets),
        )
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set_text(value: object) -> str:
    """A value as `--set` reads it; a text in quotes, for it might read as a number."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _text(value)
