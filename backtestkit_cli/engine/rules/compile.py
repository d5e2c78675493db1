"""Reading the rules of a strategy: from its texts to rules that can be asked.

Rules kept here:
- every text is read and all problems are told together, each with its key;
- names of `let` are read in order, and repeat no param, column or function;
- a level is a distance (`2%` or an expression) or a mapping of prices that names every side in use.
"""

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from backtestkit_cli.engine.rules.decide import SIDES, CompiledRules, Side
from backtestkit_cli.engine.rules.expression import Expression, kind_of
from backtestkit_cli.engine.rules.functions import FUNCTIONS, Kind
from backtestkit_cli.engine.rules.history import Reach, longest_minutes, reaches
from backtestkit_cli.engine.rules.levels import Distance, Level, Percent, Prices, expressions_of
from backtestkit_cli.engine.rules.parse import COLUMNS, INTERVALS, BrokenName, ParamValue, RuleProblem, Scope, parse
from backtestkit_cli.model.time import Interval

LevelText: TypeAlias = str | Mapping[str, str]

_PERCENT = re.compile(r"\s*(-?(?:\d+\.?\d*|\.\d+))\s*%\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """The texts of one strategy, as they are configured.

    `candles_minutes`: row interval. `let`: name to expression, in order. `entry_limit`: None enters at the market.
    Levels are a distance (an expression or a text such as `2%`), or a mapping `{long, short}` of absolute prices.
    """

    candles_minutes: int
    take_profit: LevelText
    stop_loss: LevelText
    lifetime_minutes: int
    let: Mapping[str, str] = field(default_factory=dict)
    long: str | None = None
    short: str | None = None
    entry_limit: LevelText | None = None
    wait_minutes: int | None = None
    note: str = ""


class RuleProblems(ValueError):  # noqa: N818  # carries problems, the config layer makes the error
    """Rules that are wrong: every problem with its key, such as `let.trend` or `take_profit.long`."""

    def __init__(self, problems: tuple[tuple[str, RuleProblem], ...]) -> None:
        super().__init__("; ".join(f"{key}: {problem.what}" for key, problem in problems))
        self.problems = problems


def compile_rules(spec: RuleSpec, params: Mapping[str, ParamValue]) -> CompiledRules:
    """Read all texts of a strategy.

    Raises:
        RuleProblems: at least one is wrong.
    """
    reading = _Reading(params)
    reading.check(spec)
    for name, text in spec.let.items():
        reading.let(name, text)
    conditions = {side: reading.text(side, text, "truth") for side, text in _conditions(spec)}
    sides = [side for side, _ in _conditions(spec)]
    limit = None if spec.entry_limit is None else reading.level("entry.limit", spec.entry_limit, sides)
    take_profit = reading.level("take_profit", spec.take_profit, sides)
    stop_loss = reading.level("stop_loss", spec.stop_loss, sides)
    if reading.problems or take_profit is None or stop_loss is None:
        raise RuleProblems(tuple(reading.problems))
    fired = {side: condition for side, condition in conditions.items() if condition is not None}
    roots = [*fired.values()]
    for level in (limit, take_profit, stop_loss):
        roots += [] if level is None else expressions_of(level)
    return _compiled(spec, reading.names, fired, (limit, take_profit, stop_loss), roots)


def _conditions(spec: RuleSpec) -> list[tuple[Side, str]]:
    texts: tuple[tuple[Side, str | None], ...] = (("long", spec.long), ("short", spec.short))
    return [(side, text) for side, text in texts if text is not None]


def _compiled(
    spec: RuleSpec,
    names: Mapping[str, Expression],
    conditions: Mapping[Side, Expression],
    levels: tuple[Level | None, Level, Level],
    roots: Iterable[Expression],
) -> CompiledRules:
    of_names: dict[str, frozenset[Reach]] = {}
    for name, expression in names.items():
        of_names[name] = reaches(expression, of_names)
    history = frozenset[Reach]().union(*(reaches(root, of_names) for root in roots))
    limit, take_profit, stop_loss = levels
    return CompiledRules(
        row_minutes=spec.candles_minutes,
        intervals=frozenset({spec.candles_minutes, *(reach.interval_minutes or 0 for reach in history)} - {0}),
        needed_minutes=longest_minutes(history, spec.candles_minutes, settled=False),
        settled_minutes=longest_minutes(history, spec.candles_minutes, settled=True),
        lifetime_minutes=spec.lifetime_minutes,
        wait_minutes=spec.wait_minutes,
        note=spec.note,
        names=names,
        conditions=conditions,
        limit=limit,
        take_profit=take_profit,
        stop_loss=stop_loss,
        history=history,
    )


class _Reading:
    """Reads the texts of a strategy in order and keeps what is wrong with them."""

    def __init__(self, params: Mapping[str, ParamValue]) -> None:
        self.params = params
        self.names: dict[str, Expression] = {}
        self.kinds: dict[str, Kind | None] = {}
        self.problems: list[tuple[str, RuleProblem]] = []

    def check(self, spec: RuleSpec) -> None:
        """Check what is no expression."""
        known = {Interval(interval).minutes for interval in INTERVALS}
        if spec.candles_minutes not in known:
            self._tell("candles", "this is no interval of candles", f"known are {', '.join(INTERVALS)}")
        if spec.long is None and spec.short is None:
            self._tell("long", "neither `long` nor `short` is given", "give at least one condition")

    def let(self, name: str, text: str) -> None:
        """Read one name."""
        key = f"let.{name}"
        taken = {"a param": self.params, "a column": COLUMNS, "a function": FUNCTIONS, "a word of the language": {"on"}}
        repeated = [words for words, names in taken.items() if name in names]
        if not _NAME.fullmatch(name) or keyword.iskeyword(name):
            self._tell(key, f"{name!r} is no name", "use letters, digits and _")
        elif repeated:
            self._tell(key, f"{name!r} is already {repeated[0]}", "take another name")
        expression = self.text(key, text, None)
        self.kinds[name] = None if expression is None else kind_of(expression)
        if expression is not None:
            self.names[name] = expression

    def text(self, key: str, text: str, kind: Kind | None) -> Expression | None:
        """Read one expression; None when it is wrong."""
        try:
            return parse(text, Scope(params=self.params, lets=self.kinds), kind=kind)
        except BrokenName:
            return None  # the name itself is already told
        except RuleProblem as problem:
            self.problems.append((key, problem))
        return None

    def level(self, key: str, text: LevelText, sides: Iterable[Side]) -> Level | None:
        """Read one level; None when it is wrong."""
        if isinstance(text, str):
            return self._distance(key, text)
        for missing in (side for side in sides if side not in text):
            self._tell(key, f"there is no price for {missing}", f"add {missing}: EXPRESSION")
        for unknown in (side for side in text if side not in SIDES):
            self._tell(f"{key}.{unknown}", f"{unknown!r} is no side", "sides are long and short")
        prices = {side: self.text(f"{key}.{side}", text[side], "number") for side in SIDES if side in text}
        return Prices({side: price for side, price in prices.items() if price is not None})

    def _distance(self, key: str, text: str) -> Level | None:
        percent = _PERCENT.fullmatch(text)
        if percent is None:
            expression = self.text(key, text, "number")
            return None if expression is None else Distance(expression)
        if not float(percent[1]) > 0:
            self._tell(key, f"the distance {text.strip()} is not above zero", "give a percentage such as 2%")
        return Percent(float(percent[1]))

    def _tell(self, key: str, what: str, hint: str) -> None:
        self.problems.append((key, RuleProblem(what, hint=hint)))
