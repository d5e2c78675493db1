"""The figures behind the tests of a run, as tables: a part that was not tested has none."""

from collections.abc import Iterator, Sequence

import numpy as np

from backtestkit_cli.measure.equity import run_equity
from backtestkit_cli.measure.resampled import Spread, spread_of
from backtestkit_cli.measure.robust import CostStep, Robustness
from backtestkit_cli.measure.statistics import daily_drawdown, sharpe_ratio
from backtestkit_cli.report.report import Column, Section, Table, table_section


def tables(found: Robustness) -> Iterator[Section]:
    """A section for each part."""
    yield table_section("spreads", "Between what nine of ten draws lie", _spread_table(tuple(_spreads(found))))
    yield table_section("entries", "Against random entries", _entries_table(found))
    yield table_section("delays", "Entries some minutes later", _delays_table(found))
    yield table_section("costs", "Other costs", _costs_table(found))
    yield Section(key="markets", title="Other markets", block=_markets_table(found), depth="full")


def _spreads(found: Robustness) -> Iterator[tuple[str, str, float | None, Spread]]:
    """Each figure that was drawn: its key, its label, what it was, and its spread."""
    changes = run_equity(found.run).changes
    pnl, sharpe = float(changes.sum()), sharpe_ratio(changes)
    if found.order is not None:
        yield "order_drawdown_percent", "Other orders: fall", found.order.drawdown_percent, found.order.spread
    if found.days is not None:
        yield "days_pnl_percent", "Other days: PnL", pnl, found.days.pnl_percent
        if found.days.sharpe is not None:
            yield "days_sharpe_ratio", "Other days: Sharpe", sharpe, found.days.sharpe
    if found.markets:
        made = np.array([one.pnl_percent for one in found.markets])
        yield "markets_pnl_percent", "Other markets: PnL", found.pnl_percent, spread_of(made)
        fall = daily_drawdown(run_equity(found.run)).depth_percent
        falls = np.array([one.drawdown_percent for one in found.markets])
        yield "markets_drawdown_percent", "Other markets: fall", fall, spread_of(falls)


def _spread_table(rows: Sequence[tuple[str, str, float | None, Spread]]) -> Table:
    return Table(
        (
            Column(key="figure", label="Figure", values=[label for _, label, _, _ in rows]),
            Column(key="key", label="", values=[key for key, _, _, _ in rows], depth="record"),
            Column(key="was", label="Was", values=[was for _, _, was, _ in rows], form="number"),
            *_spread_columns([spread for _, _, _, spread in rows]),
        ),
        row="figure",
    )


def _spread_columns(spreads: Sequence[Spread]) -> tuple[Column, ...]:
    return tuple(
        Column(key=key, label=label, values=[getattr(one, key) for one in spreads], form="number")
        for key, label in (("low", "5 %"), ("middle", "Middle"), ("high", "95 %"))
    )


def _entries_table(found: Robustness) -> Table:
    rows = found.entries
    return Table(
        (
            Column(key="strategy", label="Strategy", values=[one.strategy or "all" for one in rows]),
            Column(key="symbol", label="Symbol", values=[one.symbol for one in rows]),
            _counts("trades", "Trades", [one.trades for one in rows]),
            _percents([one.pnl_percent for one in rows]),
            *_spread_columns([one.draws for one in rows]),
            Column(key="p_value", label="p", values=[one.p_value for one in rows], form="number", format=".3f"),
        )
    )


def _delays_table(found: Robustness) -> Table:
    rows = found.delays
    return Table(
        (
            _counts("minutes", "Minutes later", [one.minutes for one in rows]),
            _percents([one.pnl_percent for one in rows]),
            _counts("trades", "Trades", [one.trades for one in rows]),
            _counts("left_out", "Left out", [one.left_out for one in rows]),
        )
    )


def _costs_table(found: Robustness) -> Table:
    even = () if found.break_even is None else (found.break_even,)
    rows = sorted((*found.costs, *even), key=lambda one: one.factor)
    return Table(
        (
            Column(key="factor", label="Times", values=[one.factor for one in rows], form="number"),
            Column(
                key="side_percent",
                label="A side",
                values=[side_percent(one) for one in rows],
                form="number",
                unit="%",
                format=".4f",
            ),
            _percents([one.pnl_percent for one in rows]),
            _counts("trades", "Trades", [one.trades for one in rows]),
            Column(key="is_break_even", label="Even", values=[one is found.break_even for one in rows], form="truth"),
        )
    )


def _markets_table(found: Robustness) -> Table:
    rows = found.markets
    return Table(
        (
            _counts("market", "Market", list(range(1, len(rows) + 1))),
            _percents([one.pnl_percent for one in rows]),
            _counts("trades", "Trades", [one.trades for one in rows]),
            Column(key="sharpe_ratio", label="Sharpe", values=[one.sharpe for one in rows], form="number"),
            Column(
                key="drawdown_percent",
                label="Fall",
                values=[one.drawdown_percent for one in rows],
                form="number",
                unit="%",
            ),
        ),
        row="market",
    )


def side_percent(step: CostStep) -> float:
    """What a step takes on each side, fee and slippage."""
    return step.costs.fee_percent + step.costs.slippage_percent


def _percents(values: Sequence[float]) -> Column:
    return Column(key="pnl_percent", label="PnL", values=values, form="signed", unit="%")


def _counts(key: str, label: str, values: Sequence[int]) -> Column:
    return Column(key=key, label=label, values=values, form="count")
