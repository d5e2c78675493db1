"""What the report of a search tells: how much of it is luck first, then what held on time that it was not chosen on.

* The result that leads is that of the hold-out, never the one that was searched for.
* The verdict is one plain sentence of `measure/study.py`.
* The trials of the last search are a comparison, told as that of a walker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backtestkit_cli.measure.contest import (
    Outcome,
    Standing,
    is_lower_better,
    known_metrics,
    standings,
    value_of,
)
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.ranking import LEAST_DAYS
from backtestkit_cli.measure.study import Study, WalkForward, luck_of, made_percent, verdict, walk_forward
from backtestkit_cli.measure.trust import Finding, counted
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.report.build import terms_of
from backtestkit_cli.report.drawings import before_and_after, drawings_of
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
from backtestkit_cli.report.sections import FINGERPRINT_DIGITS
from backtestkit_cli.report.walker import (
    failed_table,
    metric_of,
    missing_table,
    ranking_table,
    result_sections,
    thinned,
)
from backtestkit_cli.report.walker_heat import heat_sections
from backtestkit_cli.report.written import OPTIMIZER

MAIN_TABLE = "trials"


def study_report(study: Study, top: int | None = None, ranking: Sequence[Standing] | None = None) -> Report:
    """Make the report; a narrow reader gets the first `top` trials. `ranking` spares ranking again."""
    rows = standings(study.contest) if ranking is None else ranking
    luck, forward = luck_of(study), walk_forward(study)
    findings = tuple(sorted(_findings(study), key=lambda one: one.level != "warning"))
    chapters = [Chapter(name="search", sections=tuple(_search(study, luck, forward, findings)))]
    if study.chosen is not None:
        chapters.append(Chapter(name="choice", sections=tuple(_choice(study, study.chosen))))
    chapters.append(Chapter(name="trials", sections=tuple(_trials(study, rows, top))))
    return Report(
        run_id=study.study_id,
        kind=OPTIMIZER,
        strategies=(study.strategy,),
        symbols=study.contest.symbols,
        headline=verdict(study),
        lead=_lead(study, findings),
        head=_head(study),
        overview=None,
        chapters=tuple(chapters),
        drawings=(*before_and_after(study), *drawings_of(study.contest, rows)),
    )


def figures_text(study: Study) -> str:
    """The figures that lead, in one line, for a note."""
    told = [f"{one.label.lower()} {'N/A' if one.value is None else f'{one.value:.2f}'}" for one in luck_of(study)]
    held = [] if study.held is None else [f"hold-out {made_percent(study.held):+.2f} %"]
    return ", ".join([f"best of {counted(len(study.contest.outcomes), 'trial')}, {study.ever} ever", *told, *held])


def _lead(study: Study, findings: Sequence[Finding]) -> Lead:
    """What the chosen params made of the hold-out."""
    held, run = study.held, study.contest.run
    figures = {} if held is None else held.figures
    return Lead(
        pnl_percent=float(figures.get("pnl_percent") or 0.0),
        hold_percent=None if held is None else held.hold_percent,
        trades=int(figures.get("trades") or 0),
        streams=len(study.contest.symbols),
        warnings=sum(one.level == "warning" for one in findings),
        is_interrupted=run.status == "interrupted",
        is_optimistic=run.policy.is_optimistic,
        balance=run.balance,
        pnl_quote=figures.get("pnl_quote"),
        return_percent=figures.get("return_percent"),
        is_undecided=held is None,
        of="hold-out",
    )


def _head(study: Study) -> Facts:
    contest, tried = study.contest, len(study.contest.outcomes) + len(study.contest.failed)
    label = known_metrics()[contest.metric].label
    direction = "lower" if is_lower_better(contest.metric) else "higher"
    gap = f"{study.gap_minutes / 1440:.3g} days after each window, {study.embargo_minutes / 1440:.3g} of them embargo"
    chosen = study.chosen
    return Facts(
        (
            Fact(key="run_id", label="Study", value=study.study_id),
            Fact(key="kind", label="Kind", value=OPTIMIZER, depth="record"),
            Fact(key="status", label="Status", value=contest.run.status),
            Fact(key="strategy", label="Strategy", value=study.strategy),
            Fact(key="note", label="Note", value=contest.note, depth="summary" if contest.note else "record"),
            Fact(key="metric", label="Metric", value=f"{label}, {direction} is better"),
            Fact(key="metric_key", label="", value=contest.metric, depth="record"),
            Fact(
                key="sampler",
                label="Sampler",
                value=f"{study.sampler}, {tried} of {counted(study.combinations, 'combination')}, seed {study.seed}",
            ),
            Fact(key="trials", label="Trials", value=tried, form="count"),
            Fact(key="trials_ever", label="Ever tried here", value=study.ever, form="count"),
            Fact(key="chosen", label="Chosen", value=None if chosen is None else chosen.contestant.name),
            Fact(key="symbols", label="Symbols", value=contest.symbols),
            *terms_of(contest.run),
            Fact(key="hold_out", label="Hold-out", value=_window(study.hold_out)),
            Fact(key="gap_after", label="Gap", value=gap),
            Fact(key="data_fingerprint", label="Data", value=contest.fingerprint[:FINGERPRINT_DIGITS]),
        )
    )


# ---- the search


def _search(
    study: Study, luck: tuple[Metric, ...], forward: WalkForward | None, findings: tuple[Finding, ...]
) -> Iterator[Section]:
    yield Section(key="luck", title="How much of it is luck", block=Measures(luck))
    yield Section(key="warnings", title="How far to trust it", block=Findings(findings))
    yield table_section("folds", "Chosen on the past, judged afterwards", _folds(study))
    if forward is not None:
        yield Section(key="walk_forward", title="All folds together", block=Measures(_forward(study, forward)))
        yield Section(key="walk_forward_curve_percent", title="Out of sample", block=Curve(thinned(forward.curve)))


def _folds(study: Study) -> Table:
    metric, chosen = study.contest.metric, study.chosen
    rows = [(f"fold {one.number}", one.train, one.test, one.tried, one.chosen, one.judged) for one in study.folds]
    if chosen is not None:
        within, tried = study.contest.run.range, len(study.contest.outcomes)
        rows.append(("hold-out", within, study.hold_out, tried, chosen, study.held))
    before = [None if row[4] is None else value_of(row[4], metric) for row in rows]
    after = [None if row[5] is None else value_of(row[5], metric) for row in rows]
    known = known_metrics()[metric]
    form: Form = "signed" if known.is_signed else "number"
    return Table(
        (
            Column(key="fold", label="Fold", values=[row[0] for row in rows]),
            Column(key="train", label="Chosen on", values=[_days(row[1]) for row in rows], depth="full"),
            Column(key="test", label="Judged on", values=[_days(row[2]) for row in rows]),
            Column(key="tried", label="Trials", values=[row[3] for row in rows], form="count", depth="full"),
            Column(key="params", label="Params", values=[_params(row[4]) for row in rows]),
            Column(key="in_sample", label="Before", values=before, form=form, unit=known.unit),
            Column(key="out_of_sample", label="After", values=after, form=form, unit=known.unit),
            Column(key="trades", label="Trades", values=[_trades(row[5]) for row in rows], form="count"),
            Column(
                key="pnl_percent",
                label="PnL",
                values=[None if row[5] is None else made_percent(row[5]) for row in rows],
                form="signed",
                unit="%",
            ),
        ),
        row="fold",
    )


def _forward(study: Study, forward: WalkForward) -> tuple[Metric, ...]:
    known = known_metrics()[study.contest.metric]

    def of_metric(key: str, words: str, value: float | None) -> Metric:
        return Metric(
            key=key,
            label=f"{known.label}, {words}",
            value=value,
            unit=known.unit,
            reason="no fold has both" if value is None else None,
            is_signed=known.is_signed,
        )

    few = f"fewer than {LEAST_DAYS} days" if forward.days < LEAST_DAYS else "no two days differ"
    return (
        of_metric("in_sample", "mean before", forward.in_sample),
        of_metric("out_of_sample", "mean after", forward.out_of_sample),
        Metric(key="pnl_percent", label="PnL after", value=forward.pnl_percent, unit="%", is_signed=True),
        Metric(
            key="sharpe_ratio",
            label="Sharpe ratio after",
            value=forward.sharpe,
            reason=few if forward.sharpe is None else None,
        ),
    )


# ---- what was chosen, and all trials


def _choice(study: Study, chosen: Outcome) -> Iterator[Section]:
    params = (Fact(key=f"params.{key}", label=key, value=_text(value)) for key, value in chosen.contestant.params)
    keep = Fact(key="command", label="Keep it", value=f"backtestkit optimizer apply {study.study_id}")
    yield Section(key="contestant", title="Params", block=Facts((*params, keep)))
    if study.held is not None:
        yield from result_sections(study.held, "hold_out", "On the hold-out")
        held = Findings(tuple(study.held.findings))
        yield Section(key="hold_out_warnings", title="How far to trust the hold-out", block=held)
    for section in result_sections(chosen, "in_sample", "Where it was chosen, flattered"):
        yield replace(section, depth="full")


def _trials(study: Study, rows: Sequence[Standing], top: int | None) -> Iterator[Section]:
    contest = study.contest
    yield table_section(
        MAIN_TABLE, "All trials of the last search", replace(ranking_table(contest, rows, top), row="trial")
    )
    yield from heat_sections(contest)
    yield table_section("missing", "What is N/A", missing_table(contest, rows))
    yield table_section("failed_trials", "What failed", failed_table(contest.failed))


def _findings(study: Study) -> Iterator[Finding]:
    run, chosen = study.contest.run, study.chosen
    if chosen is not None:
        value = metric_of(study.contest, chosen)
        told = f"{value.label} {value.value:.2f}" if value.value is not None else value.label
        text = (
            f"where it was chosen ({told}) the best of many is flattered by luck: {counted(study.ever, 'trial')} were "
            "ever run on these candles, and all of them count here"
        )
        yield Finding("warning", "best-of-many", text)
    if run.status != "complete":
        done, planned = len(study.folds), study.planned_folds
        text = f"the search was {run.status}: {done} of {counted(planned, 'fold')} finished, and no hold-out"
        yield Finding("warning", "not-tested", text)
    if study.contest.failed:
        text = f"{counted(len(study.contest.failed), 'trial')} failed and stand nowhere"
        yield Finding("warning", "contestants-failed", text)
    for text in run.warnings:
        yield Finding("warning", "from-the-run", text)
    if run.policy.is_optimistic:
        text = f"fill policy {run.policy.name} is optimistic: it books better than could have been traded"
        yield Finding("warning", "optimistic-fills", text)
    if run.is_made_up:
        text = f"the market of {run.exchange} is made up, whatever the symbol is called"
        yield Finding("info", "made-up-market", text)


def _window(within: TimeRange) -> str:
    return f"{within} ({(within.end_ms - within.start_ms) / DAY_MS:.3g} days)"


def _days(within: TimeRange) -> str:
    return " .. ".join(one[:10] for one in str(within).split(" .. "))


def _params(outcome: Outcome | None) -> str | None:
    return None if outcome is None else ", ".join(f"{key}={_text(value)}" for key, value in outcome.contestant.params)


def _trades(outcome: Outcome | None) -> int | None:
    return None if outcome is None else int(outcome.figures["trades"] or 0)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
