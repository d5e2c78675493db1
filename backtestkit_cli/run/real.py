"""Real orders: what a session needs before it may send any, and what a person has read and typed before.

* They need an exchange that was named, with its key, a balance, and a sizing for each strategy, so that every quantity
  is known. What cannot be carried out is refused before the first candle is asked for.
* Somebody confirms each start with the name of the exchange: at the terminal, with `--confirm`, or in Python.
"""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from backtestkit_cli.config.market_schema import CcxtExchange
from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.ccxt_broker import EXCHANGES
from backtestkit_cli.engine.orders.errand import UNPROTECTED_MS
from backtestkit_cli.errors import ConfigError, Problem, Source, UsageError

Confirm = str | Callable[[str], str] | None
"""The word of who starts it, or what asks for that word with a text."""
BROKERS = ("paper", "ccxt")
ON_THIS_COMPUTER = ("127.0.0.1", "localhost", "::1")


def broker_named(config: Config, given: str | None, *, is_real: bool) -> str:
    """The broker of a session; real ones need to be asked for as such.

    Raises:
        UsageError: there is no such broker, or real orders are asked for by halves.
        ConfigError: the settings name one that this version does not have.
    """
    broker = given or config.settings.broker.use
    if broker not in BROKERS:
        what = f"broker {broker} cannot be applied by this version yet"
        if given is None:
            where = config.where("settings", "broker", "use")
            raise ConfigError(Problem("not-available", what, where, hint="leave it out to trade on paper"))
        raise UsageError(Problem("not-available", what, Source(key="--broker"), expected=", ".join(BROKERS)))
    if (broker == "ccxt") != is_real:
        what = "--broker ccxt sends real orders" if broker == "ccxt" else "--real needs a broker that sends orders"
        hint = "add --real if that is meant" if broker == "ccxt" else "add --broker ccxt, or leave --real out"
        raise UsageError(Problem("not-real", what, Source(key="--real"), hint=hint))
    return broker


def refuse_unready(config: Config, exchange: str, strategies: tuple[str, ...]) -> None:
    """Hold that all there is to real orders is given.

    Raises:
        ConfigError: something is missing, or cannot be carried out; all of it is named.
    """
    problems = tuple(_missing(config, exchange, strategies))
    if problems:
        raise ConfigError(*problems)


def _missing(config: Config, exchange: str, strategies: tuple[str, ...]) -> Iterator[Problem]:
    schema = config.exchanges[exchange]
    where = config.where("exchanges", exchange)
    if not isinstance(schema, CcxtExchange) or schema.id not in EXCHANGES:
        what = f"exchange {exchange} takes no real orders from this version"
        yield Problem("no-real-orders", what, where, expected=f"use: ccxt with id {' or '.join(EXCHANGES)}")
        return
    if urlsplit(schema.base_url or "").hostname not in ON_THIS_COMPUTER:
        hint = "trade on paper there: leave --broker and --real out"
        what = f"real orders are on trial, and sent to an exchange on this computer only: {exchange} is none"
        yield Problem("no-real-orders", what, where, expected="a base_url on 127.0.0.1", hint=hint)
    if schema.market != "spot":
        hint = "say market: spot there; shorts are refused then, in backtests too"
        yield Problem("no-real-orders", f"exchange {exchange} does not say which market it is", where, hint=hint)
    if not (schema.api_key and schema.secret):
        hint = 'give api_key: "${KEY}" and secret: "${SECRET}", and set them in the environment'
        yield Problem("no-real-orders", f"exchange {exchange} has no key that could trade", where, hint=hint)
    for name in strategies:
        if config.strategies[name].sizing is None:
            what, hint = f"strategy {name} has no sizing", "real orders need quantities: give it a sizing"
            yield Problem("no-real-orders", what, config.where("strategies", name), hint=hint)


def confirmation(config: Config, exchange: str, strategies: tuple[str, ...], symbols: tuple[str, ...]) -> str:
    """What somebody has to know who starts it."""
    seconds = UNPROTECTED_MS // 1000
    return "\n".join(
        (
            f"REAL ORDERS on {exchange}, with real money:",
            f"  strategies  {', '.join(strategies)}",
            f"  symbols     {', '.join(symbols)}",
            f"  balance     {config.settings.balance:g} in quote currency, for sizing",
            "These orders were tried on an exchange of our own only, never on a real one.",
            f"A position can be without its stop for about {seconds} s after its entry; a stop",
            "sells at the market and can fill worse than its price.",
            "Use a key that cannot withdraw, and an amount that you can lose.",
        )
    )


def refuse_unconfirmed(exchange: str, confirm: Confirm, text: str) -> None:
    """Hold that somebody gave the name of the exchange as their word.

    Raises:
        UsageError: nobody did.
    """
    word = confirm(text) if callable(confirm) else confirm
    if word != exchange:
        what = "real orders are not confirmed"
        hint = f"read the text, then type {exchange}, or add --confirm {exchange}"
        found = None if word is None else repr(word)
        raise UsageError(Problem("not-confirmed", what, Source(key="--confirm"), found=found, hint=hint))
