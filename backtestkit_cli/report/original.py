"""The original's figures beside ours: of its newest 250 trades and events, and of all of them.

The second list is for the record alone where it is the same as the first.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, get_args

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.original import HELD_EVENTS
from backtestkit_cli.measure.original_events import schedule_line
from backtestkit_cli.measure.original_metrics import (
    Happened,
    Scope,
    happened,
    original_metrics,
    portfolio_metrics,
    trades_happened,
)
from backtestkit_cli.report.frames import storable
from backtestkit_cli.report.report import Depth, Measures, Section

if TYPE_CHECKING:
    import polars as pl

TITLES: dict[Scope, str] = {
    "original": f"As the original counts: the newest {HELD_EVENTS}",
    "original_all": "As the original counts: all",
}


def original_sections(stream: StreamRun, events: "pl.DataFrame | None" = None) -> Iterator[Section]:
    """Tell one stream of a run; `events` are those of the whole run where they are a table already."""
    told = happened(stream) if events is None else _happened(stream, events)
    return _sections([original_metrics(told, scope) for scope in get_args(Scope)], is_told=bool(told.trades))


def original_heat_sections(run: RunResult) -> Iterator[Section]:
    """Tell all symbols of one strategy together."""
    trades = [trade for stream in run.streams for trade in trades_happened(stream)]
    trades.sort(key=lambda trade: trade.closed_ms)
    return _sections([portfolio_metrics(trades, scope) for scope in get_args(Scope)], is_told=bool(trades))


def _sections(measured: Sequence[tuple[Metric, ...]], *, is_told: bool) -> Iterator[Section]:
    for scope, found in zip(get_args(Scope), measured, strict=True):
        is_new = scope == "original" or found != measured[0]
        depth: Depth = "full" if is_told and is_new else "record"
        yield Section(key=scope, title=TITLES[scope], block=Measures(found), depth=depth)


def _happened(stream: StreamRun, events: "pl.DataFrame") -> Happened:
    import polars as pl

    own = events.filter(
        pl.col("strategy") == storable(stream.strategy), pl.col("symbol") == storable(stream.symbol)
    ).with_columns(pl.col("time", "decided").dt.epoch("ms"))
    waits = own.filter(
        pl.col("kind").is_in(("scheduled", "cancelled"))
        | ((pl.col("kind") == "opened") & (pl.col("time") != pl.col("decided")))
    )
    lines = (schedule_line(*row) for row in waits.select("kind", "time", "decided").iter_rows())
    return Happened(
        trades=trades_happened(stream),
        entries=tuple(line for line in lines if line is not None),
        levels=tuple(own.filter(kind="level_reached")["side"] == "profit"),
        refusals=len(own.filter(kind="risk_refused")),
    )
