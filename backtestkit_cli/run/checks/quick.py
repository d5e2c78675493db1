"""Whether decisions stand when they are made again: the short form, with every backtest of Python.

* Of a strategy in rows two decisions are made again: one with the later candles cut off, one with candles that go
  against it. Long histories are probed in a window, so that a long run pays no more than a short one.
* Of a strategy that is asked four decisions are asked again, backwards.
* All of it happens in a module of its own, loaded once for a run. A function that cannot have one, because it is given
  by the program itself or installed, is left to `check`.
* What it finds goes into the report. It changes no result, and what goes wrong in it is no error of the run.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.doubt import Doubt, DoubtCode
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.asked import Asked
from backtestkit_cli.run.checks.afresh import Afresh
from backtestkit_cli.run.checks.decisions import Decisions, Difference, differences
from backtestkit_cli.run.checks.later import WHEN, Later, until, with_later
from backtestkit_cli.run.checks.probe import ASKED_ALONE, MADE_TWICE, doubt_of
from backtestkit_cli.run.strategies import DecisionStrategy, RowStrategy, VectorStrategy

_WINDOW_ROWS = 1000
_ROWS_AFTER = 64


@dataclass(slots=True)
class QuickCheck:
    """The short form for one stream of a run; `doubts` is what it found."""

    afresh: Afresh
    candles: Candles
    doubts: tuple[Doubt, ...] = ()

    def make_again(self, strategy: RowStrategy, rows: DraftColumns) -> None:
        """Doubt the rows of a run; rules and files of signals cost nothing."""
        if isinstance(strategy, VectorStrategy):
            with suppress(BacktestkitError), self.afresh.made() as made:
                if isinstance(made, VectorStrategy) and _is_apart(made, strategy):
                    self.doubts = rows_in_doubt(self.afresh, made, self.candles, rows)

    def ask_again(self, strategy: DecisionStrategy, asked: Asked) -> None:
        """Doubt the answers of a run."""
        with suppress(BacktestkitError), self.afresh.made() as made:
            if isinstance(made, DecisionStrategy) and _is_apart(made, strategy):
                self.doubts = answers_in_doubt(self.afresh, made, self.candles, asked)


def rows_in_doubt(afresh: Afresh, made: VectorStrategy, candles: Candles, rows: DraftColumns) -> tuple[Doubt, ...]:
    """Make two decisions of a run again; `rows` is what it said."""
    known = Decisions.of_rows(rows).between(afresh.plan.range.start_ms, int(afresh.ticks[-1]))
    window_ms = (_WINDOW_ROWS * made.interval.minutes + 2 * made.history_minutes) * MINUTE_MS
    found: list[Doubt] = []
    for moment, later in _chosen(afresh, known):
        part, base = candles.from_time(moment - window_ms), known
        if part is not candles:
            after = until(part, moment + _ROWS_AFTER * made.interval.ms)
            base = afresh.rows_of(made, after, after.end_ms)
        changed = with_later(part, moment, later)
        again = afresh.rows_of(made, changed, changed.end_ms)
        first_ms = max(afresh.plan.range.start_ms, part.start_ms)
        differs = differences(base, again, first_ms, moment)
        if differs:
            first, second = (_anew(afresh).rows(changed, changed.end_ms) for _ in range(2))
            code = _code(differences(first, second, first_ms, moment), differences(again, first, first_ms, moment))
            when = WHEN[later].format(iso(moment)) if code == "looks-ahead" else MADE_TWICE
            found += _doubts(code, differs, when)
    return _distinct(found)


def answers_in_doubt(afresh: Afresh, made: DecisionStrategy, candles: Candles, asked: Asked) -> tuple[Doubt, ...]:
    """Ask for four decisions of a run again."""
    found: list[Doubt] = []
    for time_ms, answer in asked.some():
        known, past = Decisions.of_answers([(time_ms, answer)]), until(candles, time_ms)
        differs = differences(known, afresh.alone_of(made, past, time_ms), time_ms, time_ms)
        if differs:
            found += _doubts(_reason(afresh, candles, time_ms), differs, ASKED_ALONE)
    return _distinct(found)


def _is_apart(made: VectorStrategy | DecisionStrategy, strategy: RowStrategy | DecisionStrategy) -> bool:
    """Whether the two share no memory: a function of the program itself, or of a package, is there only once."""
    plugin = getattr(strategy, "plugin", None)
    return plugin is None or made.plugin.function is not plugin.function


def _reason(afresh: Afresh, candles: Candles, time_ms: int) -> DoubtCode:
    """Why a decision changed when it was asked alone, with nothing after it."""
    past = until(candles, time_ms)
    first, second, with_all = (_anew(afresh).alone(one, time_ms) for one in (past, past, candles))
    is_same = not differences(first, with_all, time_ms, time_ms)
    return _code(differences(first, second, time_ms, time_ms), is_same)


def _anew(afresh: Afresh) -> Afresh:
    """With a new module for each evaluation: where something is wrong already, it may take its time."""
    return replace(afresh, own=None)


def _code(between_two: object, is_memory: object) -> DoubtCode:
    """What is wrong: two new modules differ, or one that was used differs from a new one, or it is the candles."""
    if between_two:
        return "not-deterministic"
    return "carries-state" if is_memory else "looks-ahead"


def _chosen(afresh: Afresh, known: Decisions) -> list[tuple[int, Later]]:
    """Two moments with what comes after them: drafts if there are any."""
    times = known.times_ms if len(known) else afresh.ticks
    places = [len(times) // 3, 2 * len(times) // 3]
    against: Later = "fall" if not len(known) or known.values[places[1], 0] > 0 else "rise"
    return [(int(times[places[0]]), "nothing"), (int(times[places[1]]), against)]


def _doubts(code: DoubtCode, found: list[Difference], when: str) -> list[Doubt]:
    return [doubt_of(code, one, when) for one in found]


def _distinct(found: list[Doubt]) -> tuple[Doubt, ...]:
    """The first doubt of each code and field."""
    return tuple({(one.code, one.column): one for one in reversed(found)}.values())[::-1]
