"""Trades as columns: what a frame holds is read back as it was."""

from dataclasses import fields

import numpy as np
import polars as pl
from make import NO_COSTS, Deal, closed, trades

from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades, trades_from_frame, trades_of
from backtestkit_cli.model.event import CloseReason
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import FillPolicy

DEALS = (
    Deal(pnl=1.5, quantity=2.0, note="first", id="a", lag=0.1, ambiguous_minutes=3, at_stake=0.5),
    Deal(pnl=-2.0, opened_hours=3, is_long=False, reason=CloseReason.STOP_LOSS, id="b", is_bridged=True),
)
MADE = trades(*DEALS)
TERMS = Terms(strategy="s", symbol="X", policy=FillPolicy(), costs=NO_COSTS, limits=Limits())


def test_columns_give_the_events_back_that_they_were_collected_from() -> None:
    events = [closed(deal, "s", "X") for deal in DEALS]
    collected = trades_of(events)
    signals = [collected.signal(row, TERMS) for row in range(len(collected))]
    assert list(collected.closings(signals)) == events


def test_a_frame_is_read_back_as_the_trades_it_was_made_of() -> None:
    frame = MADE.frame().with_columns(id=pl.Series(["a", "b"]), note=pl.Series(["first", ""]))
    again = trades_from_frame(frame)
    for field in fields(Trades):
        before, after = getattr(MADE, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(after, before, field.name)
    assert (again.ids, again.notes) == (("a", "b"), ("first", ""))
    assert again.lifetime_minutes.dtype == MADE.lifetime_minutes.dtype


def test_what_is_not_sized_is_null_in_a_frame_and_nan_in_columns() -> None:
    frame = MADE.frame()
    assert frame["quantity"].to_list() == [2.0, None]
    assert frame["pnl_quote"].to_list() == [3.0, None]
