"""Our side: each workload as `backtest` runs it, from loaded candles to the frame of its trades.

Rules are evaluated, drafts resolved, trades booked inside the measured time. Tasks are named `W1 touch`: workload,
then fill policy; `same W1 touch` holds the column trades against those of `walk`.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from backtestkit_cli.engine.cache import Cache
from backtestkit_cli.engine.candles import Floats, Ints
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import RowDecider
from backtestkit_cli.engine.drafts import DraftColumns
from backtestkit_cli.engine.leap import leap
from backtestkit_cli.engine.result import StreamResult
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.trades import Trades, trades_of
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, off_grid_rows
from backtestkit_cli.kit import Kit
from backtestkit_cli.measure.contest import Contestant
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.plugins.registry import ROOT
from backtestkit_cli.run.contestants import config_of
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.strategies import DecisionStrategy, RulesStrategy, prepare
from benchmarks.market import MINUTES, START_MS, SYMBOLS, load
from benchmarks.product import product
from benchmarks.stream import Stream, candles_of, stream, terms_of, ticks_of
from benchmarks.worker import Prepare, Run, serve
from benchmarks.workloads import SWEEP

POLICIES = ("touch", "honest")
WORST = {"1 % 24h": (1.0, 1440), "20 % 24h": (20.0, 1440), "0.1 % 24h": (0.1, 1440)}


def one_pass(folder: Path) -> Run:
    """Add up six columns of a year: the least that anything can cost that looks at all candles."""
    table = load(folder, SYMBOLS[0])
    times = np.arange(table.shape[1], dtype=np.float64)
    columns = [times, *table]
    return lambda: int(sum(float(column.sum()) for column in columns) < 0)


def every_symbol(folder: Path, policy: str) -> Run:
    """Prepare W1 on all symbols."""
    streams = [stream(folder, "w1", policy, symbol) for symbol in SYMBOLS]
    return lambda: sum(one.run() for one in streams)


def sweep(folder: Path, policy: str) -> Run:
    """Prepare W4: every combination from its params to its trades, of which a walker makes no frame."""
    one = stream(folder, "w4", policy)
    contestants = [Contestant(name="w4", strategy="w4", params=tuple(params.items())) for params in SWEEP]

    def run() -> int:
        cache = Cache()
        return sum(len(_tried(one, contestant, cache).trades) for contestant in contestants)

    return run


def _tried(one: Stream, contestant: Contestant, cache: Cache) -> StreamResult:
    strategy = prepare(config_of(one.config, contestant), "w4", ROOT.child(), cache)
    varied = replace(one, strategy=cast("RulesStrategy", strategy))
    return run_columns(one.candles, varied.rows(), one.ticks, one.terms, cache=cache)


def asked(folder: Path, policy: str) -> Run:
    """Prepare W1 as a function that is asked every minute."""
    rows = stream(folder, "w1", policy).rows()
    drafts = np.flatnonzero(rows.side)
    sides = dict(zip(rows.time_ms[drafts].tolist(), rows.side[drafts].tolist(), strict=True))
    (folder / "strategies" / "sides.json").write_text(json.dumps(sides))
    kit = Kit.load(folder / "configs", overrides=(f"settings.fill={policy}",))
    backtest = kit.backtest("w1m")
    strategy = prepare(kit.config, "w1m", kit.registry)
    if not isinstance(strategy, DecisionStrategy):
        raise TypeError("w1m is not asked")
    symbol = SYMBOLS[0]
    candles, ticks = candles_of(load(folder, symbol)), ticks_of(backtest, MINUTE_MS)
    terms = terms_of(backtest, "w1m", symbol)

    def run() -> int:
        with Deadline(60.0, lambda _message: None) as deadline:
            decider = strategy.decider(symbol, candles, MarketSteps(), deadline, lambda _time_ms: None)
            price = vwap_all(candles, terms.limits.average_price_candles)
            walk = StreamWalk(candles=candles, price=price, ticks=ticks, decider=decider, terms=terms)
            return len(trades_of(tuple(leap(walk))).frame())

    return run


def worst(folder: Path, level_percent: float, lifetime_minutes: int, policy: str) -> Run:
    """Prepare a draft at every minute, long and short in turn, so that most candidates are in vain."""
    candles = candles_of(load(folder, SYMBOLS[0]))
    ticks = START_MS + MINUTE_MS * np.arange(10, MINUTES, dtype=np.int64)
    rows = every_minute(vwap_all(candles, 5)[9:-1], ticks, level_percent, lifetime_minutes)
    limits = Limits(min_take_profit_percent=0.01, min_stop_loss_percent=0.01, max_stop_loss_percent=50.0)
    costs = terms_of(Kit.load(folder / "configs").backtest("w1"), "w1", SYMBOLS[0]).costs
    terms = Terms(strategy="worst", symbol=SYMBOLS[0], policy=PRESETS[policy], costs=costs, limits=limits)
    return lambda: len(run_columns(candles, rows, ticks, terms).trades.frame())


def every_minute(price: Floats, ticks: Ints, level_percent: float, lifetime_minutes: int) -> DraftColumns:
    """Drafts at all ticks around the price there."""
    count = len(ticks)
    side = np.where(np.arange(count) % 2, 1, -1).astype(np.int8)
    none, distance = np.zeros(count, dtype=bool), price * (level_percent / 100)
    return DraftColumns(
        time_ms=ticks,
        side=side,
        ambiguous=none,
        warm_up=none,
        short_history=none,
        price_open=np.full(count, np.nan),
        has_price_open=none,
        price_take_profit=price + side * distance,
        price_stop_loss=price - side * distance,
        lifetime_minutes=np.full(count, float(lifetime_minutes)),
        wait_minutes=np.full(count, np.nan),
        distance_problem=np.zeros(count, dtype=np.int8),
        price=price,
    )


def same(folder: Path, name: str, policy: str) -> Run:
    """Hold the column form against walk, which steps through every minute."""

    def run() -> int:
        one = stream(folder, name, policy)
        rows, result = one.rows(), one.result()
        price = vwap_all(one.candles, one.terms.limits.average_price_candles)
        walk = StreamWalk(candles=one.candles, price=price, ticks=one.ticks, decider=RowDecider(rows), terms=one.terms)
        events = tuple(walk.run())
        walk.funnel.off_grid = off_grid_rows(rows.time_ms[rows.side != 0], one.ticks)
        different = differing_trades(result.trades, trades_of(events))
        if different or walk.funnel != result.funnel:
            raise ValueError(f"{different} of {len(result.trades)} trades differ from walk, or the funnel does")
        return len(result.trades)

    return run


def differing_trades(left: Trades, right: Trades) -> int:
    """How many trades are not the same in every column, bit for bit."""
    if len(left) != len(right):
        return max(len(left), len(right))
    different = np.zeros(len(left), dtype=bool)
    for field in fields(Trades):
        if field.name not in ("notes", "ids"):
            one, other = getattr(left, field.name), getattr(right, field.name)
            different |= (one != other) & ((one == one) | (other == other))  # NaN is the same as NaN
    return int(different.sum())


def tasks_of(folder: Path) -> dict[str, Prepare]:
    """All tasks by name."""
    tasks: dict[str, Prepare] = {"pass": partial(one_pass, folder)}
    for policy in POLICIES:
        for name in ("W1", "W2"):
            tasks[f"{name} {policy}"] = partial(_run_of, folder, name.lower(), policy)
            tasks[f"same {name} {policy}"] = partial(same, folder, name.lower(), policy)
        tasks[f"product W1 {policy}"] = partial(_product_of, folder, policy)
        tasks[f"W4 {policy}"] = partial(sweep, folder, policy)
        tasks[f"W3 {policy}"] = partial(every_symbol, folder, policy)
        tasks[f"W1m {policy}"] = partial(asked, folder, policy)
        for name, (level_percent, lifetime_minutes) in WORST.items():
            tasks[f"{name} {policy}"] = partial(worst, folder, level_percent, lifetime_minutes, policy)
    return tasks


def _product_of(folder: Path, policy: str) -> Run:
    return product(stream(folder, "w1", policy))


def _run_of(folder: Path, name: str, policy: str) -> Callable[[], int]:
    return stream(folder, name, policy).run


if __name__ == "__main__":
    tasks = tasks_of(Path(sys.argv[1]))
    if sys.argv[2:]:
        print(tasks[sys.argv[2]]()())
    else:
        serve(tasks)
