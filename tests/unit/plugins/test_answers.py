"""What strategies answer, sense and nonsense."""

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtestkit_cli.model.signal import Position, SignalDraft
from backtestkit_cli.plugins.answers import FRAME_OPTIONAL, AnswerProblem, draft_from, frame_from

GOOD: dict[str, Any] = {
    "position": "long",
    "price_take_profit": 110.0,
    "price_stop_loss": 95.0,
    "lifetime_minutes": 60,
}
TIMES = np.arange(1_680_000_000_000, 1_680_000_000_000 + 5 * 60_000, 60_000, dtype=np.int64)


def but(**changes: object) -> dict[str, Any]:
    return {**GOOD, **changes}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


class Evil(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        raise RuntimeError("no")

    def __iter__(self) -> Iterator[str]:
        return iter(["position"])

    def __len__(self) -> int:
        return 1


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def generator() -> Iterator[object]:
    yield GOOD


async def coroutine() -> dict[str, Any]:
    return GOOD


async def async_generator() -> Any:
    yield GOOD


def raises_in_float() -> object:
    class Odd(Fraction):
        def __float__(self) -> float:
            raise RuntimeError("no")

    return Odd(1, 2)


ODD_KEYS: list[dict[Any, Any]] = [GOOD | {key: 1} for key in (7, None)]
NONSENSE: list[tuple[object, str]] = [
    ("long", "'long' of type str"),
    ("", "'' of type str"),
    (0, "0 of type int"),
    (7, "7 of type int"),
    (True, "True of type bool"),
    (False, "False of type bool"),
    (1.5, "1.5 of type float"),
    (float("nan"), "nan of type float"),
    (b"long", "of type bytes"),
    ([], "of type list"),
    ([GOOD], "of type list"),
    (("long", 1, 2, 3), "of type tuple"),
    ({"long"}, "of type set"),
    (object(), "of type object"),
    (Silent(), "a Silent"),
    (SignalDraft, "the class SignalDraft itself"),
    (draft_from, "of type function"),
    (Ellipsis, "of type ellipsis"),
    (NotImplemented, "of type NotImplementedType"),
    (ValueError("no"), "of type ValueError"),
    (np.zeros(3), "of type ndarray"),
    (pl.DataFrame({"position": ["long"]}), "of type DataFrame"),
    (pl.LazyFrame({"position": ["long"]}), "of type LazyFrame"),
    (Evil(), "cannot be read"),
    ({}, "position is missing"),
    (without("price_take_profit"), "price_take_profit is missing"),
    (without("lifetime_minutes"), "lifetime_minutes is missing"),
    (but(positoin="long"), "did you mean position?"),
    (but(**{"x" * 10_000: 1}), "unknown key"),
    (ODD_KEYS[0], "unknown key 7"),
    (ODD_KEYS[1], "unknown key None"),
    (but(minuteEstimatedTime=60), "unknown key minuteEstimatedTime"),
    ({"position": "wait", "why": "quiet"}, "unknown key why"),
    (but(position=7), "position is 7"),
    (but(position=None), "position is None"),
    (but(position=True), "position is True"),
    (but(position=["long"]), "position is ['long']"),
    (but(price_take_profit="110"), "price_take_profit is '110' of type str"),
    (but(price_take_profit=None), "price_take_profit is None"),
    (but(price_stop_loss=True), "price_stop_loss is True"),
    (but(price_stop_loss=np.True_), "price_stop_loss is"),
    (but(price_stop_loss=95 + 0j), "of type complex"),
    (but(price_stop_loss=Decimal(95)), "of type Decimal"),
    (but(price_stop_loss=np.array([95.0])), "of type ndarray"),
    (but(price_stop_loss=np.array(95.0)), "of type ndarray"),
    (but(price_open=pl.Series([1.0])), "of type Series"),
    (but(price_open=10**400), "OverflowError"),
    (but(price_open=raises_in_float()), "RuntimeError"),
    (but(lifetime_minutes=10**400), "OverflowError"),
    (but(lifetime_minutes="60"), "lifetime_minutes is '60'"),
    (but(wait_minutes=[]), "wait_minutes is []"),
    (but(note=5), "note is 5"),
    (but(note=b"x"), "note is b'x'"),
    (but(note="\ud800"), "cannot be written"),
    (but(id=5), "id is 5"),
    (SignalDraft(**but(price_stop_loss="95")), "price_stop_loss is '95'"),
    (SignalDraft(**but(position=3)), "position is 3"),
]


@pytest.mark.parametrize(("answer", "says"), NONSENSE)
def test_nonsense_is_refused_with_a_reason(answer: object, says: str) -> None:
    with pytest.raises(AnswerProblem) as caught:
        draft_from(answer)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [(generator, "a generator"), (coroutine, "a coroutine"), (async_generator, "a generator")],
)
def test_what_must_be_run_first_is_refused_and_leaves_no_warning(make: Any, says: str) -> None:
    with pytest.raises(AnswerProblem, match=says):
        draft_from(make())


@pytest.mark.parametrize(
    "answer", [None, {"position": "wait"}, but(position="wait"), SignalDraft(**but(position="wait"))]
)
def test_no_signal_is_no_draft(answer: object) -> None:
    assert draft_from(answer) is None


def test_a_mapping_and_a_draft_say_the_same() -> None:
    expected = SignalDraft(**GOOD)
    assert draft_from(GOOD) == draft_from(MappingProxyType(GOOD)) == draft_from(expected) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"price_take_profit": float("nan")},
        {"price_take_profit": float("inf")},
        {"price_take_profit": 1e308},
        {"price_stop_loss": 200.0},
        {"price_stop_loss": -1.0},
        {"position": "sideways"},
        {"position": ""},
        {"lifetime_minutes": 0.5},
        {"lifetime_minutes": -(10**30)},
        {"note": "", "id": ""},
    ],
)
def test_what_only_makes_no_sense_passes_for_validation_to_count(changes: dict[str, object]) -> None:
    draft = draft_from(but(**changes))
    assert draft is not None
    for name, value in changes.items():
        found = getattr(draft, name)
        assert found == value or math.isnan(found)


def test_numbers_of_numpy_and_fractions_become_plain_ones() -> None:
    draft = draft_from(
        but(
            position=Position.LONG,
            price_take_profit=np.float32(110.5),
            price_stop_loss=np.int16(95),
            price_open=Fraction(201, 2),
            lifetime_minutes=np.int64(60),
            wait_minutes=np.float64(30.5),
        )
    )
    assert draft == SignalDraft(
        position="long",
        price_take_profit=110.5,
        price_stop_loss=95.0,
        price_open=100.5,
        lifetime_minutes=60,
        wait_minutes=30.5,
    )
    assert [type(getattr(draft, name)) for name in ("price_take_profit", "price_stop_loss", "lifetime_minutes")] == [
        float,
        float,
        int,
    ]
    assert type(draft.wait_minutes) is float


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*GOOD, "note", "x"]), inner),
    )
)
def test_any_json_value_is_a_draft_or_none_or_refused(answer: object) -> None:
    try:
        draft = draft_from(answer)
    except AnswerProblem:
        return
    assert draft is None or type(draft.price_stop_loss) is float


def frame(rows: int = 5, **columns: object) -> pl.DataFrame:
    good: dict[str, Any] = {
        "time": TIMES[:rows],
        "position": (["long", None, "short", "wait", "long"])[:rows],
        "price_take_profit": [110.0] * rows,
        "price_stop_loss": [95.0] * rows,
        "lifetime_minutes": [60] * rows,
    }
    return pl.DataFrame({name: value for name, value in {**good, **columns}.items() if value is not None})


@pytest.mark.parametrize("answer", [frame(), frame().lazy()])
def test_a_frame_comes_back_with_the_rows_that_have_a_position(answer: object) -> None:
    found = frame_from(answer, TIMES)
    assert found.schema == {
        "time": pl.Int64,
        "position": pl.String,
        "price_take_profit": pl.Float64,
        "price_stop_loss": pl.Float64,
        "lifetime_minutes": pl.Float64,
        "price_open": pl.Float64,
        "wait_minutes": pl.Float64,
        "note": pl.String,
    }
    assert found["time"].to_list() == [int(TIMES[row]) for row in (0, 2, 4)]
    assert found["position"].to_list() == ["long", "short", "long"]
    assert all(found[name].null_count() == 3 for name in FRAME_OPTIONAL)


def test_optional_columns_and_other_types_are_taken() -> None:
    answer = frame(
        time=pl.Series(TIMES.astype(np.uint64)),
        position=pl.Series(["long", None, "short", "wait", "long"], dtype=pl.Categorical),
        price_open=pl.Series([1, None, 3, 4, 5], dtype=pl.Int32),
        wait_minutes=[None] * 5,
        note=["a", None, None, "d", "e"],
    )
    found = frame_from(answer, TIMES)
    assert found["price_open"].to_list() == [1.0, 3.0, 5.0]
    assert found["wait_minutes"].to_list() == [None, None, None]
    assert found["note"].to_list() == ["a", None, "e"]


def test_missing_levels_are_nan_for_validation_to_count() -> None:
    found = frame_from(frame(price_stop_loss=[None] * 5, lifetime_minutes=[None, 1.0, 2.0, 3.0, math.nan]), TIMES)
    assert found["price_stop_loss"].is_nan().all()
    assert found["lifetime_minutes"].is_nan().to_list() == [True, False, True]


@pytest.mark.parametrize(
    "answer",
    [
        frame(rows=0),
        pl.DataFrame(schema=dict.fromkeys(frame().columns, pl.Null)),
        frame(position=[None] * 5),
        frame(position=["wait"] * 5),
    ],
)
def test_a_frame_may_say_nothing(answer: pl.DataFrame) -> None:
    assert frame_from(answer, TIMES).is_empty()


def fails(series: pl.Series) -> pl.Series:
    raise RuntimeError("inside")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "of type NoneType"),
        (7, "of type int"),
        (GOOD, "of type dict"),
        (SignalDraft(**GOOD), "of type SignalDraft"),
        (pl.col("close"), "of type Expr"),
        (pl.Series([1]), "of type Series"),
        (pl.DataFrame(), "has no column time"),
        (frame().drop("price_stop_loss"), "has no column price_stop_loss"),
        (frame(price_opne=[1.0] * 5), "did you mean price_open?"),
        (frame(close=[1.0] * 5), "unknown column close"),
        (frame().lazy().with_columns(pl.col("nothing")), "cannot be computed"),
        (frame().lazy().with_columns(note=pl.col("position").map_batches(fails, return_dtype=pl.String)), "inside"),
        (frame(time=[float(time) for time in TIMES]), "time is of type Float64"),
        (frame().with_columns(pl.col("time").cast(pl.Datetime("ms"))), "time is of type Datetime"),
        (frame(time=[None, *TIMES[1:].tolist()]), "time is null"),
        (frame(time=pl.Series([2**64 - 1] * 5, dtype=pl.UInt64)), "no time"),
        (frame(time=TIMES[::-1]), "must ascend"),
        (frame(time=TIMES[[0, 1, 1, 2, 3]]), "must ascend"),
        (frame(time=TIMES + 1), "none of the times"),
        (frame(time=TIMES + 60_000), "2023-03-28T10:45Z is none of the times"),
        (frame(time=[-(2**62), *TIMES[1:].tolist()]), "none of the times"),
        (frame(position=["long", "up", None, None, None]), "position is 'up' at 2023-03-28T10:41Z"),
        (frame(position=["", None, None, None, None]), "position is ''"),
        (frame(position=[1, 0, -1, 0, 1]), "position is of type Int64"),
        (frame(position=[True] * 5), "position is of type Boolean"),
        (frame(price_take_profit=["110"] * 5), "price_take_profit is of type String"),
        (frame(price_take_profit=[True] * 5), "price_take_profit is of type Boolean"),
        (frame(price_open=[[1.0]] * 5), "price_open is of type List"),
        (frame(lifetime_minutes=["60m"] * 5), "lifetime_minutes is of type String"),
        (frame().with_columns(lifetime_minutes=pl.duration(minutes=60)), "lifetime_minutes is of type Duration"),
        (frame(wait_minutes=["1"] * 5), "wait_minutes is of type String"),
        (frame(note=[5] * 5), "note is of type Int64"),
    ],
)
def test_a_nonsense_frame_is_refused_with_a_reason(answer: object, says: str) -> None:
    with pytest.raises(AnswerProblem) as caught:
        frame_from(answer, TIMES)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_frame_without_given_times_can_only_be_empty() -> None:
    assert frame_from(frame(rows=0), TIMES[:0]).is_empty()
    with pytest.raises(AnswerProblem, match="none of the times"):
        frame_from(frame(rows=1), TIMES[:0])
