"""Trades and events of a run as tables, and as parquet: one for all streams, the same bytes for the same run.

Rows stand stream by stream in the order of the run, inside a stream in order of time. Times are UTC datetimes in ms,
percents are net of costs. Idle and active events are not stored.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    DecisionFailed,
    DraftRefused,
    Event,
    Idle,
    LevelReached,
    Opened,
    QuantityRefused,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.report.event_columns import event_columns

if TYPE_CHECKING:
    import polars as pl

ROWS_PER_GROUP = 262_144

EVENT_COLUMNS = (
    "strategy",
    "symbol",
    "time",
    "kind",
    "id",
    "position",
    "price",
    "price_open",
    "price_take_profit",
    "price_stop_loss",
    "lifetime_minutes",
    "decided",
    "reason",
    "pnl_percent",
    "quantity",
    "pnl_quote",
    "side",
    "level",
    "rules",
    "profile",
    "stage",
    "open_positions",
    "what",
)


def trades_table(run: RunResult) -> "pl.DataFrame":
    """List the finished positions of all streams."""
    import polars as pl

    frames = [_trades(stream) for stream in run.streams]
    return pl.concat(frames) if frames else pl.DataFrame()


def events_table(run: RunResult) -> "pl.DataFrame":
    """List the events of all streams; what does not belong to a kind of event is null."""
    import polars as pl

    schema = _event_schema()
    frames = [pl.DataFrame(schema=schema)]
    for stream in run.streams:
        whose = [pl.lit(storable(getattr(stream, name))).alias(name) for name in ("strategy", "symbol")]
        frames.append(_events(stream, schema).with_columns(whose).select(EVENT_COLUMNS))
    return pl.concat(frames)


def _events(stream: StreamRun, schema: "dict[str, Any]") -> "pl.DataFrame":
    import polars as pl

    if stream.result.listed is None:
        return pl.DataFrame([row for row in map(_event, stream.result.events()) if row is not None], schema=schema)
    listed = stream.result.listed()
    known = event_columns(listed, [storable(one) for one in listed.signals.ids])
    missing = (pl.lit(None, dtype=schema[name]).alias(name) for name in EVENT_COLUMNS if name not in known)
    casts = (pl.col(name).cast(schema[name]) for name in known)
    return pl.DataFrame(known).with_columns(*casts, *missing)


def parquet(frame: "pl.DataFrame") -> bytes:
    """Write a table as the bytes of a file."""
    target = BytesIO()
    frame.write_parquet(target, compression="zstd", row_group_size=ROWS_PER_GROUP, statistics=True)
    return target.getvalue()


def storable(text: str) -> str:
    """Replace what cannot be written as UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _trades(stream: StreamRun) -> "pl.DataFrame":
    import polars as pl

    trades, terms = stream.result.trades, stream.result.terms
    ids = [storable(trades.id(row, terms)) for row in range(len(trades))]
    return trades.frame().select(
        pl.lit(storable(stream.strategy)).alias("strategy"),
        pl.lit(storable(stream.symbol)).alias("symbol"),
        pl.Series("id", ids, dtype=pl.String),
        pl.all(),
        pl.Series("note", list(_notes(stream)), dtype=pl.String),
    )


def _notes(stream: StreamRun) -> Iterator[str]:
    notes = stream.result.trades.notes
    if isinstance(notes, str):
        yield from [storable(plain_text(notes))] * len(stream.result.trades)
    else:
        yield from (storable(plain_text(note)) for note in notes)


def _event_schema() -> "dict[str, Any]":
    import polars as pl

    time, price = pl.Datetime("ms", "UTC"), pl.Float64()
    special: dict[str, Any] = {
        "time": time,
        "decided": time,
        "price": price,
        "price_open": price,
        "price_take_profit": price,
        "price_stop_loss": price,
        "lifetime_minutes": pl.Int64(),
        "pnl_percent": price,
        "quantity": price,
        "pnl_quote": price,
        "level": pl.Int8(),
        "open_positions": pl.Int64(),
    }
    return {name: special.get(name, pl.String()) for name in EVENT_COLUMNS}


def _event(event: Event) -> dict[str, Any] | None:
    """One event as a row without strategy and symbol; None for what is not stored."""
    row: dict[str, Any] = {"time": event.time_ms, "kind": event.kind}
    match event:
        case Idle() | Active():
            return None
        case Opened(signal=signal):
            return row | _signal(signal) | {"price": signal.price_open}
        case Scheduled(signal=signal):
            return row | _signal(signal) | {"price": event.price}
        case Cancelled(signal=signal):
            return row | _signal(signal) | {"price": event.price, "reason": event.reason.value}
        case LevelReached(signal=signal):
            return row | _signal(signal) | {"price": event.price, "side": event.side, "level": event.level}
        case Closed(signal=signal):
            closing = {"price": event.price, "reason": event.reason.value, "pnl_percent": event.pnl_percent}
            return row | _signal(signal) | closing | {"pnl_quote": event.pnl_quote}
        case DraftRefused():
            return row | {"rules": " ".join(event.rules)}
        case QuantityRefused(signal=signal):
            return row | _signal(signal) | {"rules": event.rule, "stage": event.stage, "what": storable(event.why)}
        case RiskRefused(signal=signal):
            refusal = {
                "price": event.price,
                "rules": storable(event.rule),
                "profile": storable(event.profile),
                "stage": event.stage,
            }
            return (
                row | _signal(signal) | refusal | {"open_positions": event.open_positions, "what": storable(event.why)}
            )
        case DecisionFailed():
            return row | {"what": storable(event.what)}


def _signal(signal: Signal) -> dict[str, Any]:
    return {
        "id": storable(signal.id),
        "position": signal.position.value,
        "price_open": signal.price_open,
        "price_take_profit": signal.price_take_profit,
        "price_stop_loss": signal.price_stop_loss,
        "lifetime_minutes": signal.lifetime_minutes,
        "decided": signal.decided_at,
        "quantity": signal.quantity,
    }
