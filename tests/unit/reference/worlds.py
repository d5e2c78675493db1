"""Small worlds for the mode `reference`: flat candles with some changed minutes, and a strategy with given drafts."""

from collections.abc import Mapping, Sequence
from typing import Any

from backtestkit_cli.engine.reference.events import ReferenceEvent
from backtestkit_cli.engine.reference.exchange import CandleList, Exchange
from backtestkit_cli.engine.reference.loop import HandOut, backtest, keep_going
from backtestkit_cli.engine.reference.risk import ReferenceCheck, ReferenceProfile, RiskDesk
from backtestkit_cli.engine.reference.stream import ReferenceDecider, ReferenceStream, ReferenceTerms
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Idle
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import MINUTE_MS

START_MS = 1_704_067_200_000
NOW_MS = START_MS + 365 * 86_400_000


def at(minute: int) -> int:
    """The time of a minute of the world."""
    return START_MS + minute * MINUTE_MS


def flat_candles(first: int, last: int, changed: Mapping[int, Mapping[str, float]] | None = None) -> list[Candle]:
    """Minutes `first` to `last` (not included) at 100, some of them changed; one changed to nothing is missing."""
    rows = []
    for minute in range(first, last):
        flat = {"open": 100.0, "high": 100.0, "low": 100.0, "close": 100.0, "volume": 1.0}
        change = (changed or {}).get(minute, {"open": 100.0})
        if change:
            rows.append(Candle(at(minute), **(flat | dict(change))))
    return rows


def draft(**changed: Any) -> SignalDraft:
    """A long draft at the market: take profit 102, stop 98, one hour."""
    given: dict[str, Any] = {
        "position": "long",
        "price_take_profit": 102.0,
        "price_stop_loss": 98.0,
        "lifetime_minutes": 60,
    }
    return SignalDraft(**(given | changed))


def drafts_at(drafts: Mapping[int, SignalDraft]) -> ReferenceDecider:
    """A strategy that answers drafts at minutes."""
    times = {at(minute): one for minute, one in drafts.items()}
    return lambda when_ms, _price: times.get(when_ms)


def stream_of(
    candles: Sequence[Candle],
    decide: ReferenceDecider,
    *,
    name: str = "one",
    now_ms: int = NOW_MS,
    profiles: Sequence[ReferenceProfile] = (),
    limits: Limits | None = None,
    interval_minutes: int = 1,
    exchange_name: str = "",
) -> ReferenceStream:
    """A stream on its own market."""
    chosen = limits or Limits()
    exchange = Exchange(source=CandleList.of(candles), now_ms=now_ms, average_candles=chosen.average_price_candles)
    return ReferenceStream(
        terms=ReferenceTerms(
            strategy=name,
            symbol="BTCUSDT",
            interval_ms=interval_minutes * MINUTE_MS,
            limits=chosen,
            costs=Costs(),
            exchange_name=exchange_name,
        ),
        exchange=exchange,
        decide=decide,
        desk=RiskDesk(profiles),
    )


def run(stream: ReferenceStream, minutes: Sequence[int], hand_out: HandOut = keep_going) -> list[ReferenceEvent]:
    """Backtest over ticks; the events without the idle ones."""
    for _ in backtest(stream, [at(minute) for minute in minutes], hand_out):
        pass
    return told(stream)


def told(stream: ReferenceStream) -> list[ReferenceEvent]:
    """The events of a stream without the idle ones."""
    return [one.event for one in stream.tape.events() if not isinstance(one.event, Idle)]


def kinds(events: Sequence[ReferenceEvent]) -> list[str]:
    return [event.kind for event in events]


def profile(*answers: Any, note: str | None = None) -> ReferenceProfile:
    """A profile whose checks answer fixed values, or raise given exceptions."""
    return ReferenceProfile("limits", [ReferenceCheck(ask=_answering(answer), note=note) for answer in answers])


def _answering(answer: Any) -> Any:
    def ask(_question: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask
