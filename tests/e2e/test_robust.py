"""`robust` through the real command and through the library: what a run withstands."""

import math
from pathlib import Path
from typing import Any

import pytest
from e2e.project import DAY_MINUTES, MINUTE_MS, START_MS, Project, assert_golden, candle_csv, make_project, snapshot

from backtestkit_cli import Kit
from backtestkit_cli.report.dump import find_bundle
from backtestkit_cli.run.robust import Robust, RobustStep

DAYS = 24
HOURLY = """\
settings: {costs: {fee_percent: 0.02, slippage_percent: 0.01}}
frames:
  - {name: weeks, start: 2023-03-02, end: 2023-03-23}
strategies:
  - {name: hourly, interval: 1h, use: "strategies/hourly.py:hourly"}
  - {name: never, interval: 1h, use: "strategies/hourly.py:never"}
"""
SIZED = """\
settings: {balance: 10000}
sizings: [{name: half, method: fixed-percentage, risk_percentage: 1, max_position_percentage: 50}]
strategies: [{name: sized, interval: 1h, use: "strategies/hourly.py:hourly", sizing: half}]
"""
CODE = '''\
"""Long at 08:00, for an hour; and nothing ever."""

from pathlib import Path
import polars as pl


def hourly(candles: pl.LazyFrame, hour: int = 8) -> pl.LazyFrame:
    return candles.filter(pl.col("price").is_not_null(), pl.col("time") // 3_600_000 % 24 == hour).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.1,
        price_stop_loss=pl.col("price") * 0.9,
        lifetime_minutes=pl.lit(60),
    )


def never(candles: pl.LazyFrame) -> pl.LazyFrame:
    return hourly(candles, hour=25)
'''
CALM = """\
import json


class Calm:
    def __init__(self, model: str) -> None:
        self.model = model

    def complete(self, messages, schema):
        levels = {"price_open": None, "price_take_profit": 0, "price_stop_loss": 0, "lifetime_minutes": 0}
        return json.dumps({"position": "wait", "note": "not clear", **levels})
"""
KILLING = """
times = Path(__file__).with_name("times.txt")
times.write_text("x" + (times.read_text() if times.exists() else ""))
if len(times.read_text()) == 16:
    import os, time
    os.kill(os.getpid(), 2)
    time.sleep(9)
"""
"""Counts how often the file was loaded; a run and its own checks load it more than once."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A market that rises by 1 % from eight to nine each day, and falls by as much from twenty on."""
    made = make_project(tmp_path)
    made.write("configs/hourly.yaml", HOURLY)
    made.write("strategies/hourly.py", CODE)
    price, rows = 20000.0, []
    for minute in range(DAYS * DAY_MINUTES):
        hour = minute // 60 % 24
        drift = {8: 0.01, 20: -0.01}.get(hour, 0.0) / 60
        close = price * (1 + drift + 0.0004 * math.sin(minute * minute % 997))
        rows.append([START_MS + minute * MINUTE_MS, price, max(price, close), min(price, close), close, 1.0])
        price = close
    made.write("data/BTCUSDT.csv", candle_csv(rows))
    return made


def backtest(project: Project, strategy: str = "hourly", *more: str) -> str:
    done = project.inside("backtest", strategy, "--exchange", "files", "--frame", "weeks", "--json", *more)
    assert done.code == 0, done.stderr
    return str(done.document["run"]["run_id"])


def robust(project: Project, *arguments: str) -> Any:
    done = project.inside("robust", *arguments, "--json")
    assert done.code == 0, done.stderr
    return done.document


def verdicts(document: Any) -> dict[str, str]:
    return {one["code"].removeprefix("robust-"): one["level"] for one in document["robust"]["verdicts"]}


def test_an_edge_that_hangs_on_the_hour_is_no_luck_and_is_gone_where_hours_are_mixed(project: Project) -> None:
    run = backtest(project)
    told = robust(project, run, "--worlds", "6")
    assert told["run"]["run_id"] == run
    headline = "withstands 5 of 6 tests, but not: other markets"
    assert told["summary"]["headline"] == headline
    assert verdicts(told) == {
        "order": "info",
        "days": "info",
        "entries": "info",
        "delay": "info",
        "costs": "info",
        "markets": "warning",
    }
    assert told["robust"]["entries"][0]["p_value"] == 1 / 1001
    assert [one["left_out"] for one in told["robust"]["delays"]] == [0, 0, 0]
    assert len(told["robust"]["markets"]) == 6
    # read as people get it, and kept
    text = project.inside("robust", run, "--worlds", "6")
    assert headline in text.stdout
    assert f"wrote logs/robust/{run}.md" in text.stderr
    assert max(map(len, text.stdout.splitlines())) <= 80
    assert headline in (project.folder / "logs" / "robust" / f"{run}.md").read_text()


def test_the_same_run_has_the_same_report_to_the_byte(project: Project) -> None:
    run = backtest(project)
    robust(project, "last", "--worlds", "3")
    folder = project.folder / "logs" / "robust"
    first, runs = snapshot(folder), snapshot(project.folder / "logs" / "runs")
    assert {Path(name).suffix for name in first} == {".md", ".json", ".csv", ".html"}
    found = Kit.load(project.folder / "configs").robust(run[:6], worlds=3)
    assert found.report("json").encode() == first[f"{run}.json"]
    assert found.report("csv").encode() == first[f"{run}__costs.csv"]
    found.dump()
    assert snapshot(folder) == first
    assert snapshot(project.folder / "logs" / "runs") == runs


def test_at_the_break_even_costs_a_run_makes_nothing(project: Project) -> None:
    backtest(project)
    rows = robust(project, "last", "--worlds", "0")["robust"]["costs"]
    even = next(one for one in rows if one["is_break_even"])
    assert even["factor"] > 3
    fee, slippage = (even["factor"] * one for one in (0.02, 0.01))
    # no draft may be so close that costs take it
    costs = (
        "settings.limits.min_take_profit_percent=5",
        f"settings.costs.fee_percent={fee!r}",
        f"settings.costs.slippage_percent={slippage!r}",
    )
    backtest(project, "hourly", *(text for one in costs for text in ("--set", one)))
    assert abs(project.inside("report", "show", "--json").document["summary"]["pnl_percent"]) < 1e-4
    half, once, *_ = rows
    assert (half["factor"], once["factor"]) == (0.5, 1.0)
    assert half["pnl_percent"] > once["pnl_percent"]


def test_costs_of_a_sized_run_are_told_of_its_money(project: Project) -> None:
    project.write("configs/sized.yaml", SIZED)
    backtest(project, "sized")
    found = robust(project, "last", "--worlds", "0")["robust"]["costs"]
    once = next(one for one in found if one["factor"] == 1.0)
    run = Kit.load(project.folder / "configs").backtest("sized", exchange="files", frame="weeks").run()
    assert once["pnl_percent"] == pytest.approx(run.stats["return_percent"], rel=1e-12)
    assert once["pnl_percent"] != pytest.approx(run.stats["pnl_percent"], rel=1e-3)


def test_the_entries_of_several_streams_are_told_together_and_apart(project: Project) -> None:
    done = project.inside("backtest", "cross", "--frame", "day", "--symbol", "BTCUSDT", "--symbol", "ETHUSDT", "--json")
    told = robust(project, "last", "--worlds", "2")
    rows = told["robust"]["entries"]
    assert [(one["strategy"], one["symbol"]) for one in rows] == [
        ("all", ""),
        ("cross", "BTCUSDT"),
        ("cross", "ETHUSDT"),
    ]
    assert rows[0]["trades"] == done.document["summary"]["trades"] == rows[1]["trades"] + rows[2]["trades"]
    assert rows[0]["pnl_percent"] == pytest.approx(done.document["summary"]["pnl_percent"])
    assert {"missing": "info", "order": "info"}.items() <= verdicts(told).items()
    assert any("days drawn again: not tested, fewer than 20 days" in str(one) for one in told["robust"]["verdicts"])


def test_signals_of_a_file_have_no_other_market_and_a_run_without_trades_nothing_to_test(project: Project) -> None:
    project.inside("backtest", "listed", "--frame", "day")
    told = robust(project)
    assert told["robust"]["markets"] == []
    assert "signals of a file are of one market only" in str(told["robust"]["verdicts"])
    backtest(project, "never")
    told = robust(project, "last", "--worlds", "0")
    assert "trades in another order: not tested, fewer than 2 trades" in str(told["robust"]["verdicts"])
    assert told["robust"]["entries"] == []


def test_a_language_model_answered_in_one_market_only(project: Project) -> None:
    use = 'use: llm, model: calm, text: "Wait.", provider: "strategies/calm.py:Calm"'
    project.write("configs/decides.yaml", f"strategies:\n  - {{name: decides, interval: 6h, {use}}}\n")
    project.write("strategies/calm.py", CALM)
    assert project.inside("backtest", "decides", "--frame", "day", "--record").code == 0
    told = robust(project)
    assert told["robust"]["markets"] == []
    assert "answers of a language model were recorded in one market only" in str(told["robust"]["verdicts"])


def test_what_comes_out_otherwise_now_is_not_tested(project: Project) -> None:
    run = backtest(project)
    project.write("strategies/hourly.py", CODE.replace("pl.lit(60)", "pl.lit(61)"))
    done = project.inside("robust", run)
    assert done.code == 3
    assert_golden(
        "robust-run-changed", done.__class__(done.code, done.stdout, done.stderr.replace(run, "RUN")), project
    )
    assert not (project.folder / "logs" / "robust").exists()


def test_what_was_filled_as_the_original_does_is_refused(project: Project) -> None:
    run = backtest(project, "hourly", "--set", "settings.fill=reference")
    done = project.inside("robust", run)
    assert done.code == 2
    assert "filled as the original does" in done.stderr


def test_ctrl_c_keeps_the_tests_that_were_done(project: Project) -> None:
    project.write("strategies/hourly.py", CODE + KILLING)
    project.inside("backtest", "hourly", "--exchange", "files", "--frame", "weeks", "--json")
    run = next(iter(project.bundles))
    done = project.outside("robust", run)
    assert done.code == 130
    assert "Traceback" not in done.stderr
    text = (project.folder / "logs" / "robust" / f"{run}.md").read_text()
    assert "interrupted: what is not told here was not tested" in text
    assert "random entries" in text


def test_progress_never_goes_back_and_an_interruption_keeps_the_markets_that_were_done(project: Project) -> None:
    logs = project.folder / "logs"
    bundle = find_bundle(logs, backtest(project))
    steps: list[RobustStep] = []

    def told(step: RobustStep) -> None:
        steps.append(step)
        if step.what == "market 3 of 9":
            raise KeyboardInterrupt

    kit = Kit.load(project.folder / "configs")
    job = Robust(bundle=bundle, project=project.folder, registry=kit.registry, logs=logs, worlds=9, on_step=told)
    with pytest.raises(KeyboardInterrupt):
        job.run()
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert max(done) <= steps[0].total
    assert len(job.result("interrupted").found.markets) == 2
    assert job.result("interrupted").summary().headline.startswith("interrupted: ")
