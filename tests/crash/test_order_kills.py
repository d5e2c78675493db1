"""Sessions that send orders and are killed on the way of an order: the exchange has each of them once, and no position
is forgotten.

`BACKTESTKIT_ORDER_KILLS` says how many kills there are at each point.
"""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from e2e.project import make_project, snapshot
from loopback import FakeClock, LoopbackExchange

from backtestkit_cli.model.event import Closed, Opened
from backtestkit_cli.model.order import order_name
from backtestkit_cli.model.signal import OpenPosition
from backtestkit_cli.state.session import event_of
from crash.failpoints import ORDER_POINTS
from crash.lives import SECRETS, START_MS, Lives, Nursery
from crash.test_kills import SEED

AT_EACH_POINT = int(os.environ.get("BACKTESTKIT_ORDER_KILLS", "1"))
DUST = 0.01
"""The share of a position that fees and steps leave."""


def named(event: Mapping[str, Any]) -> str:
    told = event_of(event)
    assert isinstance(told, Opened | Closed)
    return order_name(told.signal)


def assert_each_order_once(lives: Lives, exchange: LoopbackExchange) -> None:
    """The book of the exchange, what was told and what is kept say the same."""
    orders = exchange.orders()
    ids = Counter(one["clientOrderId"] for one in orders)
    assert max(ids.values()) == 1, ids.most_common(3)
    bought = {one["clientOrderId"][:32]: float(one["executedQty"]) for one in orders if one["side"] == "BUY"}
    bought = {name: quantity for name, quantity in bought.items() if quantity}
    opened = [named(event) for event in lives.told if event["kind"] == "opened"]
    closed = {named(event) for event in lives.told if event["kind"] == "closed"}
    assert sorted(opened) == sorted(bought)
    states = [one.state for one in lives.records()]
    held = {order_name(one.signal) for one in states if isinstance(one, OpenPosition)}
    assert held == bought.keys() - closed
    for name in closed:
        own = [one for one in orders if one["side"] == "SELL" and one["clientOrderId"][:32] == name]
        sold = sum(float(one["executedQty"]) for one in own)
        assert bought[name] * (1 - DUST) <= sold <= bought[name], name


@pytest.mark.timeout(60 + 60 * AT_EACH_POINT)
def test_a_session_killed_on_the_way_of_its_orders_doubles_and_forgets_none(nursery: Nursery, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    random = Random(SEED)
    balances = {"USDT": "1000000"}
    with LoopbackExchange(clock=FakeClock(START_MS), seed=SEED, balances=balances) as exchange:
        lives = Lives(make_project(tmp_path), nursery, SEED, exchange_url=exchange.url, orders=True)
        points = [point for point in ORDER_POINTS for _ in range(AT_EACH_POINT)]
        random.shuffle(points)
        for point in points:
            lives.killed_at(f"{point}:{random.randint(1, 2)}")
        lives.live_on(minutes=4)
        assert_each_order_once(lives, exchange)
        told = Counter(event["kind"] for event in lives.told)
    assert told["closed"] >= 1
    for name, content in snapshot(tmp_path).items():
        assert not any(secret.encode() in content for secret in (*SECRETS.values(), "signature=")), name
    print(f"{len(points)} kills, {dict(lives.deaths)}, {dict(told)}, {lives.repeated} told again")
