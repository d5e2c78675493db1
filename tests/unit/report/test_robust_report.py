"""The tests of a run as their readers see them: what held, what did not, and what could not be tested."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from make import deals, run, stream

from backtestkit_cli.measure.resampled import ResampledDays, ShuffledTrades, Spread
from backtestkit_cli.measure.robust import CostStep, DelayStep, DrawnMarket, EntryLuck, Robustness
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.report.robust import robust_report

from .cases import quarter
from .test_golden import FOLDER, WRITERS


def step(factor: float, pnl: float) -> CostStep:
    costs = Costs(fee_percent=0.1 * factor, slippage_percent=0.05 * factor)
    return CostStep(factor=factor, costs=costs, pnl_percent=pnl, trades=104)


def luck(p_value: float, **more: Any) -> EntryLuck:
    draws = Spread(low=-14.2, middle=-1.75, high=11.9)
    return EntryLuck(trades=104, pnl_percent=19.4, draws=draws, p_value=p_value, **more)


def steady() -> Robustness:
    """A run of two streams that withstands all but one test."""
    pnl = (25.1, 19.4, 13.6, 7.8, -3.7)
    return Robustness(
        run=quarter(),
        status="complete",
        pnl_percent=19.4,
        trades=104,
        order=ShuffledTrades(drawdown_percent=6.125, spread=Spread(low=4.0, middle=6.5, high=9.75), share_deeper=0.53),
        days=ResampledDays(
            pnl_percent=Spread(low=2.5, middle=19.0, high=36.25),
            sharpe=Spread(low=0.3, middle=2.1, high=4.05),
            share_of_loss=0.034,
        ),
        entries=(
            luck(0.012),
            luck(0.004, strategy="ema-cross", symbol="BTCUSDT"),
            luck(0.41, strategy="ema-cross", symbol="ETHUSDT"),
        ),
        delays=tuple(
            DelayStep(minutes=minutes, pnl_percent=left, trades=104 - out, left_out=out)
            for minutes, left, out in ((1, 17.5, 0), (2, 11.25, 1), (5, -2.5, 4))
        ),
        costs=tuple(step(*one) for one in zip((0.5, 1.0, 1.5, 2.0, 3.0), pnl, strict=True)),
        break_even=step(2.68, 0.0),
        markets=tuple(
            DrawnMarket(pnl_percent=4.5 * place - 4, trades=100 + place, sharpe=sharpe, drawdown_percent=3.5 + place)
            for place, sharpe in enumerate((None, 0.2, 1.4, 2.6))
        ),
    )


def interrupted() -> Robustness:
    """A run that lost, whose tests were interrupted, some of which could not be done."""
    return Robustness(
        run=run(stream(*deals(-1.0, -0.5))),
        status="interrupted",
        pnl_percent=-1.5,
        trades=2,
        entries=(luck(0.7),),
        delays=(DelayStep(minutes=1, pnl_percent=-2.0, trades=2, left_out=0),),
        reasons={"order": "fewer than 2 trades", "days": "fewer than 20 days", "markets": "left out"},
    )


CASES = {"robust": steady, "robust-interrupted": interrupted}


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", CASES)
def test_the_report_reads_as_agreed(name: str, ending: str) -> None:
    path = FOLDER / f"{name}.{ending}"
    written = WRITERS[ending](robust_report(CASES[name]()))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(written, encoding="utf-8", newline="\n")
    assert written == path.read_text(encoding="utf-8")


def test_every_test_that_is_not_withstood_is_named_in_the_first_line() -> None:
    good = replace(steady(), delays=())
    assert robust_report(good).headline == "withstands 5 tests of 5"
    bad: list[tuple[str, Callable[[Robustness], Robustness]]] = [
        (
            "trades in another order",
            lambda one: replace(one, order=one.order and replace(one.order, share_deeper=0.96)),
        ),
        ("days drawn again", lambda one: replace(one, days=one.days and replace(one.days, share_of_loss=0.06))),
        ("random entries", lambda one: replace(one, entries=(luck(0.051),))),
        ("other costs", lambda one: replace(one, costs=tuple(replace(two, pnl_percent=0.0) for two in one.costs))),
        ("other markets", lambda one: replace(one, markets=one.markets[:2])),
    ]
    for name, spoilt in bad:
        assert robust_report(spoilt(good)).headline == f"withstands 4 of 5 tests, but not: {name}"


@pytest.mark.parametrize(
    ("pnl", "double", "told"),
    [(19.4, 7.8, "no costs take it all"), (-1.0, -2.0, "nothing is left even without costs")],
)
def test_without_a_break_even_it_is_said_why(pnl: float, double: float, told: str) -> None:
    found = replace(steady(), pnl_percent=pnl, break_even=None, costs=(step(2.0, double),))
    report = robust_report(found)
    assert told in WRITERS["md"](report)
