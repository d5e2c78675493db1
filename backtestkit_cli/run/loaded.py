"""Candles that several runs share: loaded once, from the earliest start that any of them needs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.border import Anomaly
from backtestkit_cli.data.load import Gap, LocalSource, fingerprint, load_candles
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.reference import looks_beyond_ms
from backtestkit_cli.run.sources import anomaly_of, local_source


@dataclass(slots=True)
class LoadedOnce:
    """Stands in the place of `load_candles` for runs that end at the same time; `start_ms` is the earliest start."""

    start_ms: int
    known: dict[str, Candles] = field(default_factory=dict)

    def __call__(
        self, source: LocalSource, symbol: str, start_ms: int, end_ms: int, gap: Gap, anomaly: Anomaly
    ) -> Candles:
        """Give the candles of a symbol; they may begin before `start_ms`.

        Raises:
            DataError: no candle opens in the window, the candles are refused, or they begin too late.
        """
        if symbol in self.known and start_ms < self.start_ms:
            what = f"history of {symbol} would begin at {iso(start_ms)}, before the candles that were loaded"
            raise DataError(Problem("no-candles", what, Source(symbol=symbol, time_ms=start_ms)))
        if symbol not in self.known:
            first_ms = min(start_ms, self.start_ms)
            self.known[symbol] = load_candles(source, symbol, first_ms, end_ms, gap, anomaly)
        return self.known[symbol]

    def until(self, end_ms: int) -> "LoadedOnce":
        """The same candles as far as they close by a time."""
        return LoadedOnce(self.start_ms, {name: one.until_time(end_ms) for name, one in self.known.items()})

    def fingerprint(self, symbols: Sequence[str]) -> str:
        """One hash over the candles of some symbols that are loaded."""
        told = "\n".join(f"{symbol} {fingerprint(self.known[symbol])}" for symbol in sorted(symbols))
        return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


def history_from(candles: Candles, start_ms: int) -> Candles:
    """The candles from a time on as if loading had begun there: minutes filled in before the first of them are none."""
    part = candles.from_time(start_ms)
    return part if part.bridged is None else part.from_time(part.time(int((~part.bridged).argmax())))


def followed_until_ms(config: Config, plan: Plan) -> int:
    """Up to where candles are needed: until everything that was decided in the range has ended."""
    limits = config.settings.limits_model()
    follow_minutes = limits.max_wait_minutes + limits.max_lifetime_minutes
    return plan.range.end_ms + follow_minutes * MINUTE_MS + looks_beyond_ms(plan.policy)


def load_for_all(config: Config, plan: Plan, registry: Registry, history_minutes: int) -> LoadedOnce:
    """Load what every run over a range needs, with so much history before it.

    Raises:
        DataError: there are no candles, or they are refused.
    """
    window = config.settings.limits_model().average_price_candles
    loaded = LoadedOnce(plan.range.start_ms - (history_minutes + window) * MINUTE_MS)
    source = local_source(config, plan.exchange, registry)
    for symbol in plan.symbols:
        end_ms, gap = followed_until_ms(config, plan), config.settings.gap
        loaded(source, symbol, loaded.start_ms, end_ms, gap, anomaly_of(config))
    return loaded
