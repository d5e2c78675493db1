"""The chapters of a page: tiles with the first figures, a place for the chart, and one card for each section.

Chapters of single streams are folded; a chart is drawn when its chapter is opened, so that many streams stay quick.
"""

from collections.abc import Iterator
from html import escape

from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.report.build import overview_columns
from backtestkit_cli.report.html_blocks import DEPTHS, block_html, heat_html, sparkline_svg, tone
from backtestkit_cli.report.report import Chapter, Curve, Measures, Section, Table
from backtestkit_cli.report.text import chapter_text, form_of, metric_text

WIDE_COLUMNS, LONG_ROWS = 6, 16
"""From here on a table takes the whole width, or scrolls."""


def tiles_html(chapter: Chapter) -> Iterator[str]:
    """Write the figures of the overview, large; nothing without a trade."""
    known = _metrics(chapter)
    keys = [key for key, *_ in overview_columns(is_money="pnl_quote" in known)]
    chosen = [known[key] for key in keys if key in known and known[key].value is not None]
    if "trades" in known and known["trades"].value:
        yield f'<dl class="tiles">{"".join(map(_tile, chosen))}</dl>'


def _tile(metric: Metric) -> str:
    value = f'<dd class="{tone(metric.value, form_of(metric))}">{escape(metric_text(metric))}</dd>'
    return f"<div><dt>{escape(metric.label)}</dt>{value}</div>"


def chapter_html(chapter: Chapter, place: int, *, heading: str | None, has_chart: bool) -> Iterator[str]:
    """Write the chart and the sections of a chapter; `place` is its number in the report."""
    if heading:
        yield f"<h2>{escape(heading)}</h2>"
    if has_chart and any(isinstance(section.block, Curve) for section in chapter.sections):
        yield f'<figure class="chart" data-chapter="{place}"><noscript>The charts need JavaScript.</noscript></figure>'
    yield '<div class="cards">'
    for section in chapter.sections:
        if section.depth in DEPTHS and not isinstance(section.block, Curve):
            yield from _section(section)
    yield "</div>"


def folded_html(chapter: Chapter, place: int, *, has_chart: bool) -> Iterator[str]:
    """Write a chapter that opens when it is wanted; its head says what came of it."""
    curves = (section.block for section in chapter.sections if section.depth in DEPTHS)
    drawn = "".join(sparkline_svg(block.values) for block in curves if isinstance(block, Curve))
    yield f'<details class="chapter" id="stream-{place}">'
    yield f'<summary><span class="name">{escape(chapter_text(chapter))}</span>{drawn}{_made(chapter)}</summary>'
    yield from chapter_html(chapter, place, heading=None, has_chart=has_chart)
    yield "</details>"


def card_html(head: str, inner: str, kind: str = "") -> Iterator[str]:
    """Write one headed part; of the kinds `wide` takes the whole width, and `long` scrolls."""
    yield f'<section class="{f"card {kind}".strip()}">\n<h3>{escape(head)}</h3>\n{inner}\n</section>'


def _metrics(chapter: Chapter) -> dict[str, Metric]:
    blocks = [section.block for section in chapter.sections if section.key == "metrics"]
    return {metric.key: metric for block in blocks if isinstance(block, Measures) for metric in block.metrics}


def _made(chapter: Chapter) -> str:
    known = _metrics(chapter)
    pnl, trades = known.get("return_percent", known.get("pnl_percent")), known.get("trades")
    if pnl is None or trades is None:
        return ""
    if not trades.value:
        return '<span class="count">no trade</span>'
    made = f'<span class="pnl {tone(pnl.value, "signed")}">{escape(metric_text(pnl))}</span>'
    return f'{made}<span class="count">{escape(counted(int(trades.value), "trade"))}</span>'


def _section(section: Section) -> Iterator[str]:
    block = section.block
    match block:
        case Table() if section.key == "months":
            yield from card_html(section.title, heat_html(block), "wide")
        case Table():
            columns = sum(column.depth in DEPTHS for column in block.columns)
            kind = ("wide " if columns >= WIDE_COLUMNS or block.heat else "") + (
                "long" if len(block) >= LONG_ROWS else ""
            )
            yield from card_html(section.title, block_html(block), kind.strip())
        case Measures():
            yield from card_html(section.title, block_html(block), "wide")
        case _:
            yield from card_html(section.title, block_html(block))
