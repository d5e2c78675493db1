"""The report of a search as its readers see it: luck first, the hold-out as the result, and what it is drawn from."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backtestkit_cli.measure.contest import Contest, Outcome
from backtestkit_cli.measure.study import Fold, Study, verdict, walk_forward
from backtestkit_cli.model.time import DAY_MS, TimeRange
from backtestkit_cli.report.as_csv import csv_texts
from backtestkit_cli.report.as_json import document, json_text
from backtestkit_cli.report.html import page
from backtestkit_cli.report.html_drawings import drawings_data
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.study import study_report
from backtestkit_cli.report.study_json import study_from, study_json

from .cases import HOSTILE
from .test_golden import FOLDER, on_terminal
from .test_walker_report import MONTH, contest, contestant, outcome

DAYS = 30
HOLD_OUT = TimeRange(MONTH.end_ms, MONTH.end_ms + DAYS * DAY_MS)


def trials(**changed: Any) -> Contest:
    """The variants of one strategy alone."""
    whole = contest(walker="ema-cross", failed=())
    return replace(whole, contestants=whole.contestants[:4], outcomes=whole.outcomes[:4], **changed)


def grown(one: Outcome, daily_percent: float, wave: float = 0.5) -> Outcome:
    """The same outcome with steady days: Sharpe ratios as one likes them."""
    worth = [100.0]
    for day in range(DAYS):
        worth.append(worth[-1] + daily_percent + (wave if day % 2 else -wave))
    figures = {**one.figures, "pnl_percent": worth[-1] - 100}
    return replace(one, equity=tuple(worth), figures=figures)


def fold(number: int, judged: Outcome | None) -> Fold:
    chosen = contest().outcomes[1]
    return Fold(number=number, train=MONTH, test=HOLD_OUT, tried=5, chosen=chosen, judged=judged)


def study(**changed: Any) -> Study:
    judged = outcome(contestant(8, 34), 7)
    values: dict[str, Any] = {
        "contest": trials(),
        "sampler": "random",
        "seed": 3,
        "asked": 100,
        "combinations": 6,
        "folds": (fold(1, judged), fold(2, None)),
        "planned_folds": 2,
        "gap_minutes": 2160,
        "embargo_minutes": 1440,
        "hold_out": HOLD_OUT,
        "held": outcome(contestant(8, 34), 9),
        "ever": 250,
        "made_of": "0123456789ab",
    }
    return Study(**values | changed)


def held_study(*, best: float, held: float, judged: float, ever: int = 4) -> Study:
    """A study whose best trial, hold-out and fold make so much a day."""
    whole = trials()
    outcomes = [grown(one, 0.01 * place, wave=2.0) for place, one in enumerate(whole.outcomes)]
    outcomes[0] = grown(outcomes[0], best)
    outcomes = [
        replace(one, figures={**one.figures, "sharpe_ratio": 9.0 if place == 0 else 0.1 * place})
        for place, one in enumerate(outcomes)
    ]
    return study(
        contest=replace(whole, outcomes=tuple(outcomes)),
        held=grown(outcomes[0], held),
        folds=(fold(1, grown(outcomes[0], judged)),),
        ever=ever,
    )


WRITERS: dict[str, Callable[[Study], str]] = {
    "md": lambda one: markdown(study_report(one)),
    "json": lambda one: json_text(study_report(one)),
    "txt": lambda one: on_terminal(study_report(one, top=3)),
    "csv": lambda one: "\n".join(f"{key}.csv\n{text}" for key, text in csv_texts(study_report(one)).items()),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_the_report_reads_as_agreed(ending: str) -> None:
    path = FOLDER / f"optimizer.{ending}"
    written = WRITERS[ending](study())
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(written, encoding="utf-8", newline="\n")
    assert written == path.read_text(encoding="utf-8")


def test_the_first_lines_say_what_is_luck_and_that_the_result_is_of_the_hold_out() -> None:
    lines = on_terminal(study_report(study())).splitlines()
    assert " ".join(lines[1:3]) == verdict(study())
    assert lines[3].startswith("hold-out: ")
    text = "\n".join(lines)
    assert text.index("Deflated Sharpe ratio") < text.index("is flattered by") < text.index("All trials")
    assert "250 trials were ever run" in " ".join(text.split())
    assert max(map(len, lines)) <= 80


def test_what_is_kept_becomes_an_equal_study_and_the_same_report() -> None:
    again = study_from(study_json(study()))
    assert study_json(again) == study_json(study())
    assert json_text(study_report(again)) == json_text(study_report(study()))


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (held_study(best=0.6, held=0.2, judged=0.2), "more than luck in the search, and it held on candles"),
        (held_study(best=0.6, held=-0.2, judged=0.2), "but it did not earn on the hold-out"),
        (held_study(best=0.6, held=0.2, judged=-0.2), "but what was chosen on the past did not earn afterwards"),
        (held_study(best=0.05, held=0.2, judged=0.2, ever=1000), "luck alone explains the best after 1000 trials"),
        (held_study(best=-0.1, held=0.2, judged=0.2), "even the best of 4 trials did not earn where it was chosen"),
    ],
)
def test_the_verdict_says_what_the_figures_say(one: Study, text: str) -> None:
    assert text in verdict(one)


def test_a_best_one_without_a_trade_is_called_that() -> None:
    whole = trials()
    idle = tuple(replace(one, figures={**one.figures, "trades": 0}) for one in whole.outcomes)
    made = verdict(study(contest=replace(whole, outcomes=idle)))
    assert made == "the best of 4 trials made no trade where it was chosen"


def test_without_a_result_nothing_is_called_chosen() -> None:
    nothing = study(contest=replace(trials(), outcomes=(), contestants=()), folds=(), held=None, made_of="")
    assert verdict(nothing).startswith("no trial has a figure to choose by")
    assert "no result to choose" in markdown(study_report(nothing))
    interrupted = replace(contest().run, status="interrupted")
    report = study_report(study(contest=replace(trials(), outcomes=(), run=interrupted), held=None))
    assert "not finished" in report.headline
    assert "interrupted: 2 of 2 folds finished" in markdown(report)
    assert document(report)["trials"]["trials"] == []
    assert page(report)


def test_folds_are_joined_to_one_curve() -> None:
    steady = grown(contest().outcomes[0], 1.0, wave=0.0)
    found = walk_forward(study(folds=(fold(1, steady), fold(2, None), fold(3, steady))))
    assert found is not None
    assert found.curve == pytest.approx(range(61))
    assert found.days == 60
    money = replace(steady, is_money=True)
    doubled = walk_forward(study(folds=(fold(1, money), fold(2, money))))
    assert doubled is not None
    assert doubled.pnl_percent == pytest.approx(100 * (1.3 * 1.3 - 1))


def drawn(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text.split('id="drawings">')[1].split("</script>", maxsplit=1)[0])
    return found


def test_pictures_are_drawn_from_the_figures_of_the_report() -> None:
    one = study()
    before, lines = drawn(page(study_report(one)))
    chosen, held = one.chosen, one.held
    assert chosen is not None
    assert held is not None
    assert one.folds[0].chosen is not None
    assert one.folds[0].judged is not None
    pairs = [(one.folds[0].chosen, one.folds[0].judged), (chosen, held)]
    points = before["traces"][1]
    assert points["x"] == [pytest.approx(first.figures["sharpe_ratio"]) for first, _ in pairs]
    assert points["y"] == [pytest.approx(second.figures["sharpe_ratio"]) for _, second in pairs]
    assert lines["traces"][0]["name"] == chosen.contestant.name
    assert lines["traces"][0]["y"] == pytest.approx([worth - 100 for worth in chosen.equity])


def test_the_halves_of_the_days_are_held_against_each_other() -> None:
    long = TimeRange(MONTH.start_ms, MONTH.start_ms + 60 * DAY_MS)
    whole = trials(run=replace(contest().run, range=long))
    outcomes = tuple(replace(one, equity=(*one.equity, *one.equity[1:])) for one in whole.outcomes)
    titles = [one.title for one in study_report(study(contest=replace(whole, outcomes=outcomes))).drawings]
    assert titles == ["Chosen and judged: Sharpe ratio", "Equity of the first 4", "Does it last? Sharpe ratio"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_foreign_text_is_only_text_in_a_picture(text: str) -> None:
    whole = trials()
    outcomes = (replace(whole.outcomes[0], contestant=contestant(text, 21)), *whole.outcomes[1:])
    data = drawings_data(study_report(study(contest=replace(whole, outcomes=outcomes))).drawings)
    told = data.split('id="drawings">')[1].split("</script>")[0]
    assert not set("<>&\u2028\u2029") & set(told)
    assert told.isascii()
    assert not any("<" in trace.get("name", "") for one in drawn(data) for trace in one["traces"])
