"""How values read: the same digits, signs and units in every writer for people.

Percents and hours have two digits, prices at least eight significant ones; a value that rounds to zero has no sign.
Texts of users lose their control characters, also those that turn the direction of writing.
"""

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.model.time import iso
from backtestkit_cli.report.report import Chapter, Column, Fact, Form, Lead, Report, Value

MISSING = "N/A"
BLOCKS = "▁▂▃▄▅▆▇█"
PRICE_DIGITS = 8
LARGEST_PLAIN = 1e15
KIND_TITLES = {
    "live": "Live session",
    "heat": "Heat map",
    "schedule": "Limit entries",
    "partial": "Levels",
    "risk": "Risk refusals",
    "performance": "Performance",
    "walker": "Comparison",
    "robust": "Robustness",
    "optimizer": "Search",
}

_WITHOUT_SIGN = {"+0.00": "0.00", "-0.00": "0.00"}
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))


def clean(text: str) -> str:
    """Make one printable line of any text: blanks for control characters, `?` for lone halves of characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if category == "Cs":
            kept.append("?")
        elif category not in _UNSEEN:
            kept.append(char)
        elif category != "Cf":
            kept.append(" ")
    return " ".join("".join(kept).split())


def text_of(value: Value, form: Form = "text", unit: str = "") -> str:
    """Write one value, with its unit where one is given."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, tuple):
        return ", ".join(clean(one) for one in value)
    if isinstance(value, str):
        return clean(value)
    written = WRITERS[form](value)
    return f"{written} {unit}" if unit else written


def cell_text(column: Column, value: Value) -> str:
    """Write one cell of a column, without its unit, which stands in the head."""
    if not column.format or not isinstance(value, int | float) or not math.isfinite(value):
        return text_of(value, column.form)
    written = f"{value:{column.format}}"
    return written if any(digit in written for digit in "123456789") else written.lstrip("+-")


def head_text(column: Column) -> str:
    """Write the head of a column."""
    return clean(f"{column.label} {column.unit}")


def time_text(text: str) -> str:
    """Write an ISO time for people."""
    return text.replace("T", " ").removesuffix("Z")


def _decimals(value: float) -> str:
    written = f"{value:.6g}" if abs(value) >= LARGEST_PLAIN else f"{value:.2f}"
    return _WITHOUT_SIGN.get(written, written)


def _signed(value: float) -> str:
    written = f"{value:.6g}" if abs(value) >= LARGEST_PLAIN else f"{value:+.2f}"
    return _WITHOUT_SIGN.get(written, written)


def price_text(price: float) -> str:
    """Write a price with eight significant digits, at least two of them behind the point."""
    if not price or abs(price) >= LARGEST_PLAIN:
        return f"{price:.6g}"
    return f"{price:.{max(2, PRICE_DIGITS - 1 - math.floor(math.log10(abs(price))))}f}"


WRITERS: Mapping[Form, Callable[[float], str]] = {
    "time": lambda value: time_text(iso(int(value))),
    "truth": lambda value: "yes" if value else "",
    "count": lambda value: str(int(value)),
    "price": price_text,
    "signed": _signed,
    "number": _decimals,
    "text": _decimals,
}


def form_of(metric: Metric) -> Form:
    """How a metric is written."""
    if metric.is_signed:
        return "signed"
    return "count" if isinstance(metric.value, int) else "number"


def metric_text(metric: Metric) -> str:
    """Write a metric's value with its unit; counts go without, their label says what they count."""
    form = form_of(metric)
    return text_of(metric.value, form, "" if form == "count" else metric.unit)


def reasons_text(metrics: Sequence[Metric]) -> str:
    """Say which metrics have no value, and why; empty when all have one."""
    missing: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.reason:
            missing.setdefault(metric.reason, []).append(metric.label)
    told = "; ".join(f"{reason} ({', '.join(labels)})" for reason, labels in missing.items())
    return f"N/A: {told}" if told else ""


def fact_text(fact: Fact) -> str:
    """Write a fact's value with its unit."""
    return text_of(fact.value, fact.form, fact.unit)


def title(report: Report) -> str:
    """Name a report: what it is of."""
    joint = " of " if report.strategies else ", "
    return f"{kind_text(report)}{joint}{subject_text(report)}"


def kind_text(report: Report) -> str:
    """Name what kind of report it is."""
    return KIND_TITLES.get(report.kind, report.kind.capitalize())


def subject_text(report: Report) -> str:
    """Say what a report is of."""
    if not report.strategies:
        return "interrupted before its first result"
    return f"{_listed(report.strategies)} on {_listed(report.symbols)}"


def chapter_text(chapter: Chapter) -> str:
    """Name a chapter: the stream, the strategy, or all together."""
    if chapter.name:
        return f"The {chapter.name}"
    if chapter.strategy is None:
        return "All streams together"
    strategy = clean(chapter.strategy)
    return strategy if chapter.symbol is None else f"{strategy} on {clean(chapter.symbol)}"


def _listed(names: tuple[str, ...]) -> str:
    cleaned = [clean(name) for name in names]
    return ", ".join(cleaned) if len(cleaned) <= 3 else f"{', '.join(cleaned[:2])} and {len(cleaned) - 2} more"


def made_text(lead: Lead) -> str:
    """Say what came of it."""
    if lead.is_undecided:
        return "no result to choose"
    return f"{lead.of}: {_made_text(lead)}" if lead.of else _made_text(lead)


def _made_text(lead: Lead) -> str:
    spread = f"{lead.streams} streams" if lead.streams > 1 else ""
    if not lead.trades:
        return f"no trade in {spread}" if spread else "no trade"
    if lead.balance is not None:
        balance, made = text_of(lead.balance, "number"), text_of(lead.pnl_quote, "signed")
        percent = text_of(lead.return_percent, "signed", "%")
        told = f"{made} net on a balance of {balance} ({percent}) in {counted(lead.trades, 'trade')}"
        return f"{told} of {spread}" if spread else told
    made = f"{text_of(lead.pnl_percent, 'signed', '%')} net in {counted(lead.trades, 'trade')}"
    return f"{made} of {spread}, one stake each" if spread else made


def held_text(lead: Lead) -> str:
    """Say what buy and hold would have brought, and how far the result is from it."""
    if lead.hold_percent is None:
        return "buy and hold was not measured" if lead.is_undecided else "buy and hold unknown: no price in the range"
    held = text_of(lead.hold_percent, "signed", "%")
    if not lead.trades or not lead.is_comparable:
        return f"buy and hold {held}"
    points = lead.made_percent - lead.hold_percent
    distance = text_of(abs(points), "number")
    if distance == "0.00":
        return f"level with buy and hold ({held})"
    return f"{distance} points {'ahead of' if points > 0 else 'behind'} buy and hold ({held})"


def doubts_text(lead: Lead) -> str:
    """Say how far to trust it, in a few words."""
    told = ["interrupted: only finished streams"] if lead.is_interrupted else []
    told += ["optimistic fills"] if lead.is_optimistic else []
    told += [counted(lead.warnings, "warning") if lead.warnings else "no warnings"]
    return ", ".join(told)


def sparkline(values: tuple[float, ...]) -> str:
    """Draw a curve in one line of blocks, from its lowest to its highest value."""
    low, high = min(values), max(values)
    if high - low <= 0:
        return BLOCKS[0] * len(values)
    return "".join(BLOCKS[round((value - low) / (high - low) * (len(BLOCKS) - 1))] for value in values)


def curve_text(values: tuple[float, ...]) -> str:
    """Say where a curve went."""
    low, high, end = (text_of(value, "signed", "%") for value in (min(values), max(values), values[-1]))
    return f"lowest {low}, highest {high}, end {end}"
