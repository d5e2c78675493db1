"""How the life of a signal reads: the wait, the way to its levels, the minute that ended it, the percent in steps."""

from collections.abc import Iterator

from backtestkit_cli.measure.story import Ending, Life, Nearest
from backtestkit_cli.model.event import Cancelled, Closed, LevelReached, Opened
from backtestkit_cli.model.policy import FillPolicy
from backtestkit_cli.report.story_decision import profile_lines, size_line
from backtestkit_cli.report.story_words import clock, fact, headed, percent_text
from backtestkit_cli.report.text import price_text, text_of


def life_lines(life: Life, policy: FillPolicy) -> Iterator[str]:
    """What became of a signal."""
    yield from headed("What became of it?", _lines(life, policy))
    if life.closed is not None and life.ending is not None:
        yield from headed("How did it end?", _end(life.closed, life.ending))
        yield from headed("What did it bring?", _steps(life.closed, life.ending))


def _lines(life: Life, policy: FillPolicy) -> Iterator[str]:
    if life.scheduled is not None and life.wait_until_ms is not None:
        yield fact("Waited", f"from {clock(life.scheduled.time_ms)}, until {clock(life.wait_until_ms)} at the latest")
        if life.nearest_entry is not None:
            yield fact("Nearest", _entry(life.nearest_entry))
    for size in life.sizes:
        yield size_line(size)
    for one in life.profiles:
        yield from profile_lines(one)
    if life.cancelled is not None:
        yield from _cancelled(life.cancelled)
    if life.opened is not None:
        yield from _held(life, life.opened, policy)


def _entry(nearest: Nearest) -> str:
    touched = "beyond the limit" if nearest.percent <= 0 else "short of the limit"
    away = f"{percent_text(abs(nearest.percent), 2)} {touched}"
    return f"{price_text(nearest.price)} at {clock(nearest.time_ms)}, {away}"


def _cancelled(cancelled: Cancelled) -> Iterator[str]:
    price = "without a fresh price" if cancelled.price is None else f"the price was {price_text(cancelled.price)}"
    yield fact("Cancelled", f"{clock(cancelled.time_ms)}: {cancelled.reason.value}, {price}")


def _held(life: Life, opened: Opened, policy: FillPolicy) -> Iterator[str]:
    yield fact("Opened", f"{clock(opened.time_ms)} at {price_text(opened.signal.price_open)}")
    if life.closed is None:
        return
    yield fact("Held", f"{life.minutes} minutes, to {clock(life.closed.time_ms)}")
    tested = "" if policy.exit == "vwap" else " (levels are tested on high and low)"
    for label, nearest in (("To the profit", life.nearest_profit), ("To the stop", life.nearest_stop)):
        if nearest is not None:
            way = f"{percent_text(nearest.percent, 1)} of the way at {clock(nearest.time_ms)}"
            yield fact(label, f"{way}, VWAP {price_text(nearest.price)}{tested}")
    for side in ("profit", "loss"):
        reached = [one for one in life.levels if one.side == side]
        if reached:
            yield fact(f"{side.capitalize()} levels", _levels(reached))


def _levels(reached: list[LevelReached]) -> str:
    """Tens of percent of the way, each with its minute; three to a line."""
    texts = [f"{one.level} % {clock(one.time_ms)[5:]}" for one in reached]
    return "\n".join(
        "  ".join(f"{text:<17}" for text in texts[first : first + 3]).rstrip() for first in range(0, len(texts), 3)
    )


def _end(closed: Closed, ending: Ending) -> Iterator[str]:
    candle = ending.candle
    yield fact("Closed", f"{clock(closed.time_ms)} by {closed.reason.value}")
    yield fact("Its minute", f"{clock(candle.time)}, volume {candle.volume:.8g}")
    yield fact("", f"open {price_text(candle.open)}, high {price_text(candle.high)}")
    yield fact("", f"low {price_text(candle.low)}, close {price_text(candle.close)}, VWAP {price_text(ending.vwap)}")
    yield fact("Booked", f"{price_text(closed.price)}, {_counts(ending)}")
    if closed.ambiguous_minutes:
        at_stake = text_of(closed.profit_at_stake_percent, "signed", "%")
        yield fact("Doubt", f"the order of prices in a minute is not known; {at_stake} at stake")
    if closed.is_bridged:
        yield fact("Doubt", "it was entered or left in a minute that was filled in")


def _counts(ending: Ending) -> str:
    named = [f"{one.name} {price_text(one.price)}" for one in ending.counts]
    if len(named) == 1:
        return f"that is the {named[0].rpartition(' ')[0]}"
    return f"the {'worse' if len(named) == 2 else 'worst'} of\n{', '.join(named)}"


def _steps(closed: Closed, ending: Ending) -> Iterator[str]:
    steps, is_long = ending.steps, closed.signal.is_long
    slip = f"{steps.slippage_percent:g} %"
    entry_sign, exit_sign = ("+", "−") if is_long else ("−", "+")
    way = "(exit − entry) / entry" if is_long else "(entry − exit) / entry"
    yield _step(f"entry {price_text(steps.entry)} {entry_sign} {slip} slippage", price_text(steps.entry_with_slippage))
    yield _step(f"exit {price_text(steps.exit)} {exit_sign} {slip} slippage", price_text(steps.exit_with_slippage))
    yield _step(way, f"{steps.before_fees_percent:+.6f} %")
    yield _step(f"fees of both sides, 2 × {steps.fees_percent / 2:g} %", f"{-steps.fees_percent:+.6f} %")
    yield _step("net", f"{steps.pnl_percent:+.6f} %")
    if closed.pnl_quote is not None and closed.signal.quantity is not None:
        yield _step(f"of {closed.signal.quantity:.8g} × entry, in quote currency", f"{closed.pnl_quote:+.8g}")


def _step(what: str, figure: str) -> str:
    return f"  {what:<46}{figure:>18}"
