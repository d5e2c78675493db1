"""The original to its last candle, price and wake: what films of whole lives do not tell apart."""

from collections.abc import Mapping, Sequence

import pytest
from unit.reference.test_backtest import SHORT_LIMIT, WAITING, refusing_above
from unit.reference.worlds import NOW_MS, at, draft, drafts_at, flat_candles, kinds, profile, run, stream_of, told

from backtestkit_cli.engine.note import signal_id
from backtestkit_cli.engine.reference.desks import is_signal, signal_of
from backtestkit_cli.engine.reference.events import CheckRaised, SignalResult, Tape
from backtestkit_cli.engine.reference.exchange import (
    CandleList,
    Exchange,
    RequestFailed,
    average_price,
    broken_candle,
)
from backtestkit_cli.engine.reference.fast_path import Wake, requested_candles
from backtestkit_cli.engine.reference.loop import backtest, live_tick
from backtestkit_cli.engine.reference.market import ReferenceMarket
from backtestkit_cli.engine.reference.progress import SeenLevels, new_levels, way
from backtestkit_cli.engine.reference.risk import Question
from backtestkit_cli.engine.reference.stream import ReferenceStream
from backtestkit_cli.model.candle import Candle, MarketSteps
from backtestkit_cli.model.event import Active, Cancelled, Closed, CloseReason
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import Interval

TWO = Limits(average_price_candles=2)


def exchange_of(candles: Sequence[Candle]) -> Exchange:
    return Exchange(source=CandleList.of(candles), now_ms=NOW_MS)


def test_an_offer_is_a_signal_at_any_price_above_zero() -> None:
    cheap = draft(price_take_profit=0.5, price_stop_loss=0.3)
    assert is_signal(cheap, 0.4)
    assert not is_signal(cheap, 0.0)
    assert not is_signal(cheap, 0.3)
    assert is_signal(draft(price_open=0.4, price_take_profit=0.5, price_stop_loss=0.3), float("nan"))


def test_the_signal_of_an_offer_without_an_id_has_that_of_its_decision() -> None:
    assert signal_of(draft(), "one", "BTCUSDT", at(10), 100.0).id == signal_id("one", "BTCUSDT", at(10))


def test_the_signal_of_a_kept_row_is_the_row() -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: draft()}))
    live_tick(stream, at(10))
    assert stream.pending is not None
    assert signal_of(stream.pending, "one", "BTCUSDT", at(11), 101.0) is stream.pending


def test_a_broken_candle_is_named_by_its_place() -> None:
    with pytest.raises(RequestFailed) as caught:
        exchange_of(flat_candles(0, 20, {8: {"low": 0.01}})).price(at(10))
    assert (caught.value.code, caught.value.index) == ("candle_anomalously_low", 2)


@pytest.mark.parametrize(("low", "is_broken"), [(0.1, False), (0.0999, True)])
def test_an_exchange_refuses_less_than_a_thousandth_of_the_median(low: float, is_broken: bool) -> None:
    exchange = exchange_of(flat_candles(0, 20, {10: {"low": low}}))
    if is_broken:
        with pytest.raises(RequestFailed):
            exchange.candles(at(10), Interval.M1, 5)
    else:
        assert len(exchange.candles(at(10), Interval.M1, 5)) == 5


def test_an_exchange_takes_the_median_of_five_candles_and_the_mean_of_four() -> None:
    cheap = {"open": 0.09, "high": 0.09, "low": 0.09, "close": 0.09}
    exchange = exchange_of(flat_candles(0, 20, {10: cheap}))  # 0.09 is above a thousandth of the mean, 75.0225
    assert len(exchange.candles(at(10), Interval.M1, 4)) == 4
    with pytest.raises(RequestFailed, match="candle_anomalously_low at candle 4"):
        exchange.candles(at(10), Interval.M1, 5)


def test_by_itself_a_request_is_judged_as_an_exchange_judges_it() -> None:
    cheap = {"open": 0.09, "high": 0.09, "low": 0.09, "close": 0.09}
    assert broken_candle(flat_candles(0, 4, {0: cheap})) is None
    assert broken_candle(flat_candles(0, 5, {0: cheap})) == ("candle_anomalously_low", 0)


@pytest.mark.parametrize("name", ["open", "high", "low", "close"])
def test_every_price_of_a_candle_is_judged_and_its_time_is_none(name: str) -> None:
    assert broken_candle(flat_candles(0, 5, {3: {name: 0.01}})) == ("candle_anomalously_low", 3)
    assert broken_candle(flat_candles(0, 5, {3: {name: -1.0}})) == ("candle_zero_or_negative", 3)
    assert broken_candle([candle._replace(time=minute) for minute, candle in enumerate(flat_candles(0, 5))]) is None


@pytest.mark.parametrize("place", range(4))
def test_every_price_of_a_candle_is_part_of_the_reference(place: int) -> None:
    prices = [1.0, 1.0, 1.0, 1.0]
    prices[place] = 8000.0
    open_, high, low, close = prices
    assert broken_candle([Candle(at(0), open_, high, low, close, 1.0)]) == ("candle_anomalously_low", 0)  # mean 2000.75


def test_without_volume_a_price_is_the_mean_of_the_closes() -> None:
    window = [Candle(at(minute), 9.0, 9.0, 1.0, close, 0.0) for minute, close in enumerate((2.0, 3.0, 7.0))]
    assert average_price(window) == 4.0


@pytest.mark.parametrize(("offer", "count"), [(draft(), 4 + 60), (WAITING, 4 + 121 + 60)])
def test_a_list_holds_the_wait_one_minute_and_the_lifetime(offer: SignalDraft, count: int) -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: offer}))
    live_tick(stream, at(10))
    row = stream.pending or stream.scheduled
    assert row is not None
    assert requested_candles(stream, row) == count


def wakes(stream: ReferenceStream, minutes: Sequence[int]) -> list[Wake]:
    return list(backtest(stream, [at(minute) for minute in minutes]))


@pytest.mark.parametrize(
    ("offer", "changed", "last", "expected"),
    [
        pytest.param(draft(), {15: {"high": 102.0}}, 300, [Wake(at(15), is_close=True)], id="a close"),
        pytest.param(draft(), {}, 21, [Wake(at(20), is_close=True)], id="the end of the list"),
        pytest.param(
            WAITING,
            {20: {"low": 99.0}, 30: {"high": 101.0}},
            300,
            [Wake(at(20)), Wake(at(30), is_close=True)],
            id="an entry and its close",
        ),
        pytest.param(WAITING, {20: {"low": 96.0}}, 300, [Wake(at(20))], id="a cancellation"),
        pytest.param(
            WAITING, {20: {"low": 99.0}}, 21, [Wake(at(20)), Wake(at(20), is_close=True)], id="on the last candle"
        ),
        pytest.param(WAITING, {}, 21, [], id="a wait that outlives the list"),
    ],
)
def test_a_stream_wakes_at_what_others_may_come_before(
    offer: SignalDraft, changed: Mapping[int, Mapping[str, float]], last: int, expected: list[Wake]
) -> None:
    assert wakes(stream_of(flat_candles(0, last, changed), drafts_at({10: offer})), [10]) == [Wake(at(10)), *expected]


def price(value: float) -> dict[str, float]:
    return {"open": value, "high": value, "low": value, "close": value}


def test_a_wait_that_outlives_the_list_has_the_price_of_its_last_candles() -> None:
    stream = stream_of(flat_candles(0, 22, {20: price(100.2), 21: price(100.4)}), drafts_at({10: WAITING}), limits=TWO)
    active = run(stream, [10])[-1]
    assert isinstance(active, Active)
    assert active.price == pytest.approx(100.3)
    assert active.time_ms == at(10)


def test_a_wait_that_ends_with_the_list_is_cancelled_at_the_price_of_its_last_candles() -> None:
    limits = Limits(average_price_candles=5, schedule_await_minutes=1)
    stream = stream_of(
        flat_candles(0, 12, {10: price(100.2), 11: price(100.5)}), drafts_at({10: WAITING}), limits=limits
    )
    cancelled = run(stream, [10])[-1]
    assert isinstance(cancelled, Cancelled)
    assert cancelled.price == average_price([*flat_candles(7, 12, {10: price(100.2), 11: price(100.5)})])


def test_a_position_that_outlives_the_list_closes_at_the_price_of_its_last_candles() -> None:
    stream = stream_of(flat_candles(0, 22, {20: price(100.2), 21: price(100.4)}), drafts_at({10: draft()}), limits=TWO)
    closed = run(stream, [10])[-1]
    assert isinstance(closed, Closed)
    assert (closed.reason, closed.time_ms) == (CloseReason.TIME_EXPIRED, at(21))
    assert closed.price == pytest.approx(100.3)


def test_an_entry_on_the_last_candle_closes_at_the_price_of_the_last_candles() -> None:
    candles = flat_candles(0, 21, {19: price(100.4), 20: {"low": 99.0}})
    closed = run(stream_of(candles, drafts_at({10: WAITING}), limits=TWO), [10])[-1]
    assert isinstance(closed, Closed)
    assert closed.price == average_price(candles[-2:])


def test_a_list_of_fewer_candles_than_a_price_takes_all_of_them() -> None:
    candles = flat_candles(7, 10, {7: price(100.3)})
    closed = run(stream_of(candles, drafts_at({10: draft()})), [10])[-1]
    assert isinstance(closed, Closed)
    assert (closed.time_ms, closed.price) == (at(9), average_price(candles))


def test_a_strategy_that_stops_while_it_is_asked_ends_the_run_at_once() -> None:
    streams: list[ReferenceStream] = []

    def stops(when_ms: int, price: float) -> SignalDraft | None:
        if when_ms == at(12):
            streams[0].stop(when_ms)
        return draft() if when_ms == at(12) else None

    streams.append(stream_of(flat_candles(0, 300), stops))
    assert kinds(run(streams[0], range(10, 20))) == []
    assert [entry.when_ms for entry in streams[0].tape.events()] == [at(10), at(11), at(12)]
    assert (streams[0].tape.progressed, streams[0].tape.measured) == (4, 3)


def test_a_refused_activation_wakes_once_and_fails() -> None:
    stream = stream_of(
        flat_candles(0, 300, {20: {"high": 101.0}}), drafts_at({10: SHORT_LIMIT}), profiles=[refusing_above(100.5)]
    )
    assert wakes(stream, [10]) == [Wake(at(10)), Wake(at(20))]
    assert kinds(told(stream)) == ["scheduled", "offer_rejected", "step_failed"]


def test_only_what_was_followed_is_handed_out() -> None:
    handed: list[str] = []

    def hand_out(_stream: ReferenceStream, result: SignalResult) -> None:
        handed.append(result.kind)

    run(stream_of(flat_candles(0, 300), drafts_at({12: draft(lifetime_minutes=5)})), range(10, 40), hand_out)
    assert handed == ["closed"]


def test_a_market_counts_the_windows_that_are_short() -> None:
    market = ReferenceMarket("BTCUSDT", exchange_of(flat_candles(0, 20)), MarketSteps())
    assert market.short_windows == 0
    market.now = at(10)
    market.candles("1m", 3)
    assert market.short_windows == 0
    market.candles("1m", 12)
    market.candles("1m", 13)
    assert market.short_windows == 2


@pytest.mark.parametrize(
    ("offer", "price", "expected"),
    [
        (draft(), 100.5, ("profit", 25.0)),
        (draft(), 99.0, ("loss", 50.0)),
        (draft(), 102.0, ("profit", 100.0)),
        (draft(), 110.0, ("profit", 100.0)),
        (draft(), 90.0, ("loss", 100.0)),
        (draft(), 100.0, None),
        (draft(position="short", price_take_profit=98.0, price_stop_loss=104.0), 101.0, ("loss", 25.0)),
        (draft(position="short", price_take_profit=98.0, price_stop_loss=104.0), 99.5, ("profit", 25.0)),
        (draft(position="short", price_take_profit=98.0, price_stop_loss=104.0), 90.0, ("profit", 100.0)),
        (draft(position="short", price_take_profit=98.0, price_stop_loss=104.0), 110.0, ("loss", 100.0)),
    ],
)
def test_the_way_is_a_share_of_the_distance_and_all_of_it_at_most(
    offer: SignalDraft, price: float, expected: tuple[str, float] | None
) -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: offer}))
    live_tick(stream, at(10))
    assert stream.pending is not None
    assert way(stream.pending, price) == expected


def test_every_level_up_to_the_whole_way_is_told_once() -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: draft()}))
    live_tick(stream, at(10))
    seen: SeenLevels = {"profit": [], "loss": []}
    assert stream.pending is not None
    found = [one.level for one in new_levels(stream.pending, at(11), 102.0, "profit", 100.0, seen)]
    assert found == list(range(10, 101, 10))
    assert list(new_levels(stream.pending, at(12), 102.0, "profit", 100.0, seen)) == []
    assert len(list(new_levels(stream.pending, at(12), 98.0, "loss", 100.0, seen))) == 10


def test_a_price_at_the_entry_is_no_way_at_all() -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: draft()}))
    for minute in (10, 11):
        live_tick(stream, at(minute))
    active = told(stream)[-1]
    assert isinstance(active, Active)
    assert (active.take_profit_percent, active.stop_loss_percent) == (0.0, 0.0)


def test_what_the_original_closes_rests_on_nothing_of_ours() -> None:
    closed = run(stream_of(flat_candles(0, 300), drafts_at({10: draft()})), [10])[-1]
    assert isinstance(closed, Closed)
    assert (closed.ambiguous_minutes, closed.is_bridged) == (0, False)
    assert (closed.profit_at_stake_percent, closed.vwap_lag_percent) == (0.0, 0.0)


def test_a_check_that_raises_is_told_before_its_refusal() -> None:
    used = profile(ValueError("boom"))
    stream = stream_of(flat_candles(0, 30), drafts_at({10: draft()}), profiles=[used])
    live_tick(stream, at(10))
    assert kinds(told(stream)) == ["check_raised", "offer_rejected"]
    raised = stream.tape.events()[0]
    assert raised.when_ms == at(10)
    assert isinstance(raised.event, CheckRaised)
    assert (raised.event.time_ms, raised.event.what) == (at(10), "boom")
    question = Question(at(10), "one", "BTCUSDT", draft(), 100.0, ())
    assert used.allows(question, Tape()) is False
    assert profile(None).allows(question, Tape()) is True


def test_a_stop_while_an_entry_waits_inside_its_list_lets_it_not_open() -> None:
    stream = stream_of(flat_candles(0, 300, {20: {"low": 99.0}}), drafts_at({10: WAITING}))
    for wake in backtest(stream, [at(10), at(11)]):
        if wake.time_ms == at(20):
            stream.stop(wake.time_ms)
    assert kinds(told(stream)) == ["scheduled", "step_failed"]
    assert (stream.pending, stream.scheduled) == (None, None)


@pytest.mark.parametrize(("given", "expected"), [("mine", "mine"), (None, signal_id("one", "BTCUSDT", at(10)))])
def test_a_row_has_the_id_of_its_draft_or_of_its_decision(given: str | None, expected: str) -> None:
    stream = stream_of(flat_candles(0, 30), drafts_at({10: draft(id=given)}))
    live_tick(stream, at(10))
    assert stream.pending is not None
    assert stream.pending.id == expected
