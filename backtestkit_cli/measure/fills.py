"""What a fill policy is worth: the same strategies on the same candles under several, and why results differ.

* Trades of two policies are the same one when stream, decision time and side are; nothing else tells them apart.
* What a shared trade differs by is told in order: first its entry price, then all that its exit did: to its reason
  where that is another one, else to its exit price.
* All other trades only one of the two has; what they brought counts whole.
* So the parts add up to the difference of the sums, but for the rounding of sums.
* What an optimistic policy owes to its fills is what shared trades brought more than under `honest`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from backtestkit_cli.engine.candles import Floats
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import Codes, Trades
from backtestkit_cli.measure.metrics import merged, metrics, total
from backtestkit_cli.model.policy import PRESETS, Costs
from backtestkit_cli.model.trade import long_pnl_percent, short_pnl_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Causes:
    """Where the difference of one policy to another comes from: counts of trades, and points that add up to it.

    `entry_price`, `exit_price` and `exit_reason` are of the shared trades; `own` is what only this policy traded,
    `others` what only the other one did, with its sign turned.
    """

    shared_trades: int = 0
    own_trades: int = 0
    others_trades: int = 0
    entry_price: float = 0.0
    exit_price: float = 0.0
    exit_reason: float = 0.0
    own: float = 0.0
    others: float = 0.0

    def __add__(self, more: "Causes") -> "Causes":
        names = [field.name for field in fields(Causes)]
        return Causes(**{name: getattr(self, name) + getattr(more, name) for name in names})

    @property
    def fills(self) -> float:
        """What the fills of shared trades make of it."""
        return self.entry_price + self.exit_price + self.exit_reason

    @property
    def points(self) -> float:
        """The sum of the parts."""
        return self.fills + self.own + self.others


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What one policy made of one stream, or of all; `difference_points` is to the policy that is configured.

    PnL is net, in percent of one stake per stream; the drawdown that of closed trades, in points. `off_grid` counts
    rows of the strategies that met no decision time.
    """

    policy: str
    is_optimistic: bool
    trades: int
    pnl_percent: float
    win_rate_percent: float | None
    max_drawdown_percent: float
    difference_points: float
    off_grid: int
    causes: Causes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFills:
    """One stream under each policy, the configured one first; all streams together where names are empty."""

    strategy: str
    symbol: str
    fills: tuple[Filled, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What an optimistic policy owes to its fills, against honest ones, over all streams.

    `fills_points` is what shared trades brought more, `other_points` what trades did that only one of the two has.
    """

    policy: str
    pnl_percent: float
    honest_percent: float
    fills_points: float
    other_points: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FillComparison:
    """The streams of a run under each policy; `left_out` are policies that it cannot run under, with the reason.

    `total` adds the streams up; of a single one it says the same. `owed` is of the configured policy if it is
    optimistic, else of the one that owes most; None without an optimistic policy, or without honest fills.
    `is_beside_money`: the run itself is told in money, and these figures are at equal stakes.
    """

    streams: tuple[StreamFills, ...]
    total: StreamFills
    owed: Owed | None
    left_out: tuple[tuple[str, str], ...] = ()
    is_beside_money: bool = False


def compare(runs: Sequence[RunResult], left_out: tuple[tuple[str, str], ...] = ()) -> FillComparison:
    """Compare runs of the same streams under different policies, the configured one first."""
    streams = tuple(
        StreamFills(
            strategy=one.strategy,
            symbol=one.symbol,
            fills=tuple(_filled(run, [run.streams[place]], [one]) for run in runs),
        )
        for place, one in enumerate(runs[0].streams)
    )
    whole = tuple(_filled(run, run.streams, runs[0].streams) for run in runs)
    total_fills = StreamFills(strategy="", symbol="", fills=whole)
    return FillComparison(
        streams=streams,
        total=total_fills,
        owed=_most_owed(runs),
        left_out=left_out,
        is_beside_money=runs[0].balance is not None,
    )


def _most_owed(runs: Sequence[RunResult]) -> Owed | None:
    honest = next((run for run in runs if run.policy == PRESETS["honest"]), None)
    flattering = [run for run in runs if run.policy.is_optimistic]
    if honest is None or not flattering:
        return None
    chosen = runs[:1] if runs[0].policy.is_optimistic else flattering
    return max((_owed(run, honest) for run in chosen), key=lambda owed: owed.fills_points)


def _owed(run: RunResult, honest: RunResult) -> Owed:
    found, (made, kept) = _causes(run, run.streams, honest.streams), map(_pnl_percent, (run, honest))
    return Owed(
        policy=run.policy.name,
        pnl_percent=made,
        honest_percent=kept,
        fills_points=found.fills,
        other_points=found.own + found.others,
    )


def _pnl_percent(run: RunResult) -> float:
    return total(merged([stream.result.trades for stream in run.streams]).pnl_percent)


def _causes(run: RunResult, streams: Sequence[StreamRun], others: Sequence[StreamRun]) -> Causes:
    pairs = zip(streams, others, strict=True)
    return sum((causes(one.result.trades, other.result.trades, run.costs) for one, other in pairs), Causes())


def causes(here: Trades, there: Trades, costs: Costs) -> Causes:
    """Tell why the trades of one policy brought something else than those of another, in one stream."""
    _, mine, other = np.intersect1d(here.decided_ms, there.decided_ms, assume_unique=True, return_indices=True)
    is_shared = here.side[mine] == there.side[other]
    mine, other = mine[is_shared], other[is_shared]
    entered = _pnl(here.side[mine], here.price_open[mine], there.price_close[other], costs)
    exited = here.pnl_percent[mine] - entered
    is_same = here.reason[mine] == there.reason[other]
    return Causes(
        shared_trades=len(mine),
        own_trades=len(here) - len(mine),
        others_trades=len(there) - len(other),
        entry_price=total(entered - there.pnl_percent[other]),
        exit_price=total(exited[is_same]),
        exit_reason=total(exited[~is_same]),
        own=total(np.delete(here.pnl_percent, mine)),
        others=-total(np.delete(there.pnl_percent, other)),
    )


def _filled(run: RunResult, streams: Sequence[StreamRun], configured: Sequence[StreamRun]) -> Filled:
    made, before = (merged([one.result.trades for one in some]) for some in (streams, configured))
    values = {metric.key: metric.value for metric in metrics(made, run.range)}
    return Filled(
        policy=run.policy.name,
        is_optimistic=run.policy.is_optimistic,
        trades=len(made),
        pnl_percent=total(made.pnl_percent),
        win_rate_percent=values["win_rate_percent"],
        max_drawdown_percent=values["max_drawdown_percent"] or 0.0,
        difference_points=total(made.pnl_percent) - total(before.pnl_percent),
        off_grid=sum(stream.result.funnel.off_grid for stream in streams),
        causes=_causes(run, streams, configured),
    )


def _pnl(side: Codes, entry: Floats, close: Floats, costs: Costs) -> Floats:
    long, short = long_pnl_percent(entry, close, costs), short_pnl_percent(entry, close, costs)
    return np.asarray(np.where(side > 0, long, short), dtype=np.float64)
