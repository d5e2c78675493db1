"""Walk for a stream that is asked, without the minutes in which nothing can happen.

A decider has to be called at every free decision time; what follows from its draft does not depend on it. So the
minute that ends a position is found by first touch, the step function is called for the first and the last minute,
and the levels reached in between are read off the price column. Events and funnel are those of walk.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from backtestkit_cli.engine.columns.levels import Spans, levels_reached
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.step import FLAT
from backtestkit_cli.engine.touch import first_touch_of_one
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.signal import OpenPosition


def leap(walk: StreamWalk) -> Iterator[Event]:
    """Run one stream that shares nothing with others and has no stop request but one that is asked on the way."""
    market = Market.of(walk.candles, walk.terms, has_limits=False)
    ticks = walk.ticks.tolist()
    while walk.next_ms is not None:
        now_ms = walk.next_ms
        yield from walk.stop(now_ms)
        if walk.state is not FLAT:
            yield from walk.settle(now_ms)
        yield from walk.decide(now_ms)
        yield from walk.end(now_ms)
        if isinstance(walk.state, OpenPosition) and walk.next_ms is not None:
            yield from _leap(walk, walk.state, market, ticks)


def _leap(walk: StreamWalk, state: OpenPosition, market: Market, ticks: list[int]) -> Iterator[Event]:
    """Go on to the minute that ends the position, or to the end of data."""
    candles, signal = walk.candles, state.signal
    start, rows = candles.row(state.opened_at), len(candles)
    last = min(candles.row(state.expires_at) - 1, rows)
    if market.next_there is not None:
        last = int(market.next_there[last])
    upper, lower = sorted((signal.price_take_profit, signal.price_stop_loss), reverse=True)
    stop = min(last + 1, rows)
    touched = first_touch_of_one(market.exit_high, market.exit_low, start, stop, upper, lower)
    final = touched if touched >= 0 else stop - 1
    reached = {"profit": 0, "loss": 0}
    (levels,) = levels_reached(candles, walk.price, Spans.of(signal, start, final))
    for one in levels:
        event = one.event(signal)
        reached[event.side] = event.level
        yield event
    end_ms = candles.time(final + 1)
    held = replace(state, profit_level=reached["profit"], loss_level=reached["loss"])
    walk.skip_to(end_ms, bisect_left(ticks, end_ms), held)
