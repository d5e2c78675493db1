"""How a session that sends orders begins: its markets admitted, its money looked at, its left orders asked for."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.ccxt_broker import CcxtBroker
from backtestkit_cli.data.exchange import CcxtExchange
from backtestkit_cli.engine.orders.errand import Errand, is_over
from backtestkit_cli.engine.orders.walk import CarriedWalk
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, Source, StateError
from backtestkit_cli.model.order import OURS, order_name
from backtestkit_cli.plugins.ports import CandleSource, StateStore
from backtestkit_cli.run.clock import Clock
from backtestkit_cli.run.live.carrying import Carrying, OrderThread
from backtestkit_cli.run.live.desk import Desk
from backtestkit_cli.run.live.stream import LiveStream
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.order import OrderState


async def carrying_for(
    config: Config,
    source: CandleSource,
    store: StateStore,
    streams: Mapping[Key, LiveStream],
    clock: Clock,
    on_trouble: Callable[[str, BacktestkitError], None],
    on_change: Callable[[Key, Errand], None],
) -> Carrying:
    """Make the desk of a session ready, with what the last one left.

    Raises:
        StateError: a record is damaged, a position is open for which there are no orders, or orders for which there is
            no record.
        ConfigError: the account has not what the balance says.
        ExchangeError: the exchange refuses the key or a market, or does not answer.
    """
    if not isinstance(source, CcxtExchange):
        raise TypeError(f"{source} takes no orders")
    broker, thread = source.broker(), OrderThread()
    desk = Desk(broker, OrderState(store), clock, thread.call, on_trouble, on_change)
    carrying = Carrying(desk, thread, streams)
    carrying.recover()
    symbols, is_fresh = sorted({symbol for _, symbol in streams}), not desk.errands
    await asyncio.to_thread(_admit, config, source, broker, symbols, is_fresh=is_fresh)
    known = {order_name(one.task.signal) for one in desk.state.errands().values() if not is_over(one)}
    for symbol in symbols:
        _refuse_unknown(symbol, await asyncio.to_thread(source.patience.ask, partial(broker.resting, symbol)), known)
    for stream in streams.values():
        if isinstance(stream.walk, CarriedWalk):
            stream.walk.least_value = broker.markets[stream.key[1]].least_value
    return carrying


def _admit(config: Config, source: CcxtExchange, broker: CcxtBroker, symbols: Sequence[str], *, is_fresh: bool) -> None:
    """Look up what is traded; where nothing is open yet, whether the money is there."""
    balance = config.settings.balance or 0.0
    for symbol in symbols:
        market = source.patience.ask(partial(broker.admit, symbol))
        free = source.patience.ask(partial(broker.free, symbol))
        if is_fresh and free < balance:
            what = f"the account has {free:g} {market.quote} free, and settings.balance is {balance:g}"
            where, hint = config.where("settings", "balance"), "lower settings.balance to what the session may use"
            raise ConfigError(Problem("account-too-small", what, where, hint=hint))


def _refuse_unknown(symbol: str, resting: Collection[str], known: Collection[str]) -> None:
    """Hold that every order of ours at the exchange is in this state.

    Raises:
        StateError: one is not.
    """
    unknown = sorted(one for one in resting if one.startswith(OURS) and not one.startswith(tuple(known)))
    if unknown:
        what = f"{symbol} has orders of backtestkit at the exchange that this state knows nothing of"
        hint = "was the state moved or deleted? Put it, or settings.state, back, or cancel them at the exchange"
        found = ", ".join(unknown)
        raise StateError(Problem("order-disputed", what, Source(symbol=symbol), found=found, hint=hint))
