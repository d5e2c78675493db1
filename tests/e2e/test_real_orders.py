"""Real ccxt code sends orders to the loopback exchange: what the session says is what the exchange did."""

import json
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import real_orders
from accelerated import JumpingClock, Session
from loopback import Fault
from real_orders import CONFIG, DUST, START_MS, RealRun, real_run

from backtestkit_cli import Cancelled, Closed, Kit, Opened, RiskRefused, Scheduled
from backtestkit_cli.engine.orders.errand import UNPROTECTED_MS, Errand
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, StateError
from backtestkit_cli.model.order import order_name
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.live import carrying, deciding
from backtestkit_cli.state.order import OrderState

SEEDS = 3
RESTS = 7
"""A market in which the first limit entry is not filled within a minute."""
ORDER, PAIR = "/api/v3/order", "/api/v3/orderList/oco"


def faults_of(seed: int) -> list[Fault]:
    """Half of the orders lose their reply, before or after; some are hidden or filled in parts; questions fail too."""
    lost = [
        Fault(["close", "http_500"], path=path, method="POST", rate=0.2, seed=seed + number, accepted=is_accepted)
        for number, path in enumerate((ORDER, PAIR))
        for is_accepted in (True, False)
    ]
    odd = [
        Fault(["hidden"], path=ORDER, method="POST", rate=0.2, seed=seed, hidden_ms=8_000),
        Fault(["partial"], path=ORDER, method="POST", rate=0.2, seed=seed + 1, parts=3),
        Fault(["oco_refused"], path=PAIR, method="POST", rate=0.2, seed=seed),
    ]
    asked = [Fault(["close", "http_500"], path=ORDER, method=way, rate=0.1, seed=seed) for way in ("GET", "DELETE")]
    return [*lost, *odd, *asked]


def test_a_session_trades_and_ends_with_nothing_open(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=200) as run:
        session = run.live(START_MS - 20_000, START_MS + 90 * MINUTE_MS, leaves=False)
        assert session.troubles == ()
        run.assert_whole()
        assert run.open_orders() == []
        closed = [event for event in run.events if isinstance(event, Closed)]
        assert -1e-9 <= run.base <= DUST * (len(closed) + 1)
        assert all(event.policy_price is not None for event in run.events if isinstance(event, Opened | Closed))
        assert {Opened, Closed, Scheduled} <= {type(event) for event in run.events}


def test_a_session_that_meets_faults_and_restarts_doubles_and_forgets_nothing(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        with real_run(tmp_path / str(seed), seed=seed, minutes=200) as run:
            run.exchange.faults += faults_of(seed)
            cuts = [0, 17, 34, 50]
            for first, last in pairwise(cuts):
                start_ms = START_MS + first * MINUTE_MS + 5_000
                run.live(start_ms, START_MS + last * MINUTE_MS + 5_000, "market")
            run.exchange.faults.clear()
            session = run.live(START_MS + 51 * MINUTE_MS, START_MS + 53 * MINUTE_MS, "market", leaves=False)
            run.assert_whole()
            assert run.open_orders() == []
            closed = [event for event in run.events if isinstance(event, Closed)]
            assert -1e-9 <= run.base <= DUST * (len(closed) + 1), seed
            seen.update(type(event).__name__ for event in run.events)
            seen["struck"] += sum(one.fault is not None for one in run.exchange.log)
            assert not any(isinstance(one, StateError) for one in session.troubles)
    assert seen["Closed"] >= SEEDS
    assert seen["struck"] >= 10 * SEEDS
    print(dict(seen))


def until_it_is_guarded(run: RealRun) -> dict[str, Any]:
    """Live from minute to minute until a stop is in the book; the order."""
    for minute in range(90):
        start_ms = START_MS + minute * MINUTE_MS + 5_000
        run.live(start_ms, start_ms + MINUTE_MS, "market")
        for one in run.open_orders():
            if one["type"] == "STOP_LOSS":
                return one
    raise AssertionError("nothing was opened")


def test_a_stop_that_is_cancelled_by_hand_closes_the_symbol_and_ends_with_exit_code_7(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=300) as run:
        stop = until_it_is_guarded(run)
        run.exchange.by_hand("cancel", symbol="BTCUSDT", origClientOrderId=stop["clientOrderId"])
        known = len(run.exchange.orders())
        now_ms = run.exchange.now_ms()
        with pytest.raises(StateError) as caught:
            run.live(now_ms, now_ms + 30 * MINUTE_MS, "market", leaves=False)
        assert caught.value.exit_code == 7
        assert "its stop was cancelled" in str(caught.value)
        assert len(run.exchange.orders()) == known, "nothing is ordered in the symbol"
        (status,) = [one for one in run.kit.sessions.status().streams if one.orders]
        assert status.needs_word
        (unsettled,) = run.kit.sessions.reconciling().unsettled()[:1]
        assert unsettled.ways == ("--flat market BTC/USDT",)
        run.kit.sessions.reconciling().say_flat("market", "BTC/USDT")
        assert run.kit.sessions.reconciling().unsettled() == ()
        assert any(path.name.startswith("market%20BTC") for path in (tmp_path / "state" / "order").iterdir())
        run.live(now_ms + 31 * MINUTE_MS, now_ms + 60 * MINUTE_MS, "market")
        assert len(run.exchange.orders()) > known


def test_orders_on_their_way_without_their_stream_need_a_word(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=300) as run:
        until_it_is_guarded(run)
        for path in (tmp_path / "state" / "stream").iterdir():
            path.unlink()
        known, now_ms = len(run.exchange.orders()), run.exchange.now_ms()
        with pytest.raises(StateError, match="has orders on their way"):
            run.live(now_ms, now_ms + 30 * MINUTE_MS, "market")
        assert len(run.exchange.orders()) == known
        (unsettled,) = run.kit.sessions.reconciling().unsettled()
        assert unsettled.ways == ("--flat market BTC/USDT",)
        run.kit.sessions.reconciling().say_flat("market", "BTC/USDT")
        assert run.kit.sessions.reconciling().unsettled() == ()


def test_an_exchange_that_does_not_say_what_became_of_orders_is_told_of(tmp_path: Path) -> None:
    faults = [Fault(["http_500"], path="/api/v3/order", method="GET", count=40)]
    with real_run(tmp_path, minutes=100, faults=faults) as run:
        session = run.live(START_MS - 20_000, START_MS + 30 * MINUTE_MS, "market")
        told = [one for one in session.troubles if one.code == "order-unanswered"]
        assert 1 <= len(told) < 40
        assert "the exchange did not" in str(told[0])


def test_an_entry_whose_trades_are_never_shown_gets_its_stop_within_the_minute(tmp_path: Path) -> None:
    faults = [
        Fault(["close"], path=ORDER, method="POST", accepted=True, count=1),
        Fault(["http_500"], path="/api/v3/myTrades"),
    ]
    with real_run(tmp_path, minutes=100, faults=faults) as run:
        stop = until_it_is_guarded(run)
        (entry,) = run.orders("BUY")
        assert stop["time"] - entry["time"] <= UNPROTECTED_MS
        assert float(stop["origQty"]) == pytest.approx(float(entry["executedQty"]) * 0.999, abs=0.00002)


def left_with_a_limit_entry(run: RealRun) -> tuple[int, Session]:
    """Leave a session while a limit entry rests; when that was, and the session."""
    leave_ms = START_MS + 5 * MINUTE_MS + 20_000
    session = run.live(START_MS - 20_000, leave_ms, "limits")
    assert [one["type"] for one in run.orders("BUY")] == ["LIMIT"]
    return leave_ms, session


def test_a_limit_entry_that_rests_is_cancelled_before_the_session_leaves(tmp_path: Path) -> None:
    with real_run(tmp_path, seed=RESTS, minutes=100) as run:
        left_with_a_limit_entry(run)
        assert [one["status"] for one in run.orders("BUY")] == ["CANCELED"]
        assert [type(event) for event in run.events] == [Scheduled, Cancelled]
        assert run.kit.sessions.status().streams[0].state == "flat"


def test_a_limit_entry_that_cannot_be_cancelled_is_told_of_and_found_at_the_next_start(tmp_path: Path) -> None:
    faults = [Fault(["http_500"], path=ORDER, method="DELETE")]
    with real_run(tmp_path, seed=RESTS, minutes=100, faults=faults) as run:
        leave_ms, left = left_with_a_limit_entry(run)
        assert [one["status"] for one in run.orders("BUY")] == ["NEW"]
        assert "limits on BTC/USDT leaves an order at the exchange" in str(left.troubles[-1])
        run.exchange.faults.clear()
        session = run.live(leave_ms + 20_000, leave_ms + 25_000, "limits")
        assert [one["status"] for one in run.orders("BUY")] == ["CANCELED"]
        assert [type(event) for event in session.events] == [Cancelled]


def test_an_entry_that_could_not_be_kept_never_leaves_and_counts_as_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, tried = OrderState.keep, []

    def fails_once(self: OrderState, strategy: str, symbol: str, errand: Errand) -> None:
        tried.append(errand)
        if len(tried) == 1:
            raise StateError(Problem("state-not-saved", "the disk is full"))
        keep(self, strategy, symbol, errand)

    monkeypatch.setattr(OrderState, "keep", fails_once)
    with real_run(tmp_path, minutes=100) as run:
        run.live(START_MS - 20_000, START_MS + 20 * MINUTE_MS, "market")
        (refused,) = [event for event in run.events if isinstance(event, RiskRefused)]
        assert refused.rule == "order_refused"
        assert order_name(refused.signal) not in {one["clientOrderId"][:32] for one in run.exchange.orders()}
        told = json.loads(run.kit.sessions.report(format="json"))["streams"][0]["funnel"]
        assert told["risk"] == 1
        assert told["drafts"] == told["risk"] + told["opened_at_decision"] + told["invalid"]["total"]


SLOW = """
import time
import real_orders

def slow(market):
    real_orders.slow()
"""


def test_a_strategy_that_thinks_holds_up_no_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply to the entry is lost, and its trades are shown late: the stop comes while the other still thinks."""
    monkeypatch.setattr(carrying, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(deciding, "TOGETHER_SECONDS", 0.1)
    config = CONFIG + "  - {name: slow, interval: 3m, use: slow.py:slow, sizing: some}\n"
    faults = [
        Fault(["close"], path=ORDER, method="POST", accepted=True, count=1),
        Fault(["http_500"], path="/api/v3/myTrades", count=3),
    ]
    with real_run(tmp_path, minutes=100, faults=faults, config=config) as run:
        (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
        stood: list[bool] = []

        def has_stop() -> bool:
            return any(one["type"] == "STOP_LOSS" for one in run.open_orders())

        def slow() -> None:
            ends = time.monotonic() + 20
            while not has_stop() and time.monotonic() < ends:
                time.sleep(0.01)
                if run.orders("BUY"):
                    cast("JumpingClock", run.exchange.clock).time_ms += 100
            stood.append(has_stop())

        monkeypatch.setattr(real_orders, "slow", slow, raising=False)
        run.live(START_MS - 20_000, START_MS + MINUTE_MS, "market", "slow")
        assert stood == [True]


@pytest.mark.parametrize(
    ("changes", "given", "code"),
    [
        ({}, {"confirm": "LOOP"}, "not-confirmed"),
        ({}, {"confirm": None}, "not-confirmed"),
        ({}, {"real": False}, "not-real"),
        ({}, {"broker": "paper"}, "not-real"),
        ({}, {"broker": "other"}, "not-available"),
        ({"market: spot, ": ""}, {}, "no-real-orders"),
        ({"id: binance": "id: kraken"}, {}, "no-real-orders"),
        ({'api_key: "${CANARY_KEY}", ': ""}, {}, "no-real-orders"),
        ({"lifetime: 12m}\n    sizing: some": "lifetime: 12m}"}, {}, "no-real-orders"),
        ({"balance: 10000": "balance: 10000, fill: reference"}, {}, "not-available"),
        ({"http://127.0.0.1:9": "https://example.com"}, {}, "no-real-orders"),
        ({', base_url: "http://127.0.0.1:9"': ""}, {}, "no-real-orders"),
    ],
)
def test_real_orders_need_all_that_they_need(
    changes: dict[str, str], given: dict[str, object], code: str, tmp_path: Path
) -> None:
    config = CONFIG.replace("URL", "http://127.0.0.1:9")
    for old, new in changes.items():
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "real.yaml").write_text(config, encoding="utf-8")
    kit = Kit.load(tmp_path / "configs")
    asked: dict[str, object] = {"broker": "ccxt", "real": True, "confirm": "loop", **given}
    with pytest.raises(BacktestkitError) as caught:
        kit.live(symbols=["BTC/USDT"], **asked)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_who_confirms_has_read_what_there_is_to_know(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "real.yaml").write_text(CONFIG.replace("URL", "http://127.0.0.1:9"), encoding="utf-8")
    read: list[str] = []

    def confirm(text: str) -> str:
        read.append(text)
        return "loop"

    Kit.load(tmp_path / "configs").live(symbols=["BTC/USDT"], broker="ccxt", real=True, confirm=confirm)
    assert "never on a real one" in read[0]
    assert "market" in read[0]


def test_an_account_with_less_than_the_balance_is_refused(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=100) as run:
        run.exchange.by_hand("balance", asset="USDT", free="99")
        with pytest.raises(ConfigError, match="99 USDT free"):
            run.live(START_MS - 20_000, START_MS + MINUTE_MS)
        assert run.exchange.orders() == []


def test_parity_names_the_fills_of_the_exchange(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=100) as run:
        run.live(START_MS - 20_000, START_MS + 40 * MINUTE_MS, "market")
        run.kit.fetch("loop", "BTC/USDT", "2023-02-28T21:00..2023-03-01T01:00")
        found = run.kit.parity().parity
        assert found.differences
        assert {one.cause for one in found.differences} <= {"fill-price", "follows"}
