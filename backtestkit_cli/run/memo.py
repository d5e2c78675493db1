"""`memo`: what a function of the market answered, kept until the next candle of an interval.

* An answer belongs to its function, stream (outside of a run: the symbol), arguments with their types, and the bucket
  of simulated time on the UTC grid. A later bucket replaces it, so memory does not grow with time.
* An answer made at a later time is never given at an earlier one. What raises is not kept.
* What was kept in a run ends with it.
"""

from collections.abc import Callable, Hashable
from functools import update_wrapper
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.model.time import Interval
from backtestkit_cli.run.context import CURRENT

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Place(Protocol):
    """What is needed of a market: its symbol and its simulated time (UTC ms)."""

    @property
    def symbol(self) -> str: ...
    @property
    def now(self) -> int: ...


MarketLike = TypeVar("MarketLike", bound=Place)


class _Kept(NamedTuple):
    """An answer and the simulated time it was made at."""

    made_ms: int
    answer: Any


class Memo(Generic[MarketLike, Arguments, Answer]):
    """A function whose answers are kept; `__wrapped__` is the function itself."""

    __wrapped__: Callable[..., Answer]

    def __init__(self, function: Callable[Concatenate[MarketLike, Arguments], Answer], interval: Interval) -> None:
        self._function = function
        self._interval_ms = interval.ms
        self._outside: dict[Any, Any] = {}
        self._own = object()
        update_wrapper(self, function)

    def __call__(self, market: MarketLike, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        """Give the answer of this bucket, asking the function where there is none.

        Raises:
            TypeError: an argument cannot be compared, such as a list.
        """
        kept = self._answers().setdefault(market.symbol, {})
        key, now_ms = _key(args, kwargs), market.now
        try:
            found = kept.get(key)
        except TypeError as error:
            raise TypeError(f"memo of {getattr(self, '__name__', 'a function')}: {error}; give a tuple") from None
        if found is not None and found.made_ms <= now_ms and self._bucket(found.made_ms) == self._bucket(now_ms):
            answer: Answer = found.answer
            return answer
        answer = self._function(market, *args, **kwargs)
        kept[key] = _Kept(now_ms, answer)
        return answer

    def clear(self, market: Place) -> None:
        """Forget the answers for the symbol of a market in this stream."""
        self._answers().pop(market.symbol, None)

    def flush(self) -> None:
        """Forget every answer, those of other streams too."""
        self._outside.clear()
        self._own = object()

    def _answers(self) -> dict[str, dict[Hashable, _Kept]]:
        context = CURRENT.get()
        memory = self._outside if context is None else context.memory
        answers: dict[str, dict[Hashable, _Kept]] = memory.setdefault(self._own, {})
        return answers

    def _bucket(self, time_ms: int) -> int:
        return time_ms // self._interval_ms


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    named = tuple(sorted(kwargs.items()))
    return args, named, tuple(type(one) for one in args), tuple(type(one) for _, one in named)


def memo(
    interval: str,
) -> Callable[[Callable[Concatenate[MarketLike, Arguments], Answer]], Memo[MarketLike, Arguments, Answer]]:
    """Keep the answers of a function whose first argument is the market, until the next candle of `interval`.

    Raises:
        UsageError: there is no such interval.
    """
    known = [one.value for one in Interval]
    if interval not in known:
        what = f"memo({interval!r}): there is no such interval"
        raise UsageError(Problem("bad-interval", what, found=str(interval), expected=", ".join(known)))

    def keep(
        function: Callable[Concatenate[MarketLike, Arguments], Answer],
    ) -> Memo[MarketLike, Arguments, Answer]:
        return Memo(function, Interval(interval))

    return keep
