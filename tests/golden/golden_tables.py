"""The recorded tables against our functions: each table is a list of rows, each row gives what differs in it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from golden.golden_cases import NOW_MS
from golden.golden_optimizer import optimizer
from golden.golden_records import differences
from golden.golden_reports import Report, read_report, schedule_summary, trade_summary
from golden.golden_statistics import renamed
from pydantic import ValidationError
from unit.config.test_limits import STRICTER
from unit.config.test_limits import broken as broken_settings

from backtestkit_cli.config.schema import model_of
from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.reference.events import Row
from backtestkit_cli.engine.reference.exchange import (
    Exchange,
    RequestFailed,
    average_price,
    broken_candle,
    frame_ticks,
    window_start,
)
from backtestkit_cli.engine.reference.signals import broken_rules
from backtestkit_cli.engine.sizing import QuantityLimits, SizingError, atr_based, fixed_percentage, kelly_criterion
from backtestkit_cli.measure.original import (
    ClosedTrade,
    backtest_figures,
    heat_figures,
    live_figures,
)
from backtestkit_cli.measure.original_events import (
    ScheduleEntry,
    Timing,
    performance_figures,
    schedule_entry,
    schedule_figures,
)
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Cancelled, CancelReason, Closed, CloseReason, Opened, Scheduled
from backtestkit_cli.model.fixed import round_half_up, to_fixed
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import Position
from backtestkit_cli.model.time import Interval, parse_time
from backtestkit_cli.model.trade import pnl_percent

CLOSE = 1e-12


def number(value: Any) -> Any:
    """A value of a table, with the words for what JSON cannot hold."""
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a table that ours is compared with."""
    rows: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["rows"]
    if name == "config_validation":
        return [row for row in rows if not STRICTER & set(row["override"])]
    return rows


def pnl(row: Mapping[str, Any]) -> Iterator[str]:
    costs = Costs(fee_percent=row["fee_percent"], slippage_percent=row["slippage_percent"])
    found = pnl_percent(row["position"] == "long", row["price_open"], row["price_close"], costs)
    yield from differences(row["pnl_percentage"], found, "pnl")


def vwap(row: Mapping[str, Any]) -> Iterator[str]:
    window = [Candle(0, 0.0, *prices) for prices in row["candles"]]
    yield from differences(row["vwap"], average_price(window), "vwap")


def sizing(row: Mapping[str, Any]) -> Iterator[str]:
    if "register_error" in row:
        yield from _refused_sizing(row)
        return
    try:
        found: dict[str, Any] = {"output": _quantity(row["schema"], row["requested_method"], row["input"])}
    except SizingError as error:
        found = {"error": error.code.replace("-", "_")}
    yield from differences({key: row[key] for key in ("output", "error") if key in row}, found, "sizing")


def _quantity(schema: Mapping[str, Any], method: str, given: Mapping[str, float]) -> float:
    if method != schema["method"]:
        raise SizingError("method-mismatch", "another method was asked for")
    options = {
        name: schema[name] for name in ("risk_percentage", "kelly_multiplier", "atr_multiplier") if name in schema
    }
    balance, price_open = given["account_balance"], given["price_open"]
    methods: dict[str, Callable[[], float]] = {
        "fixed-percentage": lambda: fixed_percentage(balance, price_open, given["price_stop_loss"], **options),
        "kelly-criterion": lambda: kelly_criterion(
            balance, price_open, given["win_rate"], given["win_loss_ratio"], **options
        ),
        "atr-based": lambda: atr_based(balance, given["atr"], **options),
    }
    limits = QuantityLimits(
        max_position_percentage=schema.get("max_position_percentage"),
        min_quantity=schema.get("min_position_size"),
        max_quantity=schema.get("max_position_size"),
    )
    return limits.apply(methods[method](), balance, price_open)


def _refused_sizing(row: Mapping[str, Any]) -> Iterator[str]:
    """A config without the missing key is refused for that key."""
    given = {key.replace("sizing_name", "name"): value for key, value in row["schema"].items()}
    missing = row["register_error"].removeprefix("missing_")
    try:
        model_of("sizings", given).model_validate(given)
    except ValidationError as error:
        if not any(missing in problem["loc"] for problem in error.errors()):
            yield f"refused, but not for {missing}"
    else:
        yield f"accepted without {missing}"


def statistics(row: Mapping[str, Any]) -> Iterator[str]:
    trades = [
        ClosedTrade("BTCUSDT", trade["pnl_percentage"], trade["pending_at"], trade["close_timestamp"])
        for trade in row["trades"]
    ]
    figures, heat = backtest_figures(trades), asdict(heat_figures(trades))
    count, live = live_figures(_closed(trade) for trade in trades)
    yield from differences(row["backtest"], renamed(figures, "total_signals"), "backtest", CLOSE)
    yield from differences(row["live"], {"total_events": count, **renamed(live, "total_closed")}, "live", CLOSE)
    yield from differences(row["heatmap"], {**heat, "symbols": list(heat["symbols"])}, "heatmap", CLOSE)
    yield from _summary(row, trade_summary(figures))


def _summary(row: Mapping[str, Any], ours: dict[str, str]) -> Iterator[str]:
    recorded = read_report("\n".join(row["report_summary_lines"]))
    yield from differences(recorded.cells(), Report(figures=ours).cells(), "summary")


def _signal(decided_at: int, opened_ms: int) -> Row:
    return Row(
        id="any",
        strategy="any",
        symbol="BTCUSDT",
        position=Position.LONG,
        price_open=100.0,
        price_take_profit=101.0,
        price_stop_loss=99.0,
        lifetime_minutes=60,
        decided_at=decided_at,
        pending_at=opened_ms,
        is_scheduled=False,
    )


def _closed(trade: ClosedTrade) -> Closed:
    return Closed(
        time_ms=trade.closed_ms,
        signal=_signal(trade.opened_ms, trade.opened_ms),
        opened_at=trade.opened_ms,
        price=100.0,
        reason=CloseReason.TIME_EXPIRED,
        pnl_percent=trade.pnl_percent,
        ambiguous_minutes=0,
        profit_at_stake_percent=0.0,
        vwap_lag_percent=0.0,
        is_bridged=False,
    )


def schedule_statistics(row: Mapping[str, Any]) -> Iterator[str]:
    entries = [entry for event in row["events"] if (entry := _schedule_entry(event)) is not None]
    figures = asdict(schedule_figures(entries))
    yield from differences(row["stats"], figures, "stats", CLOSE)
    yield from _summary(row, schedule_summary(figures))


def _schedule_entry(given: Mapping[str, Any]) -> ScheduleEntry | None:
    decided_at = given["scheduled_at"]
    signal = _signal(decided_at, given.get("pending_at", decided_at))
    match given["action"]:
        case "scheduled":
            return schedule_entry(Scheduled(time_ms=decided_at, signal=signal, price=100.0))
        case "opened":
            return schedule_entry(Opened(time_ms=signal.pending_at, signal=signal))
        case _:
            ended = given["close_timestamp"]
            over = CancelReason.WAIT_OVER
            return schedule_entry(Cancelled(time_ms=ended, signal=signal, price=100.0, reason=over))


def performance_statistics(row: Mapping[str, Any]) -> Iterator[str]:
    timings = [
        Timing(event["timestamp"], event["previous_timestamp"], event["metric_type"], event["duration"])
        for event in row["events"]
    ]
    expected = {key: value for key, value in row.items() if key != "events"}
    yield from differences(expected, asdict(performance_figures(timings)), "performance", CLOSE)


def signal_validation(row: Mapping[str, Any]) -> Iterator[str]:
    signal = {key: number(value) for key, value in row["signal"].items()}
    found = broken_rules(
        position=signal.get("position"),
        price=number(row["current_price"]),
        price_open=signal.get("price_open"),
        take_profit=signal.get("price_take_profit"),
        stop_loss=signal.get("price_stop_loss"),
        lifetime=signal.get("minute_estimated_time"),
        is_scheduled=row["scheduled"],
        limits=Limits(),
    )
    yield from differences(row["errors"], list(found), "rules")


def config_validation(row: Mapping[str, Any]) -> Iterator[str]:
    yield from differences(sorted(row["errors"]), sorted(broken_settings(row["override"])), "rules")


def candle_validation(row: Mapping[str, Any]) -> Iterator[str]:
    found = broken_candle([Candle(*map(number, candle)) for candle in row["candles"]])
    yield from differences(row["error"], None if found is None else {"code": found[0], "index": found[1]}, row["name"])


def candle_windows(row: Mapping[str, Any]) -> Iterator[str]:
    when_ms, interval, limit = row["when"], Interval(row["interval"]), row["limit"]
    exchange = Exchange(source=_aligned_candles, now_ms=NOW_MS)
    try:
        since_ms = window_start(when_ms, interval, limit)
        history: Any = [candle.time for candle in exchange.candles(when_ms, interval, limit)]
    except RequestFailed as failure:
        since_ms, history = None, {"error": failure.code}
    following = [candle.time for candle in exchange.next_candles(when_ms, interval, limit)]
    expected = {key: row[key] for key in ("asked_since", "history", "next")}
    yield from differences(expected, {"asked_since": since_ms, "history": history, "next": following}, "window")


def _aligned_candles(interval: Interval, since_ms: int, limit: int) -> list[Candle]:
    first = -(-since_ms // interval.ms) * interval.ms
    return [Candle(first + place * interval.ms, 100.0, 101.0, 99.0, 100.0, 1.0) for place in range(limit)]


def frames(row: Mapping[str, Any]) -> Iterator[str]:
    ticks = frame_ticks(parse_time(row["start"]), parse_time(row["end"]), Interval(row["interval"]), NOW_MS)
    found = {"count": len(ticks), "first": ticks[0] if ticks else None, "last": ticks[-1] if ticks else None}
    yield from differences({key: row[key] for key in found}, found, "frame")


def note_cleaning(row: Mapping[str, Any]) -> Iterator[str]:
    yield from differences(row["output"], plain_text(row["input"]), "text")


def fixed_text(row: Mapping[str, Any]) -> Iterator[str]:
    yield from differences(row["text"], to_fixed(row["value"], row["digits"]), "text")


def round_minutes(row: Mapping[str, Any]) -> Iterator[str]:
    yield from differences(row["rounded"], round_half_up(row["value"]), "rounded")


TABLES: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "pnl": pnl,
    "vwap": vwap,
    "sizing": sizing,
    "statistics": statistics,
    "schedule_statistics": schedule_statistics,
    "performance_statistics": performance_statistics,
    "signal_validation": signal_validation,
    "config_validation": config_validation,
    "candle_validation": candle_validation,
    "candle_windows": candle_windows,
    "frames": frames,
    "plain_text": note_cleaning,
    "to_fixed": fixed_text,
    "round_minutes": round_minutes,
    "optimizer": optimizer,
}
