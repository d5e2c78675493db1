"""How long a question is asked again: waits that double, bans that are obeyed, and an end.

Rules: what may work later is tried `retries` times more, after `delay`, 2 x `delay`, 4 x `delay` ...; what is refused
for good is not. While the exchange asks for silence (`Retry-After`) nothing is sent; a silence longer than
`longest_silence_ms` is not waited for but raised at once. Waits have no jitter: one seed replays a whole download.
Whoever wants to know is told what is waited for, and how long.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from backtestkit_cli.errors import DataError, Problem, TransientError
from backtestkit_cli.model.time import iso

LONGEST_SILENCE_MS = 300_000

Answer = TypeVar("Answer")


class Clock(Protocol):
    """Time as the adapter needs it."""

    def now_ms(self) -> int:
        """The time in UTC ms."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was met so far.

    `requests` are HTTP requests, `retries` repeated questions, `duplicates` candles that came twice, `dropped`
    candles left out because they had not closed.
    """

    requests: int = 0
    retries: int = 0
    duplicates: int = 0
    dropped: int = 0


def _nobody(_text: str) -> None:
    """Nobody wants to know."""


class Patience:
    """The waits of one exchange: a ban holds for all its questions. `tell` is told of each wait."""

    def __init__(
        self,
        *,
        exchange: str,
        retries: int,
        delay_ms: int,
        longest_silence_ms: int = LONGEST_SILENCE_MS,
        clock: Clock,
        tally: Tally,
    ) -> None:
        self._exchange = exchange
        self._retries = retries
        self._delay_ms = delay_ms
        self._longest_silence_ms = longest_silence_ms
        self._clock = clock
        self._tally = tally
        self._silent_until_ms = 0
        self._silence_ms = 0
        self.tell: Callable[[str], None] = _nobody

    def keep_silent(self, silence_ms: int) -> None:
        """Send nothing for that long."""
        self._silence_ms = max(self._left_ms(), silence_ms)
        self._silent_until_ms = self._clock.now_ms() + self._silence_ms

    @property
    def is_silent(self) -> bool:
        """Whether the exchange asks for no requests just now."""
        return self._left_ms() > 0

    def _left_ms(self) -> int:
        """How long it still lasts; never longer than was asked for, when the clock was set back meanwhile."""
        now_ms = self._clock.now_ms()
        self._silent_until_ms = min(self._silent_until_ms, now_ms + self._silence_ms)
        return self._silent_until_ms - now_ms

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer.

        Raises:
            TransientError, DataError: no attempt brought an answer; the last one's error.
            ExchangeError: refused for good, at once.
        """
        for attempt in range(self._retries + 1):
            self._wait_out_silence()
            try:
                return question()
            except (TransientError, DataError) as error:
                if attempt == self._retries:
                    raise _counted(error, attempt) from None
                what = error.problems[0].what
            self._tally.retries += 1
            if not self.is_silent:
                seconds = self._delay_ms * 2**attempt / 1000
                self.tell(f"{what}; retry {attempt + 1} of {self._retries} in {seconds:g} s")
                self._clock.sleep(seconds)
        raise ValueError(f"retries must be 0 or more, not {self._retries}")

    def _wait_out_silence(self) -> None:
        silence_ms = self._left_ms()
        if silence_ms <= 0:
            return
        if silence_ms > self._longest_silence_ms:
            raise TransientError(
                Problem(
                    code="exchange-ban",
                    what=f"{self._exchange} asks for no requests until {iso(self._silent_until_ms)}",
                    hint="wait until then, and ask for less at a time; asking earlier makes the ban longer",
                )
            )
        self.tell(f"{self._exchange} asks for no requests for {silence_ms / 1000:.0f} s")
        self._clock.sleep(silence_ms / 1000)


def _counted(error: TransientError | DataError, retries: int) -> TransientError | DataError:
    if retries == 0 or error.code == "exchange-ban":
        return error
    times = "1 retry" if retries == 1 else f"{retries} retries"
    first, *others = error.problems
    return type(error)(replace(first, what=f"{first.what}; no better after {times}"), *others)
