"""How often a search is fooled by noise, and how often it finds an edge that was put in: `make luck` (SEEDS=).

A search tries twenty variants of one rule on 90 days of minutes and keeps the one with the best Sharpe ratio. Costs are
zero, and a minute has one price only, so that on noise no fill gains or loses by itself.

* Noise: the price of a minute is that of the one before times 1 + 0.05 % of a normal number: 1.9 % a day.
* Edge: the same with a trend under it, up or down, that turns every four days on average. At 2 % a day it is
  as large as what a day moves by chance.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from statistics import NormalDist

import numpy as np

from backtestkit_cli.engine.candles import Candles, Floats
from backtestkit_cli.engine.columns import run_columns
from backtestkit_cli.engine.decide import decision_ticks
from backtestkit_cli.engine.rules.compile import RuleSpec, compile_rules
from backtestkit_cli.engine.rules.decide import CompiledRules
from backtestkit_cli.engine.step import Terms
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.measure.equity import curve_of, gained, mark_times
from backtestkit_cli.measure.overfitting import deflated_sharpe, sharpe_moments
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs, FillPolicy
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange

DAYS = 90
DAY_MINUTES = 1440
SIZE = 0.0005
EDGE_PERCENT_A_DAY = 2.0
TURN_DAYS = 4.0
PASSED = 0.95
LEAST_TRADES = 20
VARIANTS = tuple(product((2, 4, 8, 16, 24), (("1%", "1%"), ("2%", "1%"), ("1%", "2%"), ("3%", "3%"))))
WITHIN = TimeRange(DAY_MS * 19_000, DAY_MS * (19_000 + DAYS))
LIMITS = Limits(average_price_candles=1)
FREE = Costs(fee_percent=0.0, slippage_percent=0.0)


@dataclass(frozen=True)
class Rate:
    """How many of some searches, and between what the true share lies (95 %, Wilson)."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        z, share = NormalDist().inv_cdf(0.975), self.hits / self.of
        middle = share + z * z / (2 * self.of)
        reach = z * math.sqrt(share * (1 - share) / self.of + z * z / (4 * self.of**2))
        return (middle - reach) / (1 + z * z / self.of), (middle + reach) / (1 + z * z / self.of)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits} of {self.of} = {self.hits / self.of:.1%} (95 %: {low:.1%} to {high:.1%})"


def market(seed: int, edge_percent_a_day: float) -> Candles:
    """Minutes of one price each."""
    random = np.random.default_rng(seed)
    minutes = DAYS * DAY_MINUTES
    turns = random.random(minutes) < 1 / (TURN_DAYS * DAY_MINUTES)
    trend = np.where(np.cumsum(turns) % 2, -1, 1) * edge_percent_a_day / 100 / DAY_MINUTES
    price = np.asarray(100 * np.cumprod(1 + trend + SIZE * random.standard_normal(minutes)), dtype=np.float64)
    return Candles(start_ms=WITHIN.start_ms, open=price, high=price, low=price, close=price, volume=np.ones(minutes))


def rules() -> Iterator[CompiledRules]:
    """The variants: long above the mean of so many hours, short below it."""
    for length, (profit, stop) in VARIANTS:
        spec = RuleSpec(
            candles_minutes=60,
            let={},
            long="close > sma(close, length)",
            short="close < sma(close, length)",
            entry_limit=None,
            wait_minutes=None,
            take_profit=profit,
            stop_loss=stop,
            lifetime_minutes=720,
            note="",
        )
        yield compile_rules(spec, {"length": length})


def changes(candles: Candles, compiled: CompiledRules) -> Floats:
    """What each day brought a variant."""
    ticks = decision_ticks(WITHIN.start_ms, WITHIN.end_ms, MINUTE_MS, 60 * MINUTE_MS)
    rows = compiled.decide(candles, WITHIN.start_ms, WITHIN.end_ms, partial(price_at, candles, count=1))
    terms = Terms(strategy="s", symbol="X", policy=FillPolicy(), costs=FREE, limits=LIMITS)
    trades = run_columns(candles, rows, ticks, terms).trades
    assert len(trades) >= LEAST_TRADES
    marks = mark_times(WITHIN)
    prices = candles.close[(marks - WITHIN.start_ms) // MINUTE_MS - 1]
    return curve_of([gained(trades, marks, prices, FREE)], WITHIN).changes


def is_passed(seed: int, edge_percent_a_day: float, variants: tuple[CompiledRules, ...]) -> bool:
    """Whether the winner of one search passes for better than luck."""
    candles = market(seed, edge_percent_a_day)
    trials = [moments for one in variants if (moments := sharpe_moments(changes(candles, one))) is not None]
    variance = float(np.var([one.sharpe for one in trials], ddof=1))
    best = max(trials, key=lambda one: one.sharpe)
    return deflated_sharpe(best, variance, len(trials)) > PASSED


def luck(seeds: int, edge_percent_a_day: float = 0.0) -> Rate:
    """Search in so many markets."""
    variants = tuple(rules())
    return Rate(sum(is_passed(seed, edge_percent_a_day, variants) for seed in range(seeds)), seeds)


def main() -> int:
    seeds = int(sys.argv[1])
    noise, edge = luck(seeds), luck(seeds, EDGE_PERCENT_A_DAY)
    print(f"{len(VARIANTS)} trials a search, {DAYS} days, zero costs, deflated Sharpe ratio of the best above {PASSED}")
    print(f"pure noise:           {noise}, at most 5 % allowed")
    print(f"a trend of {EDGE_PERCENT_A_DAY:g} % a day: {edge}, at least 80 % wanted")
    return 0 if noise.hits <= 0.05 * noise.of and edge.hits >= 0.8 * edge.of else 1


if __name__ == "__main__":
    raise SystemExit(main())
