"""What rules saw at a row: the values of the evaluation that decided, of that row and the one before."""

from dataclasses import replace

import numpy as np
import pytest
from oracles.asking import START_MS, ask, price_of, random_candles

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.rules.compile import RuleSpec, compile_rules
from backtestkit_cli.engine.rules.parse import ParamValue
from backtestkit_cli.engine.rules.sight import Seen, SeenRules, Value, seen_rules
from backtestkit_cli.model.time import MINUTE_MS

ROW_MS = 5 * MINUTE_MS
PARAMS: dict[str, ParamValue] = {"share": 0.1, "is_on": False}
SPEC = RuleSpec(
    candles_minutes=5,
    let={"line": "sma(close, 3)", "up": "close > line"},
    long="up and crosses_above(close, line + share) and not (high - low)[1] > 5",
    short="on('15m', close < sma(close, 2)) or (close > open)[1] or rising(close, 2) or up[1] or is_on",
    entry_limit="0.5 * atr(2)",
    take_profit={"long": "close * 1.02", "short": "close * 0.98"},
    stop_loss="2%",
    lifetime_minutes=60,
)


def seen(row: int, spec: RuleSpec = SPEC, holes: float = 0.0) -> tuple[SeenRules | None, Candles]:
    """What the rules saw when candle `row` closed."""
    candles = random_candles(3, 400, holes=holes)
    rules = compile_rules(spec, PARAMS)
    return seen_rules(rules, candles, START_MS + (row + 1) * ROW_MS, price_of(candles)), candles


def every(found: SeenRules) -> list[Seen]:
    """All expressions of a sight that can be asked for by their text."""
    parts = [one for side in found.parts.values() for part in side for one in (part.whole, *part.sides)]
    return [*found.lets, *parts, *found.conditions.values(), *(one for level in found.levels.values() for one in level)]


def value(column: float, kind: Value) -> Value:
    if np.isnan(column):
        return None
    return bool(column) if isinstance(kind, bool) else column


@pytest.mark.parametrize("row", [1, 2, 3, 20, 55, 79])
@pytest.mark.parametrize("holes", [0.0, 0.3])
def test_every_value_is_that_of_the_expression_at_the_row_and_the_row_before(row: int, holes: float) -> None:
    long, short = "crosses_above(close, sma(close, 3) + share)", "on('15m', close < sma(close, 2)) or (close > open)[1]"
    found, candles = seen(row, replace(SPEC, let={}, long=long, short=short), holes)
    assert found is not None
    assert found.row_ms - found.before_ms == ROW_MS
    for one in every(found):
        if one.text.endswith("%"):
            continue
        column = ask(one.text, candles, 5)
        assert (one.now, one.before) == (value(column[row], one.now), value(column[row - 1], one.before)), one.text


def test_the_first_row_has_none_before_it() -> None:
    found, _ = seen(0)
    assert found is not None
    assert {one.before for one in every(found) if not one.text.endswith("%")} == {None}
    assert found.is_there


def test_names_stand_for_what_they_name_and_sides_for_what_is_compared() -> None:
    found, _ = seen(40)
    assert found is not None
    assert [one.text for one in found.lets] == ["line", "up"]
    long, short = found.parts["long"], found.parts["short"]
    assert [(part.whole.text, [side.text for side in part.sides]) for part in long] == [
        ("close > line", ["close", "line"]),
        ("crosses_above(close, line + 0.1)", ["close", "line + 0.1"]),
        ("(high - low)[1] > 5", ["(high - low)[1]", "5"]),
    ]
    assert [(part.whole.text, [side.text for side in part.sides]) for part in short] == [
        ("on('15m', close < sma(close, 2))", ["on('15m', close)", "on('15m', sma(close, 2))"]),
        ("(close > open)[1]", ["close[1]", "open[1]"]),
        ("rising(close, 2)", ["close"]),
        ("up[1]", []),
        ("false", []),
    ]
    assert {name: [one.text for one in level] for name, level in found.levels.items()} == {
        "limit": ["0.5 * atr(2)"],
        "take_profit": ["close * 1.02", "close * 0.98"],
        "stop_loss": ["2%"],
    }


def test_between_its_rows_the_rules_see_nothing() -> None:
    candles = random_candles(3, 400)
    rules = compile_rules(SPEC, PARAMS)
    assert seen_rules(rules, candles, START_MS + 7 * MINUTE_MS, price_of(candles)) is None
    assert seen_rules(rules, candles, candles.end_ms + ROW_MS, price_of(candles)) is None


def test_one_side_alone_and_a_market_entry_are_enough() -> None:
    found, _ = seen(40, replace(SPEC, short=None, entry_limit=None))
    assert found is not None
    assert set(found.conditions) == {"long"}
    assert list(found.levels) == ["take_profit", "stop_loss"]
    assert (found.needed_minutes, found.settled_minutes) == (20, 20)


def test_the_row_of_an_absent_candle_is_not_there() -> None:
    candles = random_candles(3, 400)
    kept = np.ones(400, dtype=bool)
    kept[100:105] = False
    columns = [np.where(kept, getattr(candles, name), np.nan) for name in ("open", "high", "low", "close", "volume")]
    holed = Candles(
        start_ms=candles.start_ms,
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        volume=columns[4],
        present=kept,
    )
    found = seen_rules(compile_rules(SPEC, PARAMS), holed, START_MS + 21 * ROW_MS, price_of(holed))
    assert found is not None
    assert not found.is_there
