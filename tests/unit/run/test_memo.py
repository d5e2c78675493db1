"""What `memo` keeps, for whom, and how long."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from backtestkit_cli import memo
from backtestkit_cli.errors import UsageError
from backtestkit_cli.model.time import Interval
from backtestkit_cli.run.context import Context, inside

HOUR_MS = 3_600_000


@dataclass
class Market:
    symbol: str = "X"
    now: int = 0


@dataclass
class Asked:
    """A function that counts its calls."""

    calls: list[tuple[object, ...]] = field(default_factory=list)

    def __call__(self, market: Market, /, *args: object, **kwargs: object) -> int:
        """Answer with the number of the call."""
        self.calls.append((market.symbol, market.now, *args, *sorted(kwargs.items())))
        return len(self.calls)


def test_an_answer_is_kept_until_the_next_bucket_of_the_utc_grid() -> None:
    asked = Asked()
    kept = memo("1h")(asked)
    times = [HOUR_MS - 60_000, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS - 1, 2 * HOUR_MS]
    assert [kept(Market(now=now)) for now in times] == [1, 2, 2, 2, 3]


@pytest.mark.parametrize("interval", Interval)
def test_every_interval_has_its_own_buckets(interval: Interval) -> None:
    kept = memo(interval.value)(Asked())
    assert [kept(Market(now=now)) for now in (0, interval.ms - 1, interval.ms)] == [1, 1, 2]


def test_symbol_and_arguments_have_answers_of_their_own() -> None:
    asked = Asked()
    kept = memo("1h")(asked)
    ways: list[Callable[[], int]] = [
        lambda: kept(Market("X")),
        lambda: kept(Market("Y")),
        lambda: kept(Market("X"), 1),
        lambda: kept(Market("X"), 1.0),
        lambda: kept(Market("X"), True),
        lambda: kept(Market("X"), length=1),
        lambda: kept(Market("X"), length=2, mean="ema"),
    ]
    first = [way() for way in ways]
    assert first == list(range(1, len(ways) + 1))
    assert [way() for way in ways] == first
    assert kept(Market("X"), mean="ema", length=2) == first[-1]


def test_two_functions_have_answers_of_their_own() -> None:
    asked = Asked()
    once, twice = memo("1h")(asked), memo("1d")(asked)
    assert [once(Market()), twice(Market()), once(Market(now=HOUR_MS)), twice(Market(now=HOUR_MS))] == [1, 2, 3, 2]


def test_an_answer_is_never_given_at_an_earlier_time() -> None:
    kept = memo("1h")(Asked())
    assert [kept(Market(now=now)) for now in (500, 400, 450)] == [1, 2, 2]


def test_clear_forgets_one_symbol_and_flush_all() -> None:
    kept = memo("1h")(Asked())

    def both() -> list[int]:
        return [kept(Market("X")), kept(Market("Y"))]

    assert both() == [1, 2]
    kept.clear(Market("X"))
    assert both() == [3, 2]
    kept.flush()
    assert both() == [4, 5]


def test_streams_share_nothing_and_flush_reaches_them_all() -> None:
    kept = memo("1h")(Asked())
    contexts = [Context(exchange=exchange, frame="day") for exchange in ("a", "b")]

    def all_three() -> list[int]:
        answers = [kept(Market())]
        for context in contexts:
            with inside(context):
                answers.append(kept(Market()))
        return answers

    assert all_three() == [1, 2, 3]
    assert all_three() == [1, 2, 3]
    with inside(contexts[0]):
        kept.clear(Market())
    assert all_three() == [1, 4, 3]
    kept.flush()
    assert all_three() == [5, 6, 7]


def test_what_raises_is_not_kept() -> None:
    answers = iter([None, 5])

    @memo("1h")
    def first_fails(market: Market) -> int:
        answer = next(answers)
        if answer is None:
            raise ValueError("not yet")
        return answer

    with pytest.raises(ValueError, match="not yet"):
        first_fails(Market())
    assert [first_fails(Market()), first_fails(Market())] == [5, 5]
    assert first_fails.__wrapped__.__name__ == "first_fails"


def test_time_that_goes_on_takes_no_memory() -> None:
    kept = memo("1m")(Asked())
    context = Context(exchange="a", frame="day")
    with inside(context):
        for minute in range(1000):
            kept(Market(now=minute * 60_000))
    (answers,) = context.memory.values()
    assert [len(one) for one in answers.values()] == [1]


def test_an_argument_that_cannot_be_compared_is_told() -> None:
    @memo("1h")
    def mean(market: Market, over: object) -> int:
        return 1

    with pytest.raises(TypeError, match=r"memo of mean: unhashable type: 'list'; give a tuple"):
        mean(Market(), [1, 2])


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        memo("7m")
    assert caught.value.code == "bad-interval"
