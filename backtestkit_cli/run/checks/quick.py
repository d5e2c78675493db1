"""Whether decisions stand when they are made again: the short form, with every backtest of Python.

* Of a strategy in rows two decisions are made again: one with the later candles cut off, one with candles that go
  against it. Long histories are probed in a window, so that a long run pays no more than a short one.
* Of a strategy that is asked four decisions are asked again, backwards and in a module of their own.
* What it finds goes into the report. It changes no result, and what goes wrong in it is no error of the run.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed
from backtestkit_cli.engine.doubt import Doubt, DoubtCode
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.checks.afresh import Afresh
from backtestkit_cli.run.checks.decisions import Decisions, Difference, differences
from backtestkit_cli.run.checks.later import WHEN, Later, until, with_later
from backtestkit_cli.run.checks.probe import ASKED_ALONE, doubt_of
from backtestkit_cli.run.strategies import VectorStrategy

MOST_KEPT = 32
_WINDOW_ROWS = 1000
_ROWS_AFTER = 64


@dataclass(slots=True)
class Kept:
    """Some answers of a run, spread over all of it: at most twice `MOST_KEPT`, the same for the same run."""

    answers: list[tuple[int, Answer]] = field(default_factory=list)
    every: int = 1
    count: int = 0

    def add(self, time_ms: int, answer: Answer) -> None:
        """Keep every answer, then every second, every fourth."""
        if self.count % self.every == 0:
            self.answers.append((time_ms, answer))
            if len(self.answers) >= 2 * MOST_KEPT:
                self.answers, self.every = self.answers[::2], 2 * self.every
        self.count += 1


@dataclass(slots=True)
class Asked:
    """What a run asked and was answered: some of the drafts and some of the rest."""

    drafts: Kept = field(default_factory=Kept)
    others: Kept = field(default_factory=Kept)

    def add(self, time_ms: int, answer: Answer) -> None:
        """Keep an answer, perhaps."""
        kept = self.drafts if isinstance(answer, SignalDraft) else self.others
        if not isinstance(answer, Failed):
            kept.add(time_ms, answer)

    def some(self) -> list[tuple[int, Answer]]:
        """Two drafts and two others, spread over the run, the latest first."""
        chosen = [
            answers[len(answers) * third // 3]
            for answers in (self.drafts.answers, self.others.answers)
            if answers
            for third in (1, 2)
        ]
        return sorted(dict(chosen).items(), reverse=True)


def rows_in_doubt(afresh: Afresh, strategy: VectorStrategy, candles: Candles, rows: DraftColumns) -> tuple[Doubt, ...]:
    """Make two decisions of a run again; `rows` is what it said."""
    row_minutes = strategy.interval.minutes
    known = Decisions.of_rows(rows).between(afresh.plan.range.start_ms, int(afresh.ticks[-1]))
    found: list[Doubt] = []
    with suppress(BacktestkitError), afresh.made() as made:
        for moment, later in _chosen(afresh, known):
            start_ms = moment - (_WINDOW_ROWS * row_minutes + 2 * strategy.history_minutes) * MINUTE_MS
            part, base = candles, known
            changed = with_later(part, moment, later)
            if start_ms > candles.start_ms:
                part = candles.from_time(start_ms)
                changed = with_later(part, moment, later)
            again = afresh.rows_of(made, changed, changed.end_ms)
            if part is not candles:
                after = until(part, moment + _ROWS_AFTER * row_minutes * MINUTE_MS)
                base = afresh.rows_of(made, after, after.end_ms)
            first_ms = max(afresh.plan.range.start_ms, start_ms)
            found += _doubts("looks-ahead", differences(base, again, first_ms, moment), WHEN[later].format(iso(moment)))
    return _distinct(found)


def answers_in_doubt(afresh: Afresh, candles: Candles, asked: Asked) -> tuple[Doubt, ...]:
    """Ask for four decisions of a run again."""
    found: list[Doubt] = []
    with suppress(BacktestkitError), afresh.made() as made:
        for time_ms, answer in asked.some():
            known, past = Decisions.of_answers([(time_ms, answer)]), until(candles, time_ms)
            again = afresh.alone_of(made, past, time_ms)
            changed = differences(known, again, time_ms, time_ms)
            if changed:
                found += _doubts(_reason(afresh, candles, time_ms), changed, ASKED_ALONE)
    return _distinct(found)


def _reason(afresh: Afresh, candles: Candles, time_ms: int) -> DoubtCode:
    """Why a decision changed when it was asked alone, with nothing after it."""

    def differ(one: Candles, other: Candles) -> bool:
        answers = afresh.alone(one, time_ms), afresh.alone(other, time_ms)
        return bool(differences(*answers, time_ms, time_ms))

    if differ(candles, candles):
        return "not-deterministic"
    return "looks-ahead" if differ(candles, until(candles, time_ms)) else "carries-state"


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
