"""A comparison of fills as text, sentence and document."""

import json
from dataclasses import replace

import pytest
from make import Deal, run, stream
from rich.console import Console

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.measure.fills import FillComparison, Owed, compare
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import PRESETS, Policy, ReferencePolicy
from backtestkit_cli.report.fills import fill_conclusion, fills_document, fills_text


def under(policy: Policy, *percents: float, symbols: tuple[str, ...] = ("BTCUSDT",), off_grid: int = 0) -> RunResult:
    made = [Deal(price_close=100 + pnl, opened_hours=2 * place) for place, pnl in enumerate(percents)]
    funnel = Funnel(off_grid=off_grid)
    return run(*(stream(*made, symbol=symbol, funnel=funnel) for symbol in symbols), policy=policy)


def text(comparison: FillComparison) -> str:
    return fills_text(comparison, Console(width=80, color_system=None))


def test_one_stream_has_two_tables_and_a_sentence() -> None:
    runs = [under(PRESETS["honest"], 1.0, -2.0), under(PRESETS["vwap"], 1.5, -2.0), under(ReferencePolicy(), 1.25)]
    assert text(compare(runs)) == (
        """
Fill policies: ema-cross on BTCUSDT
  Policy                  Trades  PnL %  Wins %  Max DD %  Points
  honest                       2  -1.00   50.00      2.00    0.00
  vwap (optimistic)            2  -0.50   50.00      2.00   +0.50
  reference (optimistic)       1  +1.25  100.00      0.00   +2.25

Where the points come from, against honest: ema-cross on BTCUSDT
  Policy     Shared  Entry   Exit  Reason  Only here  Only there
  vwap            2   0.00  +0.50    0.00       0.00        0.00
  reference       1   0.00  +0.25    0.00       0.00       +2.00

-0.50 % under vwap, -1.00 % under honest: 0.50 points of it are fills nobody
could get
"""
    )


def test_several_streams_are_added_up() -> None:
    names = ("BTCUSDT", "ETHUSDT")
    told = text(compare([under(PRESETS["honest"], 1.0, symbols=names), under(PRESETS["touch"], 1.5, symbols=names)]))
    assert [line for line in told.splitlines() if line.startswith("Fill policies")] == [
        "Fill policies: ema-cross on BTCUSDT",
        "Fill policies: ema-cross on ETHUSDT",
        "Fill policies: all streams",
    ]
    assert "  touch        2  +3.00  100.00      0.00   +1.00" in told


def test_rows_that_are_not_asked_for_and_policies_left_out_are_told() -> None:
    runs = [under(PRESETS["honest"], 1.0, off_grid=1), under(ReferencePolicy(), 1.0, off_grid=4)]
    told = text(compare(runs, left_out=(("vwap", "it\nbroke"),)))
    assert "left out: vwap (it broke)" in told
    assert "reference: 4 rows of the strategies did not count, because it asks at other" in told


@pytest.mark.parametrize(
    ("fills", "other", "expected"),
    [
        pytest.param(3.9, 0.0, "3.90 points of it are fills nobody could get", id="fills alone"),
        pytest.param(
            3.9,
            -1.0,
            "3.90 points of it are fills nobody could get, -1.00 points come from trades that only one of the two has",
            id="other trades too",
        ),
        pytest.param(0.004, 0.0, "no fill of it flatters (0.00 points)", id="nothing"),
        pytest.param(-0.5, 0.0, "no fill of it flatters (-0.50 points)", id="less than honest"),
    ],
)
def test_the_sentence_tells_fills_from_other_trades(fills: float, other: float, expected: str) -> None:
    made = compare([under(PRESETS["honest"], 1.0)])
    owed = Owed(policy="vwap", pnl_percent=4.2, honest_percent=0.3, fills_points=fills, other_points=other)
    told = FillComparison(streams=made.streams, total=made.total, owed=owed)
    assert fill_conclusion(told) == f"+4.20 % under vwap, +0.30 % under honest: {expected}"


def test_without_an_optimistic_policy_the_sentence_claims_nothing() -> None:
    made = compare([under(PRESETS["honest"], 1.0), under(PRESETS["touch"], 2.0)])
    assert fill_conclusion(made) == "there are no honest and optimistic fills to hold against each other"


def test_the_document_says_the_same() -> None:
    made = compare([under(PRESETS["honest"], 1.0, -2.0), under(PRESETS["vwap"])], left_out=(("reference", "no"),))
    told = json.loads(json.dumps(fills_document(made), allow_nan=False))
    assert told["configured"] == "honest"
    (one,) = told["streams"]
    assert (one["strategy"], one["symbol"]) == ("ema-cross", "BTCUSDT")
    assert [policy["policy"] for policy in one["policies"]] == ["honest", "vwap"]
    vwap = one["policies"][1]
    assert (vwap["difference_points"], vwap["win_rate_percent"], vwap["causes"]["others"]) == (1.0, None, 1.0)
    assert told["total"]["policies"] == one["policies"]
    assert told["left_out"] == [{"policy": "reference", "reason": "no"}]
    assert told["conclusion"] == fill_conclusion(made)
    assert told["owed"]["fills_points"] == 0.0


def test_beside_money_the_figures_say_that_they_are_at_equal_stakes() -> None:
    made = [
        run(stream(Deal(pnl=pnl, quantity=1.0), sizing="careful"), policy=PRESETS[name], balance=1000.0)
        for name, pnl in (("honest", 1.0), ("vwap", 2.0))
    ]
    told = fills_text(compare(made), Console(width=200))
    assert "Fill policies: ema-cross on BTCUSDT, at equal stakes\n" in told
    assert "\nat equal stakes: +2.00 % under vwap" in told
    assert "equal stakes" not in fills_text(compare([replace(one, balance=None) for one in made]), Console())
