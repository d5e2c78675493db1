"""The report as one HTML file that needs nothing else: text first, then charts to zoom into, then every table.

* Nothing is requested from anywhere, and a content security policy forbids it: only the scripts of the page run.
* The script that draws is taken from the installed plotly; the text and the tables are there without it.
* Texts of users are cleaned and escaped, in elements, in attributes and in what the charts are drawn from.
* The same run and the same plotly give the same bytes.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from backtestkit_cli.engine.result import ColumnChoice
from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.report.charts import charts_json
from backtestkit_cli.report.columns import with_choices
from backtestkit_cli.report.dump import read_report
from backtestkit_cli.report.from_json import report_from
from backtestkit_cli.report.html_blocks import block_html, finding_html, table_html, tone
from backtestkit_cli.report.html_chapters import card_html, chapter_html, folded_html, tiles_html
from backtestkit_cli.report.html_drawings import drawings_data, drawings_html
from backtestkit_cli.report.pictures import Pictures, read_pictures
from backtestkit_cli.report.report import Findings, Report
from backtestkit_cli.report.stored import RUN_FILE, read_record
from backtestkit_cli.report.text import (
    chapter_text,
    clean,
    doubts_text,
    held_text,
    kind_text,
    made_text,
    subject_text,
    title,
)

NOT_STORED = "Candles are not stored with this run: it is older than its charts. Run the backtest again to see them."

NOT_DRAWN = "Its pictures need plotly: pip install &#x27;backtestkit-cli[charts]&#x27;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """What charts are drawn from, and the script that draws: the text of plotly.js."""

    pictures: Pictures
    script: str


def stored_page(bundle: Path) -> str:
    """Write the page of a stored run from what its bundle keeps.

    Raises:
        UsageError: plotly is not installed, or the bundle keeps no JSON report.
        DataError: the bundle is damaged.
    """
    script = plotly_script()
    report = with_choices(report_from(read_report(bundle, "json")), "trades", _choices(bundle))
    return page(report, Charts(pictures=read_pictures(bundle), script=script))


def _choices(bundle: Path) -> Sequence[ColumnChoice]:
    """The columns of trades that were chosen; runs of older versions keep none."""
    return read_record(bundle).run.columns.get("backtest", ()) if (bundle / RUN_FILE).is_file() else ()


def page(report: Report, charts: Charts | None = None) -> str:
    """Write the page of any report; one of a backtest can have charts. Drawings are left out without plotly."""
    plotly = charts.script if charts else _plotly_or_none() if report.drawings else None
    is_drawn = plotly is not None and bool(report.drawings)
    own = [_asset("page.js"), *([_asset("drawings.js")] if is_drawn else [])]
    scripts = [*([] if plotly is None else [plotly]), *own]
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title(report))}</title>\n<style>\n{_asset('page.css')}</style>\n</head>\n<body>\n<main>",
        *_body(report, charts, is_drawn=is_drawn),
        "</main>",
        *([_data(report, charts.pictures)] if charts else []),
        *([drawings_data(report.drawings)] if is_drawn else []),
        *(f"<script>{script}</script>" for script in scripts),
        "</body>\n</html>\n",
    )
    return "\n".join(parts)


def _plotly_or_none() -> str | None:
    try:
        return plotly_script()
    except UsageError:
        return None


def plotly_script() -> str:
    """Read plotly.js from the installed package.

    Raises:
        UsageError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise UsageError(
            Problem(
                code="plotly-missing",
                what="plotly, which draws the charts of an HTML report, cannot be imported",
                found=str(error),
                hint="install it with: pip install 'backtestkit-cli[charts]'",
            )
        ) from None
    script: str = get_plotlyjs()
    return script


def _asset(name: str) -> str:
    return files("backtestkit_cli.report").joinpath(name).read_text(encoding="utf-8")


def _data(report: Report, pictures: Pictures) -> str:
    return f'<script type="application/json" id="pictures">{charts_json(report, pictures)}</script>'


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"


def _body(report: Report, charts: Charts | None, *, is_drawn: bool) -> Iterator[str]:
    yield from _lead(report)
    if report.overview is not None:
        yield from card_html("Side by side", table_html(report.overview, link="stream-"), "wide")
    if charts and not charts.pictures.candles and report.lead.streams:
        yield f'<p class="note">{NOT_STORED}</p>'
    several = len(report.chapters) > 1
    for place, chapter in enumerate(report.chapters):
        if place:
            yield from folded_html(chapter, place, has_chart=charts is not None)
        else:
            heading = chapter_text(chapter) if several else None
            yield from chapter_html(chapter, place, heading=heading, has_chart=charts is not None)
            yield from drawings_html(report.drawings if is_drawn else ())
            if report.drawings and not is_drawn:
                yield f'<p class="note">{NOT_DRAWN}</p>'
    yield from card_html("The run", block_html(report.head), "wide")
    run = escape(clean(report.run_id))
    yield f"<footer>backtestkit · run {run} · times are UTC, percents are net of costs</footer>"


def _lead(report: Report) -> Iterator[str]:
    lead = report.lead
    yield f'<header>\n<p class="kind">{escape(kind_text(report))}</p>\n<h1>{escape(subject_text(report))}</h1>'
    facts = {fact.key: clean(str(fact.value)) for fact in report.head.facts}
    told = (facts[key] for key in ("range", "exchange", "fill_policy") if facts.get(key))
    yield f'<p class="under">{escape(" · ".join(told))}</p>'
    if report.headline:
        yield f'<p class="under">{escape(clean(report.headline))}</p>'
    yield f'<p class="made {tone(lead.made_percent, "signed")}">{escape(made_text(lead))}</p>'
    yield f'<p class="held">{escape(held_text(lead))}</p>'
    yield f'<p class="doubts">{escape(doubts_text(lead))}</p>'
    first = report.chapters[:1]
    found = (section.block.findings for one in first for section in one.sections if isinstance(section.block, Findings))
    warnings = [finding for findings in found for finding in findings if finding.level == "warning"]
    if warnings:
        yield f'<ul class="warnings">{"".join(map(finding_html, warnings))}</ul>'
    yield "</header>"
    for chapter in first:
        yield from tiles_html(chapter)
