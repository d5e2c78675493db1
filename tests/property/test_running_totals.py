"""Totals that run on trade by trade are, to the last bit, the figures of all trades measured at once."""

from hypothesis import given, settings
from hypothesis import strategies as st
from make import WEEK, Deal, closed

from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.measure.metrics import metrics
from backtestkit_cli.measure.money import money_metrics
from backtestkit_cli.measure.totals import Totals

SHARED = [
    "pnl_percent",
    "trades",
    "wins",
    "losses",
    "win_rate_percent",
    "average_pnl_percent",
    "best_trade_percent",
    "worst_trade_percent",
    "profit_factor",
    "max_drawdown_percent",
    "long_trades",
    "long_pnl_percent",
    "short_trades",
    "short_pnl_percent",
]
DEALS = st.lists(
    st.builds(
        Deal,
        pnl=st.floats(-20, 20) | st.sampled_from((0.0, 1e-13, -1e-13)),
        is_long=st.booleans(),
        quantity=st.floats(0.001, 10),
    ),
    max_size=60,
)


@given(made=DEALS)
@settings(max_examples=100, deadline=None)
def test_running_totals_are_the_figures_of_all_trades(made: list[Deal]) -> None:
    totals, events = Totals(), [closed(deal, row=row) for row, deal in enumerate(made)]
    for event in events:
        totals.add(event)
    trades = trades_of(events)
    measured = {one.key: one for one in metrics(trades, WEEK)}
    assert totals.metrics() == tuple(measured[key] for key in SHARED)
    money = {one.key: one for one in money_metrics(trades, 10_000.0)}
    assert totals.metrics(10_000.0)[:2] == (money["pnl_quote"], money["return_percent"])
