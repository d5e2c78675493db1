"""A run under `fill: reference` equals recordings of the original: candles, signals and config go in as files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from golden.golden_cases import Case
from golden.test_golden import COPIED, OTHERS
from shared import needs_shared

from backtestkit_cli import Kit
from backtestkit_cli.engine.result import RunResult, StreamResult
from backtestkit_cli.model.event import (
    Cancelled,
    Closed,
    DraftRefused,
    Event,
    LevelReached,
    Opened,
    RiskRefused,
    Scheduled,
)

SETTINGS = {
    "CC_SCHEDULE_AWAIT_MINUTES": ("limits", "schedule_await_minutes"),
    "CC_AVG_PRICE_CANDLES_COUNT": ("limits", "average_price_candles"),
    "CC_MIN_TAKEPROFIT_DISTANCE_PERCENT": ("limits", "min_take_profit_percent"),
    "CC_MIN_STOPLOSS_DISTANCE_PERCENT": ("limits", "min_stop_loss_percent"),
    "CC_MAX_STOPLOSS_DISTANCE_PERCENT": ("limits", "max_stop_loss_percent"),
    "CC_MAX_SIGNAL_LIFETIME_MINUTES": ("limits", "max_lifetime_minutes"),
    "CC_PERCENT_FEE": ("costs", "fee_percent"),
    "CC_PERCENT_SLIPPAGE": ("costs", "slippage_percent"),
}
CHECKS = {
    "max_concurrent": lambda given: {"allow": f"positions < {given['limit']}", "note": given["text"]},
    "max_per_strategy": lambda given: {"allow": f"positions_of_strategy < {given['limit']}", "note": given["text"]},
    "max_price": lambda given: {"allow": f"price <= {given['max']}", "note": given["text"]},
}
BACKTESTS = (
    "01_long_take_profit",
    "02_long_stop_loss",
    "03_short_take_profit",
    "04_short_stop_loss",
    "05_time_expired",
    "06_gaps_and_missing_minutes",
    "07_tp_and_sl_in_one_candle",
    "08_zero_volume_vwap",
    "09_scheduled_activation",
    "10_scheduled_timeout",
    "11_scheduled_timeout_config_30",
    "12_scheduled_cancelled_by_sl",
    "13_price_open_already_reached",
    "14_interval_throttle",
    "15_frame_5m_throttle",
    "19_partial_levels",
    "20_risk_max_concurrent",
    "31_auto_ids_and_notes",
    "38_real_link_gappy",
    "39_risk_rejects_at_activation",
)
LARGE = ("16_frame_1h", "17_frame_1d_start_offset", "25_long_31d_momentum", "37_real_btcusdt")

Told = tuple[Any, ...]


def project_of(case: Case, folder: Path) -> Path:
    """The case as files of a project."""
    settings: dict[str, Any] = {"fill": "reference", "limits": {}, "costs": {}}
    for name, value in case.config.items():
        if name in SETTINGS:
            section, key = SETTINGS[name]
            settings[section][key] = value
    frame = {"name": "recorded", **{key: case.terms["frame"][key] for key in ("start", "end", "interval")}}
    config = {
        "settings": settings,
        "exchanges": [{"name": "recorded", "use": "files", "path": "{symbol}.csv"}],
        "frames": [frame],
        "risks": [
            {"name": risk["name"], "checks": [CHECKS[one["type"]](one) for one in risk["validations"]]}
            for risk in case.terms.get("risks") or ()
        ],
        "strategies": [strategy_of(case, one, folder) for one in case.terms["strategies"]],
    }
    for run in case.runs:
        write_candles(case, run, folder)
    (folder / "case.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "case.yaml"


def strategy_of(case: Case, given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    name = given["name"]
    write_signals(case, name, folder)
    risks = [risk for risk in (given.get("risk_name"), *(given.get("risk_list") or ())) if risk]
    return {"name": name, "interval": given["interval"], "signals": f"{name}.csv", **({"risk": risks} if risks else {})}


def write_signals(case: Case, name: str, folder: Path) -> None:
    rows = ["time,symbol,position,price_open,price_take_profit,price_stop_loss,lifetime_minutes,note"]
    seen = set()
    for row in sorted(case.signals, key=lambda row: int(row["timestamp_ms"])):
        key = row["timestamp_ms"], row.get("symbol") or ""
        if row.get("strategy") in (None, "", name) and key not in seen:
            seen.add(key)
            prices = [row[key] for key in ("price_open", "price_take_profit", "price_stop_loss")]
            rows.append(",".join([*key, row["position"], *prices, row["minute_estimated_time"], ""]))
    (folder / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_candles(case: Case, run: Mapping[str, Any], folder: Path) -> None:
    candles = case.candle_files[run.get("candles", "candles.csv")].candles
    lines = [",".join(map(repr, candle)) for candle in candles]
    text = "\n".join(["time,open,high,low,close,volume", *lines]) + "\n"
    (folder / f"{run['symbol']}.csv").write_text(text, encoding="utf-8")


def recorded(case: Case, strategy: str, symbol: str) -> list[Told]:
    """What the original told of one stream; an open it does not tell is left out."""
    found = [
        event for event in case.expected["events"] if (event.get("strategy"), event.get("symbol")) == (strategy, symbol)
    ]
    return [told for event in found for told in _recorded(event)]


def _recorded(event: Mapping[str, Any]) -> Iterator[Told]:
    kind, signal = event["type"], event.get("signal") or {}
    match event.get("action", kind):
        case "scheduled" | "opened" as action:
            yield action, event["at"], event["price"], signal["price_open"], signal["position"]
        case "cancelled":
            yield "cancelled", event["close_timestamp"], event["price"], signal["scheduled_at"]
        case "closed":
            entry, times = (
                event["pnl_price_open"],
                (signal["scheduled_at"], signal["pending_at"], event["close_timestamp"]),
            )
            yield "closed", *times, entry, event["price"], event["close_reason"], event["pnl_percentage"]
        case "partial_profit" | "partial_loss":
            yield kind.removeprefix("partial_"), event["at"], event["level"], event["price"]
        case "risk_rejection":
            yield kind, event["at"], event["price"], event["active_position_count"], event["rejection_note"]
        case _:
            return


def ours(result: StreamResult) -> list[Told]:
    """The same of our run."""
    return [told for event in result.events() for told in _ours(event)]


def _ours(event: Event) -> Iterator[Told]:
    match event:
        case Scheduled(time_ms=time_ms, signal=signal, price=price):
            yield "scheduled", time_ms, price, signal.price_open, signal.position
        case Opened(time_ms=time_ms, signal=signal):
            yield "opened", time_ms, signal.price_open, signal.price_open, signal.position
        case Cancelled(time_ms=time_ms, signal=signal, price=price):
            yield "cancelled", time_ms, price, signal.decided_at
        case Closed(signal=signal):
            times = signal.decided_at, event.opened_at, event.time_ms
            yield "closed", *times, signal.price_open, event.price, event.reason, event.pnl_percent
        case LevelReached(time_ms=time_ms, level=level, price=price):
            yield event.side, time_ms, level, price
        case RiskRefused(time_ms=time_ms, price=price, open_positions=count, why=why):
            yield "risk_rejection", time_ms, price, count, why
        case DraftRefused():
            return
        case _:
            return


def compare(case: Case, folder: Path, jobs: int = 1) -> RunResult:
    kit = Kit.load(project_of(case, folder))
    names = [run["strategy"] for run in case.runs]
    run = kit.backtest(*names, symbols=[one["symbol"] for one in case.runs], exchange="recorded", jobs=jobs).run()
    assert len(run.streams) == len(case.runs)
    for stream in run.streams:
        expected = recorded(case, stream.strategy, stream.symbol)
        assert ours(stream.result) == expected
        assert stream.result.funnel.broken_sums() == []
        closed = [told for told in expected if told[0] == "closed"]
        assert stream.result.trades.pnl_percent.tolist() == [told[-1] for told in closed]
    assert any(told[0] == "closed" for one in run.streams for told in ours(one.result)) or "cancel" in case.folder.name
    return run


@pytest.mark.parametrize("name", BACKTESTS)
def test_a_run_tells_what_the_original_told(name: str, tmp_path: Path) -> None:
    compare(Case(COPIED[name]), tmp_path)


@needs_shared
@pytest.mark.parametrize("folder", [one for one in OTHERS if one.name in LARGE], ids=lambda path: path.name)
def test_a_large_run_tells_what_the_original_told(folder: Path, tmp_path: Path) -> None:
    compare(Case(folder), tmp_path)
