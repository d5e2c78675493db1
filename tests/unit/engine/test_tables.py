"""Notes, ids and money against the tables of the original, and what a funnel adds up to."""

import hashlib
import json
import uuid
from typing import Any

import pytest
from shared import ROOT

from backtestkit_cli.engine.note import plain_text, signal_id
from backtestkit_cli.model.event import CancelReason, CloseReason, Progress
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy
from backtestkit_cli.model.time import Interval, TimeRange, iso, minutes_of, parse_time
from backtestkit_cli.model.trade import pnl_percent

TABLES = ROOT / "tests/golden/original/tables"


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((TABLES / f"{name}.json").read_text())["rows"]
    assert len(found) > 5
    return found


def test_notes_become_plain_text_as_in_the_original() -> None:
    assert [plain_text(row["input"]) for row in rows("plain_text")] == [row["output"] for row in rows("plain_text")]
    assert plain_text(None) == ""


def test_an_id_is_a_uuid_of_version_four_that_follows_from_the_decision() -> None:
    first = signal_id("ema", "BTCUSDT", 1_700_000_000_000)
    assert first == signal_id("ema", "BTCUSDT", 1_700_000_000_000)
    assert first != signal_id("ema", "BTCUSDT", 1_700_000_060_000)
    for decided_at in range(200):  # every variant digit
        digest = hashlib.sha256(f"ema\nBTCUSDT\n{decided_at}".encode()).digest()
        assert signal_id("ema", "BTCUSDT", decided_at) == str(uuid.UUID(bytes=digest[:16], version=4))


@pytest.mark.parametrize(
    ("is_long", "price_open", "price_close", "costs", "percent"),
    [
        (True, 100.0, 100.0, Costs(), -0.3998001998001859),
        (True, 109.0, 110.0, Costs(), 0.515797963504391),
        (True, 100.0, 110.0, Costs(fee_percent=0, slippage_percent=0), 10.0),
        (False, 100.0, 90.0, Costs(fee_percent=0, slippage_percent=0), 10.0),
        (False, 100.0, 100.0, Costs(fee_percent=0.1, slippage_percent=0), -0.2),
    ],
)
def test_pnl(is_long: bool, price_open: float, price_close: float, costs: Costs, percent: float) -> None:
    assert pnl_percent(is_long, price_open, price_close, costs) == pytest.approx(percent, rel=1e-14)


def whole_funnel() -> Funnel:
    funnel = Funnel(ticks=20, stopped=1, busy=4, no_price=2, warm_up=3, ambiguous=1, no_draft=2, drafts=6, errors=1)
    funnel.refuse(("a", "b"))
    funnel.risk = 1
    funnel.scheduled, funnel.activated, funnel.opened_at_decision = 2, 1, 2
    funnel.cancelled[CancelReason.WAIT_OVER] = 1
    funnel.closed[CloseReason.TAKE_PROFIT] = 3
    return funnel


def test_a_whole_funnel_adds_up_and_each_missing_count_is_seen() -> None:
    assert whole_funnel().broken_sums() == []
    assert whole_funnel().invalid_by_rule == {"a": 1, "b": 1}
    for name, broken in [
        ("no_draft", "decisions"),
        ("errors", "decisions"),
        ("ticks", "decisions"),
        ("invalid", "drafts"),
        ("risk", "drafts"),
        ("activated", "scheduled"),
        ("opened_at_decision", "opened"),
    ]:
        funnel = whole_funnel()
        setattr(funnel, name, getattr(funnel, name) + 1)
        assert broken in funnel.broken_sums()


def test_policies_have_names_and_say_when_they_are_optimistic() -> None:
    assert {preset.name for preset in PRESETS.values()} == {"honest", "touch", "vwap"}
    assert FillPolicy(exit="touch", stop_at="level").name == "touch, entry: vwap, stop_at: level"
    assert [preset.is_optimistic for preset in PRESETS.values()] == [False, False, True]
    assert FillPolicy(order="profit_first").is_optimistic


@pytest.mark.parametrize(
    ("given", "time_ms"),
    [
        ("2023-03-01", 1_677_628_800_000),
        ("2023-03-01T12:30", 1_677_673_800_000),
        ("2023-03-01 12:30:15", 1_677_673_815_000),
        ("2023-03-01T12:30Z", 1_677_673_800_000),
        ("2023-03-01T13:30+01:00", 1_677_673_800_000),
        ("1677673800000", 1_677_673_800_000),
        (1_677_673_800_000, 1_677_673_800_000),
        (100_000_000_000, 100_000_000_000),
        (-100_000_000_000, -100_000_000_000),
        ("2023-03-01T12:30:15.250Z", 1_677_673_815_250),
        ("2023-03-01T12:30:15.999999Z", 1_677_673_815_999),
    ],
)
def test_a_time_has_one_meaning(given: str | int, time_ms: int) -> None:
    assert parse_time(given) == time_ms
    assert parse_time(iso(time_ms)) == time_ms


@pytest.mark.parametrize(
    "given",
    ["01.03.2023", "2023-3-1", "12:30", "", "2023-02-30", 1_677_673_800, 99_999_999_999, 10**14, True, "now", "-1"],
)
def test_an_unclear_time_is_refused(given: str | int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message differs from case to case
        parse_time(given)


def test_durations_and_intervals_are_minutes() -> None:
    assert [minutes_of(text) for text in ("90m", "24h", "2d", "120s")] == [90, 1440, 2880, 2]
    assert [interval.minutes for interval in Interval] == [1, 3, 5, 15, 30, 60, 120, 240, 360, 480, 720, 1440, 4320]
    for text in ("90", "1.5h", "90s", "h", "-5m"):
        with pytest.raises(ValueError, match=r"duration|whole"):
            minutes_of(text)


def test_a_trade_tells_its_signal_id_and_note() -> None:
    from make import Deal, stream, trades

    found = trades(Deal(note="<b>one</b>", id="given"), Deal(opened_hours=3, is_long=False, price_close=98.0))
    terms = stream().result.terms
    assert (found.id(0, terms), found.note(0)) == ("given", "one")
    first, second = (found.signal(row, terms) for row in range(2))
    assert (first.is_long, first.price_open, first.price_take_profit, first.price_stop_loss) == (True, 100, 102, 98)
    assert (second.is_long, second.lifetime_minutes, second.decided_at) == (False, 1440, int(found.decided_ms[1]))


def test_a_range_has_its_whole_minutes_and_never_less_than_none() -> None:
    lengths = [(0, 0), (59_999, 0), (60_000, 1), (-60_000, 0), (-1, 0)]
    assert [TimeRange(0, end_ms).minutes for end_ms, _ in lengths] == [minutes for _, minutes in lengths]


def test_progress_is_told_in_percent() -> None:
    told = Progress(time_ms=0, exchange="e", strategy="s", symbol="X", done_minutes=30, total_minutes=120)
    assert told.percent == 25.0
