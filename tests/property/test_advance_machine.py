"""Two streams that share a ledger, fed with any inputs in any order: what must hold after every step.

The machine keeps its own books from events alone; every pair of state and input is shown to be met.
"""

from collections import Counter
from typing import get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from backtestkit_cli.engine.gate import Ledger, RiskProfile
from backtestkit_cli.engine.step import (
    FLAT,
    CandleClosed,
    DataEnded,
    DraftOffered,
    Input,
    Quote,
    StopRequested,
    Terms,
    advance,
)
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Cancelled, Closed, DraftRefused, Event, Opened, RiskRefused, Scheduled
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, Costs, FillPolicy
from backtestkit_cli.model.signal import Flat, OpenPosition, SignalDraft, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS

MET: Counter[tuple[str, str]] = Counter()
NOTHING_HAPPENS: set[tuple[type, type]] = {
    (Flat, CandleClosed),
    (Flat, StopRequested),
    (Flat, DataEnded),
    (WaitingEntry, DraftOffered),
    (OpenPosition, DraftOffered),
    (OpenPosition, StopRequested),
}

streams = st.sampled_from(["first", "second"])
steps = st.sampled_from([-6.0, -1.0, -0.5, 0.0, 0.5, 1.0, 6.0])
distances = st.sampled_from([1.0, 2.0, 3.0, 4.0, 0.1, -1.0])


class Streams(RuleBasedStateMachine):
    """Two strategies with one place between them."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.price = 10 * MINUTE_MS, 100.0
        self.states: dict[str, SignalState] = {"first": FLAT, "second": FLAT}
        self.drafts = self.refused = 0
        self.scheduled: set[str] = set()
        self.cancelled: set[str] = set()
        self.opened: set[str] = set()
        self.closed: set[str] = set()
        self.limit = RiskProfile(name="one place", max_positions=1)
        self.ledger = Ledger({"first": [self.limit], "second": [self.limit]})
        self.policy = PRESETS["honest"]

    @rule(policy=st.sampled_from(list(PRESETS.values())))
    def choose(self, policy: FillPolicy) -> None:
        """Another policy from now on."""
        self.policy = policy

    @rule(stream=streams, step=steps, wick=st.sampled_from([0.0, 0.5, 8.0]))
    def close_minute(self, stream: str, step: float, wick: float) -> None:
        """A minute ends."""
        self.now_ms += MINUTE_MS
        before, self.price = self.price, max(20.0, self.price + step)
        high, low = max(before, self.price) + wick, min(before, self.price) - wick
        candle = Candle(self.now_ms - MINUTE_MS, before, high, low, self.price, 1.0)
        self.feed(stream, CandleClosed(self.now_ms, candle, self.quote()))

    @rule(stream=streams, side=st.sampled_from([1, -1]), limit=st.none() | distances, profit=distances, stop=distances)
    def offer(self, stream: str, side: int, limit: float | None, profit: float, stop: float) -> None:
        """A draft, possible or not."""
        self.now_ms += MINUTE_MS
        entry = self.price if limit is None else self.price - side * limit
        draft = SignalDraft(
            position="long" if side > 0 else "short",
            price_open=None if limit is None else entry,
            price_take_profit=entry + side * profit,
            price_stop_loss=entry - side * stop,
            lifetime_minutes=3,
            wait_minutes=2,
        )
        self.feed(stream, DraftOffered(self.now_ms, draft, self.quote()))

    @rule(stream=streams, is_fresh=st.booleans())
    def stop(self, stream: str, is_fresh: bool) -> None:
        """A stop request."""
        self.feed(stream, StopRequested(self.now_ms, self.price if is_fresh else None))

    @rule(stream=streams)
    def end(self, stream: str) -> None:
        """The data end."""
        self.feed(stream, DataEnded(self.now_ms, self.quote()))

    def quote(self) -> Quote:
        """The market now."""
        return Quote(self.price - 0.1, self.price, is_bridged=False)

    def feed(self, stream: str, happened: Input) -> None:
        """Advance, and book what is told."""
        before = self.states[stream]
        MET[type(before).__name__, type(happened).__name__] += 1
        terms = Terms(strategy=stream, symbol="X", policy=self.policy, costs=Costs(), limits=Limits())
        after, events = advance(before, happened, terms, self.ledger)
        self.drafts += isinstance(before, Flat) and isinstance(happened, DraftOffered)
        if (type(before), type(happened)) in NOTHING_HAPPENS:
            assert (after, events) == (before, ())
        for event in events:
            assert event.time_ms == happened.time_ms
            self.book(event)
        self.states[stream] = after

    def book(self, event: Event) -> None:
        """Keep the books: nothing begins or ends twice."""
        match event:
            case DraftRefused() | RiskRefused(stage="decision"):
                self.refused += 1
            case Scheduled(signal=signal):
                assert signal.id not in self.scheduled
                self.scheduled.add(signal.id)
            case Cancelled(signal=signal):
                assert signal.id in self.scheduled - self.opened - self.cancelled
                self.cancelled.add(signal.id)
            case Opened(signal=signal):
                assert signal.id not in self.opened | self.cancelled
                self.opened.add(signal.id)
                self.ledger.hold(signal)
            case Closed(signal=signal):
                assert signal.id in self.opened - self.closed
                self.closed.add(signal.id)
                self.ledger.release(event)
            case _:
                pass

    def ids(self, kind: type[WaitingEntry | OpenPosition]) -> set[str]:
        """What waits, or is held, now."""
        return {state.signal.id for state in self.states.values() if isinstance(state, kind)}

    @invariant()
    def every_draft_became_one_thing(self) -> None:
        assert self.drafts == self.refused + len(self.scheduled | self.opened)

    @invariant()
    def every_scheduled_entry_waits_or_was_cancelled_or_opened(self) -> None:
        assert self.scheduled - self.cancelled - self.opened == self.ids(WaitingEntry)

    @invariant()
    def every_opened_position_is_held_or_closed(self) -> None:
        assert self.opened - self.closed == self.ids(OpenPosition)

    @invariant()
    def the_ledger_holds_what_is_open_and_never_more_than_its_limit(self) -> None:
        held = {signal.id for signal in self.ledger.positions.get("one place", {}).values()}
        assert held == self.opened - self.closed
        assert len(held) <= 1


def test_nothing_is_lost_or_told_twice_whatever_comes_in_whatever_order() -> None:
    MET.clear()
    run_state_machine_as_test(
        Streams, settings=settings(max_examples=500, stateful_step_count=40, deadline=None, derandomize=True)
    )
    pairs = {(state.__name__, one.__name__) for state in get_args(SignalState) for one in get_args(Input)}
    assert {pair: MET[pair] for pair in pairs if MET[pair] < 20} == {}
