"""How a decision reads, gate by gate: price, history, what the strategy saw and said, validation, risk."""

from collections.abc import Iterator

from backtestkit_cli.engine.decide import Answer, Failed, NoDraft, Unusable
from backtestkit_cli.engine.rules.sight import Seen, SeenPart, SeenRules
from backtestkit_cli.engine.step import Entry
from backtestkit_cli.engine.validation import Figure
from backtestkit_cli.measure.story import Decision, PriceSeen, ProfileSeen, SizeSeen
from backtestkit_cli.measure.trust import counted
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.report.story_words import clock, fact, headed, percent_text, value_text
from backtestkit_cli.report.text import clean, price_text

SHOWN_MINUTES = 10
RULE_WIDTH = 44


def price_lines(price: PriceSeen | None) -> Iterator[str]:
    """The price with the minutes it is made from."""
    if price is None:
        yield fact("Fresh price", "no, there is no candle of the minute before")
        return
    made = "VWAP" if sum(candle.volume for candle in price.window) else "mean of closes (no volume)"
    bridged = ", its minute was filled in" if price.is_bridged else ""
    yield fact("Fresh price", f"{price_text(price.vwap)}, {made} of {len(price.window)} minutes{bridged}")
    yield fact("", f"{'minute':<18}{'(h + l + c) / 3':>16}{'volume':>14}")
    shown = price.window[-SHOWN_MINUTES:]
    if len(shown) < len(price.window):
        yield fact("", f"{len(price.window) - len(shown)} earlier minutes")
    for candle in shown:
        yield fact("", f"{clock(candle.time):<18}{price_text(typical(candle)):>16}{candle.volume:>14.8g}")
    yield fact("", f"last close {price_text(price.close)}")


def typical(candle: Candle) -> float:
    """The price that stands for a minute in the VWAP."""
    return (candle.high + candle.low + candle.close) / 3


def decision_lines(decision: Decision, form: str) -> Iterator[str]:
    """The gates of a decision, as far as it came."""
    if decision.answer is not None:
        yield from headed("What did it see?", _seen(decision, form))
        yield from headed("What did it say?", _said(decision))
    yield from headed("Is the draft valid?", _validation(decision.figures))
    yield from headed("How large?", (size_line(one) for one in decision.sizes))
    yield from headed("What did risk say?", (line for one in decision.profiles for line in profile_lines(one)))


def _seen(decision: Decision, form: str) -> Iterator[str]:
    settled = "; shorter than its indicators need to settle" if decision.is_short_history else ""
    yield fact("History", f"since {clock(decision.history_ms)}{settled}")
    if decision.rules is not None:
        yield from _rules(decision.rules)
    elif form == "rules":
        yield fact("Row", "none of its candles closes at this time, so it says nothing")


def _rules(rules: SeenRules) -> Iterator[str]:
    needed = f"decides after {_span(rules.needed_minutes)}, settled after {_span(rules.settled_minutes)}"
    yield fact("", needed)
    if not rules.is_there:
        yield fact("Row", f"there is no candle that closes at {clock(rules.row_ms)}")
        return
    yield fact("Row", f"{'':<{RULE_WIDTH - 16}}{clock(rules.before_ms)[-5:]:>16}{clock(rules.row_ms)[-5:]:>16}")
    for one in rules.lets:
        yield _values(one, "  ")
    for side, whole in rules.conditions.items():
        yield fact(f"{side} if", clean(whole.text))
        yield _values(Seen(text=f"{side}:", now=whole.now, before=whole.before), "  ")
        for part in rules.parts[side]:
            yield from _part(part)
    for name, seen in rules.levels.items():
        for one in seen:
            text = f"{name}: {one.text}"
            is_percent = one.text.endswith("%")
            yield f"  {clean(text)}" if is_percent else _values(Seen(text=text, now=one.now, before=one.before), "  ")


def _part(part: SeenPart) -> Iterator[str]:
    yield _values(part.whole, "    ")
    for side in part.sides:
        if not side.text.replace(".", "").isdigit():
            yield _values(side, "      ")


def _values(seen: Seen, indent: str) -> str:
    """An expression with its value in the row before and in this one."""
    head, figures = f"{indent}{clean(seen.text)}", f"{value_text(seen.before):>16}{value_text(seen.now):>16}"
    return f"{head:<{RULE_WIDTH}}{figures}" if len(head) < RULE_WIDTH else f"{head}\n{'':<{RULE_WIDTH}}{figures}"


def _span(minutes: int) -> str:
    return (
        f"{minutes / 1440:.3g} d" if minutes >= 1440 else f"{minutes / 60:.3g} h" if minutes >= 60 else f"{minutes} min"
    )


def _said(decision: Decision) -> Iterator[str]:
    yield fact("Answer", answer_text(decision.answer))
    draft, entry = decision.answer, decision.entry
    if isinstance(draft, SignalDraft) and entry is not None:
        given = "" if draft.price_open is None else f" (asked for {price_text(draft.price_open)})"
        yield fact("Entry", f"{price_text(entry.price)}{given}, {_entry_kind(decision, entry)}")
    if decision.signal is not None:
        yield fact("Id", clean(decision.signal.id))
        if decision.signal.note:
            yield fact("Note", clean(decision.signal.note))


def _entry_kind(decision: Decision, entry: Entry) -> str:
    if not entry.is_market:
        return f"waiting, for at most {entry.wait:g} min"
    if not entry.at_market:
        return "now, at the given price"
    price = decision.price
    if price is None or entry.price == price.vwap:
        return "at the market, now: the VWAP"
    return f"at the market, now: the last close,\nworse than the VWAP {price_text(price.vwap)}"


def answer_text(answer: Answer | None) -> str:
    """What a strategy answered."""
    match answer:
        case None:
            return "it was not asked"
        case NoDraft.WARM_UP:
            return "not enough candles yet"
        case NoDraft.AMBIGUOUS:
            return "long and short at once, which is no draft"
        case NoDraft.NONE:
            return "no draft"
        case Failed(what):
            return f"the call failed: {clean(what)}"
        case Unusable(rules):
            return f"a draft without a usable distance: {', '.join(rules)}"
        case SignalDraft():
            levels = f"take profit {price_text(answer.price_take_profit)}, stop {price_text(answer.price_stop_loss)}"
            return f"{clean(str(answer.position))}, {levels},\nlifetime {answer.lifetime_minutes:g} min"


def _validation(figures: tuple[Figure, ...]) -> Iterator[str]:
    """Rules with a limit, and whatever is broken."""
    if not figures:
        return
    broken = sum(one.is_broken for one in figures)
    yield fact("Rules", f"{broken} of {len(figures)} broken" if broken else f"all {len(figures)} kept")
    for one in figures:
        if one.is_broken or (one.limit and one.relation not in ("finite", "whole")):
            limit = f" {_figure(one, one.limit)}" if one.limit is not None else ""
            told = f"{_figure(one, one.figure)} {one.relation}{limit}"
            yield f"  {'BROKEN' if one.is_broken else 'ok':<8}{told:<34}{one.rule}"


def _figure(figure: Figure, value: float) -> str:
    if figure.unit == "%":
        return percent_text(value)
    return f"{value:g} min" if figure.unit == "min" else price_text(value)


def size_line(seen: SizeSeen) -> str:
    """What a sizing was asked and said."""
    none = f"none: {seen.rule}\n{clean(seen.why)}" if seen.rule else f"{seen.quantity:.8g} in base currency"
    return fact(clean(seen.sizing), f"{none},\nfrom an equity of {seen.equity:.2f} at {clock(seen.time_ms)}")


def profile_lines(seen: ProfileSeen) -> Iterator[str]:
    """What one risk profile was asked and said."""
    verdict = "allowed" if seen.rule is None else f"refused: {seen.rule}"
    why = f"\n{clean(seen.why)}" if seen.why else ""
    yield fact(
        clean(seen.profile), f"{verdict} at {clock(seen.time_ms)}, {counted(len(seen.held), 'position')} held{why}"
    )
    for one in seen.limits:
        mark = "REFUSED" if one.rule == seen.rule else "ok"
        yield f"  {mark:<8}{f'{one.found:g} of {one.limit:g}':<34}{one.rule}"
    for signal in seen.held:
        who = f"{clean(signal.strategy)} {clean(signal.symbol)}"
        yield fact("", f"held: {who} {signal.position.value} at {price_text(signal.price_open)}")
