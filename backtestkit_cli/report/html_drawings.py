"""The drawings of a page: a place for each, and what a script draws in them, as plotly takes it."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from backtestkit_cli.report.charts import script_text
from backtestkit_cli.report.html_chapters import card_html
from backtestkit_cli.report.report import Drawing, Trace
from backtestkit_cli.report.text import clean

DIGITS = 6


def drawings_html(drawings: Sequence[Drawing]) -> Iterator[str]:
    """Write a place for each drawing."""
    for place, one in enumerate(drawings):
        inner = f'<div data-drawing="{place}"><noscript>The picture needs JavaScript.</noscript></div>'
        yield from card_html(clean(one.title), inner, "picture")


def drawings_data(drawings: Sequence[Drawing]) -> str:
    """Write what is drawn."""
    told = [_drawing(one) for one in drawings]
    return f'<script type="application/json" id="drawings">{script_text(told)}</script>'


def _drawing(drawing: Drawing) -> dict[str, Any]:
    traces = [_trace(one, is_time=drawing.is_time) for one in drawing.traces]
    ends = [value for one in drawing.traces for value in (*one.x, *one.y)]
    if drawing.has_diagonal:
        line = {"x": [min(ends), max(ends)], "y": [min(ends), max(ends)], "mode": "lines", "hoverinfo": "skip"}
        traces.insert(0, line)
    return {
        "traces": traces,
        "x_title": drawing.x_title,
        "y_title": drawing.y_title,
        "is_time": drawing.is_time,
    }


def _trace(trace: Trace, *, is_time: bool) -> dict[str, Any]:
    """Texts of plotly know some markup, so that those of users are escaped."""
    return {
        "name": escape(clean(trace.name)),
        "mode": "lines" if trace.is_line else "markers",
        "x": list(trace.x) if is_time else [round(one, DIGITS) for one in trace.x],
        "y": [round(one, DIGITS) for one in trace.y],
        **({"text": [escape(clean(one)) for one in trace.texts]} if trace.texts else {}),
    }
