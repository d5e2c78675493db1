"""The validation of one draft with its figures: what each rule looked at, and what it wanted.

Whether a rule is broken is said by `broken_rules` alone; the figures beside it are what it compares.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from backtestkit_cli.engine.draft import SHORT_ON_SPOT
from backtestkit_cli.engine.step import Entry, broken_rules_of
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.signal import Position, SignalDraft

Relation = Literal[">", "<", ">=", "<=", "finite", "whole", "bought"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One rule: what it looks at (`figure`), how that must stand to `limit`, and whether it does not.

    `unit` is `%` of the entry, `min`, or empty for a price.
    """

    rule: str
    figure: float
    relation: Relation
    limit: float | None
    unit: Literal["", "%", "min"]
    is_broken: bool


def figures_of(draft: SignalDraft, price: float, entry: Entry, limits: Limits) -> tuple[Figure, ...]:
    """Every rule that looks at a draft with its figures, in the order of the rules."""
    broken = set(broken_rules_of(draft, price, entry.price, entry.wait, not entry.is_market, limits))
    return tuple(
        Figure(rule=rule, figure=float(figure), relation=relation, limit=limit, unit=unit, is_broken=rule in broken)
        for rule, figure, relation, limit, unit in _rules(draft, price, entry, limits)
    )


_Rule = tuple[str, float, Relation, float | None, Literal["", "%", "min"]]


def _rules(draft: SignalDraft, price: float, entry: Entry, limits: Limits) -> Iterator[_Rule]:
    prices = {
        "current_price": price,
        "price_open": entry.price,
        "price_take_profit": draft.price_take_profit,
        "price_stop_loss": draft.price_stop_loss,
    }
    for name, value in prices.items():
        yield f"{name}_not_finite", value, "finite", None, ""
        if math.isfinite(value):
            yield f"{name}_not_positive", value, ">", 0.0, ""
    if draft.position in tuple(Position):
        for rule, figure, relation, limit, unit in _side_rules(draft, price, entry, limits):
            yield f"{draft.position}_{rule}", figure, relation, limit, unit
    if limits.long_only:
        yield SHORT_ON_SPOT, entry.price, "bought", None, ""
    lifetime = draft.lifetime_minutes
    yield "minutes_not_positive", lifetime, ">", 0.0, "min"
    yield "minutes_not_integer", lifetime, "whole", None, "min"
    yield "minutes_not_finite", lifetime, "finite", None, "min"
    if limits.max_lifetime_minutes:
        yield "minutes_too_large", lifetime, "<=", float(limits.max_lifetime_minutes), "min"
    if not entry.is_market:
        yield "wait_not_allowed", entry.wait, "<=", float(limits.max_wait_minutes), "min"


def _side_rules(draft: SignalDraft, price: float, entry: Entry, limits: Limits) -> Iterator[_Rule]:
    is_long = draft.position == Position.LONG
    beyond: Relation = ">" if is_long else "<"
    short_of: Relation = "<" if is_long else ">"
    profit, stop, level = draft.price_take_profit, draft.price_stop_loss, entry.price
    yield "tp_wrong_side", profit, beyond, level, ""
    yield "sl_wrong_side", stop, short_of, level, ""
    if entry.is_market:
        yield "immediate_already_stopped", price, beyond, stop, ""
        yield "immediate_already_at_profit", price, short_of, profit, ""
    else:
        yield "scheduled_open_beyond_stop", level, beyond, stop, ""
        yield "scheduled_open_beyond_profit", level, short_of, profit, ""
    sign = 1.0 if is_long else -1.0
    profit_percent = _percent(sign * profit - sign * level, level)
    stop_percent = _percent(sign * level - sign * stop, level)
    if limits.min_take_profit_percent:
        yield "tp_too_close", profit_percent, ">=", limits.min_take_profit_percent, "%"
    if limits.min_stop_loss_percent:
        yield "sl_too_close", stop_percent, ">=", limits.min_stop_loss_percent, "%"
    if limits.max_stop_loss_percent:
        yield "sl_too_far", stop_percent, "<=", limits.max_stop_loss_percent, "%"


def _percent(way: float, entry: float) -> float:
    return way / entry * 100 if entry else math.nan
