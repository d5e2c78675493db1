"""Law: a live stream of the original that is restarted at any tick tells and writes what it would have anyway."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st
from unit.reference.worlds import NOW_MS, at, draft, drafts_at, flat_candles, stream_of

from backtestkit_cli.engine.reference.events import Told
from backtestkit_cli.engine.reference.loop import live_tick
from backtestkit_cli.engine.reference.risk import ReferenceProfile
from backtestkit_cli.engine.reference.stores import Stores, Written
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.signal import SignalDraft

FIRST, LAST = 10, 70
PRICES = st.lists(st.integers(min_value=96, max_value=104), min_size=LAST, max_size=LAST)
LEVELS = {"price_take_profit": 102.5, "price_stop_loss": 97.5, "lifetime_minutes": 20}
DRAFTS = st.dictionaries(
    st.integers(min_value=FIRST, max_value=LAST - 1),
    st.sampled_from(
        [
            draft(**LEVELS),
            draft(**LEVELS, price_open=99.0),
            draft(position="short", price_take_profit=97.5, price_stop_loss=102.5, lifetime_minutes=20),
            draft(
                position="short", price_open=101.0, price_take_profit=97.5, price_stop_loss=102.5, lifetime_minutes=9
            ),
        ]
    ),
    min_size=5,
)
RESTARTS = st.sets(st.integers(min_value=FIRST, max_value=LAST - 1), min_size=1, max_size=5)


def lived(
    candles: Sequence[Candle], drafts: Mapping[int, SignalDraft], restarts: set[int]
) -> tuple[list[Told], list[Written]]:
    """What is told and written; before some minutes everything but the documents is forgotten."""
    told: list[Told] = []
    stores = Stores(now_ms=NOW_MS)
    stream = _started(candles, drafts, stores)
    for minute in range(FIRST, LAST):
        if minute in restarts:
            told += stream.tape.events()
            stream = _started(candles, drafts, stores)
        live_tick(stream, at(minute))
    return told + stream.tape.events(), stores.writes


def _started(candles: Sequence[Candle], drafts: Mapping[int, SignalDraft], stores: Stores) -> ReferenceStream:
    profile = ReferenceProfile("limits", [], stores=stores)
    stream = stream_of(candles, drafts_at(drafts), profiles=[profile])
    stream.stores = stores
    return stream


@given(prices=PRICES, drafts=DRAFTS, restarts=RESTARTS)
def test_a_restart_changes_nothing(
    prices: Sequence[int], drafts: Mapping[int, SignalDraft], restarts: set[int]
) -> None:
    changed = {
        minute: {"open": price, "high": price, "low": price, "close": price, "volume": 1.0}
        for minute, price in enumerate(map(float, prices))
    }
    candles = flat_candles(0, LAST, changed)
    assert lived(candles, drafts, restarts) == lived(candles, drafts, set())
