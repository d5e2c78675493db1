"""Whose turn it is at an instant: each strategy as soon as it has answered, in order where order decides.

* Answers that come within `TOGETHER_SECONDS` are applied in order of strategy and symbol, as in the backtest.
* Then nobody waits for one that thinks on, but those who share a risk profile with it: who is first takes the place.
* Who has not answered by the end of the time has failed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial

from backtestkit_cli.engine.decide import Failed
from backtestkit_cli.run.live.calls import Caller
from backtestkit_cli.run.live.stream import LiveStream, PreparedAnswer
from backtestkit_cli.run.standing import Key

TOGETHER_SECONDS = 2.0
LATE = "has not answered before the next minute"

Answers = dict[LiveStream, "asyncio.Future[PreparedAnswer]"]


async def turns(
    time_ms: int,
    streams: Sequence[LiveStream],
    callers: Mapping[str, Caller],
    is_joined: Callable[[Key, Key], bool],
    seconds: float,
) -> AsyncIterator[LiveStream]:
    """Ask the strategies of some streams, all at once, and give each stream when it may decide."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    answers = _ask(time_ms, [one for one in streams if one.walk.asks(time_ms)], callers)
    if answers:
        await asyncio.wait(answers.values(), timeout=min(TOGETHER_SECONDS, seconds))
    pending = list(streams)
    while pending:
        is_over = loop.time() >= ends
        place = 0 if is_over else _ready(pending, answers, is_joined)
        if place is None:
            thinking = [answers[one] for one in pending if one in answers and not answers[one].done()]
            await asyncio.wait(thinking, timeout=ends - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            continue
        stream = pending.pop(place)
        if stream in answers:
            stream.walk.decider = _answer_of(stream, answers[stream])
        yield stream


def _ask(time_ms: int, streams: Sequence[LiveStream], callers: Mapping[str, Caller]) -> Answers:
    asked: Answers = {}
    for one in streams:
        name = one.key[0]
        if callers[name].is_hung or (callers[name].is_busy and not any(known.key[0] == name for known in asked)):
            one.walk.decider = PreparedAnswer(Failed(f"strategy {name} is still busy with an earlier call"))
        else:
            asked[one] = callers[name].ask(partial(one.ask, time_ms))
    return asked


def _ready(pending: Sequence[LiveStream], answers: Answers, is_joined: Callable[[Key, Key], bool]) -> int | None:
    """The first that has answered, and shares risk with nobody before it."""
    for place, one in enumerate(pending):
        has_answered = one not in answers or answers[one].done()
        if has_answered and not any(is_joined(other.key, one.key) for other in pending[:place]):
            return place
    return None


def _answer_of(stream: LiveStream, answer: "asyncio.Future[PreparedAnswer]") -> PreparedAnswer:
    if not answer.done():
        return PreparedAnswer(Failed(f"strategy {stream.key[0]} {LATE}"))
    if (error := answer.exception()) is not None:
        return PreparedAnswer(Failed(f"strategy {stream.key[0]}: {error}"))
    return answer.result()
