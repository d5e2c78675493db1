"""Asked at each decision; constants of the module decide when, sets are sorted before they are walked."""

from datetime import UTC, datetime

from backtestkit_cli import Market, SignalDraft

HOURS = frozenset({"08", "13", "14", "20"})
FACTORS = {"08": 1.008, "13": 1.012, "14": 1.01, "20": 1.006}


def call(market: Market) -> SignalDraft | None:
    hour = f"{datetime.fromtimestamp(market.now / 1000, tz=UTC).hour:02d}"
    for one in sorted(HOURS):
        if one == hour and market.candles("1h", 1).close[-1] < market.price:
            return SignalDraft(
                position="long",
                price_take_profit=market.price * FACTORS[one],
                price_stop_loss=market.price * 0.99,
                lifetime_minutes=120,
            )
    return None
