"""Why a stream opened nothing: the last gate its decisions came to, in plain words, with the next thing to try.

Of all gates the farthest one is explained: drafts that were refused matter more than decisions without a draft.
"""

from collections.abc import Iterator

from backtestkit_cli.engine.draft import SHORT_ON_SPOT
from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.model.event import CancelReason
from backtestkit_cli.model.funnel import Funnel

TELLING_SHARE = 0.1
"""A gate that took less than this share of the decisions is not worth a sentence."""

RULE_REMEDIES = {
    "tp_wrong_side": "the take profit is not on the gaining side of the entry: above it for a long, below for a short",
    "sl_wrong_side": "the stop loss is not on the losing side of the entry: below it for a long, above for a short",
    "immediate_already_stopped": "the market is already at the stop loss: place it farther away",
    "immediate_already_at_profit": "the market is already at the take profit: place it farther away",
    "scheduled_open_beyond_stop": "the limit entry lies beyond its stop loss: place the stop loss farther away",
    "scheduled_open_beyond_profit": "the limit entry lies beyond its take profit: place the take profit farther away",
    "tp_too_close": "the take profit is nearer to the entry than limits.min_take_profit_percent allows: widen "
    "take_profit, or lower the limit knowing that costs must be earned first",
    "sl_too_close": "the stop loss is nearer to the entry than limits.min_stop_loss_percent allows: widen stop_loss",
    "sl_too_far": "the stop loss is farther from the entry than limits.max_stop_loss_percent allows: tighten stop_loss",
    SHORT_ON_SPOT: "the exchange says market: spot, where nothing is sold that is not held: make no shorts, or leave "
    "market out to simulate them",
    "minutes_not_positive": "the lifetime is not above zero",
    "minutes_not_integer": "the lifetime is no whole number of minutes",
    "minutes_not_finite": "the lifetime is no number",
    "minutes_too_large": "the lifetime is longer than limits.max_lifetime_minutes: shorten it, or raise the limit",
    "wait_not_allowed": "the wait of the limit entry is no whole number from 1 to limits.max_wait_minutes",
    "take_profit_distance": "the distance of take_profit is empty or not above zero",
    "stop_loss_distance": "the distance of stop_loss is empty or not above zero",
    "limit_distance": "the distance of the limit entry is empty or not above zero",
    "not_finite": "that price is no number: an indicator without a value reached the draft",
    "not_positive": "that price is not above zero",
}

CANCEL_REMEDIES = {
    CancelReason.STOP_LEVEL: "the price ran through to the stop loss first: place the stop loss farther away",
    CancelReason.WAIT_OVER: "the price never came to the limit: place it nearer, or wait longer",
    CancelReason.NO_QUANTITY: "the sizing left nothing to trade: see its limits, the balance and the quantity step",
    CancelReason.RISK: "the risk profile refused the position: see its limits",
    CancelReason.STOPPED: "the run was stopped while they waited",
    CancelReason.END_OF_DATA: "the candles ended while they waited: give it more candles",
}

SIZE_RULES = {
    "below_step": "less than the quantity step of the market",
    "advised_against": "the sizing answered zero or less",
    "equity_spent": "the equity is spent",
    "below_least_value": "less than the exchange trades",
    "too_few_trades": "not enough closed trades to take the odds from, and no min_quantity to begin with",
    "odds_unknown": "no win, or no loss, among the trades that the odds are taken from",
    "odds_against": "the odds of the last trades advise against trading",
    "atr_unknown": "the range is not known yet",
    "atr_not_positive": "the range is not above zero",
    "stop_distance_zero": "the stop is at the entry",
    "sizing_raised": "the function of the sizing raised",
    "sizing_answer": "the function of the sizing answered no number",
    "win_rate_out_of_range": "the win rate is not between 0 and 1",
    "win_loss_ratio_not_positive": "the win-loss ratio is not above 0",
}
"""Why a sizing left nothing to trade."""

NEVER_TRUE = {
    "rules": "the conditions were never true at the same time; loosen one of them, or look at a longer range",
    "decision": "the function answered None every time; loosen its conditions, or look at a longer range",
    "vector": "no row had a position; loosen the conditions, or look at a longer range",
    "signals": "no row of the signals stands at one of these times; compare their times with the range and the "
    "interval",
}


def explain_no_trade(funnel: Funnel, stream: StreamRun) -> tuple[str, ...]:
    """Say where the decisions of a stream without a trade ended, and what to try next."""
    if funnel.opened:
        return ()
    if funnel.scheduled:
        return tuple(_cancelled(funnel))
    if funnel.drafts:
        return (*_without_quantity(funnel), *_refused_by_risk(funnel), *_invalid(funnel))
    if funnel.decisions:
        return tuple(_no_draft(funnel, stream))
    return (_no_decision(funnel),)


def remedy(rule: str) -> str:
    """What a broken validation rule means, and what mends it."""
    for name, text in RULE_REMEDIES.items():
        if rule == name or rule.endswith(f"_{name}"):
            return text
    return "the draft breaks this rule"


def _of(part: int, whole: int, what: str) -> str:
    """`all 12 drafts`, `the only draft`, `3 of 12 drafts`."""
    if part < whole:
        return f"{part} of {whole} {what}s"
    return f"all {whole} {what}s" if whole > 1 else f"the only {what}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _cancelled(funnel: Funnel) -> Iterator[str]:
    for reason, count in funnel.cancelled.most_common():
        told = _of(count, funnel.scheduled, "limit entry").replace("entrys", "entries")
        yield f"{told} {_were(count)} given up ({reason.value}): {CANCEL_REMEDIES[reason]}"
    yield from _without_quantity(funnel)
    yield from _refused_by_risk(funnel)
    yield from _invalid(funnel)


def _without_quantity(funnel: Funnel) -> Iterator[str]:
    for rule, count in sorted(funnel.no_quantity_by_rule.items()):
        told = _of(count, funnel.drafts, "draft")
        yield f"{told} got no quantity: {SIZE_RULES[rule]}; see the sizing, the balance and the market's steps"


def _refused_by_risk(funnel: Funnel) -> Iterator[str]:
    for profile, count in sorted(funnel.risk_by_profile.items()):
        told = _of(count, funnel.drafts, "draft")
        yield f"{told} {_were(count)} refused by the risk profile {profile}: see its limits"


def _invalid(funnel: Funnel) -> Iterator[str]:
    if not funnel.invalid:
        return
    told = _of(funnel.invalid, funnel.drafts, "draft")
    rules = sorted(funnel.invalid_by_rule.items(), key=lambda item: (-item[1], item[0]))
    for rule, count in rules:
        yield f"{told} {_were(funnel.invalid)} invalid; {count}× {rule}: {remedy(rule)}"


def _no_draft(funnel: Funnel, stream: StreamRun) -> Iterator[str]:
    decisions = funnel.decisions
    if funnel.no_draft:
        yield f"{_of(funnel.no_draft, decisions, 'decision')} had no draft: {NEVER_TRUE[stream.form]}"
    if funnel.ambiguous >= TELLING_SHARE * decisions:
        told = _of(funnel.ambiguous, decisions, "decision")
        yield f"{told} had long and short true at once, which is no draft: make the two exclude each other"
    if funnel.warm_up >= TELLING_SHARE * decisions:
        told = _of(funnel.warm_up, decisions, "decision")
        cause = "holes start it again: " if stream.candles.missing_minutes else ""
        yield f"{told} fell into the warm-up: {cause}use candles from earlier on without holes, or shorter windows"
    if funnel.errors:
        told = _of(funnel.errors, decisions, "decision")
        yield f"{told} failed: the strategy raised, or answered something that is no draft"
    if funnel.off_grid:
        rows = "row" if funnel.off_grid == 1 else "rows"
        yield f"{funnel.off_grid} {rows} of the strategy met no decision time: see its interval and the range"


def _no_decision(funnel: Funnel) -> str:
    if not funnel.ticks:
        return "the range holds no decision time: choose a longer one"
    if funnel.stopped == funnel.ticks:
        return "the run was stopped before the first decision time"
    if funnel.missed:
        told = _of(funnel.missed, funnel.ticks, "decision time")
        return f"{told} {_were(funnel.missed)} learnt of too late: look whether the exchange and the clock are on time"
    told = _of(funnel.no_price, funnel.ticks, "decision time")
    return f"{told} had no fresh price: candles are missing there; audit them, or choose another range"
