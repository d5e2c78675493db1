"""Runs under `fill: reference` through the real door, against the original's engine driven by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e.project import MINUTE_MS, START_MS, Project, candle_csv, candle_rows, make_project, signal_csv

from backtestkit_cli import Idle, Kit, Opened, Progress, RiskRefused
from backtestkit_cli.engine.reference.events import Told
from backtestkit_cli.engine.reference.exchange import CandleList, Exchange, average_price
from backtestkit_cli.engine.reference.loop import backtest
from backtestkit_cli.engine.reference.stream import ReferenceDecider, ReferenceStream, ReferenceTerms
from backtestkit_cli.engine.result import RunResult, StreamResult
from backtestkit_cli.errors import ConfigError
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Closed
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import DAY_MS, parse_time
from backtestkit_cli.run.plan import plan_backtest, ticks_of
from backtestkit_cli.run.request import Request

HOUR_MS = 60 * MINUTE_MS
CONFIG = """\
settings:
  fill: reference
  defaults: {symbols: [BTCUSDT], exchange: made, frame: quarters}
  limits: {max_lifetime_minutes: 240, max_wait_minutes: 240}
exchanges:
  - {name: made, use: files, path: "data/{symbol}.csv"}
frames:
  - {name: quarters, start: 2023-03-01T02:00, end: 2023-03-02T12:00, interval: 15m}
  - {name: minutes, start: 2023-03-01T02:00, end: 2023-03-02T12:00}
risks:
  - {name: one-at-a-time, max_positions: 1}
strategies:
  - name: up
    interval: 15m
    rules:
      long: "close > open"
      take_profit: "0.6%"
      stop_loss: "0.7%"
      lifetime: 2h
  - {name: peeking, interval: 1h, use: "strategies/peeking.py:peeking", warm_up: 2h}
  - {name: first, interval: 15m, signals: strategies/rows.csv, risk: one-at-a-time}
  - {name: second, interval: 15m, signals: strategies/rows.csv, risk: one-at-a-time}
"""
PEEKING = """\
from backtestkit_cli import Market, SignalDraft


def peeking(market: Market) -> SignalDraft | None:
    hours = market.candles("1h", 2)
    assert hours.time[-1] + 3_600_000 > market.now
    price, is_up = market.price, hours.close[-1] > hours.open[-1]
    sign = 1 if is_up else -1
    return SignalDraft(
        position="long" if is_up else "short",
        price_take_profit=price * (1 + sign * 0.007),
        price_stop_loss=price * (1 - sign * 0.007),
        lifetime_minutes=50,
    )
"""
ROWS = signal_csv("2023-03-01T03:00Z,,long,40000,19000,60", "2023-03-01T06:00Z,,short,10000,21000,60")


@pytest.fixture
def candles(tmp_path: Path) -> list[Candle]:
    rows = [[row[0], *row[1:5], 1 + place % 7] for place, row in enumerate(candle_rows(3 * 1440, seed=5))]
    project = Project(tmp_path)
    project.write("configs/all.yaml", CONFIG)
    project.write("strategies/peeking.py", PEEKING)
    project.write("strategies/rows.csv", ROWS)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        project.write(f"data/{symbol}.csv", candle_csv(rows))
    return [Candle(int(row[0]), *map(float, row[1:])) for row in rows]


def original(
    candles: Sequence[Candle], decide: ReferenceDecider, interval_ms: int, ticks: Sequence[int]
) -> list[tuple[int, int, float, float, float]]:
    """What the original closes: decision, close, entry, exit and PnL."""
    stream = ReferenceStream(
        terms=ReferenceTerms(
            strategy="one",
            symbol="BTCUSDT",
            interval_ms=interval_ms,
            limits=Limits(max_lifetime_minutes=240, max_wait_minutes=240),
            costs=Costs(),
        ),
        exchange=Exchange(source=CandleList.of(candles), now_ms=START_MS + 100 * DAY_MS),
        decide=decide,
    )
    for _ in backtest(stream, ticks):
        pass
    closed = [one.event for one in stream.tape.entries if isinstance(one, Told) and isinstance(one.event, Closed)]
    return [(one.signal.decided_at, one.time_ms, one.signal.price_open, one.price, one.pnl_percent) for one in closed]


def trades(result: StreamResult) -> list[tuple[int, int, float, float, float]]:
    made = result.trades
    columns = (made.decided_ms, made.closed_ms, made.price_open, made.price_close, made.pnl_percent)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def run(folder: Path, *names: str, **keywords: Any) -> RunResult:
    return Kit.load(folder / "configs").backtest(*names, **keywords).run()


def ticks(interval_ms: int) -> range:
    return range(START_MS + 2 * HOUR_MS, START_MS + 36 * HOUR_MS + 1, interval_ms)


def test_rules_are_decided_on_closed_candles_and_filled_as_the_original_would(
    candles: list[Candle], tmp_path: Path
) -> None:
    at = {candle.time: place for place, candle in enumerate(candles)}

    def decide(when_ms: int, price: float) -> SignalDraft | None:
        last = at[when_ms]
        if candles[last - 1].close <= candles[last - 15].open:
            return None
        closed = average_price(candles[last - 5 : last])  # the price of the rules; the entry knows one minute more
        return SignalDraft(
            position="long",
            price_take_profit=closed + closed * 0.006,
            price_stop_loss=closed - closed * 0.007,
            lifetime_minutes=120,
        )

    found = run(tmp_path, "up").streams[0].result
    expected = original(candles, decide, 15 * MINUTE_MS, ticks(15 * MINUTE_MS))
    assert len(expected) > 8
    for ours, theirs in zip(trades(found), expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)
    assert found.funnel.broken_sums() == []


def test_a_function_asked_per_decision_sees_the_candle_that_opens_whole(candles: list[Candle], tmp_path: Path) -> None:
    at = {candle.time: place for place, candle in enumerate(candles)}

    def decide(when_ms: int, price: float) -> SignalDraft | None:
        first = at[when_ms - when_ms % HOUR_MS]
        hour = candles[first : first + 60]
        sign = 1 if hour[-1].close > hour[0].open else -1
        return SignalDraft(
            position="long" if sign > 0 else "short",
            price_take_profit=price * (1 + sign * 0.007),
            price_stop_loss=price * (1 - sign * 0.007),
            lifetime_minutes=50,
        )

    found = run(tmp_path, "peeking", frame="minutes").streams[0].result
    expected = original(candles, decide, HOUR_MS, ticks(MINUTE_MS))
    assert len(expected) > 20
    assert trades(found) == expected
    assert found.funnel.errors == 0


def test_the_first_in_the_order_given_opens_under_a_shared_limit(candles: list[Candle], tmp_path: Path) -> None:
    opened = {}
    for names in (("first", "second"), ("second", "first")):
        made = run(tmp_path, *names)
        opened[names] = [len(stream.result.trades) for stream in made.streams], made.run_id
        refused = [
            event for stream in made.streams for event in stream.result.events() if isinstance(event, RiskRefused)
        ]
        assert [(event.profile, event.rule, event.open_positions) for event in refused] == [
            ("one-at-a-time", "max_positions", 1)
        ] * 2
    assert opened["first", "second"][0] == [2, 0]
    assert opened["second", "first"][0] == [0, 2]
    assert opened["first", "second"][1] != opened["second", "first"][1]


def test_several_processes_give_the_same(candles: list[Candle], tmp_path: Path) -> None:
    names, symbols = ("up", "peeking"), ("ETHUSDT", "BTCUSDT")
    alone, spread = (run(tmp_path, *names, symbols=symbols, jobs=jobs) for jobs in (1, 2))
    assert alone.run_id == spread.run_id
    assert [stream.warnings for stream in alone.streams] == [stream.warnings for stream in spread.streams]
    for one, other in zip(alone.streams, spread.streams, strict=True):
        assert trades(one.result) == trades(other.result)
        assert one.result.funnel == other.result.funnel


def test_listeners_hear_of_every_tick_and_callbacks_of_refusals(candles: list[Candle], tmp_path: Path) -> None:
    kit = Kit.load(tmp_path / "configs")
    heard: list[Any] = []
    for topic in (Idle, Opened, RiskRefused, Progress):
        kit.on(topic, heard.append)
    made = kit.backtest("first", "second").run()
    told = [event for stream in made.streams for event in stream.result.events()]
    kept = [event for event in heard if not isinstance(event, Idle | Progress)]
    assert sorted(kept, key=str) == sorted(
        (event for event in told if isinstance(event, Opened | RiskRefused)), key=str
    )
    idle = [event.time_ms for event in heard if isinstance(event, Idle) and event.strategy == "second"]
    assert idle == list(ticks(15 * MINUTE_MS))
    assert max(event.percent for event in heard if isinstance(event, Progress)) == 100
    assert len({event.done_minutes for event in heard if isinstance(event, Progress)}) > 20


def test_the_report_says_what_the_policy_knows(candles: list[Candle], tmp_path: Path) -> None:
    done = Project(tmp_path).inside("backtest", "up", "--json")
    assert done.code == 0
    document = done.document
    assert document["run"]["fill_policy"] == "reference (optimistic)"
    assert document["run"]["fill"] == {"name": "reference"}
    findings = {finding["code"]: finding for finding in document["streams"][0]["warnings"]}
    assert "its prices know one minute of the future" in findings["optimistic-fills"]["text"]
    assert "vwap-lag" not in findings
    assert Project(tmp_path).inside("run", "verify", "last").code == 0


def test_rows_that_the_throttle_drifts_off_are_warned_of(candles: list[Candle], tmp_path: Path) -> None:
    made = run(tmp_path, "up", frame="minutes")
    assert made.streams[0].result.funnel.off_grid > 10
    done = Project(tmp_path).inside("backtest", "up", "--frame", "minutes", "--json")
    texts = [
        finding["text"] for finding in done.document["streams"][0]["warnings"] if finding["code"] == "rows-off-grid"
    ]
    assert [text.rpartition("; ")[2] for text in texts] == ["with ticks of 15m it does not"]


def test_a_row_need_not_lie_on_a_grid_that_the_original_does_not_have(candles: list[Candle], tmp_path: Path) -> None:
    Project(tmp_path).write("strategies/rows.csv", signal_csv("2023-03-01T03:07Z,,long,40000,19000,60"))
    Project(tmp_path).write(
        "configs/more.yaml", "frames: [{name: odd, start: 2023-03-01T02:07, end: 2023-03-02, interval: 15m}]\n"
    )
    assert len(run(tmp_path, "first", frame="odd").streams[0].result.trades) == 1
    done = Project(tmp_path).inside("backtest", "first", "--frame", "odd", "--set", "settings.fill=honest")
    assert (done.code, "off-grid" in done.stderr) == (2, True)


def test_what_the_original_does_not_look_at_is_told(candles: list[Candle], tmp_path: Path) -> None:
    project = Project(tmp_path)
    head = "time,symbol,position,price_open,wait_minutes,price_take_profit,price_stop_loss,lifetime_minutes"
    project.write("strategies/rows.csv", signal_csv("2023-03-01T03:00Z,,long,15000,30,16000,14500,60", head=head))
    project.write("strategies/peeking.py", PEEKING.replace('"1h", 2', '"1h", 20'))
    waiting = run(tmp_path, "first").streams[0]
    (text,) = waiting.warnings
    assert text.startswith("1 limit entry asked to wait otherwise; under fill: reference all wait 120 (")
    assert [event.time_ms for event in waiting.result.events()] == [START_MS + 3 * HOUR_MS, START_MS + 5 * HOUR_MS]
    peeking = run(tmp_path, "peeking").streams[0]
    assert len(peeking.warnings) == 1
    assert "for candles got fewer than asked for" in peeking.warnings[0]


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("settings.balance", "1000", "knows no sizes"),
        ("settings.limits.average_price_candles", "1", "has no price of a single candle"),
    ],
)
def test_what_the_original_cannot_do_is_refused(
    candles: list[Candle], tmp_path: Path, key: str, value: str, what: str
) -> None:
    done = Project(tmp_path).inside("backtest", "up", "--set", f"{key}={value}")
    assert done.code == 2
    assert "not-with-reference" in done.stderr
    assert f"fill: reference {what}" in done.stderr


def test_a_frame_includes_its_end_and_ends_at_the_last_midnight(candles: list[Candle], tmp_path: Path) -> None:
    config = Kit.load(tmp_path / "configs").config
    request = Request(strategies=("up",))
    assert ticks_of(plan_backtest(config, request))[-1] == parse_time("2023-03-02T12:00")
    noon = plan_backtest(config, request, parse_time("2023-03-02T11:00"))
    assert ticks_of(noon)[-1] == parse_time("2023-03-02")
    assert ticks_of(replace(noon, policy=noon.policy.nearest))[-1] == parse_time("2023-03-02T11:45")
    with pytest.raises(ConfigError, match="follows a frame to the last midnight, 2023-03-01T00:00Z"):
        plan_backtest(config, request, parse_time("2023-03-01T23:59"))


def test_the_present_is_part_of_a_run_only_where_it_can_tell(candles: list[Candle], tmp_path: Path) -> None:
    config, request = Kit.load(tmp_path / "configs").config, Request(strategies=("up",))
    years = [plan_backtest(config, request, parse_time(f"{year}-01-01")) for year in (2024, 2031)]
    assert years[0] == years[1]
    soon = plan_backtest(config, request, parse_time("2023-03-02T13:00"))
    assert soon != years[0]


def test_a_project_of_every_form_runs(tmp_path: Path) -> None:
    done = make_project(tmp_path).inside("backtest", "--set", "settings.fill=reference", "--json")
    assert done.code == 0
    assert [stream["strategy"] for stream in done.document["streams"] if stream["trades"]] == ["asked", "cross", "rows"]


def test_rows_off_the_grid_of_the_frame_are_probed_as_any(candles: list[Candle], tmp_path: Path) -> None:
    project = Project(tmp_path)
    vector = "import polars as pl\n\n\ndef rows(candles: pl.LazyFrame) -> pl.LazyFrame:\n    return candles.select(\n"
    vector += (
        '        "time",\n        position=pl.when(pl.col("close") < pl.col("close").shift(-1)).then(pl.lit("long")),\n'
    )
    vector += '        price_take_profit=pl.col("price") * 1.01,\n        price_stop_loss=pl.col("price") * 0.99,\n'
    project.write("strategies/vector.py", vector + "        lifetime_minutes=pl.lit(60),\n    )\n")
    project.write(
        "configs/more.yaml",
        "frames: [{name: odd, start: 2023-03-01T02:07, end: 2023-03-02, interval: 1h}]\n"
        'strategies: [{name: ahead, interval: 1h, use: "strategies/vector.py:rows"}]\n',
    )
    made = run(tmp_path, "ahead", frame="odd").streams[0]
    assert made.result.funnel.off_grid > 5
    assert [doubt.code for doubt in made.doubts] == ["looks-ahead"]
    assert not run(tmp_path, "peeking").streams[0].doubts


def test_an_entry_that_risk_refuses_is_counted_in_the_reports_of_a_stored_run(
    candles: list[Candle], tmp_path: Path
) -> None:
    project = Project(tmp_path)
    head = "time,symbol,position,price_open,price_take_profit,price_stop_loss,lifetime_minutes"
    low = min(candle.low for candle in candles[180:300])
    entry = round(low * 1.0005, 2)
    row = f"2023-03-01T03:00Z,,long,{entry},{entry * 1.05},{entry * 0.9},60"
    project.write("strategies/rows.csv", signal_csv(row, head=head))
    check = f'risks: [{{name: dear, checks: [{{allow: "price > {entry}", note: too late}}]}}]\n'
    project.write(
        "configs/more.yaml",
        f"{check}strategies: [{{name: late, interval: 15m, signals: strategies/rows.csv, risk: dear}}]\n",
    )
    made = project.inside("backtest", "late", "--json").document["streams"][0]
    assert made["funnel"]["cancelled"]["risk"] == 1
    stored = json.loads(project.inside("report", "show", "last", "--kind", "schedule", "--format", "json").stdout)
    assert stored["run"]["fill_policy"] == "reference (optimistic)"
    (told,) = stored["streams"][0]["entries"]
    assert (told["outcome"], told["reason"], told["ended"], told["wait_minutes"]) == ("cancelled", "untold", None, None)
    assert stored["streams"][0]["schedule"]["cancelled"] == 1
