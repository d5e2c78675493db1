"""The conformance suite of a port, run on one plugin of the user: on the made-up market, which everybody has, or on
the store of live state that the config names.

Which port is meant is read from the config that names the plugin, from the registry, or from its first parameter.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.load import load_candles
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.gate import RiskQuestion, SizingQuestion
from backtestkit_cli.engine.market import MarketView, TooFewCandles
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import ConfigError, Problem, UsageError
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.model.time import DAY_MS, Interval, TimeRange, parse_time
from backtestkit_cli.plugins.conformance import check_candle_source
from backtestkit_cli.plugins.ports import PluginKind
from backtestkit_cli.plugins.reference import Plugin, resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.plugins.suites import (
    check_callback,
    check_decision_strategy,
    check_risk_check,
    check_sizing,
    check_vector_strategy,
)
from backtestkit_cli.run.checks.remark import Remark
from backtestkit_cli.run.checks.tables import check_store
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.strategies import frame_of

START_MS = parse_time("2023-03-01")
WINDOW = TimeRange(START_MS, START_MS + 10 * DAY_MS)
SYMBOL = "BTCUSDT"
_TIMES = 200
_KINDS: tuple[PluginKind, ...] = ("strategy", "exchange", "risk_check", "sizing", "callback", "store")
_BY_PARAMETER: dict[str, PluginKind] = {
    "market": "strategy",
    "candles": "strategy",
    "question": "risk_check",
    "event": "callback",
}


def plugin_remarks(config: Config, registry: Registry, text: str) -> tuple[Remark, ...]:
    """Run the suite of its port on a plugin.

    Raises:
        UsageError: its port is not known, or has no suite.
        ConfigError, StrategyError: it cannot be found, or raised while it was loaded.
    """
    kind, params = _use_of(config, text) or (_kind_of(config, registry, text), {})
    found = _checked(config, registry, kind, text, params)
    if not found:
        return (Remark("info", "plugin-conforms", f"it keeps the promises of the port {kind}"),)
    return tuple(Remark("error", problem.code, problem.what, problem.hint, where=problem.where) for problem in found)


def _use_of(config: Config, text: str) -> tuple[PluginKind, dict[str, Any]] | None:
    """The port and the params that the config gives a plugin."""
    for schema in config.strategies.values():
        if schema.use == text:
            return "strategy", dict(schema.params)
    for exchange in config.exchanges.values():
        if exchange.use == text:
            return "exchange", dict(getattr(exchange, "params", {}))
    for sizing in config.sizings.values():
        if sizing.method == text:
            return "sizing", dict(getattr(sizing, "params", {}))
    state = config.settings.state
    if state.use == text != "files":
        return "store", dict(state.params)
    if any(text in (risk.checks or ()) for risk in config.risks.values()):
        return "risk_check", {}
    kinds = (config.strategies, config.exchanges, config.frames, config.risks, config.sizings)
    named = (one.callbacks.model_dump().values() for entries in kinds for one in entries.values())
    return ("callback", {}) if any(text in values for values in named) else None


def _kind_of(config: Config, registry: Registry, text: str) -> PluginKind:
    known = [kind for kind in _KINDS if ":" not in text and text in registry.names(kind)]
    if known:
        return known[0]
    try:
        function = resolve(text, "store", config.project, registry).function
    except ConfigError as error:
        if error.code != "plugin-not-found" or ":" in text:
            raise
        raise UsageError(_unknown(text)) from error
    if inspect.isclass(function):
        return "exchange" if hasattr(function, "candles") else "store" if hasattr(function, "held") else _refused(text)
    first = next(iter(inspect.signature(function).parameters), "")
    return _BY_PARAMETER.get(first) or _refused(text)


def _refused(text: str) -> PluginKind:
    raise UsageError(_unknown(text))


def _unknown(text: str) -> Problem:
    return Problem(
        "unknown-port",
        f"which port {text} is a plugin of cannot be told, or that port has no suite",
        found=text,
        expected="a strategy, a candle source, a risk check, a sizing, a callback or a store",
        hint="name it in the config, or call its first parameter market, candles, question or event",
    )


def _checked(config: Config, registry: Registry, kind: PluginKind, text: str, params: dict[str, Any]) -> list[Problem]:
    if kind == "store":
        return check_store(config, registry, text, params)
    plugin = resolve(text, kind, config.project, registry)
    if kind == "exchange":
        return _exchange(plugin, config, params)
    if kind == "callback":
        return check_callback(plugin)
    call = plugin.bind(params)
    if kind == "risk_check":
        return check_risk_check(plugin, call, [RiskQuestion(*asked) for asked in _questions()])
    if kind == "sizing":
        return check_sizing(plugin, call, [_sizing_question(signal, held) for _, signal, _, held in _questions()])
    candles = load_candles(SampleExchange(), SYMBOL, WINDOW.start_ms, WINDOW.end_ms)
    if plugin.form == "vector":
        return check_vector_strategy(plugin, call, frame_of(candles, Interval.M15, WINDOW.end_ms, 5))
    step_ms = (WINDOW.end_ms - WINDOW.start_ms) // _TIMES // Interval.M15.ms * Interval.M15.ms
    times_ms = range(WINDOW.start_ms + Interval.M15.ms, WINDOW.end_ms, step_ms)
    return check_decision_strategy(plugin, _asking(call, candles), times_ms)


def _exchange(plugin: Plugin, config: Config, params: dict[str, Any]) -> list[Problem]:
    params = {key: config.secret(value) if isinstance(value, str) else value for key, value in params.items()}
    symbols = config.settings.defaults.symbols or (SYMBOL,)
    source = plugin.bind(params, clock=WallClock())()
    return check_candle_source(source, symbols[0], TimeRange(START_MS, START_MS + DAY_MS))


def _asking(call: Callable[[MarketView], object], candles: Candles) -> Callable[[int], object]:
    market = MarketView(SYMBOL, candles, SampleExchange().steps(SYMBOL))

    def ask(time_ms: int) -> object:
        market.now, market.price = time_ms, _price(candles, time_ms)
        try:
            return call(market)
        except TooFewCandles:
            return None

    return ask


def _price(candles: Candles, time_ms: int) -> float:
    return float(price_at(candles, np.array([time_ms]), 5)[0])


def _sizing_question(signal: Signal, held: tuple[Signal, ...]) -> SizingQuestion:
    """With closed trades behind it where others are beside it."""
    return SizingQuestion(START_MS, signal, 10_000.0, (1.0, -0.5) if held else ())


def _questions() -> Iterator[tuple[int, Signal, float, tuple[Signal, ...]]]:
    """A long and a short, alone and with others beside them: time, signal, price and positions."""
    signals = [
        Signal(
            id=f"{number}",
            strategy="checked",
            symbol=SYMBOL,
            position=side,
            price_open=100.0,
            price_take_profit=100.0 + 2 * sign,
            price_stop_loss=100.0 - sign,
            lifetime_minutes=60,
            decided_at=START_MS,
        )
        for number, (side, sign) in enumerate(((Position.LONG, 1), (Position.SHORT, -1)))
    ]
    for signal in signals:
        for held in ((), tuple(signals)):
            yield START_MS, signal, 100.0, held
