"""The parts of `check`: comparing decisions, other futures, moments, cut files, causes, costs, what a run keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from backtestkit_cli.data.load import load_candles
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.decide import Answer, Failed, NoDraft
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, parse_time
from backtestkit_cli.run.asked import MOST_KEPT, Asked
from backtestkit_cli.run.checks.causes import causes_in, clock_lines
from backtestkit_cli.run.checks.costs import cost_remarks
from backtestkit_cli.run.checks.cut_files import CutProject
from backtestkit_cli.run.checks.decisions import Decisions, Difference, differences
from backtestkit_cli.run.checks.later import LATERS, until, with_later
from backtestkit_cli.run.checks.moments import draft_moments, other_moments

START_MS = parse_time("2023-03-01")
HOUR_MS = 60 * MINUTE_MS
DRAFT = SignalDraft(position="long", price_take_profit=110.0, price_stop_loss=90.0, lifetime_minutes=60)


def candles(days: int = 2) -> Candles:
    return load_candles(SampleExchange(3), "BTCUSDT", START_MS, START_MS + days * DAY_MS)


def decisions(*answers: tuple[int, Answer]) -> Decisions:
    return Decisions.of_answers([(START_MS + hour * HOUR_MS, answer) for hour, answer in answers])


def found(known: Decisions, again: Decisions, hours: int = 9) -> list[Difference]:
    return differences(known, again, START_MS, START_MS + hours * HOUR_MS)


def test_the_same_decisions_do_not_differ_though_sums_may_be_added_in_another_order() -> None:
    nearly = replace(DRAFT, price_take_profit=110.0 * (1 + 1e-12))
    assert found(decisions((1, DRAFT), (2, NoDraft.NONE)), decisions((1, nearly))) == []


@pytest.mark.parametrize(
    ("again", "field", "values"),
    [
        pytest.param(NoDraft.NONE, "position", ("long", None), id="no draft"),
        pytest.param(replace(DRAFT, position="short"), "position", ("long", "short"), id="other side"),
        pytest.param(replace(DRAFT, position="up"), "position", ("long", "no position"), id="no side"),
        pytest.param(Failed("no"), "position", ("long", "an error"), id="raised"),
        pytest.param(replace(DRAFT, price_take_profit=111.0), "price_take_profit", (110.0, 111.0), id="take profit"),
        pytest.param(replace(DRAFT, price_stop_loss=91.0), "price_stop_loss", (90.0, 91.0), id="stop"),
        pytest.param(replace(DRAFT, price_open=99.0), "price_open", (None, 99.0), id="entry"),
        pytest.param(replace(DRAFT, lifetime_minutes=61), "lifetime_minutes", (60.0, 61.0), id="lifetime"),
        pytest.param(replace(DRAFT, wait_minutes=5), "wait_minutes", (None, 5.0), id="wait"),
    ],
)
def test_a_difference_names_field_time_and_both_values(
    again: Answer, field: str, values: tuple[object, object]
) -> None:
    known, other = decisions((1, DRAFT), (2, DRAFT)), decisions((1, DRAFT), (2, again))
    assert found(known, other) == [Difference(START_MS + 2 * HOUR_MS, field, *values)]  # type: ignore[arg-type]  # as they are


def test_a_note_decides_nothing() -> None:
    assert found(decisions((1, replace(DRAFT, note="a"))), decisions((1, replace(DRAFT, note="b", id="1")))) == []


def test_only_decisions_up_to_the_moment_are_compared() -> None:
    assert found(decisions((1, DRAFT), (3, DRAFT)), decisions((1, DRAFT)), hours=2) == []
    assert len(found(decisions((1, DRAFT), (3, DRAFT)), decisions((1, DRAFT)), hours=3)) == 1


@pytest.mark.parametrize("later", LATERS)
def test_another_future_leaves_the_past_as_it_is(later: Any) -> None:
    real, moment = candles(), START_MS + DAY_MS
    changed = with_later(real, moment, later)
    rows = real.row(moment)
    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(changed, name)[:rows], getattr(real, name)[:rows])
    after = changed.close[rows:]
    assert len(after) == (0 if later == "nothing" else 2 * 1440)
    if len(after):
        assert (np.diff(after) > 0).all() == (later == "rise")
        assert (changed.high >= changed.low).all()


def test_another_future_of_candles_with_holes_has_none_of_its_own() -> None:
    real = candles()
    present = np.ones(len(real), dtype=bool)
    present[100:1440] = False
    close = np.where(present, real.close, np.nan)
    volume = np.where(present, real.volume, np.nan)
    changed = with_later(replace(real, close=close, volume=volume, present=present), START_MS + DAY_MS, "fall")
    assert changed.present is not None
    assert changed.present[1440:].all()
    assert changed.close[1440] == real.close[99] * 0.999
    assert np.isfinite(changed.volume[1440:]).all()


def test_moments_hold_both_sides_extremes_and_are_always_the_same() -> None:
    answers: list[tuple[int, Answer]] = [(hour, DRAFT) for hour in range(200)]
    answers[77] = (77, replace(DRAFT, position="short", price_take_profit=80.0, price_stop_loss=120.0))
    answers[123] = (123, replace(DRAFT, price_take_profit=150.0))
    known = decisions(*answers)
    chosen = draft_moments(known, 32)
    assert {START_MS + 77 * HOUR_MS, START_MS + 123 * HOUR_MS, int(known.times_ms[-1])} <= set(chosen)
    assert len(chosen) == 32
    assert chosen == sorted(chosen) == draft_moments(known, 32)
    assert draft_moments(decisions(), 32) == []


def test_other_moments_hold_the_rarest_candles_and_no_draft() -> None:
    real = candles()
    volume = real.volume.copy()
    volume[700] = 1e9
    real = replace(real, volume=volume)
    times = np.arange(START_MS + 15 * MINUTE_MS, START_MS + 2 * DAY_MS, 15 * MINUTE_MS, dtype=np.int64)
    known = decisions((5, DRAFT))
    chosen = other_moments(known, times, real, 15, 16)
    assert START_MS + 705 * MINUTE_MS in chosen
    assert START_MS + 5 * HOUR_MS not in chosen
    assert START_MS + DAY_MS in chosen
    assert len(chosen) == 16
    assert other_moments(known, known.times_ms, real, 15, 16) == []


def market_files(folder: Path, real: Candles) -> None:
    times = real.start_ms + MINUTE_MS * np.arange(len(real))
    frame = pl.DataFrame({"time": times, "open": real.open, "close": real.close})
    data = folder / "data"
    data.mkdir()
    frame.write_csv(data / "opens.csv")
    frame.with_columns(pl.col("time") + MINUTE_MS).write_csv(data / "closes.csv")
    frame.write_parquet(data / "opens.parquet")
    frame.select(date=pl.from_epoch("time", time_unit="ms").dt.strftime("%Y-%m-%d %H:%M:%S"), rate="close").write_csv(
        data / "rates.csv"
    )
    frame.select(ts=pl.col("time") // 1000, rate="close").write_csv(data / "seconds.csv")
    (data / "names.csv").write_text("name,size\na,1\n")
    (data / "broken.csv").write_bytes(b"\xff\xfe\x00time,\n")
    (data / "note.txt").write_text("kept")
    (folder / "code.py").write_text("x = 1\n")
    (folder / "logs").mkdir()
    (folder / "logs" / "left.csv").write_text("time\n1\n")


def test_a_copy_of_the_project_ends_at_the_moment(tmp_path: Path) -> None:
    real = candles()
    market_files(tmp_path, real)
    moment = START_MS + DAY_MS
    with CutProject(tmp_path, real).at(moment) as copy:
        assert copy is not None
        data = copy / "data"
        assert pl.read_csv(data / "opens.csv")["time"][-1] == moment - MINUTE_MS
        assert pl.read_csv(data / "closes.csv")["time"][-1] == moment
        assert pl.read_parquet(data / "opens.parquet")["time"][-1] == moment - MINUTE_MS
        assert pl.read_csv(data / "rates.csv")["date"][-1] == "2023-03-02 00:00:00"
        assert pl.read_csv(data / "seconds.csv")["ts"][-1] == moment // 1000
        assert (data / "names.csv").read_text() == "name,size\na,1\n"
        assert (data / "broken.csv").read_bytes() == (tmp_path / "data" / "broken.csv").read_bytes()
        assert (data / "note.txt").read_text() == "kept"
        assert not (copy / "code.py").is_symlink()
        assert not (copy / "logs").exists()
    assert not copy.exists()
    assert len(pl.read_csv(tmp_path / "data" / "opens.csv")) == len(real)


def test_without_a_file_that_knows_times_there_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("name\na\n")
    with CutProject(tmp_path, candles()).at(START_MS) as copy:
        assert copy is None


def test_a_project_with_too_much_in_it_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("time\n1680000000000\n")
    monkeypatch.setattr("backtestkit_cli.run.checks.cut_files.MOST_BYTES", 3)
    project = CutProject(tmp_path, candles())
    assert project.files == []
    assert project.is_too_large
    monkeypatch.setattr("backtestkit_cli.run.checks.cut_files.MOST_BYTES", 999)
    monkeypatch.setattr("backtestkit_cli.run.checks.cut_files.MOST_FILES", 0)
    project = CutProject(tmp_path, candles())
    assert project.files == []
    assert project.is_too_large


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("x.shift(-1)", "shift(-n)"),
        ("x.shift(n=-horizon)", "shift(-n)"),
        ("x.rolling_mean(9, center=True)", "a centred window"),
        ("x.backward_fill()", "backward_fill"),
        ('x.fill_null(strategy="backward")', "fill_null"),
        ("x.interpolate()", "interpolate"),
        ("x.cum_min(reverse=True)", "cum_min(reverse=True)"),
        ("x.reverse()", "reverse"),
        ("x[::-1]", "[::-1]"),
        ('x.sort("time", descending=True)', "sort"),
        ('x.join_asof(y, on="time", strategy="forward")', "join_asof"),
        ('np.convolve(x, k, mode="same")', "convolve"),
        ('x.max().over("day")', "over"),
        ('x.group_by_dynamic("at", every="1h")', "group_by_dynamic"),
        ("x.mean()", "mean()"),
        ("np.polyfit(x, y, 1)", "polyfit"),
        ("pl.len()", "len()"),
        ('pl.read_csv("a.csv")', "read_csv"),
    ],
)
def test_lines_that_are_known_to_look_ahead_are_named(code: str, cause: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"y = 1\nz = {code}\n")
    assert str(causes_in(str(file))[0]).startswith(f"line 2: {cause}")


@pytest.mark.parametrize("text", ["x.shift(1)\n", "x.shift(n)\n", "x[::2]\n", "no python (\n"])
def test_other_lines_are_not(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    assert causes_in(str(file)) == []
    assert causes_in(str(tmp_path / "gone.py")) == causes_in(None) == []


def test_lines_that_ask_the_wall_clock_are_found_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("a = datetime.now()\nb = market.now\nc = datetime.datetime.now(UTC)\nd = time.time()\ne = now()\n")
    assert clock_lines(str(file)) == [1, 3, 4]
    assert clock_lines(None) == []


def cost_codes(costs: Costs, *drafts: SignalDraft) -> dict[str, str]:
    known = decisions(*((hour + 1, draft) for hour, draft in enumerate(drafts)))
    real = candles()
    within = TimeRange(START_MS, START_MS + DAY_MS)
    return {one.code: one.text for one in cost_remarks(known, trades_of([]), real, within, costs, 5)}


def test_costs_of_zero_are_warned_of() -> None:
    assert set(cost_codes(Costs(fee_percent=0.0, slippage_percent=0.0))) == {"costs-zero"}


def test_take_profits_that_do_not_cover_their_costs_are_counted() -> None:
    near = SignalDraft(
        position="long", price_open=100.0, price_take_profit=100.3, price_stop_loss=99.0, lifetime_minutes=9
    )
    far = replace(near, price_take_profit=102.0)
    found = cost_codes(Costs(fee_percent=0.1, slippage_percent=0.1), near, far)
    assert found == {
        "take-profit-below-costs": "the take profit of 1 of 2 drafts does not cover the costs of 0.4 %",
    }


def test_what_a_run_keeps_is_little_and_spread_over_all_of_it() -> None:
    asked = Asked()
    for place in range(10_000):
        asked.add(place, DRAFT if place % 10 == 0 else NoDraft.NONE)
    for kept in (asked.drafts, asked.others):
        assert MOST_KEPT <= len(kept.answers) < 2 * MOST_KEPT
        assert kept.answers[-1][0] > 8000
    chosen = asked.some()
    assert [isinstance(answer, SignalDraft) for _, answer in chosen].count(True) == 2
    assert [time for time, _ in chosen] == sorted((time for time, _ in chosen), reverse=True)
    assert Asked().some() == []


def test_candles_until_a_moment_are_views() -> None:
    real = candles()
    part = until(real, START_MS + HOUR_MS)
    assert len(part) == 60
    assert part.close.base is real.close.base or part.close.base is real.close
