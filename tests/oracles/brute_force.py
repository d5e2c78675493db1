"""Trades by brute force: a second reading of the fill rules that shares no line with the product.

One loop over minutes; market entries only; one position at a time. Sums run left to right, oldest first."""

from collections.abc import Sequence
from math import inf

MINUTE_MS = 60_000
Bar = tuple[int, float, float, float, float, float]  # open time in UTC ms, open, high, low, close, volume
Draft = tuple[int, str, float, float, int]  # decision time, side, take profit, stop loss, lifetime in minutes
Trade = tuple[int, str, float, int, float, str, float]  # decided, side, entry, closed, exit, reason, PnL in percent


def price_at(bars: dict[int, Bar], now: int, average: int) -> float | None:
    if now - MINUTE_MS not in bars:
        return None
    window = [bars[time] for time in range(now - average * MINUTE_MS, now, MINUTE_MS) if time in bars]
    weighted = volumes = closes = 0.0
    for _, _, high, low, close, volume in window:  # the builtin sum may round differently
        weighted, volumes, closes = weighted + (high + low + close) / 3 * volume, volumes + volume, closes + close
    return weighted / volumes if volumes else closes / len(window)


def market_price(vwap: float, bar: Bar, is_buy: bool, policy: str) -> float:
    return vwap if policy == "vwap" else (max if is_buy else min)(vwap, bar[4])


def level_exit(draft: Draft, vwap: float, bar: Bar, policy: str) -> tuple[float, str] | None:
    (_, side, profit, stop, _), (_, first, high, low, close, _) = draft, bar
    worse, sign = (min, 1) if side == "long" else (max, -1)
    worst, best = (low, high)[::sign] if policy == "touch" else (vwap, vwap)
    if worst * sign <= stop * sign:
        return {"honest": worse(stop, vwap, close), "touch": worse(stop, first), "vwap": vwap}[policy], "stop_loss"
    if best * sign >= profit * sign:
        return worse(profit, close) if policy == "honest" else profit, "take_profit"
    return None


def trades(candles: Sequence[Bar], drafts: Sequence[Draft], policy: str, fee: float = 0.1, slippage: float = 0.1,
           average: int = 5, frame_end: float = inf) -> list[Trade]:  # fmt: skip
    bars, wishes = {bar[0]: bar for bar in candles}, {draft[0]: draft for draft in drafts if draft[0] < frame_end}
    found, held, entry, end = list[Trade](), None, 0.0, candles[-1][0] + MINUTE_MS
    for now in range(candles[0][0] + MINUTE_MS, end + 1, MINUTE_MS):
        if not (held or now in wishes) or (vwap := price_at(bars, now, average)) is None:
            continue  # without a fresh price nothing is opened, tested or closed
        bar = bars[now - MINUTE_MS]
        if held:
            is_long, is_over = held[1] == "long", now >= held[0] + held[4] * MINUTE_MS
            closing = level_exit(held, vwap, bar, policy)
            if closing is None and (is_over or now == end):
                closing = market_price(vwap, bar, not is_long, policy), "time_expired" if is_over else "end_of_data"
            if closing:
                part = slippage / 100 if is_long else -slippage / 100
                paid, got = entry * (1 + part), closing[0] * (1 - part)
                pnl = (got - paid if is_long else paid - got) / paid * 100 - fee * 2
                found, held = [*found, (held[0], held[1], entry, now, *closing, pnl)], None
        if held is None and now < end and (held := wishes.get(now)):
            entry = market_price(vwap, bar, held[1] == "long", policy)
    return found
