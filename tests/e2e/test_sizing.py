"""Sized runs through the real front door: quantities, the balance they share, limits in percent, callbacks."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e.project import Project, candle_csv, candle_rows, make_project

from backtestkit_cli import Closed, Kit, Opened
from backtestkit_cli.engine.result import RunResult

OWN_SIZING = """
def half(question, *, share: float = 0.5):
    return question.equity * share / question.signal.price_open

def broken(question):
    raise RuntimeError("no odds today")

def text(question):
    return "much"

def endless(question):
    return 10**400

def raises(question):
    raise KeyError("no market today")

def no_truth(question):
    import numpy as np
    return np.array([1, 2])

TOLD = []

def told(event):
    TOLD.append((event.sizing, event.equity, event.quantity))
"""
SIZINGS = """
settings: {balance: 10000}
sizings:
  - {name: risk, method: fixed-percentage, risk_percentage: 1}
  - {name: capped, method: fixed-percentage, risk_percentage: 1, max_position_percentage: 10}
  - {name: least, method: fixed-percentage, risk_percentage: 0.0001, min_quantity: 0.05, max_quantity: 0.06}
  - {name: tiny, method: fixed-percentage, risk_percentage: 0.0000001}
  - {name: given-odds, method: kelly-criterion, win_rate: 0.6, win_loss_ratio: 1}
  - {name: bad-odds, method: kelly-criterion, win_rate: 0.3, win_loss_ratio: 1}
  - {name: own-odds, method: kelly-criterion, from_trades: 3}
  - {name: own-odds-least, method: kelly-criterion, from_trades: 3, min_quantity: 0.001}
  - {name: range, method: atr-based, risk_percentage: 1, atr: "atr(3)"}
  - {name: half, method: "strategies/sizes.py:half", callbacks: {on_calculate: "strategies/sizes.py:told"}}
  - {name: broken, method: "strategies/sizes.py:broken"}
  - {name: text, method: "strategies/sizes.py:text"}
  - {name: endless, method: "strategies/sizes.py:endless"}
risks:
  - {name: exposure, max_exposure_percent: 15}
  - {name: day, max_daily_loss_percent: 0.5}
  - {name: raises, checks: ["strategies/sizes.py:raises"]}
  - {name: no-truth, checks: ["strategies/sizes.py:no_truth"]}
  - {name: rich, checks: [{allow: "equity >= 10000", note: "only with all of it"}]}
"""
STEP = 0.0001


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/money.yaml", SIZINGS)
    made.write("strategies/sizes.py", OWN_SIZING)
    market = (made.folder / "configs" / "market.yaml").read_text("utf-8")
    steps = f'path: "data/{{symbol}}.csv", steps: {{BTCUSDT: {{quantity: {STEP}}}, ETHUSDT: {{quantity: {STEP}}}}}'
    made.write("configs/market.yaml", market.replace('path: "data/{symbol}.csv"', steps))
    for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        made.write(f"data/{symbol}.csv", candle_csv(candle_rows(seed=seed)))
    return made


def backtest(project: Project, sizing: str, *names: str, overrides: tuple[str, ...] = (), **options: Any) -> RunResult:
    names = names or ("cross",)
    sized = [f"strategies.{name}.sizing={sizing}" for name in names]
    kit = Kit.load(project.folder / "configs", overrides=[*sized, *overrides])
    return kit.backtest(*names, exchange="files", **{"symbols": ["BTCUSDT"], **options}).run()


def closings(run: RunResult) -> list[Closed]:
    events = [event for stream in run.streams for event in stream.result.events() if isinstance(event, Closed)]
    return sorted(events, key=lambda event: event.time_ms)


def on_step(quantity: float) -> float:
    """Cut to the step, by whole numbers."""
    return int(quantity / STEP + 1e-6) * STEP


def test_each_trade_risks_its_share_of_the_equity_at_its_opening(project: Project) -> None:
    run = backtest(project, "risk", "cross", "asked", symbols=["BTCUSDT", "ETHUSDT"])
    made = closings(run)
    assert len(made) > 20
    for one in made:
        signal = one.signal
        before = sum(other.pnl_quote or 0.0 for other in made if other.time_ms <= one.opened_at)
        wanted = (10_000 + before) * 0.01 / abs(signal.price_open - signal.price_stop_loss)
        assert signal.quantity == pytest.approx(on_step(wanted), abs=1e-12)
        assert one.pnl_quote == pytest.approx(on_step(wanted) * signal.price_open * one.pnl_percent / 100, rel=1e-12)


@pytest.mark.parametrize(
    ("sizing", "least", "most"),
    [
        pytest.param("capped", 0.099, 0.1, id="at most a tenth of the equity"),
        pytest.param("half", 0.49, 0.5, id="a function of the user"),
        pytest.param("given-odds", 0.049, 0.05, id="a quarter of the Kelly share"),
    ],
)
def test_a_sizing_takes_its_share_of_the_equity(project: Project, sizing: str, least: float, most: float) -> None:
    made = closings(backtest(project, sizing))
    assert len(made) > 5
    for one in made:
        equity = 10_000 + sum(other.pnl_quote or 0.0 for other in made if other.time_ms <= one.opened_at)
        assert least <= (one.signal.quantity or 0) * one.signal.price_open / equity <= most + 1e-9


def test_quantities_lie_within_their_limits_and_on_the_step(project: Project) -> None:
    assert {one.signal.quantity for one in closings(backtest(project, "least"))} == {0.05}
    capped = closings(backtest(project, "least", overrides=("sizings.least.risk_percentage=50",)))
    assert {one.signal.quantity for one in capped} == {0.06}


@pytest.mark.parametrize(
    ("sizing", "why", "code"),
    [
        ("tiny", "less than the quantity step", 0),
        ("bad-odds", "the sizing answered zero or less", 0),
        ("own-odds", "not enough closed trades", 0),
        ("broken", "no odds today", 4),
        ("text", "answered no number: 'much'", 4),
        ("endless", "the sizing answered inf", 4),
    ],
)
def test_without_a_quantity_there_is_no_position_and_the_report_says_why(
    project: Project, sizing: str, why: str, code: int
) -> None:
    run = backtest(project, sizing)
    funnel = run.streams[0].result.funnel
    assert funnel.opened == 0
    assert funnel.no_quantity == funnel.drafts > 5
    assert funnel.no_quantity_by_rule.total() == funnel.no_quantity
    done = project.inside("backtest", "cross", "--exchange", "files", "--set", f"strategies.cross.sizing={sizing}")
    assert done.code == code
    assert ("the config's own code failed" in done.stderr) is (code == 4)
    assert " ".join(why.split()) in " ".join(done.stdout.split())


def test_kelly_trades_the_least_until_it_has_its_odds(project: Project) -> None:
    made = closings(backtest(project, "own-odds-least"))
    for place, one in enumerate(made):
        last = [other.pnl_percent for other in made[:place]][-3:]
        wins, losses = [pnl for pnl in last if pnl > 0], [-pnl for pnl in last if pnl < 0]
        if len(last) < 3:
            assert one.signal.quantity == 0.001
            continue
        rate, ratio = len(wins) / 3, (sum(wins) / len(wins)) / (sum(losses) / len(losses))
        share = max(0.0, (rate * ratio - (1 - rate)) / ratio) * 0.25
        equity = 10_000 + sum(other.pnl_quote or 0.0 for other in made[:place])
        assert one.signal.quantity == pytest.approx(max(on_step(share * equity / one.signal.price_open), 0.001))
    assert len(made) >= 3


def test_the_range_is_that_of_the_last_closed_candle(project: Project) -> None:
    made = closings(backtest(project, "range"))
    assert len(made) > 5
    candles = pl.read_csv(project.folder / "data" / "BTCUSDT.csv")
    rows = candles.group_by(pl.col("time") // 900_000, maintain_order=True).agg(
        pl.col("high").max(), pl.col("low").min(), pl.col("close").last()
    )
    ends = ((rows["time"] + 1) * 900_000).to_list()
    high, low, close = (rows[name].to_list() for name in ("high", "low", "close"))
    ranges = [high[0] - low[0]]
    ranges += [
        max(high[row] - low[row], abs(high[row] - close[row - 1]), abs(low[row] - close[row - 1]))
        for row in range(1, len(close))
    ]
    atr: dict[int, float] = {}
    value = None
    for row, end in enumerate(ends):
        if row == 3:
            value = sum(ranges[1:4]) / 3
        elif value is not None:
            value = (value * 2 + ranges[row]) / 3
        if value is not None:
            atr[end] = value
    equity = 10_000.0
    for one in made:
        wanted = equity * 0.01 / (2 * atr[one.signal.decided_at])
        assert one.signal.quantity == pytest.approx(on_step(wanted), rel=2e-3)
        equity += one.pnl_quote or 0.0


def test_callbacks_are_told_of_every_quantity(project: Project) -> None:
    kit = Kit.load(project.folder / "configs", overrides=["strategies.cross.sizing=half"])
    run = kit.backtest("cross", exchange="files").run()
    (module,) = [one for path, one in kit.registry.files.items() if path.name == "sizes.py"]
    opened = [event for event in run.streams[0].result.events() if isinstance(event, Opened)]
    assert [(sizing, quantity) for sizing, _, quantity in module.TOLD] == [
        ("half", event.signal.quantity) for event in opened
    ]
    assert module.TOLD[0][1] == 10_000


def test_results_do_not_depend_on_order_or_jobs(project: Project) -> None:
    symbols = ["BTCUSDT", "ETHUSDT"]
    first = backtest(project, "risk", "cross", "asked", symbols=symbols)
    second = backtest(project, "risk", "asked", "cross", symbols=symbols[::-1], jobs=2)
    assert first.run_id == second.run_id
    assert [list(one.result.events()) for one in first.streams] == [list(one.result.events()) for one in second.streams]


def test_the_same_strategy_with_another_size_has_another_id(project: Project) -> None:
    ids = {
        backtest(project, "risk", overrides=(f"sizings.risk.risk_percentage={percent}",)).run_id for percent in (1, 2)
    }
    risky = {
        backtest(
            project,
            "risk",
            overrides=("strategies.cross.risk=exposure", f"risks.exposure.max_exposure_percent={limit}"),
        ).run_id
        for limit in (15, 16)
    }
    assert len(ids | risky) == 4


@pytest.mark.parametrize(
    ("risk", "rule"),
    [("exposure", "max_exposure_percent"), ("day", "max_daily_loss_percent"), ("rich", "only with all of it")],
)
def test_limits_of_money_refuse_in_a_run(project: Project, risk: str, rule: str) -> None:
    names, symbols = ("cross", "asked"), ["BTCUSDT", "ETHUSDT"]
    overrides = tuple(f"strategies.{name}.risk={risk}" for name in names)
    free = backtest(project, "capped", *names, symbols=symbols)
    held = backtest(project, "capped", *names, symbols=symbols, overrides=overrides)
    refused = [event for stream in held.streams for event in stream.result.events() if event.kind == "risk_refused"]
    assert refused
    assert {event.rule if risk != "rich" else event.why for event in refused} == {rule}
    assert len(closings(held)) < len(closings(free))


def test_equity_in_a_check_needs_a_balance(project: Project) -> None:
    project.write(
        "configs/money.yaml", SIZINGS.replace("settings: {balance: 10000}", "").replace("sizings:", "x-sizings:")
    )
    project.write("configs/money.yaml", 'risks: [{name: rich, checks: [{allow: "equity > 1"}]}]')
    done = project.inside("backtest", "cross", "--exchange", "files", "--set", "strategies.cross.risk=rich")
    assert done.code == 2
    assert "equity" in done.stderr
    assert "money.yaml" in done.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("risk", "why"), [("raises", "KeyError: 'no market today'"), ("no-truth", "ValueError")])
def test_a_risk_check_that_raises_is_told_once_with_its_line_and_ends_with_4(
    project: Project, risk: str, why: str, jobs: str
) -> None:
    run = ("backtest", "cross", "asked", "--frame", "day", "--set", f"strategies.cross.risk={risk}")
    done = project.inside(*run, "--jobs", jobs, "--json")
    assert done.code == 4
    texts = [one["text"] for one in done.document["portfolio"]["warnings"] if why in one["text"]]
    assert len(texts) == 1
    assert re.search(rf"sizes\.py:\d+ raised {why}.* in the risk check strategies/sizes\.py:.* \(\d+ times\)", texts[0])
    refused = done.document["portfolio"]["funnel"]["risk"]
    assert "cross on BTCUSDT: 2023-03-01T" in texts[0]
    assert f"({refused} times)" in texts[0]


def test_odds_that_end_a_stream_are_a_warning(project: Project) -> None:
    run = backtest(project, "own-odds-least", overrides=("sizings.own-odds-least.from_trades=1",))
    (warning,) = run.streams[0].warnings
    made = closings(run)
    assert len(made) == 1
    refused = run.streams[0].result.funnel.no_quantity_by_rule
    assert set(refused) == {"odds_unknown"}
    assert "it trades no more from 2023-03-01T" in warning
    assert f"{refused.total()} signals got no quantity: no win among the last 1 trades" in warning


def test_odds_that_advise_against_trading_end_a_stream_too(project: Project) -> None:
    run = backtest(project, "own-odds-least", "asked")
    assert set(run.streams[0].result.funnel.no_quantity_by_rule) == {"odds_against"}
    assert "the odds of the last 3 trades advise against trading" in run.streams[0].warnings[0]


def test_odds_that_end_limit_entries_are_a_warning_too(project: Project) -> None:
    limited = ("strategies.cross.rules.entry.limit=0.05%", "strategies.cross.rules.entry.wait=1h")
    run = backtest(project, "own-odds-least", overrides=(*limited, "sizings.own-odds-least.from_trades=1"), frame="day")
    assert "it trades no more from" in run.streams[0].warnings[0]
