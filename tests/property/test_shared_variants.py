"""The law of a sweep: whatever is shared, and whatever was tested before, a variant makes what its backtest makes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from e2e.project import START_MS, candle_csv
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from backtestkit_cli.engine.cache import MOST_BYTES, Cache
from backtestkit_cli.kit import Kit
from backtestkit_cli.measure.contest import Contestant, Outcome, outcome_of
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.report.build import findings_of, held_percent
from backtestkit_cli.run import contestant as of_one
from backtestkit_cli.run.backtest import Backtest
from backtestkit_cli.run.contestants import WalkerPlan, config_of, longest_history, plan_walker
from backtestkit_cli.run.loaded import load_for_all

WORLDS = (("honest", "skip"), ("touch", "bridge"))
CONFIG = """\
settings:
  fill: FILL
  gap: GAP
  costs: {fee_percent: 0.001, slippage_percent: 0.001}
  limits: {min_take_profit_percent: 0.01, min_stop_loss_percent: 0.01, max_wait_minutes: 600, max_lifetime_minutes: 600}
  defaults: {symbols: [AB], exchange: files}
exchanges: [{name: files, use: files, path: "data/{symbol}.csv"}]
frames: [{name: days, start: 2023-03-01T09:00, end: 2023-03-03T21:00}]
walkers: [{name: all, exchange: files, frame: days, metric: pnl_percent, strategies: [now, later]}]
strategies:
  - name: now
    interval: 15m
    params: {fast: 3, slow: 5, profit: 1, is_both: true}
    rules:
      let: {line: "ema(close, slow)", near: "sma(price, fast) + 0 * line", far: "on('1h', ema(typical, 2))"}
      long: "crosses_above(near, line) or (is_both and close > far)"
      short: "not rising(line, 2) and close[1] < line"
      take_profit: "profit * 0.01 * price"
      stop_loss: "max(atr(slow), 0.001 * price)"
      lifetime: 4h
  - name: later
    interval: 5m
    params: {fast: 3, slow: 8, profit: 1, is_both: true}
    rules:
      long: "close < bb_lower(vwap, slow, 1)"
      short: "is_both and strong > bb_upper(vwap, fast, 1)"
      let: {strong: "close"}
      entry: {limit: "0.2%", wait: 1h}
      take_profit: "profit * 0.01 * price"
      stop_loss: "1%"
      lifetime: 2h
"""


@pytest.fixture(scope="module", params=WORLDS, ids="-".join)
def project(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A project whose candles have holes, one of them where the history of some variants begins."""
    fill, gap = request.param
    random, minutes = Random(3), 5 * 1440
    missing = {9 * 60 + 1440 - 80 - one for one in range(12)}
    missing |= {start + one for start in random.sample(range(minutes), 25) for one in range(random.randint(1, 40))}
    rows = [row for place, row in enumerate(_rows(minutes, random)) if place not in missing]
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "configs").mkdir()
        (folder / "data").mkdir()
        (folder / "configs" / "all.yaml").write_text(CONFIG.replace("FILL", fill).replace("GAP", gap))
        (folder / "data" / "AB.csv").write_text(candle_csv(rows))
        yield folder


def _rows(minutes: int, random: Random) -> Iterator[list[float]]:
    price = 100.0
    for place in range(minutes):
        path = [price * (1 + random.gauss(0, 0.002)) for _ in range(3)]
        prices = [round(one, 2) for one in (price, max(price, *path), min(price, *path), path[-1])]
        yield [START_MS - 1440 * MINUTE_MS + place * MINUTE_MS, *prices, float(random.randint(0, 3))]
        price = prices[-1]


variants = st.builds(
    lambda strategy, *values: Contestant(
        name=f"{strategy}{values}",
        strategy=strategy,
        params=tuple(zip(("fast", "slow", "profit", "is_both"), values, strict=True)),
    ),
    st.sampled_from(["now", "later"]),
    st.sampled_from([2, 3]),
    st.sampled_from([4, 5, 6]),
    st.sampled_from([0.4, 1, 3]),
    st.booleans(),
)


@given(asked=st.lists(variants, min_size=5, max_size=8), most_bytes=st.sampled_from([MOST_BYTES, 300_000, 20_000]))
@settings(max_examples=5, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_each_variant_makes_what_its_backtest_makes(project: Path, asked: list[Contestant], most_bytes: int) -> None:
    kit = Kit.load(project / "configs")
    plan = replace(plan_walker(kit.config, "all"), contestants=tuple(asked))
    history = longest_history(kit.config, plan, kit.registry.child())
    loaded = load_for_all(kit.config, plan.shared, kit.registry, history)
    cache = Cache(most_bytes)
    tester = of_one.Tester(
        config=kit.config, plan=plan, registry=kit.registry, logs=kit.logs, loaded=loaded, cache=cache
    )
    for contestant in asked:
        assert tester.test(contestant) == _alone(kit, plan, contestant)
        assert cache.bytes <= most_bytes


def _alone(kit: Kit, plan: WalkerPlan, contestant: Contestant) -> Outcome:
    backtest = Backtest(
        config=config_of(kit.config, contestant),
        plan=plan.plans[contestant.strategy],
        registry=kit.registry.child(),
        logs=kit.logs,
    )
    run = backtest.run()
    return outcome_of(contestant, run, plan.metric, held_percent(run), findings_of(run))
