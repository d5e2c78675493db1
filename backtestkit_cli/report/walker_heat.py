"""The map of a metric over the two params that a strategy is varied by: one row per value of the first."""

from collections.abc import Iterator

from backtestkit_cli.measure.contest import Contest, Contestant, is_lower_better, known_metrics, value_of
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.report.report import Column, Section, Table, Value
from backtestkit_cli.report.text import clean, form_of


def heat_sections(contest: Contest) -> Iterator[Section]:
    """One map for each strategy that is varied by exactly two params."""
    for strategy in dict.fromkeys(one.strategy for one in contest.contestants):
        own = [one for one in contest.contestants if one.strategy == strategy]
        varied = [key for key, _ in own[0].params if len({repr(dict(one.params)[key]) for one in own}) > 1]
        if len(varied) == 2:
            label = known_metrics()[contest.metric].label
            title = f"Map of {clean(strategy)}: {label}"
            yield Section(key=f"heat_{strategy}", title=title, block=_table(contest, own, *varied))


def _table(contest: Contest, own: list[Contestant], down: str, across: str) -> Table:
    found = {one.contestant.name: value_of(one, contest.metric) for one in contest.outcomes}
    values = {(_at(one, down), _at(one, across)): found.get(one.name) for one in own}
    rows = list(dict.fromkeys(_at(one, down) for one in own))
    columns = list(dict.fromkeys(_at(one, across) for one in own))
    known = known_metrics()[contest.metric]
    form = form_of(Metric(key=known.key, label=known.label, value=1.0, is_signed=known.is_signed))
    return Table(
        (
            Column(key=down, label=down, values=[clean(row) for row in rows]),
            *(
                Column(
                    key=f"{across}={clean(column)}",
                    label=f"{across} {clean(column)}",
                    values=[values.get((row, column)) for row in rows],
                    form=form,
                )
                for column in columns
            ),
        ),
        heat="low" if is_lower_better(contest.metric) else "high",
    )


def _at(contestant: Contestant, param: str) -> str:
    value: Value = dict(contestant.params)[param]
    return str(value).lower() if isinstance(value, bool) else str(value)
