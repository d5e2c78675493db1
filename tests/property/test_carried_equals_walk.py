"""An exchange that fills exactly as the policy does gives the trades of the policy, in random worlds."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from worlds import World, random_world

from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.decide import RowDecider
from backtestkit_cli.engine.gate import Ledger, Sized
from backtestkit_cli.engine.orders.errand import Ended, Errand, GivenUp, Held, Protecting, Sold, Task, begun
from backtestkit_cli.engine.orders.walk import CarriedWalk, Enter, Exit
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk
from backtestkit_cli.model.event import Cancelled, CancelReason, Closed, CloseReason, Event, Opened
from backtestkit_cli.model.time import MINUTE_MS

WORLDS = 100
WANTED = {"opened": 500, "take_profit": 100, "stop_loss": 100, "time_expired": 50, "waited": 100, "wait_over": 50}


def walk_in(world: World, kind: type[StreamWalk]) -> StreamWalk:
    """A walk of a world in which all is sized; an exchange knows no slippage."""
    ledger = Ledger({}, Account(1000.0), {("s", "X"): lambda _: Sized(2.0)})
    return kind(
        candles=world.candles,
        price=vwap_all(world.candles, world.terms.limits.average_price_candles),
        ticks=world.ticks,
        decider=RowDecider(world.rows),
        terms=replace(world.terms, costs=replace(world.terms.costs, slippage_percent=0.0)),
        ledger=ledger,
        stop_ms=world.stop_ms,
    )


class Exchange:
    """Fills entries that wait when the policy does, entries and exits at the market at once and at the wished price."""

    def __init__(self, walk: CarriedWalk) -> None:
        self.walk = walk
        self.errand: Errand | None = None

    def work(self, time_ms: int) -> list[Event]:
        """Carry out the wishes of an instant."""
        told: list[Event] = []
        wishes, self.walk.wishes = self.walk.wishes, []
        for wish in wishes:
            match wish:
                case Enter():
                    task = Task(
                        signal=wish.signal,
                        is_market=wish.is_market,
                        wait_until_ms=wish.wait_until_ms,
                        quantity_step=None,
                        least_value=0.0,
                    )
                    self.errand = begun(task)
                    told += self.fill(time_ms) if wish.is_market else []
                case Exit(reason=reason, price=price):
                    told += self.end(reason, price, time_ms)
                case _:
                    pass  # the policy says below when it is given up
        return told

    def as_policy(self, events: Iterable[Event]) -> list[Event]:
        """Do to an entry that waits what the policy did to it."""
        told: list[Event] = []
        for event in events:
            match event:
                case Opened():
                    told += self.fill(event.time_ms)
                case Closed(reason=reason, price=price) if event.opened_at == event.time_ms:
                    told += self.end(reason, price, event.time_ms)  # stopped in the minute of its entry
                case Cancelled(reason=cancelled):
                    assert self.errand is not None
                    given_up = GivenUp(task=self.errand.task, reason=cancelled, why="", time_ms=event.time_ms)
                    told += self.walk.learn(given_up)
                case _:
                    pass
        return told

    def fill(self, time_ms: int) -> list[Event]:
        assert self.errand is not None
        task, guard = self.errand.task, begun(self.errand.task).entry
        quantity = task.signal.quantity or 0.0
        held = Held(quantity=quantity, price=task.signal.price_open, to_sell=quantity, opened_ms=time_ms)
        self.errand = Protecting(task=task, held=held, guard=guard, since_ms=time_ms)
        return list(self.walk.learn(self.errand))

    def end(self, reason: CloseReason, price: float, time_ms: int) -> list[Event]:
        assert isinstance(self.errand, Protecting)
        task, held = self.errand.task, self.errand.held
        sold = Sold(quantity=held.to_sell, value=held.to_sell * price, level=None)
        held = replace(held, sold=(sold,))
        return list(self.walk.learn(Ended(task=task, held=held, reason=reason, price=price, time_ms=time_ms)))


def lived(world: World) -> tuple[list[Event], list[Event]]:
    """What the policy tells of a world, and what the exchange does, instant by instant."""
    plain, carried = walk_in(world, StreamWalk), walk_in(world, CarriedWalk)
    assert isinstance(carried, CarriedWalk)
    exchange = Exchange(carried)
    by_policy: list[Event] = []
    by_exchange: list[Event] = []
    first_ms = world.candles.start_ms
    for time_ms in range(first_ms, world.candles.end_ms + MINUTE_MS, MINUTE_MS):
        was_waiting = plain.state.kind == "waiting_entry"
        settled = [*plain.stop(time_ms), *plain.settle(time_ms)]
        by_policy += [*settled, *plain.decide(time_ms)]
        by_exchange += [*carried.stop(time_ms), *carried.settle(time_ms)]
        by_exchange += exchange.as_policy(settled) if was_waiting else []
        by_exchange += exchange.work(time_ms)
        by_exchange += [*carried.decide(time_ms), *exchange.work(time_ms)]
    assert plain.funnel == carried.funnel
    assert plain.ledger.account == carried.ledger.account
    return by_policy, by_exchange


def facts(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """Everything that is the same on both sides: what a policy alone can judge is left out."""
    found: list[tuple[object, ...]] = []
    for event in events:
        match event:
            case Closed():
                money = event.pnl_percent, event.pnl_quote
                found.append((event.time_ms, event.signal, event.opened_at, event.price, event.reason, *money))
            case Cancelled():
                found.append((event.time_ms, event.signal.id, event.reason))
            case Opened():
                found.append((event.time_ms, event.signal))
            case _:
                found.append((event.time_ms, event.kind))
    return found


def test_an_exchange_that_fills_as_the_policy_does_gives_its_trades() -> None:
    met: Counter[str] = Counter()
    for seed in range(WORLDS):
        by_policy, by_exchange = lived(random_world(seed))
        assert facts(by_exchange) == facts(by_policy), seed
        met.update(event.kind for event in by_policy)
        met.update(str(event.reason) for event in by_policy if isinstance(event, Closed | Cancelled))
        met["waited"] += sum(isinstance(one, Opened) and one.time_ms > one.signal.decided_at for one in by_policy)
        for event in by_exchange:
            if isinstance(event, Closed):
                is_seen = event.opened_at < event.time_ms  # else it was stopped in the minute of its entry
                assert event.policy_price == (event.price if is_seen else event.signal.price_stop_loss), seed
    assert {name: met[name] for name, least in WANTED.items() if met[name] < least} == {}
    assert met[CancelReason.STOPPED] > 0
