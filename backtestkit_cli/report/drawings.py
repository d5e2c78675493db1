"""What a comparison draws: the equity of the best, and whether what was good before was good afterwards.

* Before and after are, in a search, where params were chosen and where they were judged; among all contestants the
  first and the second half of the days, by Sharpe ratio.
* What has no value on both sides is not drawn; of many contestants the first 1000 places are.
"""

from collections.abc import Iterator, Sequence

from backtestkit_cli.measure.contest import Contest, Outcome, Standing, daily_equity, known_metrics, value_of
from backtestkit_cli.measure.equity import STAKE
from backtestkit_cli.measure.ranking import LEAST_DAYS
from backtestkit_cli.measure.statistics import sharpe_ratio
from backtestkit_cli.measure.study import Study
from backtestkit_cli.report.report import Drawing, Trace

MOST_LINES = 8
MOST_POINTS = 1000


def drawings_of(contest: Contest, rows: Sequence[Standing]) -> tuple[Drawing, ...]:
    """The pictures of a comparison whose contestants stand in that order; those without a point are left out."""
    outcomes = [row.outcome for row in rows]
    return (*_top(contest, outcomes[:MOST_LINES]), *_halves(contest, outcomes[:MOST_POINTS]))


def before_and_after(study: Study) -> Iterator[Drawing]:
    """The metric of each fold and of the hold-out, where params were chosen against where they were judged."""
    metric = study.contest.metric
    rows = [(f"fold {one.number}", one.chosen, one.judged) for one in study.folds]
    rows.append(("hold-out", study.chosen, study.held))
    points = [
        (f"{name}: {chosen.contestant.name}", before, after)
        for name, chosen, judged in rows
        if chosen is not None and judged is not None
        for before, after in [(value_of(chosen, metric), value_of(judged, metric))]
        if before is not None and after is not None
    ]
    label = known_metrics()[metric].label
    yield from _scattered(
        "before_after", f"Chosen and judged: {label}", "where it was chosen", "where it was judged", points
    )


def _top(contest: Contest, outcomes: Sequence[Outcome]) -> Iterator[Drawing]:
    traces = tuple(_line(contest, outcome) for outcome in outcomes)
    if traces:
        title = f"Equity of the first {len(traces)}" if len(traces) > 1 else "Equity"
        yield Drawing(key="top_equity", title=title, x_title="", y_title="PnL, %", traces=traces, is_time=True)


def _line(contest: Contest, outcome: Outcome) -> Trace:
    equity = daily_equity(outcome, contest)
    start = equity.values[0] if equity.is_money else STAKE
    gained = (100 * (equity.values / start - 1)).tolist()
    return Trace(name=outcome.contestant.name, x=equity.times_ms.tolist(), y=gained, is_line=True)


def _halves(contest: Contest, outcomes: Sequence[Outcome]) -> Iterator[Drawing]:
    points = []
    for outcome in outcomes:
        changes = daily_equity(outcome, contest).changes
        middle = len(changes) // 2
        before, after = (sharpe_ratio(part) for part in (changes[:middle], changes[middle:]))
        if middle >= LEAST_DAYS and before is not None and after is not None:
            points.append((outcome.contestant.name, before, after))
    if len(points) > 1:
        title, first, second = "Does it last? Sharpe ratio", "first half of the days", "second half"
        yield from _scattered("halves", title, first, second, points)


def _scattered(
    key: str, title: str, x_title: str, y_title: str, points: Sequence[tuple[str, float, float]]
) -> Iterator[Drawing]:
    if points:
        names, x, y = zip(*points, strict=True)
        trace = Trace(name="", x=x, y=y, texts=names)
        yield Drawing(key=key, title=title, x_title=x_title, y_title=y_title, traces=(trace,), has_diagonal=True)
