"""Sessions over a hostile loopback exchange, left and started again at random: nothing is doubled, lost, or left in
silence.

`BACKTESTKIT_ORDER_SEEDS` says how many seeds there are.
"""

import os
from collections import Counter
from pathlib import Path
from random import Random

from loopback import Fault
from real_orders import DUST, START_MS, RealRun, real_run

from backtestkit_cli import Closed
from backtestkit_cli.model.time import MINUTE_MS

SEEDS = int(os.environ.get("BACKTESTKIT_ORDER_SEEDS", "1"))
LEAVES = 4
MINUTES = 40
ORDER, PAIR, TRADES = "/api/v3/order", "/api/v3/orderList/oco", "/api/v3/myTrades"
BROKEN = ["close", "reset", "cut_short", "http_500", "http_502_html", "empty_body", "null", "status_unknown"]
REFUSED = ["http_429", "too_many_orders", "clock_skew"]


def hostile(random: Random) -> list[Fault]:
    """Each route of the account fails in some way of its own, as often as a seed says."""
    ways = [(ORDER, "POST"), (PAIR, "POST"), (ORDER, "GET"), (ORDER, "DELETE"), ("/api/v3/orderList", "DELETE")]
    found = [
        Fault(kinds, path=path, method=method, rate=random.choice([0.0, 0.1, 0.3]), seed=random.randint(0, 10**6))
        for path, method in [*ways, (TRADES, "GET")]
        for kinds in (BROKEN, REFUSED)
    ]
    odd = {"partial": {"parts": 3}, "hidden": {"hidden_ms": 8_000}, "insufficient_balance": {}, "market_closed": {}}
    found += [
        Fault([kind], path=ORDER, method="POST", rate=0.1, seed=random.randint(0, 10**6), **more)  # type: ignore[arg-type]
        for kind, more in odd.items()
    ]
    found += [Fault([kind], path=ORDER, method="DELETE", rate=0.1) for kind in ("filled_first", "renamed")]
    return [*found, Fault(["oco_refused"], path=PAIR, method="POST", rate=0.2)]


def assert_nothing_is_left_in_silence(run: RealRun, told: str) -> None:
    """An entry that rests, or a position without a stop, was told of when the session was left."""
    has_entry = any(one["side"] == "BUY" for one in run.open_orders())
    has_stop = any(one["type"] == "STOP_LOSS" for one in run.open_orders())
    trades = sum(isinstance(event, Closed) for event in run.events) + len(run.kit.sessions.status().streams)
    is_exposed = run.base > DUST * (trades + 1) + 0.001 and not has_stop
    assert not (has_entry or is_exposed) or "leaves an order" in told or "no-stop" in told or "disputed" in told, told


def test_a_hostile_exchange_doubles_loses_and_hides_nothing(tmp_path: Path) -> None:
    met: Counter[str] = Counter()
    for seed in range(SEEDS):
        random = Random(seed)
        with real_run(tmp_path / str(seed), seed=100 + seed, minutes=200) as run:
            now_ms = START_MS - 20_000
            for _ in range(LEAVES):
                run.exchange.faults[:] = hostile(random)
                end_ms = now_ms + random.randint(30_000, MINUTES * MINUTE_MS // LEAVES)
                session = run.live(now_ms, end_ms, "market", "limits")
                assert_nothing_is_left_in_silence(run, " ".join(f"{one.code} {one}" for one in session.troubles))
                met["struck"] += sum(one.fault is not None for one in run.exchange.log)
                now_ms = run.exchange.now_ms() + random.randint(1_000, 90_000)
            run.exchange.faults.clear()
            run.live(now_ms, now_ms + MINUTE_MS, "market", "limits", leaves=False)
            run.assert_whole()
            assert run.open_orders() == [], seed
            met.update(type(event).__name__ for event in run.events)
    print(dict(met))
    assert met["Closed"] >= 1
    assert met["struck"] >= SEEDS
