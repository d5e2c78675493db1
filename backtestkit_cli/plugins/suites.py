"""Whether functions of the user keep the promises of their ports: strategies of both forms, risk checks and sizings.

As in `conformance`, every check returns what it found, and what a plugin raises is a finding too. The calls are handed
in ready to be made, so that nothing is known here of markets and signals. Callbacks are only looked at, not called:
what they do outside cannot be undone.
"""

import inspect
from collections.abc import Callable, Sequence
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any

from backtestkit_cli.errors import Problem, Source
from backtestkit_cli.model.time import iso
from backtestkit_cli.plugins.answers import AnswerProblem, draft_from, frame_from
from backtestkit_cli.plugins.conformance import Findings
from backtestkit_cli.plugins.places import raised
from backtestkit_cli.plugins.reference import Plugin
from backtestkit_cli.plugins.words import shown

if TYPE_CHECKING:
    import polars as pl

Ask = Callable[[int], object]
"""Ask a strategy at a time (UTC ms) of a market; None where it asked for more candles than there are."""


def check_decision_strategy(plugin: Plugin, ask: Ask, times_ms: Sequence[int]) -> list[Problem]:
    """Ask a strategy at each time, twice."""
    return found_by(plugin.place, lambda: _answers(ask, times_ms))


def check_vector_strategy(
    plugin: Plugin, call: Callable[["pl.LazyFrame"], object], candles: "pl.DataFrame"
) -> list[Problem]:
    """Give a strategy all rows twice, then half of them, one row, and none."""
    return found_by(plugin.place, lambda: _frames(call, candles))


def check_risk_check(plugin: Plugin, call: Callable[[Any], object], questions: Sequence[object]) -> list[Problem]:
    """Ask a risk check each question, twice."""
    return found_by(plugin.place, lambda: _refusals(call, questions))


def check_sizing(plugin: Plugin, call: Callable[[Any], object], questions: Sequence[object]) -> list[Problem]:
    """Ask a sizing each question, twice."""
    return found_by(plugin.place, lambda: _quantities(call, questions))


def check_callback(plugin: Plugin) -> list[Problem]:
    """See whether a callback can be called with an event alone."""
    return found_by(plugin.place, lambda: _one_argument(plugin))


def found_by(place: Source, check: Callable[[], Findings]) -> list[Problem]:
    """What a check of the plugin at a place finds; what that raises is a finding too."""
    found: list[Problem] = []
    try:
        for code, what in check():
            found.append(Problem(f"port-{code}", what, place))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # around a plugin call, `sys.exit` too
        problem = raised(error, place, "while it was checked")
        found.append(Problem("port-raised", problem.what, problem.where))
    return found


def _answers(ask: Ask, times_ms: Sequence[int]) -> Findings:
    for time_ms in times_ms:
        answers = []
        for _ in range(2):
            try:
                answers.append(draft_from(ask(time_ms)))
            except AnswerProblem as problem:
                yield "answer", f"its answer at {iso(time_ms)} is no draft: {problem}"
                return
        if answers[0] != answers[1]:
            yield "repeat", f"it answers differently when it is asked again at {iso(time_ms)}"
            return


def _frames(call: Callable[["pl.LazyFrame"], object], candles: "pl.DataFrame") -> Findings:
    answers = []
    for count in (len(candles), len(candles), len(candles) // 2, 1, 0):
        part = candles.head(count)
        try:
            answers.append(frame_from(call(part.lazy()), part["time"].to_numpy()))
        except AnswerProblem as problem:
            yield "answer", f"its answer to {count} rows is no frame of drafts: {problem}"
            return
    if not answers[0].equals(answers[1]):
        yield "repeat", f"it answers differently when it is given the same {len(candles)} rows again"


def _refusals(call: Callable[[Any], object], questions: Sequence[object]) -> Findings:
    for question in questions:
        answers = [call(question) for _ in range(2)]
        if not (answers[0] is None or isinstance(answers[0], str | bool)):
            yield "answer", f"it answers {shown(answers[0])}, not None or a text that says why it refuses"
            return
        if answers[0] != answers[1]:
            yield "repeat", "it answers the same question differently"
            return


def _quantities(call: Callable[[Any], object], questions: Sequence[object]) -> Findings:
    for question in questions:
        answers = [call(question) for _ in range(2)]
        quantity = answers[0]
        is_none_of_them = isinstance(quantity, bool) or not isinstance(quantity, Real) or not isfinite(float(quantity))
        if quantity is not None and is_none_of_them:
            yield "answer", f"it answers {shown(quantity)}, not a finite number or None"
            return
        if answers[0] != answers[1]:
            yield "repeat", "it answers the same question differently"
            return


def _one_argument(plugin: Plugin) -> Findings:
    try:
        inspect.signature(plugin.function).bind(None)
    except TypeError as error:
        yield "arguments", f"it cannot be called with one event: {error}"
