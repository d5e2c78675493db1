"""Cases of an independent implementation of the engine rules: how they are read, run by walk, and compared."""

import csv
import gzip
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.gate import Ledger, RiskProfile
from backtestkit_cli.engine.step import Terms
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
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy, policy_from
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import minutes_of, parse_time

LIMIT_NAMES = {
    "CC_SCHEDULE_AWAIT_MINUTES": "schedule_await_minutes",
    "CC_AVG_PRICE_CANDLES_COUNT": "average_price_candles",
    "CC_MIN_TAKEPROFIT_DISTANCE_PERCENT": "min_take_profit_percent",
    "CC_MIN_STOPLOSS_DISTANCE_PERCENT": "min_stop_loss_percent",
    "CC_MAX_STOPLOSS_DISTANCE_PERCENT": "max_stop_loss_percent",
    "CC_MAX_SIGNAL_LIFETIME_MINUTES": "max_lifetime_minutes",
}


@dataclass(frozen=True)
class Stream:
    """One stream of a case, ready to run."""

    name: str
    candles: Candles
    rows: DraftColumns
    terms: Terms
    start_ms: int
    end_ms: int
    step_ms: int
    interval_ms: int
    stop_ms: int | None


def read_json(folder: Path, name: str) -> Any:
    path = folder / name
    if path.exists():
        return json.loads(path.read_text())
    return json.loads(gzip.decompress((folder / f"{name}.gz").read_bytes()))


def read_table(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / name
    text = path.read_text() if path.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes()).decode()
    return list(csv.DictReader(io.StringIO(text)))


def ledger_of(folder: Path) -> Ledger:
    """The risk profiles of a case, by strategy."""
    case = yaml.safe_load((folder / "case.yaml").read_text())
    profiles = {risk["name"]: RiskProfile(**risk) for risk in case.get("risks", [])}
    names = {entry["name"]: entry.get("risk") or [] for entry in case["strategies"]}
    named = {strategy: [risk] if isinstance(risk, str) else risk for strategy, risk in names.items()}
    return Ledger({strategy: [profiles[risk] for risk in risks] for strategy, risks in named.items()})


def streams(folder: Path, data: Path) -> list[Stream]:
    case = yaml.safe_load((folder / "case.yaml").read_text())
    config = case.get("config", {})
    limits = Limits(**{ours: config[theirs] for theirs, ours in LIMIT_NAMES.items() if theirs in config})
    costs = Costs(
        fee_percent=config.get("CC_PERCENT_FEE", 0.1), slippage_percent=config.get("CC_PERCENT_SLIPPAGE", 0.1)
    )
    intervals = {entry["name"]: minutes_of(entry["interval"]) * 60_000 for entry in case["strategies"]}
    frame, stops = case["frame"], case.get("stops", [])
    found = []
    for run in case["runs"]:
        strategy, symbol = run["strategy"], run["symbol"]
        found.append(
            Stream(
                name=f"{strategy}|{symbol}",
                candles=candles_of(folder, run, data, bridge=case.get("gap") == "bridge"),
                rows=rows_of(folder, strategy, symbol),
                terms=Terms(
                    strategy=strategy, symbol=symbol, policy=policy_of(case["fill"]), costs=costs, limits=limits
                ),
                start_ms=parse_time(frame["start"]),
                end_ms=parse_time(frame["end"]),
                step_ms=minutes_of(frame["interval"]) * 60_000,
                interval_ms=intervals[strategy],
                stop_ms=next(
                    (parse_time(s["at"]) for s in stops if (s["strategy"], s["symbol"]) == (strategy, symbol)), None
                ),
            )
        )
    return found


def policy_of(fill: Any) -> FillPolicy:
    if isinstance(fill, str):
        return PRESETS[fill]
    return policy_from({k: v for k, v in fill.items() if k != "base"}, fill.get("base", "honest"))


def candles_of(folder: Path, run: dict[str, Any], data: Path, *, bridge: bool) -> Candles:
    if "candles_from" in run:
        source = run["candles_from"]
        frame = pl.read_parquet(data / source["file"]).sort(pl.nth(0))
        start, end = parse_time(source["start"]), parse_time(source["end"])
        frame = frame.filter((pl.nth(0) >= start) & (pl.nth(0) < end))
    else:
        path = folder / run.get("candles", "candles.csv")
        frame = pl.read_csv(path if path.exists() else path.with_name(path.name + ".gz"))
    columns = [frame.to_series(i).to_numpy() for i in range(6)]
    return Candles.from_rows(columns[0].astype(np.int64), *(c.astype(np.float64) for c in columns[1:]), bridge=bridge)


def rows_of(folder: Path, strategy: str, symbol: str) -> DraftColumns:
    rows = [
        row
        for row in read_table(folder, "signals.csv")
        if row.get("strategy") in (None, "", strategy) and row.get("symbol") in (None, "", symbol) and row["position"]
    ]

    def numbers(name: str) -> Any:
        return np.array([float(row[name]) if row.get(name) else math.nan for row in rows], dtype=np.float64)

    none = np.zeros(len(rows), dtype=bool)
    return DraftColumns(
        time_ms=np.array([int(row["time"]) for row in rows], dtype=np.int64),
        side=np.array([{"long": 1, "short": -1, "wait": 0}[row["position"]] for row in rows], dtype=np.int8),
        ambiguous=none,
        warm_up=none,
        short_history=none,
        price_open=numbers("price_open"),
        has_price_open=np.array([bool(row.get("price_open")) for row in rows], dtype=bool),
        price_take_profit=numbers("price_take_profit"),
        price_stop_loss=numbers("price_stop_loss"),
        lifetime_minutes=numbers("lifetime_minutes"),
        wait_minutes=numbers("wait_minutes"),
        distance_problem=np.zeros(len(rows), dtype=np.int8),
        notes=tuple(row.get("note") or "" for row in rows),
    )


def signal_as_expected(signal: Signal, pending_at: int, *, is_scheduled: bool) -> dict[str, Any]:
    return {
        "id": f"{signal.strategy}-{signal.decided_at}",
        "position": signal.position.value,
        "price_open": signal.price_open,
        "price_take_profit": signal.price_take_profit,
        "price_stop_loss": signal.price_stop_loss,
        "minute_estimated_time": signal.lifetime_minutes,
        "scheduled_at": signal.decided_at,
        "pending_at": pending_at,
        "is_scheduled": is_scheduled,
        "note": signal.note,
    }


def event_as_expected(event: Event) -> dict[str, Any]:
    """One event of ours in the words of the case files."""
    match event:
        case Scheduled(time_ms=at, signal=signal, price=price):
            row = signal_as_expected(signal, at, is_scheduled=True)
            return _signal("scheduled", at, signal, price, row)
        case Opened(time_ms=at, signal=signal):
            row = signal_as_expected(signal, at, is_scheduled=False)
            return _signal("opened", at, signal, signal.price_open, row)
        case Closed(time_ms=at, signal=signal, price=price):
            row = signal_as_expected(signal, event.opened_at, is_scheduled=False)
            return _signal("closed", at, signal, price, row) | {
                "close_reason": event.reason.value,
                "close_timestamp": at,
                "pnl_percentage": event.pnl_percent,
                "pnl_price_open": signal.price_open,
                "pnl_price_close": price,
            }
        case Cancelled(time_ms=at, signal=signal, price=price, reason=reason):
            row = signal_as_expected(signal, signal.decided_at, is_scheduled=True)
            more = {"cancel_reason": reason.value, "close_timestamp": at}
            return _signal("cancelled", at, signal, price, row) | more
        case LevelReached(time_ms=at, signal=signal, side=side, level=level, price=price):
            return {
                "type": f"partial_{side}",
                "at": at,
                "strategy": signal.strategy,
                "symbol": signal.symbol,
                "signal_id": f"{signal.strategy}-{signal.decided_at}",
                "level": level,
                "price": price,
            }
        case DraftRefused(time_ms=at, strategy=strategy, symbol=symbol, rules=rules):
            return {"type": "error", "at": at, "strategy": strategy, "symbol": symbol, "codes": list(rules)}
        case RiskRefused(time_ms=at, signal=signal):
            return {
                "type": "risk_rejection",
                "at": at,
                "strategy": signal.strategy,
                "symbol": signal.symbol,
                "stage": event.stage,
                "price": event.price,
                "profile": event.profile,
                "rule": event.rule,
                "active_position_count": event.open_positions,
                "signal_id": f"{signal.strategy}-{signal.decided_at}",
            }
        case _:
            raise AssertionError(event)


def _signal(action: str, at: int, signal: Signal, price: float | None, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "signal",
        "action": action,
        "at": at,
        "strategy": signal.strategy,
        "symbol": signal.symbol,
        "price": price,
        "signal": row,
    }


def funnel_as_expected(funnel: Funnel) -> dict[str, Any]:
    reasons = ("stop_level", "wait_over", "no_quantity", "risk", "stopped", "end_of_data")
    cancelled = {str(reason): count for reason, count in funnel.cancelled.items()}
    closed = {str(reason): count for reason, count in funnel.closed.items()}
    return {
        "ticks": funnel.ticks,
        "stopped": funnel.stopped,
        "busy": funnel.busy,
        "no_price": funnel.no_price,
        "decisions": funnel.decisions,
        "warm_up": funnel.warm_up,
        "ambiguous": funnel.ambiguous,
        "no_draft": funnel.no_draft,
        "drafts": funnel.drafts,
        "invalid": funnel.invalid,
        "invalid_by_rule": dict(funnel.invalid_by_rule),
        "no_quantity": 0,
        "risk": funnel.risk,
        "risk_by_profile": dict(funnel.risk_by_profile),
        "scheduled": funnel.scheduled,
        "opened_at_decision": funnel.opened_at_decision,
        "activated": funnel.activated,
        "opened": funnel.opened,
        "cancelled": {reason: cancelled.get(reason, 0) for reason in reasons},
        "closed": {
            reason: closed.get(reason, 0) for reason in ("take_profit", "stop_loss", "time_expired", "end_of_data")
        },
    }


def differences(expected: Any, found: Any, path: str = "") -> list[str]:
    """Every place where two values differ; figures of PnL within 1e-12 relative, all else exactly."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in expected if key in found or expected[key] not in (0, {}, None)]
        return [line for key in keys for line in differences(expected[key], found.get(key), f"{path}.{key}")]
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return [f"{path}: {len(expected)} expected, {len(found)} found"]
        return [
            line
            for i, pair in enumerate(zip(expected, found, strict=True))
            for line in differences(*pair, f"{path}[{i}]")
        ]
    if path.endswith("pnl_percentage") and math.isclose(expected, found, rel_tol=1e-12, abs_tol=1e-12):
        return []
    return [] if expected == found else [f"{path}: {expected!r} expected, {found!r} found"]
