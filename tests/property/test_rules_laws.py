"""Laws of the rule language: nothing reaches forward, history settles, any rule can be asked."""

import functools
import random
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.asking import START_MS, ask, cut, price_of, random_candles, same_bits
from oracles.cases import PLAIN

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.rules.compile import LevelText, RuleSpec, compile_rules
from backtestkit_cli.engine.rules.functions import FUNCTIONS, LENGTHS
from backtestkit_cli.engine.rules.parse import COLUMNS, RuleProblem, parse
from backtestkit_cli.model.time import MINUTE_MS

SMALL = ("sma(close, 3)", "ema(close, 3)", "rsi(close, 2)", "highest(high, 4)", "atr(2)", "on('5m', ema(close, 2))")


class Sentences:
    """Makes random rules of the language."""

    def __init__(self, dice: random.Random, *, longest: int = 6) -> None:
        self.dice = dice
        self.longest = longest

    def number(self, depth: int, *, on: bool = True) -> str:
        """A number."""
        choice = self.dice.randrange(8) if depth else self.dice.randrange(2)
        if choice == 0:
            return str(self.dice.choice([0, 1, 2, 0.5, 100]))
        if choice == 1:
            return self.dice.choice(sorted(COLUMNS))
        if choice == 2:
            return f"({self.number(depth - 1, on=on)} {self.dice.choice('+-*/')} {self.number(depth - 1, on=on)})"
        if choice == 3:
            return f"-{self.number(depth - 1, on=on)}"
        if choice == 4:
            return f"({self.number(depth - 1, on=on)})[{self.dice.randrange(4)}]"
        if choice == 5 and on:
            return f"on('{self.dice.choice(['1m', '5m', '15m'])}', {self.number(depth - 1, on=False)})"
        return self.call("number", depth, on=on)

    def condition(self, depth: int, *, on: bool = True) -> str:
        """A condition."""
        choice = self.dice.randrange(6) if depth > 1 else 0
        if choice == 1:
            word = self.dice.choice(["and", "or"])
            return f"({self.condition(depth - 1, on=on)} {word} {self.condition(depth - 1, on=on)})"
        if choice == 2:
            return f"(not {self.condition(depth - 1, on=on)})"
        if choice == 3:
            return f"({self.condition(depth - 1, on=on)})[{self.dice.randrange(3)}]"
        if choice == 4:
            return self.call("truth", depth, on=on)
        if choice == 5 and on:
            return f"on('5m', {self.condition(depth - 1, on=False)})"
        sign = self.dice.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"({self.number(depth - 1, on=on)} {sign} {self.number(depth - 1, on=on)})"

    def call(self, kind: str, depth: int, *, on: bool) -> str:
        """A call of any function of that kind."""
        name = self.dice.choice([name for name, function in FUNCTIONS.items() if function.answers == kind])
        taken = [word for word in FUNCTIONS[name].takes if word != "..."]
        return f"{name}({', '.join(self._argument(word, depth, on=on) for word in taken)})"

    def _argument(self, word: str, depth: int, *, on: bool) -> str:
        return str(self.dice.randint(1, self.longest)) if word in LENGTHS else self.number(depth - 1, on=on)


def _market(dice: random.Random, minutes: int) -> Candles:
    return random_candles(
        dice.randrange(2**32),
        minutes,
        start_ms=START_MS + dice.randrange(60) * MINUTE_MS,
        holes=dice.choice([0.0, 0.0, 0.15]),
        quiet=dice.choice([0.0, 0.4]),
    )


@pytest.mark.parametrize("text", [*PLAIN, *sorted(COLUMNS), "on('15m', rsi(close, 3))", "(close > open)[2]"])
@pytest.mark.parametrize("holes", [0.0, 0.2])
def test_later_candles_change_no_earlier_value(text: str, holes: float) -> None:
    candles = random_candles(len(text), 400, holes=holes, quiet=0.1)
    whole = ask(text, candles, 5)
    for minutes in (399, 341, 200, 37):
        part = ask(text, cut(candles, 0, minutes), 5)
        assert same_bits(part, whole[: len(part)])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_any_rule_can_be_asked_and_never_reaches_forward(seed: int) -> None:
    dice = random.Random(seed)
    sentences = Sentences(dice)
    candles = _market(dice, dice.randrange(20, 200))
    try:
        text = sentences.condition(4) if dice.random() < 0.5 else sentences.number(4)
        parse(text)
    except RuleProblem as problem:
        assert "characters" in problem.what  # noqa: PT017  # long sentences are the only wrong ones it makes
        return
    minutes = dice.choice([1, 5])
    whole = ask(text, candles, minutes)
    assert not np.isinf(whole).any()
    part = ask(text, cut(candles, 0, len(candles) * 2 // 3), minutes)
    assert same_bits(part, whole[: len(part)])


def _spec(sentences: Sentences) -> RuleSpec:
    dice = sentences.dice
    limits: list[LevelText | None] = [None, "0.1%", "0.3 * atr(2)", {"long": "low", "short": "high"}]
    targets: list[LevelText] = ["1%", "max(2 * atr(2), 0.01 * price)", {"long": "high * 1.1", "short": "low * 0.9"}]
    return RuleSpec(
        candles_minutes=dice.choice([1, 3, 5]),
        let={"one": dice.choice(SMALL), "two": sentences.number(1)},
        long=f"one > two or {sentences.condition(2)}",
        short=f"one[1] < close and {sentences.condition(2)}",
        entry_limit=dice.choice(limits),
        take_profit=dice.choice(targets),
        stop_loss=dice.choice(["1%", "stdev(close, 4)"]),
        lifetime_minutes=60,
    )


def _same_drafts(left: DraftColumns, right: DraftColumns, rows: int) -> bool:
    columns = [field.name for field in fields(DraftColumns) if field.name not in {"notes", "ids"}]
    return len(left) == rows and all(
        np.array_equal(
            getattr(left, name), getattr(right, name)[:rows], equal_nan=getattr(left, name).dtype == np.float64
        )
        for name in columns
    )


def test_later_candles_change_no_earlier_draft() -> None:
    dice, fired = random.Random(1), 0
    for _ in range(150):
        compiled = compile_rules(_spec(Sentences(dice)), {})
        candles = _market(dice, 240)
        kept = dice.randrange(30, 240)
        part = cut(candles, 0, kept)
        whole = compiled.decide(candles, candles.start_ms, candles.end_ms, price_of(candles))
        early = compiled.decide(part, part.start_ms, part.end_ms, price_of(part))
        assert _same_drafts(early, whole, int(np.searchsorted(whole.time_ms, part.end_ms, side="right")))
        fired += int(np.count_nonzero(early.side))
    assert fired > 1_000


def test_an_earlier_start_than_settled_changes_no_decision() -> None:
    dice, decisions = random.Random(2), 0
    for _ in range(1_000):
        compiled = compile_rules(_spec(Sentences(dice, longest=3)), {})
        frame_start = compiled.settled_minutes + 5
        candles = random_candles(dice.randrange(2**32), 60 + frame_start + 60, start_ms=START_MS)
        first_ms = START_MS + (60 + frame_start) * MINUTE_MS
        decide = functools.partial(compiled.decide, first_ms=first_ms, last_ms=candles.end_ms)
        late = cut(candles, dice.randrange(61), len(candles))
        settled = cut(candles, 60, len(candles))
        wanted = decide(settled, price=price_of(settled))
        found = decide(late, price=price_of(late))
        assert wanted.time_ms.tolist() == found.time_ms.tolist()
        assert wanted.side.tolist() == found.side.tolist()
        assert not (wanted.warm_up | wanted.short_history).any()
        for name in ("price_open", "price_take_profit", "price_stop_loss"):
            np.testing.assert_allclose(getattr(wanted, name), getattr(found, name), rtol=1e-7)
        decisions += len(wanted)
    assert decisions > 3_000


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="closeatrmin()[],.'+-*/<>=!01 \n#\\&|on1h", max_size=40))
def test_any_text_is_a_rule_or_a_problem(text: str) -> None:
    try:
        parse(text)
    except RuleProblem as raised:
        problem = raised
    else:
        return
    assert problem.what
    assert problem.column is None or 1 <= problem.column <= max(1, len(text))
