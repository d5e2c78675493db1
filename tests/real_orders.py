"""Live sessions that send orders to the loopback exchange, with real ccxt code, and the book of what they did there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import ccxt
import pytest
from accelerated import Session, run_live
from loopback import FakeClock, Fault, LoopbackExchange, Row

from backtestkit_cli import Closed, Kit, Opened
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.order import order_name
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, parse_time

SYMBOL, START_MS = "BTC/USDT", parse_time("2023-03-01")
HISTORY_MINUTES = 200
CONFIG = """
settings: {balance: 10000}
exchanges:
  - {name: loop, use: ccxt, id: binance, market: spot, base_url: "URL",
     api_key: "${CANARY_KEY}", secret: "${CANARY_SECRET}"}
sizings: [{name: some, method: fixed-percentage, risk_percentage: 0.1, max_position_percentage: 20}]
strategies:
  - name: market
    interval: 3m
    rules: {long: "close > open", short: "close < open", take_profit: "0.8%", stop_loss: "0.8%", lifetime: 12m}
    sizing: some
  - name: limits
    interval: 5m
    rules:
      long: "close > sma(close, 3)"
      entry: {limit: "0.1%", wait: 10m}
      take_profit: "0.7%"
      stop_loss: "0.7%"
      lifetime: 15m
    sizing: some
"""
SECRETS = {"CANARY_KEY": "KEYKEYKEYCANARY", "CANARY_SECRET": "SECSECSECCANARY"}
DUST = 0.00002
"""What cannot be sold of a position, because it is less than a step."""


def made_rows(seed: int, minutes: int) -> list[Row]:
    """A market that moves a good tenth of a percent a minute."""
    random, price, rows = Random(seed), 30_000.0, []
    for minute in range(-HISTORY_MINUTES, minutes + 1):
        close = round(price * (1 + random.gauss(0, 0.0015)), 2)
        high, low = max(price, close) * (1 + random.random() * 4e-4), min(price, close) * (1 - random.random() * 4e-4)
        rows.append((START_MS + minute * MINUTE_MS, price, round(high, 2), round(low, 2), close, 5.0))
        price = close
    return rows


@dataclass(slots=True)
class RealRun:
    """A project whose sessions trade on a running loopback exchange. `events` are all that were told."""

    folder: Path
    exchange: LoopbackExchange
    events: list[Event] = field(default_factory=list)

    @property
    def kit(self) -> Kit:
        """The project, read again."""
        return Kit.load(self.folder / "configs")

    def live(self, start_ms: int, end_ms: int, *names: str, leaves: bool = True, confirm: str = "loop") -> Session:
        """Run a session from a time to another."""
        kit = self.kit
        with pytest.MonkeyPatch.context() as patch:
            plan = kit.live
            patch.setattr(
                Kit,
                "live",
                lambda _, *given, **more: plan(*given, **more, broker="ccxt", real=True, confirm=confirm),
            )
            session = run_live(
                kit,
                *names,
                start=start_ms,
                end=end_ms,
                symbols=[SYMBOL],
                exchange="loop",
                leaves=leaves,
                prepared=lambda live: setattr(self.exchange, "clock", live.clock),
            )
        self.events += session.events
        return session

    def orders(self, side: str) -> list[dict[str, Any]]:
        """Every order of a side that was ever accepted."""
        return [one for one in self.exchange.orders() if one["side"] == side]

    def assert_whole(self) -> None:
        """No order is doubled, and every fill was told once, with its price."""
        ids = Counter(one["clientOrderId"] for one in self.exchange.orders())
        assert max(ids.values(), default=1) == 1, ids.most_common(3)
        opened = {_name(event): event for event in self.events if isinstance(event, Opened)}
        closed = {_name(event): event for event in self.events if isinstance(event, Closed)}
        bought = [one for one in self.orders("BUY") if float(one["executedQty"])]
        assert sorted(event.signal.quantity or 0 for event in opened.values()) == pytest.approx(
            sorted(float(one["executedQty"]) for one in bought)
        )
        assert closed.keys() <= opened.keys()
        for one in bought:
            price = float(one["cummulativeQuoteQty"]) / float(one["executedQty"])
            found = [event for event in opened.values() if one["clientOrderId"].startswith(_name(event))]
            assert [event.signal.price_open for event in found] == pytest.approx([price])
        for event in closed.values():
            sold = [one for one in self.orders("SELL") if one["clientOrderId"].startswith(_name(event))]
            value = sum(float(one["cummulativeQuoteQty"]) for one in sold)
            assert event.price == pytest.approx(value / sum(float(one["executedQty"]) for one in sold))

    @property
    def base(self) -> float:
        """What the account has of what is traded."""
        bought = sum(float(one["executedQty"]) for one in self.orders("BUY")) * 0.999
        return bought - sum(float(one["executedQty"]) for one in self.orders("SELL"))

    def open_orders(self) -> list[dict[str, Any]]:
        """What is in the book now."""
        return [one for one in self.exchange.orders() if one["status"] in ("NEW", "PARTIALLY_FILLED")]


def _name(event: Opened | Closed) -> str:
    return order_name(event.signal)


@contextmanager
def real_run(
    folder: Path,
    *,
    seed: int = 1,
    minutes: int = DAY_MS // MINUTE_MS,
    faults: Sequence[Fault] = (),
    config: str = CONFIG,
) -> Iterator[RealRun]:
    """A project in a folder, on an exchange that trades."""
    rows = {"BTCUSDT": made_rows(seed, minutes)}
    with (
        LoopbackExchange(clock=FakeClock(START_MS), rows=rows, balances={"USDT": "20000"}, faults=faults) as exchange,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(ccxt.Exchange, "throttle", lambda *_: None)  # it would wait in real time
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        (folder / "configs").mkdir(parents=True)
        (folder / "configs" / "real.yaml").write_text(config.replace("URL", exchange.url), encoding="utf-8")
        yield RealRun(folder, exchange)
    assert exchange.errors == []
