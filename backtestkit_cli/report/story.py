"""The story of an instant as text for people, at most 80 columns where texts of users allow it.

Figures have eight significant digits; the JSON document has them in full.
"""

from collections.abc import Iterator, Sequence

from backtestkit_cli.measure.story import Held, Story
from backtestkit_cli.model.event import Cancelled, Closed, Opened
from backtestkit_cli.report.story_decision import decision_lines, price_lines
from backtestkit_cli.report.story_life import life_lines
from backtestkit_cli.report.story_words import WIDTH, clock, fact, headed, wrapped
from backtestkit_cli.report.text import clean, price_text, text_of


def stories_text(stories: Sequence[Story]) -> str:
    """One story in full, or several in one line each."""
    if len(stories) == 1:
        return story_text(stories[0])
    lines = [f"{len(stories)} streams at {clock(stories[0].asked_ms)} UTC, run {stories[0].run_id}", ""]
    for story in stories:
        lines += [f"{clean(story.strategy)} on {clean(story.symbol)}"]
        lines += [f"  {line}" for line in wrapped(headline(story), WIDTH - 2)]
        lines += _warning(story)
    return "\n".join([*lines, "", "For the whole story of one: --strategy NAME --symbol NAME"])


def story_text(story: Story) -> str:
    """One story in full."""
    return "\n".join(_lines(story)).rstrip()


def _lines(story: Story) -> Iterator[str]:
    yield f"{clean(story.strategy)} on {clean(story.symbol)} at {clock(story.asked_ms)} UTC"
    yield from wrapped(headline(story))
    yield f"Run {story.run_id}, fill policy {story.policy.name}"
    yield from _warning(story)
    yield from headed("Was it asked?", _gates(story))
    if story.decision is not None:
        yield from decision_lines(story.decision, story.form)
    if story.life is not None:
        yield from life_lines(story.life, story.policy)


def _warning(story: Story) -> Iterator[str]:
    if story.difference:
        yield f"! Done again, this stream is not what the run stored ({clean(story.difference)}):"
        yield "! the figures here are not those of the run. `backtestkit run verify` says why."


def headline(story: Story) -> str:
    """What happened at the instant, in one line."""
    decision = story.decision
    if decision is None:
        return _without_decision(story)
    match decision.gate:
        case "stopped":
            return "not asked: the stream was stopped"
        case "busy":
            return f"not asked: {_holding(story.held)}"
        case "no_price":
            return "not asked: no fresh price, the minute before has no candle"
        case "warm_up":
            return "no decision: not enough candles since the start of history"
        case "ambiguous":
            return "no draft: long and short fired at once"
        case "no_draft":
            return "no draft: it was asked and wanted nothing"
        case "errors":
            return f"no draft: the call failed: {clean(decision.failure)}"
        case "invalid":
            return f"a draft that is not valid: {', '.join(decision.broken_rules)}"
        case "no_quantity":
            told_size = decision.sizes[-1] if decision.sizes else None
            return f"a signal without a quantity: {clean(told_size.why or str(told_size.rule)) if told_size else ''}"
        case "risk":
            told = decision.profiles[-1]
            return f"a signal that the risk profile {clean(told.profile)} refused: {told.rule}"
        case _:
            return _signalled(story)


def _without_decision(story: Story) -> str:
    if story.asked_ms >= story.data_end_ms:
        return f"no decision: the candles of the run end at {clock(story.data_end_ms)}"
    if not story.start_ms <= story.asked_ms < story.end_ms:
        held = f"; {_holding(story.held)}" if story.held else ""
        return f"no decision: outside the frame{held}"
    return f"no decision time; {_holding(story.held)}"


def _signalled(story: Story) -> str:
    life, signal = story.life, story.decision.signal if story.decision else None
    if life is None or signal is None:
        return f"no signal: {story.decision.gate.replace('_', ' ') if story.decision else ''}"
    entry = price_text(signal.price_open)
    made = f"opened a {signal.position.value} at {entry}"
    if life.scheduled is not None:
        made = f"a limit entry, {signal.position.value} at {entry}"
    if life.closed is not None:
        pnl = text_of(life.closed.pnl_percent, "signed", "%")
        return f"{made}; closed {clock(life.closed.time_ms)} by {life.closed.reason.value}, {pnl} net"
    if life.cancelled is not None:
        return f"{made}; cancelled {clock(life.cancelled.time_ms)}: {life.cancelled.reason.value}"
    return made


def _holding(held: Held | None) -> str:
    if held is None:
        return "nothing was held, nothing waited"
    kind = "a limit entry waited, " if held.is_waiting else "held "
    return f"{kind}{held.signal.position.value} since {clock(held.since_ms)}"


def _gates(story: Story) -> Iterator[str]:
    grid = "yes" if story.is_decision_time else "no"
    yield fact("Decision time", f"{grid}, asked every {story.interval} UTC{_neighbours(story)}")
    yield fact("Frame", f"{clock(story.start_ms)} .. {clock(story.end_ms)}\ncandles to {clock(story.data_end_ms)}")
    yield fact(
        "Free", "yes, nothing was held and nothing waited" if story.held is None else f"no, {_holding(story.held)}"
    )
    if story.held is not None:
        yield fact("", f"id {clean(story.held.signal.id)}")
        yield fact("", _entry_of(story.held))
        yield fact("", _ended(story.held.ended))
    yield from price_lines(story.price)


def _neighbours(story: Story) -> str:
    if story.is_decision_time:
        return ""
    before = f"before {clock(story.grid_before_ms)}" if story.grid_before_ms is not None else ""
    after = f"after {clock(story.grid_after_ms)}" if story.grid_after_ms is not None else ""
    return f"\nnearest: {', '.join(filter(None, (before, after)))}" if before or after else ""


def _entry_of(held: Held) -> str:
    signal = held.signal
    levels = f"take profit {price_text(signal.price_take_profit)}, stop {price_text(signal.price_stop_loss)}"
    return f"entry {price_text(signal.price_open)}, {levels}"


def _ended(event: Opened | Closed | Cancelled | None) -> str:
    match event:
        case Opened():
            return f"until it was opened at {clock(event.time_ms)}"
        case Closed():
            return f"until it was closed at {clock(event.time_ms)} by {event.reason.value}"
        case Cancelled():
            return f"until it was cancelled at {clock(event.time_ms)}: {event.reason.value}"
        case None:
            return "to the end"
