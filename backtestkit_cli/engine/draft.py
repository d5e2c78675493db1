"""Is a draft acceptable? Every broken rule is named, at once.

The rules are written once, as comparisons that hold for one draft and for columns of drafts alike. A comparison with
NaN breaks no rule but the finite ones. A distance within 1e-9 percent of its limit passes.
Source: semantics of the original, section 5.2 (rules and their order); rules, section 4 (tolerance).
"""

from collections.abc import Iterator

import numpy as np

from backtestkit_cli.engine.candles import Bools, Floats
from backtestkit_cli.model.limits import Limits

TOLERANCE_PERCENT = 1e-9
SHORT_ON_SPOT = "short_on_spot"


def broken_rules(
    *,
    is_long: Bools,
    is_scheduled: Bools,
    price: Floats,
    price_open: Floats,
    take_profit: Floats,
    stop_loss: Floats,
    lifetime: Floats,
    wait: Floats,
    limits: Limits,
) -> Iterator[tuple[str, Bools]]:
    """Yield each rule's code with the drafts that break it.

    All columns have one length. `price` is the market at the decision, `price_open` the entry; `lifetime` and `wait`
    are minutes (`wait` of a market entry is not looked at).
    """
    with np.errstate(all="ignore"):
        yield from _price_rules("current_price", price)
        yield from _price_rules("price_open", price_open)
        yield from _price_rules("price_take_profit", take_profit)
        yield from _price_rules("price_stop_loss", stop_loss)
        for side, on_side in (("long", is_long), ("short", ~is_long)):
            rules = _side_rules(
                1.0 if side == "long" else -1.0, is_scheduled, price, price_open, take_profit, stop_loss, limits
            )
            for rule, broken in rules:
                yield f"{side}_{rule}", on_side & broken
        if limits.long_only:
            yield SHORT_ON_SPOT, ~is_long
        yield "minutes_not_positive", lifetime <= 0
        yield "minutes_not_integer", ~(np.isfinite(lifetime) & (lifetime == np.floor(lifetime)))
        yield "minutes_not_finite", ~np.isfinite(lifetime)
        if limits.max_lifetime_minutes:
            yield "minutes_too_large", lifetime > limits.max_lifetime_minutes
        in_range = (wait >= 1) & (wait <= limits.max_wait_minutes) & (wait == np.floor(wait))
        yield "wait_not_allowed", is_scheduled & ~in_range


def _price_rules(name: str, value: Floats) -> Iterator[tuple[str, Bools]]:
    finite = np.isfinite(value)
    yield f"{name}_not_finite", ~finite
    yield f"{name}_not_positive", finite & (value <= 0)


def _side_rules(
    sign: float,
    is_scheduled: Bools,
    price: Floats,
    entry: Floats,
    take_profit: Floats,
    stop_loss: Floats,
    limits: Limits,
) -> Iterator[tuple[str, Bools]]:
    """The rules of one side; a short is a long on the negated price axis, which leaves every double as it is."""
    market, level, profit, stop = sign * price, sign * entry, sign * take_profit, sign * stop_loss
    yield "tp_wrong_side", profit <= level
    yield "sl_wrong_side", stop >= level
    yield "immediate_already_stopped", ~is_scheduled & np.isfinite(price) & (market <= stop)
    yield "immediate_already_at_profit", ~is_scheduled & np.isfinite(price) & (market >= profit)
    yield "scheduled_open_beyond_stop", is_scheduled & np.isfinite(entry) & (level <= stop)
    yield "scheduled_open_beyond_profit", is_scheduled & np.isfinite(entry) & (level >= profit)
    profit_percent = (profit - level) / entry * 100
    stop_percent = (level - stop) / entry * 100
    if limits.min_take_profit_percent:
        yield "tp_too_close", profit_percent < limits.min_take_profit_percent - TOLERANCE_PERCENT
    if limits.min_stop_loss_percent:
        yield "sl_too_close", stop_percent < limits.min_stop_loss_percent - TOLERANCE_PERCENT
    if limits.max_stop_loss_percent:
        yield "sl_too_far", stop_percent > limits.max_stop_loss_percent + TOLERANCE_PERCENT
