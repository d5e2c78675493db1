"""Events of one stream as columns, for who stores or counts them all and needs none of them alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from backtestkit_cli.engine.candles import Bools, Floats, Ints
from backtestkit_cli.engine.trades import REASONS, Codes
from backtestkit_cli.model.event import CancelReason

KINDS = ("draft_refused", "scheduled", "opened", "level_reached", "closed", "cancelled")
DRAFT_REFUSED, SCHEDULED, OPENED, LEVEL_REACHED, CLOSED, CANCELLED = range(len(KINDS))
WHY = (*REASONS, *CancelReason)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListedSignals:
    """Signals as columns of one length, as in `Signal`; `side` is 1 long, -1 short."""

    ids: tuple[str, ...]
    side: Codes
    price_open: Floats
    price_take_profit: Floats
    price_stop_loss: Floats
    lifetime_minutes: Ints
    decided_ms: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListedEvents:
    """Events in their order, as columns of one length.

    `kind` indexes KINDS, `signal` the signals, `why` indexes WHY; -1 is none there, NaN in `price` and `pnl_percent`, 0
    in `level`, whose side is `is_profit`. `rules` holds the broken rules of refused drafts, by row.
    """

    time_ms: Ints
    kind: Codes
    signal: Ints
    price: Floats
    why: Codes
    pnl_percent: Floats
    is_profit: Bools
    level: Ints
    rules: Mapping[int, tuple[str, ...]]
    signals: ListedSignals
