"""Asked at each decision; caches pure figures and counts its calls, but decides by neither."""

from functools import lru_cache

from backtestkit_cli import Market, SignalDraft

CALLS: list[int] = []


@lru_cache(maxsize=64)
def weights(length: int) -> tuple[float, ...]:
    return tuple(2 * (place + 1) / (length * (length + 1)) for place in range(length))


def call(market: Market, *, length: int = 24) -> SignalDraft | None:
    CALLS.append(market.now)
    close = market.candles("15m", length).close
    mean = sum(weight * value for weight, value in zip(weights(length), close.tolist(), strict=True))
    if close[-1] > mean * 0.996:
        return None
    return SignalDraft(
        position="long",
        price_take_profit=market.price * 1.01,
        price_stop_loss=market.price * 0.99,
        lifetime_minutes=240,
        note=f"call {len(CALLS)}",
    )
