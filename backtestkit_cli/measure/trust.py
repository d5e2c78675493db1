"""How far a result can be trusted: what it rests on, and what could make it look better than it is.

Each finding is a full sentence with its figures. A warning is something that may turn the conclusion; information
is what a careful reader wants to have seen. The order is fixed: doubts, fills, candles, decisions, sample, costs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.engine.trades import REASONS, Trades
from backtestkit_cli.measure.doubts import doubt_text, gravest
from backtestkit_cli.measure.metrics import merged, total
from backtestkit_cli.measure.money import max_exposure_percent
from backtestkit_cli.measure.no_trade import SIZE_RULES, explain_no_trade
from backtestkit_cli.model.event import CloseReason
from backtestkit_cli.model.policy import Costs, ReferencePolicy
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.model.trade import long_pnl_percent, short_pnl_percent

STAKE_PERCENT = 100.0
ALL_OF_IT_PERCENT = 100.0
SMALL_SAMPLE_TRADES = 30
LAG_WARNING_SHARE = 0.1
MISSING_WARNING_PERCENT = 1.0
COST_WARNING_PERCENT = 50.0

Level = Literal["info", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about a result. `code` is stable kebab-case."""

    level: Level
    code: str
    text: str


def trust(stream: StreamRun, run: RunResult) -> tuple[Finding, ...]:
    """Find what bears on the trust in one stream of a run."""
    found = [
        *_doubts(stream),
        *_no_trade(stream),
        *_policy(run),
        *_lag(stream, run),
        *_ambiguity(stream, run),
        *_bridged(stream),
        *_coverage(stream, run),
        *_decisions(stream),
        *_rows(stream, run),
        *_sizing(stream, run),
        *_sample(stream, run),
        *_end_of_data(stream),
        *_costs(stream, run),
    ]
    found += [Finding("warning", "from-the-run", text) for text in stream.warnings]
    return tuple(sorted(found, key=lambda finding: finding.level != "warning"))


def trust_together(run: RunResult) -> tuple[Finding, ...]:
    """Find what bears on streams together and may be told of none of them: what they borrow of one balance."""
    sized = [stream.result.trades for stream in run.streams if stream.sizing]
    if run.balance is None or len(sized) <= 1:
        return ()
    return tuple(_borrowed(max_exposure_percent(merged(sized), run.balance), "the positions of all streams together"))


def gross_pnl_percent(trades: Trades) -> float:
    """Add up what the trades would have brought at no costs."""
    free = Costs(fee_percent=0.0, slippage_percent=0.0)
    long = long_pnl_percent(trades.price_open, trades.price_close, free)
    short = short_pnl_percent(trades.price_open, trades.price_close, free)
    return total(np.where(trades.side > 0, long, short))


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _doubts(stream: StreamRun) -> Iterator[Finding]:
    for doubt in gravest(stream.doubts):
        yield Finding("warning", doubt.code, f"{doubt_text(doubt)}; `backtestkit check {stream.strategy}` tells more")


def _no_trade(stream: StreamRun) -> Iterator[Finding]:
    for text in explain_no_trade(stream.result.funnel, stream):
        yield Finding("warning", "no-trade", text)


def _policy(run: RunResult) -> Iterator[Finding]:
    if isinstance(run.policy, ReferencePolicy):
        text = (
            "fill policy reference repeats the original and is optimistic: its prices know one minute of the future, "
            "larger candles asked for by a strategy more, and a minute that holds both levels counts as the profit"
        )
        yield Finding("warning", "optimistic-fills", text)
    elif run.policy.is_optimistic:
        text = f"fill policy {run.policy.name} is optimistic: it books better than could have been traded"
        yield Finding("warning", "optimistic-fills", text)
    if run.is_made_up:
        yield Finding(
            "info", "made-up-market", f"the market of {run.exchange} is made up, whatever the symbol is called"
        )


def _lag(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    trades = stream.result.trades
    if not len(trades) or isinstance(run.policy, ReferencePolicy):  # it books no market fill at the worse price
        return
    lag, net = total(trades.vwap_lag_percent), total(trades.pnl_percent)
    stakes = _stakes(stream, run)
    is_large = net > 0 and lag > LAG_WARNING_SHARE * net
    share = f" ({100 * lag / net:.0f} % of the net profit)" if net > 0 and lag > 0 else ""
    if run.policy.market_books == "vwap":
        text = f"{stakes}booking market fills at the VWAP, which lags behind the price, brought {lag:+.2f} %{share}"
    else:
        better = f"{lag:.2f} points better{share}"
        text = f"{stakes}with market fills at the VWAP the result would look {better}; these fills leave that out"
    yield Finding("warning" if is_large else "info", "vwap-lag", text)


def _ambiguity(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    trades = stream.result.trades
    minutes = int(trades.ambiguous_minutes.astype(np.int64).sum())
    if not minutes:
        return
    at_stake = total(trades.profit_at_stake_percent)
    count = int((trades.ambiguous_minutes > 0).sum())
    taken = "profit" if run.policy.nearest.order == "profit_first" else "stop"
    text = (
        f"what came first is unknown for {counted(minutes, 'minute')} in {counted(count, 'trade')}; it was read as "
        f"the {taken}, and the take profit would have brought {at_stake:+.2f} %"
    )
    yield Finding("warning" if taken == "profit" else "info", "ambiguous-minutes", text)


def _bridged(stream: StreamRun) -> Iterator[Finding]:
    trades, decisions = stream.result.trades, stream.result.bridged_decisions
    count = int(trades.is_bridged.sum())
    if decisions or count:
        share = f" of {len(trades)}" if count else ""
        text = (
            f"{counted(decisions, 'decision')} and {counted(count, 'trade')}{share} rest on filled-in minutes "
            f"({counted(stream.candles.bridged_minutes, 'minute')} were filled in)"
        )
        yield Finding("warning" if count else "info", "bridged", text)


def _coverage(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    candles, within = stream.candles, run.range
    if candles.history_start_ms > within.start_ms:
        yield Finding("warning", "candles-begin-late", f"the candles begin only at {iso(candles.history_start_ms)}")
    if candles.data_end_ms < within.end_ms:
        yield Finding("warning", "candles-end-early", f"the candles end already at {iso(candles.data_end_ms)}")
    minutes = (min(within.end_ms, candles.data_end_ms) - candles.history_start_ms) // MINUTE_MS
    if candles.missing_minutes and minutes > 0:
        percent = 100 * candles.missing_minutes / minutes
        text = f"no candle for {counted(candles.missing_minutes, 'minute')} of {minutes} ({percent:.2g} %)"
        yield Finding("warning" if percent > MISSING_WARNING_PERCENT else "info", "missing-minutes", text)


def _decisions(stream: StreamRun) -> Iterator[Finding]:
    funnel = stream.result.funnel
    if funnel.errors and funnel.drafts:
        failed = counted(funnel.errors, "decision")
        text = f"{failed} failed: the strategy raised, or answered something that is no draft"
        yield Finding("warning", "errors", text)
    if funnel.invalid and funnel.opened:
        rules = ", ".join(f"{count} × {rule}" for rule, count in funnel.invalid_by_rule.most_common(3))
        text = f"{funnel.invalid} of {counted(funnel.drafts, 'draft')} broke the limits and did not count ({rules})"
        yield Finding("warning", "invalid-drafts", text)
    if funnel.short_history:
        text = (
            f"{funnel.short_history} of {counted(funnel.decisions, 'decision')} were taken before the indicators had "
            "settled; earlier candles would change their values a little"
        )
        yield Finding("info", "short-history", text)


def _sizing(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    if run.balance is None:
        return
    if stream.sizing is None:
        yield Finding("warning", "not-sized", "it has no sizing: what it made is no part of the balance")
        return
    reasons, trades = stream.result.funnel.no_quantity_by_rule, stream.result.trades
    if reasons and len(trades):
        told = ", ".join(f"{count} × {SIZE_RULES[rule]}" for rule, count in reasons.most_common(3))
        yield Finding("info", "no-quantity", f"{counted(reasons.total(), 'draft')} got no quantity ({told})")
    yield from _borrowed(max_exposure_percent(trades, run.balance), "its positions")


def _borrowed(exposure_percent: float, whose: str) -> Iterator[Finding]:
    if exposure_percent > ALL_OF_IT_PERCENT:
        worth = f"{exposure_percent:.0f} % of the equity" if isfinite(exposure_percent) else "more than was left"
        yield Finding("warning", "borrowed-money", f"{whose} were worth up to {worth}, which needs borrowed money")


def _rows(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    funnel = stream.result.funnel
    inside = funnel.off_grid - stream.rows_outside
    if inside and funnel.opened:
        text = f"{counted(inside, 'row')} of the strategy met no decision time of the range and did not count"
        if isinstance(run.policy, ReferencePolicy):
            text += ": the original asks so long after its last call, and after a trade that drifts off the rows"
        if isinstance(run.policy, ReferencePolicy) and run.tick.ms < stream.interval.ms:
            text += f"; with ticks of {stream.interval} it does not"
        yield Finding("warning", "rows-off-grid", text)
    if funnel.late and stream.form == "signals":
        text = f"{counted(funnel.late, 'row')} of the signals came while a position or entry was there"
        yield Finding("info", "rows-late", text)


def _stakes(stream: StreamRun, run: RunResult) -> str:
    """What stands in front of sums of trade percents where money stands beside them."""
    return "" if run.balance is None or stream.sizing is None else "at equal stakes: "


def _sample(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    count = len(stream.result.trades)
    lost = -total(stream.result.trades.pnl_percent)
    if lost > STAKE_PERCENT and not _stakes(stream, run):
        text = f"the losses of {lost:.0f} % are more than the stake: a real account would have been empty before"
        yield Finding("warning", "more-than-the-stake", text)
    if 0 < count < SMALL_SAMPLE_TRADES:
        text = f"a sample of {counted(count, 'trade')} proves little: below {SMALL_SAMPLE_TRADES} luck decides"
        yield Finding("warning", "small-sample", text)


def _end_of_data(stream: StreamRun) -> Iterator[Finding]:
    count = int((stream.result.trades.reason == REASONS.index(CloseReason.END_OF_DATA)).sum())
    if count:
        text = f"{counted(count, 'position')} closed only because the candles ended"
        yield Finding("warning", "end-of-data", text)


def _costs(stream: StreamRun, run: RunResult) -> Iterator[Finding]:
    trades = stream.result.trades
    if not len(trades) or run.costs == Costs(fee_percent=0.0, slippage_percent=0.0):
        return
    gross, net = gross_pnl_percent(trades), total(trades.pnl_percent)
    told = f"{_stakes(stream, run)}before costs {gross:+.2f} %, after costs {net:+.2f} %"
    if gross <= 0:
        yield Finding("info", "costs", f"{told}; it loses without costs too")
        return
    share = 100 * (gross - net) / gross
    level: Level = "warning" if share > COST_WARNING_PERCENT else "info"
    yield Finding(level, "costs", f"{told}; costs take {share:.0f} % of the gross profit")
