"""`explain`: the story of one instant or one signal, for every gate of the funnel and every end of a signal."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from e2e.project import MINUTE_MS, START_MS, Done, Project, candle_csv, make_project, signal_csv

from backtestkit_cli import Kit

STORIES = Path(__file__).parent.parent / "golden" / "stories"
HEAD = "time,symbol,position,price_open,price_take_profit,price_stop_loss,lifetime_minutes,wait_minutes,note"
SIGNALS = {
    "profit": "09:00,long,,20200,19700,300,,up it goes",
    "stop": "11:30,long,,20700,20100,300,,",
    "expires": "04:00,short,,19700,20300,60,,",
    "ends": "23:00,long,,20300,17000,600,,",
    "activates": "11:30,long,20200,20500,19900,600,120,",
    "beyond": "13:30,long,19500,19900,19350,600,120,",
    "waits": "04:00,long,19000,19500,18700,600,30,",
    "waits-to-the-end": "23:30,long,17000,17500,16700,600,120,",
    "wrong": "04:00,long,,19900,20100,2000,,",
    "refused": "11:30,long,,20700,20100,300,,",
    "first": "11:30,long,,20900,18500,900,,",
    "second": "11:15,long,20200,20500,19900,600,120,",
}
CONFIG = """\
settings:
  defaults: {symbols: [BTCUSDT], exchange: files, frame: day}
  limits: {average_price_candles: 2}
exchanges:
  - {name: files, use: files, path: "data/{symbol}.csv"}
frames:
  - {name: day, start: 2023-03-01, end: 2023-03-02}
risks:
  - {name: no-longs, max_long: 0, min_reward_risk: 0.1}
  - {name: only-one, max_positions: 1}
strategies:
  - {name: failing, interval: 1h, use: "strategies/failing.py:failing"}
  - name: both
    interval: 1h
    rules: {long: "close > 0", short: "close > 0", take_profit: "1%", stop_loss: "1%", lifetime: 1h}
  - name: averages
    interval: 15m
    params: {length: 4}
    rules:
      let: {line: "sma(close, length)"}
      long: "close > line + 1000 or not (close < 3 * line)"
      take_profit: "max(0.02 * close, 2 * stdev(close, 2))"
      stop_loss: "2%"
      lifetime: 1h
"""


def path(minute: int) -> float:
    """The price at a minute: flat, up from ten to eleven, down from twelve to one, a jump at two."""
    if minute < 600:
        return 20000.0
    if minute < 720:
        return 20000.0 + 400 * min(1.0, (minute - 600) / 60)
    if minute < 840:
        return 20400.0 - 800 * min(1.0, (minute - 720) / 60)
    return 18000.0


def market() -> str:
    rows = []
    for minute in range(1440):
        if 180 <= minute < 200:
            continue
        price = path(minute)
        rows.append([START_MS + minute * MINUTE_MS, price, price + 1, price - 1, price, 1.0 + minute % 3])
    return candle_csv(rows)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one run in which everything happens that can."""
    project = Project(tmp_path_factory.mktemp("explained"))
    project.write("data/BTCUSDT.csv", market())
    project.write("strategies/failing.py", "def failing(market):\n    raise ValueError('no idea')\n")
    risks = {"refused": "no-longs", "first": "only-one", "second": "only-one"}
    entries = [
        f"  - {{name: {name}, interval: 15m, signals: strategies/{name}.csv"
        + (f", risk: {risks[name]}}}" if name in risks else "}")
        for name in SIGNALS
    ]
    project.write("configs/all.yaml", CONFIG + "\n".join(entries) + "\n")
    for name, row in SIGNALS.items():
        time, rest = row.split(",", 1)
        project.write(f"strategies/{name}.csv", signal_csv(f"2023-03-01T{time}Z,BTCUSDT,{rest}", head=HEAD))
    assert project.inside("backtest").code == 4  # one of them fails
    return project


def explained(project: Project, strategy: str, time: str) -> Done:
    done = project.inside("explain", "last", f"2023-03-01T{time}", "--strategy", strategy)
    assert (done.code, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    return done


CASES = {
    "off the grid": ("profit", "04:07", "no decision time; nothing was held, nothing waited"),
    "off the grid in a position": ("profit", "09:07", "no decision time; held long since 2023-03-01 09:00"),
    "busy with a position": ("profit", "09:15", "not asked: held long since 2023-03-01 09:00"),
    "busy with a waiting entry": ("waits", "04:15", "not asked: a limit entry waited, long since 2023-03-01 04:00"),
    "no fresh price": ("profit", "03:15", "not asked: no fresh price, the minute before has no candle"),
    "warm-up": ("averages", "00:30", "no decision: not enough candles since the start of history"),
    "ambiguous": ("both", "04:00", "no draft: long and short fired at once"),
    "no draft": ("averages", "09:00", "no draft: it was asked and wanted nothing"),
    "error": ("failing", "04:00", "no draft: the call failed: strategy failing raised ValueError: no idea"),
    "invalid": ("wrong", "04:00", "a draft that is not valid: long_tp_wrong_side"),
    "risk": ("refused", "11:30", "a signal that the risk profile no-longs refused: max_long"),
    "take profit": ("profit", "09:00", "opened a long at 20000.000; closed 2023-03-01 10:32 by take_profit"),
    "stop": ("stop", "11:30", "opened a long at 20400.000; closed 2023-03-01 12:24 by stop_loss"),
    "expiry": ("expires", "04:00", "opened a short at 20000.000; closed 2023-03-01 05:00 by time_expired"),
    "end of data": ("ends", "23:00", "opened a long at 18000.000; closed 2023-03-02 00:00 by end_of_data"),
    "activated": ("activates", "11:30", "a limit entry, long at 20200.000; closed 2023-03-01 12:39 by stop_loss"),
    "stop level": ("beyond", "13:30", "a limit entry, long at 19500.000; cancelled 2023-03-01 14:01: stop_level"),
    "wait over": ("waits", "04:00", "a limit entry, long at 19000.000; cancelled 2023-03-01 04:30: wait_over"),
    "waits to the end": ("waits-to-the-end", "23:30", "cancelled 2023-03-02 00:00: end_of_data"),
    "risk at activation": ("second", "11:15", "a limit entry, long at 20200.000; cancelled 2023-03-01 12:17: risk"),
    "after the frame": ("profit", "24:00", "no decision: the candles of the run end at 2023-03-02 00:00"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_headline_says_what_happened(project: Project, case: str) -> None:
    strategy, time, wanted = CASES[case]
    when = "2023-03-02" if time == "24:00" else f"2023-03-01T{time}"
    done = project.inside("explain", "last", when, "--strategy", strategy)
    assert (done.code, done.stderr) == (0, "")
    assert wanted in done.stdout.splitlines()[1]


GOLDEN = {
    "take-profit": ("profit", "09:00"),
    "rules-without-draft": ("averages", "12:15"),
    "invalid-draft": ("wrong", "04:00"),
    "activated-and-stopped": ("activates", "11:30"),
    "refused-at-activation": ("second", "11:15"),
    "off-the-grid": ("profit", "09:07"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_story_reads_as_it_is_kept(project: Project, name: str) -> None:
    (run_id,) = project.bundles
    found = explained(project, *GOLDEN[name]).stdout.replace(run_id, "RUN")
    kept = STORIES / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(found, encoding="utf-8")
    assert found == kept.read_text(encoding="utf-8")


def stored(project: Project, name: str) -> pl.DataFrame:
    (run_id,) = project.bundles
    return pl.read_parquet(project.folder / "logs" / "runs" / run_id / f"{name}.parquet")


def test_every_trade_of_the_run_is_told_with_its_own_figures(project: Project) -> None:
    trades = stored(project, "trades")
    assert len(trades) == 6
    for trade in trades.iter_rows(named=True):
        done = project.inside("explain", "last", trade["id"], "--json")
        assert (done.code, done.stderr) == (0, "")
        (story,) = done.document["stories"]
        assert (story["strategy"], story["is_as_stored"]) == (trade["strategy"], True)
        closed = story["life"]["closed"]
        assert (closed["price"], closed["pnl_percent"]) == (trade["price_close"], trade["pnl_percent"])
        assert closed["signal"]["price_open"] == trade["price_open"]
        assert story["life"]["ending"]["steps"]["pnl_percent"] == trade["pnl_percent"]


def test_a_signal_is_found_by_the_beginning_of_its_id(project: Project) -> None:
    trade = stored(project, "trades").row(0, named=True)
    done = project.inside("explain", "last", trade["id"][:13])
    assert done.code == 0
    assert f"Id              {trade['id']}" in done.stdout


def test_without_a_choice_every_stream_is_told_in_one_line(project: Project) -> None:
    done = project.inside("explain", "last", "2023-03-01T11:30")
    assert done.code == 0
    assert done.stdout.startswith("15 streams at 2023-03-01 11:30 UTC")
    assert "\nrefused on BTCUSDT\n  a signal that the risk profile no-longs refused: max_long\n" in done.stdout
    assert len(project.inside("explain", "last", "2023-03-01T11:30", "--json").document["stories"]) == 15


def test_python_tells_its_answer_and_risk_its_counts(project: Project) -> None:
    refused = project.inside("explain", "last", "2023-03-01T11:30", "--strategy", "refused", "--json").document
    (profile,) = refused["stories"][0]["decision"]["profiles"]
    assert profile["rule"] == "max_long"
    assert profile["limits"][0] == {"rule": "max_long", "limit": 0, "found": 0}
    second = project.inside("explain", "last", "2023-03-01T11:15", "--strategy", "second", "--json").document
    (profile,) = second["stories"][0]["life"]["profiles"]
    assert [one["strategy"] for one in profile["held"]] == ["first"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nobody",), "unknown-signal"),
        (("",), "unknown-signal"),
        (("2023-03-01T11:30", "--strategy", "nobody"), "unknown-strategy"),
        (("2023-03-01T11:30", "--symbol", "NOBODY"), "unknown-symbol"),
    ],
)
def test_what_is_not_there_is_one_message(project: Project, arguments: tuple[str, ...], code: str) -> None:
    done = project.inside("explain", "last", *arguments, "--json")
    assert (done.code, done.document["error"]["code"]) == (2, code)


def test_the_library_gives_stories_as_objects(project: Project) -> None:
    kit = Kit.load(project.folder / "configs")
    (story,) = kit.explain("last", "2023-03-01T09:00", strategy="profit")
    assert story.life is not None
    assert story.life.closed is not None
    assert story.life.closed.reason == "take_profit"


def test_a_beginning_that_several_signals_share_lists_them(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    own = project.folder / "strategies" / "own.py"
    own.write_text(own.read_text().replace("position=", 'id=f"same-{market.now}", position=', 1))
    assert project.inside("backtest", "asked").code == 0
    done = project.inside("explain", "last", "same-", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "ambiguous-signal")


def test_a_story_of_a_run_that_comes_out_differently_says_so_loudly(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert project.inside("backtest", "asked").code == 0
    own = project.folder / "strategies" / "own.py"
    own.write_text(own.read_text().replace("lifetime_minutes=90", "lifetime_minutes=60"))
    done = project.inside("explain", "last", "2023-03-01T04:00")
    assert done.code == 5
    assert "! Done again, this stream is not what the run stored" in done.stdout
    assert (
        project.inside("explain", "last", "2023-03-01T04:00", "--json").document["stories"][0]["is_as_stored"] is False
    )


def test_callbacks_are_not_called_and_nothing_is_written(project: Project) -> None:
    before = json.dumps(project.bundles)
    explained(project, "profit", "09:00")
    assert json.dumps(project.bundles) == before


def test_a_run_filled_as_the_original_does_is_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert project.inside("backtest", "cross", "--set", "settings.fill=reference").code == 0
    done = project.inside("explain", "last", "2023-03-01T04:00", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "not-explainable")
    assert project.inside("run", "verify").code == 0


SIZED = """\
settings: {balance: 10000}
sizings:
  - {name: careful, method: fixed-percentage, risk_percentage: 1}
  - {name: none-left, method: fixed-percentage, risk_percentage: 1, min_quantity: 1000000}
risks:
  - {name: bounded, max_exposure_percent: 500, max_drawdown_percent: 50, max_daily_loss_percent: 50}
"""


def test_a_sized_position_tells_its_quantity_its_money_and_the_limits_on_it(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write("configs/sized.yaml", SIZED)
    set_ = ("--set", "strategies.asked.sizing=careful", "--set", "strategies.asked.risk=bounded")
    assert project.inside("backtest", "asked", *set_).code == 0
    (story,) = project.inside("explain", "last", "2023-03-01T04:00", "--json").document["stories"]
    (size,) = story["decision"]["sizes"]
    closed = story["life"]["closed"]
    assert story["is_as_stored"]
    assert (size["sizing"], size["quantity"]) == ("careful", closed["signal"]["quantity"])
    limits = {one["rule"]: one["found"] for one in story["decision"]["profiles"][0]["limits"]}
    assert set(limits) == {"max_exposure_percent", "max_daily_loss_percent", "max_drawdown_percent"}
    worth = size["quantity"] * closed["signal"]["price_open"]
    assert limits["max_exposure_percent"] == worth * 100 / size["equity"]
    text = project.inside("explain", "last", "2023-03-01T04:00").stdout
    assert "How large?\n  careful " in text
    assert "in quote currency" in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_entry_that_waits_is_sized_when_it_activates(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write("data/BTCUSDT.csv", market())
    row = "2023-03-01T11:00Z,BTCUSDT,long,20200,20500,19900,600,120,"
    project.write("strategies/listed.csv", signal_csv(row, head=HEAD))
    project.write("configs/sized.yaml", SIZED)
    set_ = ("--set", "strategies.listed.sizing=careful", "--exchange", "files")
    assert project.inside("backtest", "listed", *set_).code == 0
    (story,) = project.inside("explain", "last", "2023-03-01T11:00", "--json").document["stories"]
    assert story["decision"]["sizes"] == []
    (size,) = story["life"]["sizes"]
    assert (size["stage"], size["time"]) == ("activation", story["life"]["opened"]["time"])


def test_a_signal_without_a_quantity_says_why(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    project.write("configs/sized.yaml", SIZED)
    assert project.inside("backtest", "asked", "--set", "strategies.asked.sizing=none-left").code == 0
    done = project.inside("explain", "last", "2023-03-01T04:00")
    assert done.code == 0
    assert done.stdout.splitlines()[1].startswith("a signal without a quantity: ")
    (story,) = project.inside("explain", "last", "2023-03-01T04:00", "--json").document["stories"]
    assert (story["decision"]["gate"], story["life"]) == ("no_quantity", None)
    assert story["decision"]["sizes"][0]["rule"]


@pytest.mark.parametrize("change", [bytes.upper, lambda _: None], ids=["changed", "gone"])
def test_events_that_are_not_those_of_the_run_are_damage(
    tmp_path: Path, change: Callable[[bytes], bytes | None]
) -> None:
    project = make_project(tmp_path)
    assert project.inside("backtest", "asked").code == 0
    (run_id,) = project.bundles
    path = project.folder / "logs" / "runs" / run_id / "events.parquet"
    changed = change(path.read_bytes())
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    done = project.inside("explain", "last", "2023-03-01T04:00", "--json")
    assert (done.code, done.document["error"]["code"]) == (3, "damaged-run")
