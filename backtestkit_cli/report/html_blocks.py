"""The blocks of a report as HTML: facts, figures, tables, findings, the months as a map of heat.

Every text goes through `text.text_of` and is escaped here; values read as in every other writer.
"""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, TypeAlias, assert_never

from backtestkit_cli.measure.trust import Finding
from backtestkit_cli.report.report import Block, Column, Curve, Depth, Facts, Findings, Form, Measures, Table, Value
from backtestkit_cli.report.text import (
    cell_text,
    clean,
    curve_text,
    fact_text,
    form_of,
    head_text,
    metric_text,
    reasons_text,
    text_of,
)

DEPTHS: tuple[Depth, ...] = ("summary", "full")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HEAT_LEVELS = 5
SPARK_WIDTH, SPARK_HEIGHT = 120, 24
ROUNDS_TO_ZERO = 0.005

Months: TypeAlias = dict[str, tuple[float, float]]
"""PnL and equity at the end by the name of the month, `2023-03`."""


def block_html(block: Block) -> str:
    """Write one block."""
    match block:
        case Facts():
            return _facts(block)
        case Measures():
            return _measures(block)
        case Table():
            return table_html(block)
        case Findings():
            found = "".join(map(finding_html, block.findings)) or '<li class="info">nothing to warn of</li>'
            return f'<ul class="findings">{found}</ul>'
        case Curve():
            return f"<p>{escape(curve_text(block.values))}</p>"
        case _:
            assert_never(block)


def finding_html(finding: Finding) -> str:
    """Write a finding as an item of a list."""
    return f'<li class="{finding.level}">{escape(clean(finding.text))}</li>'


def tone(value: Value, form: Form) -> str:
    """The class of a signed value: `gain`, `loss`, or none when it rounds to zero."""
    if form != "signed" or not isinstance(value, (int, float)) or abs(value) < ROUNDS_TO_ZERO:
        return ""
    return "gain" if value > 0 else "loss"


def table_html(table: Table, *, link: str | None = None) -> str:
    """Write a table; with `link` each row but a total leads to the part of the page of that name and its number."""
    columns = [column for column in table.columns if column.depth in DEPTHS]
    head = "".join(_head(column) for column in columns)
    levels = _levels(table) if table.heat else {}
    cells = [[_cell(column, value, levels.get(value)) for value in column.values] for column in columns]
    if link:
        cells[0][: len(table) - table.has_total] = [
            f'<td><a href="#{link}{row}">{escape(text_of(value))}</a></td>'
            for row, value in enumerate(columns[0].values[: len(table) - table.has_total], start=1)
        ]
    rows = [f"<tr>{''.join(row)}</tr>" for row in zip(*cells, strict=True)]
    foot = f"<tfoot>{rows.pop()}</tfoot>" if table.has_total and rows else ""
    body = "\n".join(rows)
    kind = ' class="heat"' if table.heat else ""
    grid = f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{foot}</table>"
    return f'<div class="scroll" tabindex="0">{grid}</div>'


def heat_html(table: Table) -> str:
    """Write months as a map of years and months: PnL, deeper in colour the more it was, and the equity at its end."""
    columns: dict[str, Sequence[Any]] = {column.key: column.values for column in table.columns}
    rows = zip(columns["month"], columns["pnl_percent"], columns["equity"], strict=True)
    found: Months = {month: (pnl, equity) for month, pnl, equity in rows}
    most = max((abs(pnl) for pnl, _ in found.values()), default=0.0)
    years = sorted({month[:4] for month in found})
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", *MONTHS))
    body = "".join(f'<tr><th scope="row">{year}</th>{"".join(_heat_cells(year, found, most))}</tr>' for year in years)
    grid = f'<div class="scroll"><table class="heat"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return f'{grid}\n<p class="note">PnL of the month in %, under it the equity at its end.</p>'


def sparkline_svg(values: Sequence[float]) -> str:
    """Draw a curve from its lowest to its highest value, with a line at zero."""
    low, high = min(values), max(values)
    height = (high - low) or 1.0

    def y(value: float) -> str:
        return f"{SPARK_HEIGHT - 2 - (value - low) / height * (SPARK_HEIGHT - 4):.1f}"

    step = SPARK_WIDTH / max(1, len(values) - 1)
    points = " ".join(f"{place * step:.1f},{y(value)}" for place, value in enumerate(values))
    zero = f'<path class="zero" d="M0 {y(0.0)}H{SPARK_WIDTH}"/>'
    size = f'viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}"'
    return f'<svg class="spark" {size} aria-hidden="true">{zero}<polyline points="{points}"/></svg>'


def _heat_cells(year: str, found: Months, most: float) -> Iterator[str]:
    for month in range(1, len(MONTHS) + 1):
        pnl, equity = found.get(f"{year}-{month:02d}", (None, None))
        if pnl is None:
            yield "<td></td>"
            continue
        level = round(abs(pnl) / most * HEAT_LEVELS) if most else 0
        kind = f"{tone(pnl, 'signed')} heat-{level}".strip()
        yield f'<td class="{kind}">{text_of(pnl, "signed")}<small>{text_of(equity, "number")}</small></td>'


def _facts(facts: Facts) -> str:
    shown = [fact for fact in facts.facts if fact.depth in DEPTHS]
    kind = ' class="n"' if all(fact.form == "count" for fact in shown) else ""
    rows = (
        f'<tr><th scope="row" class="in-{fact.indent}">{escape(clean(fact.label))}</th>'
        f"<td{kind}>{escape(fact_text(fact))}</td></tr>"
        for fact in shown
    )
    return f'<div class="scroll"><table class="facts"><tbody>{"".join(rows)}</tbody></table></div>'


def _measures(measures: Measures) -> str:
    rows = []
    for metric in measures.metrics:
        if metric.value is not None:
            value = f'<dd class="{tone(metric.value, form_of(metric))}">{escape(metric_text(metric))}</dd>'
            rows.append(f"<div><dt>{escape(metric.label)}</dt>{value}</div>")
    missing = reasons_text(measures.metrics)
    note = f'\n<p class="note">{escape(missing)}</p>' if missing else ""
    return f'<dl class="figures">{"".join(rows)}</dl>{note}'


def _head(column: Column) -> str:
    kind = "" if column.is_left else ' class="n"'
    return f'<th scope="col"{kind}>{escape(head_text(column))}</th>'


def _levels(table: Table) -> dict[Value, int]:
    """How deep in colour each value of a map is: from the worst, which has none, to the best."""
    found = {value for column in table.columns for value in column.values if isinstance(value, float | int)}
    low, high = min(found, default=0.0), max(found, default=0.0)
    width = (high - low) or 1.0
    return {one: round(HEAT_LEVELS * (one - low if table.heat == "high" else high - one) / width) for one in found}


def _cell(column: Column, value: Value, level: int | None = None) -> str:
    colour = tone(value, column.form) if level is None else f"gain heat-{level}"
    kinds = " ".join(filter(None, ("" if column.is_left else "n", colour)))
    kind = f' class="{kinds}"' if kinds else ""
    return f"<td{kind}>{escape(cell_text(column, value))}</td>"
