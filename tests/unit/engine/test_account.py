"""The money that streams share: equity, days, drawdown, and the risk limits and sizes that follow from it."""

from dataclasses import replace

import numpy as np
import pytest
from make import START_MS, Deal, closed
from worlds import random_world

from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.gate import Ledger, RiskProfile, RiskQuestion, Sized, SizingQuestion
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.model.event import Cancelled, CancelReason, Closed, Event, Opened, QuantityRefused, Scheduled
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS

BALANCE = 1000.0


def booked(*made: tuple[int, float]) -> Account:
    """An account after closings at (minutes from midnight, PnL in quote currency)."""
    account = Account(BALANCE)
    for minutes, pnl in made:
        event = closed(Deal(quantity=1.0))
        account.book(replace(event, time_ms=START_MS + minutes * MINUTE_MS, pnl_quote=pnl))
    return account


def test_equity_is_the_balance_plus_what_is_realised() -> None:
    account = booked((1, 50.0), (2, -20.0))
    assert account.equity == 1030.0
    account.book(closed(Deal()))
    assert account.equity == 1030.0, "a position that is not sized changes no money"
    assert account.closed_percents["ema-cross", "BTCUSDT"] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("made", "asked_minutes", "loss"),
    [
        pytest.param([(1, -50.0)], 2, 5.0, id="lost today"),
        pytest.param([(1, 50.0)], 2, -5.0, id="gained today"),
        pytest.param([(1, -50.0), (3, -50.0)], 3, 10.0, id="of the equity at midnight"),
        pytest.param([(1, -50.0)], 1440, 0.0, id="a new day begins at midnight"),
        pytest.param([(1440, -50.0)], 1440, 0.0, id="what closes at midnight belongs to the day before"),
        pytest.param([(1440, -50.0)], 1441, 0.0, id="and does not count on the new day"),
        pytest.param([(1, -200.0), (1441, -80.0)], 1450, 10.0, id="of what the former day left"),
        pytest.param([(0, -2000.0), (1, -1.0)], 2, 100.0, id="nothing was left to lose"),
        pytest.param([(0, -1000.0), (1, -1.0)], 2, 100.0, id="exactly nothing was left to lose"),
    ],
)
def test_the_loss_of_a_day_is_a_share_of_the_equity_at_midnight(
    made: list[tuple[int, float]], asked_minutes: int, loss: float
) -> None:
    assert booked(*made).day_loss_percent(START_MS + asked_minutes * MINUTE_MS) == pytest.approx(loss, rel=1e-12)


def test_the_drawdown_is_a_share_of_the_highest_equity() -> None:
    assert booked().drawdown_percent == 0.0
    assert booked((1, 250.0), (2, -125.0)).drawdown_percent == 10.0
    assert booked((1, 250.0), (2, -125.0), (3, 125.0)).drawdown_percent == 0.0
    assert booked((1, -100.0)).drawdown_percent == 10.0


def signal(quantity: float | None, symbol: str = "BTCUSDT") -> Signal:
    return replace(closed(Deal(), symbol=symbol).signal, quantity=quantity)


@pytest.mark.parametrize(
    ("limits", "held", "account", "asked", "rule"),
    [
        pytest.param({"max_exposure_percent": 50}, [4.0], booked(), 1.0, None, id="exactly at the limit"),
        pytest.param({"max_exposure_percent": 50}, [4.0], booked(), 1.001, "max_exposure_percent", id="above it"),
        pytest.param({"max_exposure_percent": 50}, [4.0], booked((1, 100.0)), 1.5, None, id="of the equity now"),
        pytest.param({"max_exposure_percent": 50}, [], booked((1, -1000.0)), 1.0, "max_exposure_percent", id="spent"),
        pytest.param({"max_exposure_percent": 50}, [5.0], booked(), None, None, id="a waiting entry adds nothing"),
        pytest.param({"max_daily_loss_percent": 5}, [], booked((1, -50.0)), 1.0, "max_daily_loss_percent", id="day"),
        pytest.param({"max_daily_loss_percent": 5}, [], booked((1, -49.0)), 1.0, None, id="a smaller loss"),
        pytest.param({"max_drawdown_percent": 5}, [], booked((1, -50.0)), 1.0, "max_drawdown_percent", id="drawdown"),
        pytest.param({"max_drawdown_percent": 5}, [], booked((1, -49.0)), 1.0, None, id="a smaller drawdown"),
        pytest.param(
            {"max_exposure_percent": 1, "max_daily_loss_percent": 1, "max_drawdown_percent": 1, "min_reward_risk": 9},
            [5.0],
            booked((1, -50.0)),
            1.0,
            "max_exposure_percent",
            id="exposure comes first",
        ),
        pytest.param(
            {"max_drawdown_percent": 1, "min_reward_risk": 9},
            [],
            booked((1, -50.0)),
            1.0,
            "max_drawdown_percent",
            id="money before reward",
        ),
    ],
)
def test_limits_of_money_refuse_at_their_share_of_the_equity(
    limits: dict[str, float], held: list[float], account: Account, asked: float | None, rule: str | None
) -> None:
    positions = [*(signal(quantity) for quantity in held), signal(100.0, "OTHER")]
    question = RiskQuestion(START_MS + 5 * MINUTE_MS, signal(asked), 100.0, positions, account.equity)
    found = RiskProfile(name="p", **limits).refusal(question, account)  # type: ignore[arg-type]  # limits by name
    assert (found[0] if found else None) == rule


def sized_walk(seed: int, answer: "Answer") -> tuple[list[Event], Ledger, list[tuple[SizingQuestion, int]]]:
    """The events of a random stream, sized by a function; its ledger; what was asked, and after how many events."""
    world, asked = random_world(seed), list[tuple[SizingQuestion, int]]()
    events: list[Event] = []
    walk = world.walk()
    ledger = Ledger({}, account=Account(BALANCE))

    def sizer(question: SizingQuestion) -> Sized:
        asked.append((question._replace(closed_percents=tuple(question.closed_percents)), len(events)))
        return answer(question)

    ledger.sizers[world.terms.strategy, world.terms.symbol] = sizer
    walk.ledger = ledger
    for event in walk.run():
        events.append(event)  # noqa: PERF402  # what is asked in between sees how many there are
    assert walk.funnel.broken_sums() == []
    assert walk.funnel.no_quantity == sum(
        isinstance(event, QuantityRefused) and event.stage == "decision" for event in events
    )
    return events, ledger, asked


class Answer:
    """Sizes every signal alike, or every nth not at all."""

    def __init__(self, quantity: float = 0.5, refuse_every: int = 0) -> None:
        self.quantity, self.refuse_every, self.count = quantity, refuse_every, 0

    def __call__(self, question: SizingQuestion) -> Sized:
        self.count += 1
        is_refused = self.refuse_every and self.count % self.refuse_every == 0
        return Sized(0.0, "below_step", "too small") if is_refused else Sized(self.quantity)


def unsized(event: Event) -> Event:
    match event:
        case Opened():
            return replace(event, signal=replace(event.signal, quantity=None))
        case Closed():
            return replace(event, signal=replace(event.signal, quantity=None), pnl_quote=None)
        case _:
            signal_of = getattr(event, "signal", None)
            return event if signal_of is None else replace(event, signal=replace(signal_of, quantity=None))


def test_a_size_changes_nothing_but_the_money() -> None:
    opened = 0
    for seed in range(60):
        events, ledger, asked = sized_walk(seed, Answer())
        plain, _ = random_world(seed).walked()
        assert [unsized(event) for event in events] == plain
        found = trades_of(events)
        assert ledger.account is not None
        assert ledger.account.equity == pytest.approx(BALANCE + float(np.sum(found.pnl_quote)), rel=1e-12)
        waiting = [event for event in events if isinstance(event, Scheduled)]
        assert all(event.signal.quantity is None for event in waiting), "a waiting entry is not sized yet"
        opened += len(found)
        assert len(asked) == sum(isinstance(event, Opened) for event in events)
        for question, place in asked:
            before = [event for event in events[:place] if isinstance(event, Closed)]
            assert question.closed_percents == tuple(event.pnl_percent for event in before)
            money = BALANCE + sum(event.pnl_quote or 0.0 for event in before)
            assert question.equity == pytest.approx(money, rel=1e-12)
    assert opened > 400


def test_without_a_quantity_nothing_opens() -> None:
    stages: list[str] = []
    for seed in range(60):
        events, _, asked = sized_walk(seed, Answer(refuse_every=3))
        for place, event in enumerate(events):
            if isinstance(event, QuantityRefused):
                stages.append(event.stage)
                assert event.why == "too small"
                following = events[place + 1] if place + 1 < len(events) else None
                is_cancelled = isinstance(following, Cancelled) and following.reason is CancelReason.NO_QUANTITY
                assert is_cancelled == (event.stage == "activation")
        opened = sum(isinstance(event, Opened) for event in events)
        assert opened + sum(isinstance(event, QuantityRefused) for event in events) == len(asked)
    assert stages.count("decision") > 50
    assert stages.count("activation") > 10


def test_risk_is_asked_with_the_size() -> None:
    seen: list[float | None] = []
    for seed in range(10):
        world = random_world(seed)
        walk, profile = (
            world.walk(),
            RiskProfile(name="p", checks={"checks[0]": lambda q: seen.append(q.signal.quantity)}),
        )
        walk.ledger = Ledger({world.terms.strategy: [profile]}, account=Account(BALANCE))
        walk.ledger.sizers[world.terms.strategy, world.terms.symbol] = Answer(0.25)
        events = list(walk.run())
        assert seen.count(0.25) >= sum(isinstance(event, Opened) for event in events)
    assert set(seen) == {0.25, None}, "a waiting entry is asked about before it has a size"


def test_a_day_is_a_day_of_utc() -> None:
    account = Account(BALANCE)
    account.book(replace(closed(Deal(quantity=1.0)), time_ms=5 * DAY_MS + 1, pnl_quote=-10.0))
    assert account.day_loss_percent(6 * DAY_MS - 1) == 1.0
    assert account.day_loss_percent(6 * DAY_MS) == 0.0


def test_an_account_goes_on_from_what_was_kept() -> None:
    made = [(1, 250.0), (2, -125.0), (1441, -50.0)]
    kept, again = booked(*made), Account(BALANCE)
    again.restore(kept.body)
    later = replace(closed(Deal(quantity=1.0)), time_ms=START_MS + 1500 * MINUTE_MS, pnl_quote=-100.0)
    for account in (kept, again):
        account.book(later)
    assert again.body == kept.body
    assert again.equity == 975.0
    assert again.drawdown_percent == pytest.approx(100 * 275 / 1250)
    assert again.day_loss_percent(START_MS + 1501 * MINUTE_MS) == pytest.approx(100 * 150 / 1125)
