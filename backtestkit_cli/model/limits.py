"""The engine's limits: what a draft may ask for and how prices are averaged."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of drafts and prices. Distances are percent of the entry price; zero switches a distance check off.

    On a market that is `long_only` nothing can be sold that is not held.
    """

    average_price_candles: int = 5
    schedule_await_minutes: int = 120
    max_wait_minutes: int = 1440
    min_take_profit_percent: float = 0.5
    min_stop_loss_percent: float = 0.5
    max_stop_loss_percent: float = 20.0
    max_lifetime_minutes: int = 1440
    signal_seconds: float = 180.0
    long_only: bool = False
