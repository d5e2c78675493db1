"""What the tests of a run tell: one plain line each, whether it withstands, then the figures.

* A test that the run does not withstand is a warning; what could not be tested says why.
* A run that lost has nothing to defend, and is told so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backtestkit_cli.measure.other_entries import DRAWS
from backtestkit_cli.measure.ranking import RESAMPLES
from backtestkit_cli.measure.resampled import SHUFFLES
from backtestkit_cli.measure.robust import LEVEL, Robustness, Test
from backtestkit_cli.measure.trust import Finding, counted
from backtestkit_cli.report.build import build
from backtestkit_cli.report.report import Chapter, Fact, Facts, Findings, Report, Section
from backtestkit_cli.report.robust_tables import side_percent, tables

DOUBLE = 2.0
NAMES: dict[Test, str] = {
    "order": "trades in another order",
    "days": "days drawn again",
    "entries": "random entries",
    "delay": "later entries",
    "costs": "other costs",
    "markets": "other markets",
}
HALF = 0.5


def robust_report(found: Robustness) -> Report:
    """Make the report."""
    base, verdicts = build(found.run), tuple(_verdicts(found))
    told = Section(key="verdicts", title="What it withstands", block=Findings(verdicts))
    kind = Fact(key="report", label="Report", value="robust", depth="record")
    status = Fact(key="tests", label="Tests", value=found.status)
    return replace(
        base,
        kind="robust",
        headline=_headline(found, verdicts),
        lead=replace(base.lead, warnings=sum(one.level == "warning" for one in verdicts)),
        head=Facts((kind, *base.head.facts, status)),
        overview=None,
        chapters=(Chapter(name="robust", sections=(told, *tables(found))),),
    )


def _headline(found: Robustness, verdicts: Sequence[Finding]) -> str:
    told = _result(found, verdicts)
    return f"interrupted: {told}" if found.status == "interrupted" else told


def _result(found: Robustness, verdicts: Sequence[Finding]) -> str:
    if found.pnl_percent <= 0:
        return "the run did not earn, so there is nothing that could withstand anything"
    failed = [NAMES[test] for test in NAMES for one in verdicts if _is_failed(one, test)]
    tested = sum(one.code not in ("robust-missing", "robust-interrupted") for one in verdicts)
    if not failed:
        return f"withstands {counted(tested, 'test')} of {tested}"
    return f"withstands {tested - len(failed)} of {counted(tested, 'test')}, but not: {', '.join(failed)}"


def _is_failed(verdict: Finding, test: Test) -> bool:
    return verdict.level == "warning" and verdict.code == f"robust-{test}"


# ---- verdicts


def _verdicts(found: Robustness) -> Iterator[Finding]:
    """One line for each test, in their order."""
    yield from _order(found)
    yield from _days(found)
    yield from _entries(found)
    yield from _delay(found)
    yield from _costs(found)
    yield from _markets(found)
    if found.run.balance is not None:
        text = "days, costs and markets are told in percent of the balance; order, entries and delay at equal stakes"
        yield Finding("info", "robust-stakes", text)
    for test, reason in found.reasons.items():
        yield Finding("info", "robust-missing", f"{NAMES[test]}: not tested, {reason}")
    if found.status == "interrupted":
        yield Finding("warning", "robust-interrupted", "interrupted: what is not told here was not tested")


def _verdict(code: str, test: Test, is_fine: bool, text: str) -> Finding:
    return Finding("info" if is_fine else "warning", code, f"{NAMES[test]}: {text}")


def _order(found: Robustness) -> Iterator[Finding]:
    if found.order is not None:
        text = (
            f"the deepest fall was {found.order.drawdown_percent:.2f} points; plan for "
            f"{found.order.spread.high:.2f}, which one of twenty of {SHUFFLES} orders reaches"
        )
        yield _verdict("robust-order", "order", found.order.share_deeper < 1 - LEVEL, text)


def _days(found: Robustness) -> Iterator[Finding]:
    if found.days is not None:
        spread = found.days.pnl_percent
        text = (
            f"between {spread.low:+.2f} and {spread.high:+.2f} % in nine of ten of {RESAMPLES} draws; "
            f"{100 * found.days.share_of_loss:.1f} % of them lose"
        )
        yield _verdict("robust-days", "days", found.days.share_of_loss <= LEVEL, text)


def _entries(found: Robustness) -> Iterator[Finding]:
    if found.entries:
        whole = found.entries[0]
        word = "better than" if whole.p_value <= LEVEL else "no better than"
        text = (
            f"the entries are {word} random ones with the same exits: {whole.pnl_percent:+.2f} % against "
            f"{whole.draws.middle:+.2f} % in the middle of {DRAWS} draws (p = {whole.p_value:.3f})"
        )
        yield _verdict("robust-entries", "entries", whole.p_value <= LEVEL, text)


def _delay(found: Robustness) -> Iterator[Finding]:
    if found.delays:
        told = ", ".join(f"{one.pnl_percent:+.2f} % at {one.minutes} min" for one in found.delays)
        gone = next((one.minutes for one in found.delays if one.pnl_percent <= 0), None)
        is_gone = gone is not None and found.pnl_percent > 0
        yield _verdict(
            "robust-delay", "delay", gone is None, f"nothing is left {gone} min later ({told})" if is_gone else told
        )


def _costs(found: Robustness) -> Iterator[Finding]:
    if found.costs and found.trades:
        double, even = next(one for one in found.costs if one.factor == DOUBLE), found.break_even
        if even is not None:
            limit = f"nothing is left at {even.factor:.2f} times the costs, {side_percent(even):.4f} % a side"
        else:
            limit = "no costs take it all" if double.pnl_percent > 0 else "nothing is left even without costs"
        yield _verdict(
            "robust-costs", "costs", double.pnl_percent > 0, f"{limit}; {double.pnl_percent:+.2f} % at twice the costs"
        )


def _markets(found: Robustness) -> Iterator[Finding]:
    if found.markets:
        won = sum(one.pnl_percent > 0 for one in found.markets)
        text = f"it gains in {won} of {len(found.markets)} markets made of the same minutes in other blocks of a day"
        yield _verdict("robust-markets", "markets", won > HALF * len(found.markets), text)
