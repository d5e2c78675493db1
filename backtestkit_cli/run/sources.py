"""Which candles a command reads: local exchanges are read where they are, all others from the store.

A backtest never talks to an exchange: what is remote is fetched once, with its market steps, and read from disk.
"""

from pathlib import Path
from typing import Any

from backtestkit_cli.config.market_schema import (
    CcxtExchange,
    ExchangeSchema,
    FilesExchange,
    PluginExchange,
    SampleExchange,
)
from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.border import Anomaly
from backtestkit_cli.data.fetch import FetchReport, OnProgress, fetch
from backtestkit_cli.data.load import LocalSource
from backtestkit_cli.data.store import CandleStore, StoredExchange
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.plugins.ports import CandleSource
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.clock import Clock, WallClock
from backtestkit_cli.run.plan import checked_symbol, read_range

LIVE_SILENCE_MS = 5000
"""How long a live session waits when an exchange asks for silence; after a longer one it asks in a later minute."""
QUESTIONS_AT_ONCE = 8
"""How many symbols a live session asks an exchange of ccxt for at once."""


def questions_at_once(schema: ExchangeSchema) -> int:
    """How many symbols may be asked for at once; a plugin of your own need not stand several threads."""
    return QUESTIONS_AT_ONCE if isinstance(schema, CcxtExchange) else 1


def store_of(project: Path) -> CandleStore:
    """The candle store of a project."""
    return CandleStore(project / "data")


def anomaly_of(config: Config) -> Anomaly:
    """When a price of a candle is an error."""
    limits = config.settings.limits
    return Anomaly(factor=limits.anomaly_factor, median_candles=limits.anomaly_median_candles)


def is_local(schema: ExchangeSchema) -> bool:
    """Whether an exchange is read where its candles are, without the store."""
    return isinstance(schema, SampleExchange | FilesExchange)


def local_source(config: Config, name: str, registry: Registry) -> LocalSource:
    """Where a backtest reads the candles of an exchange."""
    schema = config.exchanges[name]
    if is_local(schema):
        source: LocalSource = _plugin(config, schema, registry, _local_params(config, schema))
        return source
    return StoredExchange(store_of(config.project), name)


def remote_source(config: Config, name: str, registry: Registry) -> CandleSource:
    """Where `data fetch` asks for candles."""
    schema = config.exchanges[name]
    source: CandleSource = _plugin(config, schema, registry, _remote_params(config, schema))
    return source


def live_source(config: Config, name: str, registry: Registry, clock: Clock) -> CandleSource:
    """Where a live session asks for candles: soon again, and only once, for the next minute asks too."""
    schema = config.exchanges[name]
    params = _local_params(config, schema) if is_local(schema) else _remote_params(config, schema)
    if isinstance(schema, CcxtExchange):
        params |= {"retries": 1, "retry_delay_ms": 1000, "longest_silence_ms": LIVE_SILENCE_MS}
    source: CandleSource = _plugin(config, schema, registry, params, clock)
    return source


def fetch_into_store(
    config: Config, exchange: str, source: CandleSource, symbol: str, range_: str, on_progress: OnProgress | None = None
) -> FetchReport:
    """Bring the 1m candles of a range `A..B` into the store; those that are there already are not asked for again.

    Raises:
        UsageError: an argument makes no sense.
        DataError, ExchangeError: they cannot be had.
    """
    within, store, now_ms = read_range(range_), store_of(config.project), WallClock().now_ms()
    return fetch(
        source,
        store,
        exchange,
        checked_symbol(symbol),
        within.start_ms,
        within.end_ms,
        now_ms,
        on_progress,
        anomaly_of(config),
    )


def _remote_params(config: Config, schema: ExchangeSchema) -> dict[str, Any]:
    match schema:
        case CcxtExchange():
            limits = config.settings.limits
            return {
                "id": schema.id,
                "api_key": schema.api_key and config.secret(schema.api_key),
                "secret": schema.secret and config.secret(schema.secret),
                "base_url": schema.base_url and config.secret(schema.base_url),
                "market": schema.market or "spot",
                "retries": limits.candle_retries,
                "retry_delay_ms": limits.candle_retry_delay_ms,
            }
        case PluginExchange():
            return {
                key: config.secret(value) if isinstance(value, str) else value for key, value in schema.params.items()
            }
        case _:
            return _local_params(config, schema)


def _local_params(config: Config, schema: ExchangeSchema) -> dict[str, Any]:
    match schema:
        case SampleExchange(seed=seed):
            return {"seed": seed}
        case FilesExchange(path=path, steps=steps):
            known = {symbol: MarketSteps(price=one.price, quantity=one.quantity) for symbol, one in steps.items()}
            return {"path": path, "steps": known, "anomaly": anomaly_of(config)}
        case _:
            return {}


def _plugin(
    config: Config, schema: ExchangeSchema, registry: Registry, params: dict[str, Any], clock: Clock | None = None
) -> Any:
    plugin = resolve(schema.use, "exchange", config.project, registry)
    offered = {"project": config.project, "clock": clock or WallClock()}
    if isinstance(schema, PluginExchange):
        return plugin.bind(params, clock=offered["clock"])()
    asked = {name: value for name, value in offered.items() if name in plugin.parameters.handed_in}
    return plugin.function(**params, **asked)
