"""How a run goes from tick to tick, and how several runs share simulated time.

* A run starts by forgetting the positions of its risk profiles, those of other streams too.
* After a signal was followed to its end, ticks before the end are left out, and the first one at or after it too.
* A step that fails is told, and the run goes on at the next tick; what is held stays held.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from typing import TypeAlias

from backtestkit_cli.engine.reference.events import Row, SignalResult
from backtestkit_cli.engine.reference.exchange import RequestFailed
from backtestkit_cli.engine.reference.fast_path import Wake, follow_signal, requested_candles
from backtestkit_cli.engine.reference.restore import restore
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.engine.reference.tick import tick
from backtestkit_cli.model.event import Cancelled, Closed, Idle, Opened, Scheduled
from backtestkit_cli.model.time import MINUTE_MS, Interval

HandOut: TypeAlias = Callable[[ReferenceStream, SignalResult], None]
"""Gets each result of a followed signal; may stop the stream."""


def keep_going(stream: ReferenceStream, result: SignalResult) -> None:
    """Do nothing with a result."""


def backtest(stream: ReferenceStream, ticks: Sequence[int], hand_out: HandOut = keep_going) -> Iterator[Wake]:
    """Run a backtest; yields before each step that others may come before, and goes on when resumed."""
    stream.desk.clear()
    index = 0
    while index < len(ticks):
        stream.tape.progressed += 1
        if stream.is_stopped:
            break
        yield Wake(ticks[index])
        done = yield from _step(stream, ticks[index])
        if done is not None:
            result, is_followed = done
            if is_followed:
                index = _first_tick_from(ticks, index, result)
                hand_out(stream, result)
            if stream.is_stopped and (is_followed or isinstance(result, Idle)):
                break
            stream.tape.measured += 1
        index += 1
    stream.tape.progressed += 1
    stream.tape.measured += 1


def _step(stream: ReferenceStream, when_ms: int) -> Generator[Wake, None, tuple[SignalResult, bool] | None]:
    """Do a tick and follow what it began; the result and whether it was followed, None after a failure."""
    try:
        result = tick(stream, when_ms)
        if not isinstance(result, Scheduled | Opened) or not isinstance(result.signal, Row):
            return result, False
        before_ms = (stream.terms.limits.average_price_candles - 1) * MINUTE_MS
        limit = requested_candles(stream, result.signal)
        candles = stream.exchange.next_candles(when_ms - before_ms, Interval.M1, limit)
        if not candles:
            return None
        end = yield from follow_signal(stream, when_ms, candles)
    except RequestFailed as failure:
        stream.fail(None, failure.code)
        return None
    stream.tape.measured += 1
    return end, True


def _first_tick_from(ticks: Sequence[int], index: int, result: SignalResult) -> int:
    """The first tick at or after the end of a signal; the present one where it has not ended."""
    if not isinstance(result, Closed | Cancelled):
        return index
    while index < len(ticks) and ticks[index] < result.time_ms:
        index += 1
    return index


def together(runs: Iterable[Iterator[Wake]]) -> None:
    """Advance runs in simulated time to their end."""
    for _ in turns(runs):
        pass


def turns(runs: Iterable[Iterator[Wake]]) -> Iterator[int]:
    """Advance runs in simulated time, at equal times closes first, then as given; yields whose turn it was."""
    waiting = [
        (wake.time_ms, not wake.is_close, place, run) for place, run in enumerate(runs) if (wake := next(run, None))
    ]
    heapify(waiting)
    while waiting:
        _, _, place, run = waiting[0]
        wake = next(run, None)
        if wake is None:
            heappop(waiting)
        else:
            heapreplace(waiting, (wake.time_ms, not wake.is_close, place, run))
        yield place


def live_tick(stream: ReferenceStream, when_ms: int) -> SignalResult | None:
    """Do one live step, the first after what was stored is taken up; a failure is told and gives None."""
    try:
        restore(stream, when_ms)
        return tick(stream, when_ms)
    except RequestFailed as failure:
        stream.fail(None, failure.code)
        return None
