"""Is a draft acceptable to the original? Every broken rule is named, in its order.

Rules kept here: bare doubles decide, without tolerance; a value that is no number breaks a rule of its own and is then
read as one where its text allows; nothing but `finite` is broken by NaN.
"""

import math
from collections.abc import Iterator

from backtestkit_cli.engine.draft import SHORT_ON_SPOT
from backtestkit_cli.model.limits import Limits

_SIDES = ("long", "short")


def broken_rules(
    *,
    position: object,
    price: object,
    price_open: object,
    take_profit: object,
    stop_loss: object,
    lifetime: object,
    is_scheduled: bool,
    limits: Limits,
) -> tuple[str, ...]:
    """Name the rules that a draft breaks; `price` is the market, `price_open` the entry."""
    named = {
        "current_price": price,
        "price_open": price_open,
        "price_take_profit": take_profit,
        "price_stop_loss": stop_loss,
    }
    rules = [*_position_rules(position)]
    for name, value in named.items():
        rules += _price_rules(name, value)
    if position in _SIDES:
        market, entry, profit, stop = map(number, named.values())
        sign = 1.0 if position == "long" else -1.0
        rules += [f"{position}_{rule}" for rule in _side_rules(sign, market, entry, profit, stop, is_scheduled, limits)]
    if limits.long_only and position == "short":
        rules.append(SHORT_ON_SPOT)
    return (*rules, *_lifetime_rules(lifetime, limits))


def number(value: object) -> float:
    """Read a value as the original's language reads it in a comparison; NaN where it cannot."""
    if isinstance(value, int | float | str):
        try:
            return float(value)
        except ValueError:
            return math.nan
    return math.nan


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _position_rules(position: object) -> Iterator[str]:
    if not position:
        yield "position_missing"
    if position not in _SIDES:
        yield "position_invalid"


def _price_rules(name: str, value: object) -> Iterator[str]:
    if not _is_number(value):
        yield f"{name}_not_a_number_type"
    if not math.isfinite(number(value)):
        yield f"{name}_not_finite"
    elif number(value) <= 0:
        yield f"{name}_not_positive"


def _side_rules(
    sign: float, price: float, entry: float, take_profit: float, stop_loss: float, is_scheduled: bool, limits: Limits
) -> Iterator[str]:
    """The rules of one side; a short is a long on the negated price axis, which leaves every double as it is."""
    market, level, profit, stop = sign * price, sign * entry, sign * take_profit, sign * stop_loss
    if profit <= level:
        yield "tp_wrong_side"
    if stop >= level:
        yield "sl_wrong_side"
    if is_scheduled:
        if math.isfinite(entry) and level <= stop:
            yield "scheduled_open_beyond_stop"
        if math.isfinite(entry) and level >= profit:
            yield "scheduled_open_beyond_profit"
    elif math.isfinite(price):
        if market <= stop:
            yield "immediate_already_stopped"
        if market >= profit:
            yield "immediate_already_at_profit"
    yield from _distance_rules(_percent(profit - level, entry), _percent(level - stop, entry), limits)


def _distance_rules(profit_percent: float, stop_percent: float, limits: Limits) -> Iterator[str]:
    if limits.min_take_profit_percent and profit_percent < limits.min_take_profit_percent:
        yield "tp_too_close"
    if limits.min_stop_loss_percent and stop_percent < limits.min_stop_loss_percent:
        yield "sl_too_close"
    if limits.max_stop_loss_percent and stop_percent > limits.max_stop_loss_percent:
        yield "sl_too_far"


def _percent(distance: float, entry: float) -> float:
    """A distance in percent of the entry; of a zero entry infinite, or NaN."""
    if entry:
        return distance / entry * 100
    return math.copysign(math.inf, distance) if distance else math.nan


def _lifetime_rules(lifetime: object, limits: Limits) -> Iterator[str]:
    minutes = number(lifetime)
    if not _is_number(lifetime):
        yield "minutes_not_a_number_type"
    if minutes <= 0:
        yield "minutes_not_positive"
    if not (_is_number(lifetime) and minutes.is_integer()):
        yield "minutes_not_integer"
    if not math.isfinite(minutes):
        yield "minutes_not_finite"
    if limits.max_lifetime_minutes and minutes > limits.max_lifetime_minutes:
        yield "minutes_too_large"
