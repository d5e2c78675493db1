"""How far a live session is the backtest of its own window, signal by signal, and the one cause of each difference.

* A signal is one that was entered, or waited, on at least one side; refused drafts are only evidence.
* The causes are tried in a fixed order, the most direct first: what the session says of that decision time, a rule
  that refused, a stop, candles that differ, prices that differ on equal candles, an earlier difference.
* What no evidence explains is called `unexplained`, never left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from backtestkit_cli.measure.lived import CandleDifference, Key, Lived, SignalLife, candle_differences, lives_of
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import DecisionFailed, Event, RiskRefused, key_of
from backtestkit_cli.model.time import MINUTE_MS, iso

Cause: TypeAlias = Literal[
    "missed-tick",
    "late-candle",
    "failed-call",
    "risk",
    "stopped",
    "data-differs",
    "fill-price",
    "follows",
    "unexplained",
]
PRICES = frozenset({"entry price", "exit price", "PnL percent"})
FILLS = PRICES | {"quantity", "opened", "closed", "cancelled"}
"""What an exchange decides where it carries orders out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalDifference:
    """A signal that is not the same on both sides. `what` is the difference, `detail` the evidence, both in words."""

    strategy: str
    symbol: str
    decided_ms: int
    signal: str
    cause: Cause
    what: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """What came of it; `signals` is how many there were on at least one side."""

    signals: int
    differences: tuple[SignalDifference, ...]

    @property
    def equal(self) -> int:
        """How many signals were the same to the last bit."""
        return self.signals - len(self.differences)


def compare(
    lived: Lived,
    told: Sequence[Event],
    market: Mapping[str, Mapping[int, Candle]],
    ends_ms: Mapping[str, int],
    *,
    price_minutes: int,
    bridges: bool,
) -> Parity:
    """Compare a session with the backtest of its window, which ends for each market at `ends_ms`.

    `told` are the events of the backtest, `market` its candles by symbol and minute, `price_minutes` the window of a
    price; `bridges` whether holes were filled in, which a session can do only after them.
    """
    judge = _Judge(
        lived,
        lives_of(lived.events, ends_ms),
        lives_of(told, ends_ms),
        {symbol: tuple(candle_differences(lived, symbol, rows)) for symbol, rows in market.items()},
        {(key_of(event), event.time_ms): event for event in told if isinstance(event, RiskRefused)},
        price_minutes,
        bridges,
    )
    decided = sorted({*judge.live, *judge.backtest}, key=lambda one: (one[1], one[0]))
    for key, time_ms in decided:
        judge.judge(key, time_ms)
    return Parity(signals=len(decided), differences=tuple(judge.differences))


@dataclass(slots=True)
class _Judge:
    """Both sides, and the differences found so far."""

    lived: Lived
    live: dict[tuple[Key, int], SignalLife]
    backtest: dict[tuple[Key, int], SignalLife]
    candles: Mapping[str, Sequence[CandleDifference]]
    refused: Mapping[tuple[Key, int], RiskRefused]
    price_minutes: int
    bridges: bool
    differences: list[SignalDifference] = field(default_factory=list)

    def judge(self, key: Key, time_ms: int) -> None:
        """Compare one signal."""
        live, backtest = self.live.get((key, time_ms)), self.backtest.get((key, time_ms))
        ours, theirs = live.facts() if live else {}, backtest.facts() if backtest else {}
        if ours == theirs:
            return
        unequal = [name for name in (ours or theirs) if ours.get(name) != theirs.get(name)]
        if live is None or backtest is None:
            what = "in the session only" if live else "in the backtest only"
            cause, detail = self._only_live(key, time_ms) if live else self._only_backtest(key, time_ms)
        else:
            what = "; ".join(f"{name} {_text(ours[name])} live, {_text(theirs[name])} backtest" for name in unequal)
            cause, detail = self._both(key, live, backtest, frozenset(unequal))
        known = live or backtest
        self.differences.append(
            SignalDifference(
                strategy=key[0],
                symbol=key[1],
                decided_ms=time_ms,
                signal=known.signal.id if known else "",
                cause=cause,
                what=what,
                detail=detail,
            )
        )

    def _only_backtest(self, key: Key, time_ms: int) -> tuple[Cause, str]:
        gate = self.lived.gates.get((key, time_ms))
        if gate == "stopped" or any(first <= time_ms < last for first, last in self.lived.stopped_ms.get(key, ())):
            return "stopped", "the session had been asked to stop"
        if gate in (None, "missed"):
            return self._not_there(key, time_ms)
        if gate == "errors":
            return "failed-call", self._failure(key, time_ms)
        if gate == "risk" or (gate == "opened_at_decision" and self._is_refused_live(key, time_ms)):
            return "risk", self._live_refusal(key, time_ms)
        if gate == "busy" and (before := self._busy_with(self.live, key, time_ms)):
            return before
        return self._by_data(key, time_ms)

    def _only_live(self, key: Key, time_ms: int) -> tuple[Cause, str]:
        refused = self.refused.get((key, time_ms))
        if refused is not None:
            return "risk", f"the backtest refused it: {refused.profile}, {refused.rule}"
        return self._busy_with(self.backtest, key, time_ms) or self._by_data(key, time_ms)

    def _both(self, key: Key, live: SignalLife, backtest: SignalLife, unequal: frozenset[str]) -> tuple[Cause, str]:
        refused = live.refused
        if refused is not None and backtest.refused is None:
            if refused.rule == "stale_minute":
                return self._not_there(key, refused.time_ms)
            return "risk", f"the session refused the entry: {refused.profile}, {refused.rule}"
        if refused is None and backtest.refused is not None:
            return "risk", f"the backtest refused the entry: {backtest.refused.profile}, {backtest.refused.rule}"
        if live.was_stopped and not backtest.was_stopped:
            return "stopped", "the session had been asked to stop, or its kill switch was thrown"
        start_ms = live.signal.decided_at - self.price_minutes * MINUTE_MS
        ends = [one.end_ms for one in (live, backtest)]
        last_ms = max((end for end in ends if end is not None), default=None) if None not in ends else None
        found = self._first_candle(key[1], start_ms, last_ms)
        if found is not None:
            return "data-differs", found
        if self.lived.is_carried and unequal <= FILLS:
            return "fill-price", "the candles are the same; an exchange filled it, where the backtest has its policy"
        if unequal <= PRICES:
            return "fill-price", "the candles are the same, the fill is not"
        return self._by_data(key, live.signal.decided_at)

    def _not_there(self, key: Key, time_ms: int) -> tuple[Cause, str]:
        """Nobody was there, or the minute was learnt of too late."""
        minute_ms = time_ms - MINUTE_MS
        if not self.lived.was_awake(time_ms):
            before, after = (one and iso(one // MINUTE_MS * MINUTE_MS) for one in self.lived.silence_around(time_ms))
            told = f"no sign of the session between {before or 'its start'} and {after or 'its end'}"
            return "missed-tick", told
        known = self.lived.candles.get(key[1], {}).get(minute_ms)
        if known is None:
            return "late-candle", f"the candle of {iso(minute_ms)} never came"
        late = (known[1] - time_ms) / 1000
        return "late-candle", f"the candle of {iso(minute_ms)} came {late:.0f} s after its end"

    def _failure(self, key: Key, time_ms: int) -> str:
        failed = (one for one in self.lived.events if isinstance(one, DecisionFailed) and key_of(one) == key)
        return next((one.what for one in failed if one.time_ms == time_ms), "the strategy could not be asked")

    def _is_refused_live(self, key: Key, time_ms: int) -> bool:
        """Whether an exchange did not carry out what was decided."""
        refused = (one for one in self.lived.events if isinstance(one, RiskRefused) and key_of(one) == key)
        return any(one.time_ms == time_ms for one in refused)

    def _live_refusal(self, key: Key, time_ms: int) -> str:
        refused = (one for one in self.lived.events if isinstance(one, RiskRefused) and key_of(one) == key)
        found = next((one for one in refused if one.time_ms == time_ms), None)
        return f"the session refused it: {found.profile}, {found.rule}" if found else "the session refused it"

    def _busy_with(
        self, lives: Mapping[tuple[Key, int], SignalLife], key: Key, time_ms: int
    ) -> tuple[Cause, str] | None:
        """An earlier signal of the stream that kept one side busy, and is a difference itself."""
        busy = {at for (other, at), life in lives.items() if other == key and life.covers(time_ms)}
        own = [one for one in self.differences if (one.strategy, one.symbol) == key and one.decided_ms in busy]
        return ("follows", f"busy with the signal of {iso(own[-1].decided_ms)} ({own[-1].cause})") if own else None

    def _by_data(self, key: Key, time_ms: int) -> tuple[Cause, str]:
        """The newest candle before a decision that differs, else another market, else an earlier difference."""
        before = [one for one in self.candles.get(key[1], ()) if one.time_ms < time_ms]
        if before:
            return "data-differs", _candle_text(before[-1])
        if (late := self._late_elsewhere(key[1], time_ms)) is not None:
            return late
        if self.differences:
            earlier = self.differences[-1]
            told = f"{earlier.strategy} on {earlier.symbol} at {iso(earlier.decided_ms)} ({earlier.cause})"
            return "follows", f"positions and money differ since {told}"
        return "unexplained", "nothing is known to differ: the strategy answered otherwise, or this is a bug"

    def _late_elsewhere(self, symbol: str, time_ms: int) -> tuple[Cause, str] | None:
        """Another market whose last minute was not known yet: what closed there then counted in the backtest only."""
        minute_ms = time_ms - MINUTE_MS
        for other, candles in self.lived.candles.items():
            known = candles.get(minute_ms)
            is_late = self.bridges if known is None else known[1] - time_ms >= MINUTE_MS
            if other != symbol and is_late:
                return "late-candle", f"the candle of {other} at {iso(minute_ms)} was not known yet"
        return None

    def _first_candle(self, symbol: str, start_ms: int, end_ms: int | None) -> str | None:
        inside = (
            one
            for one in self.candles.get(symbol, ())
            if start_ms <= one.time_ms and (end_ms is None or one.time_ms < end_ms)
        )
        found = next(inside, None)
        return None if found is None else _candle_text(found)


def _candle_text(found: CandleDifference) -> str:
    if found.field == "candle":
        return (
            f"the candle of {iso(found.time_ms)} is there in the {'backtest' if found.live is None else 'session'} only"
        )
    return f"{iso(found.time_ms)} {found.field}: {found.live!r} live, {found.backtest!r} backtest"


def _text(value: Any) -> str:
    return "none" if value is None else str(value)
