"""W1 as a function that is asked at every decision time; `sides.json` has the signals by time."""

import json
from pathlib import Path

from backtestkit_cli import Market, SignalDraft

_FILE = Path(__file__).with_name("sides.json")
_SIDES = {int(time): side for time, side in json.loads(_FILE.read_text()).items()} if _FILE.exists() else {}


def asked(market: Market) -> SignalDraft | None:
    """Follow the prepared signal."""
    side = _SIDES.get(market.now)
    if side is None:
        return None
    return SignalDraft(
        position="long" if side > 0 else "short",
        price_take_profit=market.price * (1 + side * 0.01),
        price_stop_loss=market.price * (1 - side * 0.01),
        lifetime_minutes=24 * 60,
    )
