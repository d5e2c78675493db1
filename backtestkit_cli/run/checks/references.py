"""Everything the config names in code, rules and files, looked at together: all problems, not the first.

Without plugins only what is no code of the user is looked at: rules and files of signals.
"""

from collections.abc import Callable, Iterator
from functools import partial

from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, StrategyError
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.callbacks import callbacks_of
from backtestkit_cli.run.listen import Audience, Listeners
from backtestkit_cli.run.risk import ledger_for
from backtestkit_cli.run.sizing import prepare_sizing
from backtestkit_cli.run.sources import local_source
from backtestkit_cli.run.strategies import prepare


def refuse_wrong_references(config: Config, registry: Registry, *, has_plugins: bool) -> None:
    """Try everything the config names.

    Raises:
        ConfigError: something of it is wrong.
        StrategyError: nothing but code that raised while it was loaded.
    """
    problems: list[Problem] = []
    is_config = False
    for attempt in _attempts(config, registry.child(), has_plugins=has_plugins):
        try:
            attempt()
        except BacktestkitError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            is_config = is_config or not isinstance(error, StrategyError)
    if problems:
        raise ConfigError(*problems) if is_config else StrategyError(*problems)


def _attempts(config: Config, registry: Registry, *, has_plugins: bool) -> Iterator[Callable[[], object]]:
    strategies = {name: schema for name, schema in config.strategies.items() if schema.use != "llm"}
    for name, schema in strategies.items():
        if has_plugins or schema.use is None:
            yield partial(prepare, config, name, registry)
    if not has_plugins:
        return
    audience = Audience("backtest", Listeners(), exchange="", frame="")
    for name in strategies:
        yield partial(ledger_for, config, [name], registry, audience)
        yield partial(prepare_sizing, config, name, registry)
    for exchange in config.exchanges:
        yield partial(local_source, config, exchange, registry)
        for frame in config.frames or (None,):
            names = list(strategies)
            yield partial(callbacks_of, config, registry, strategies=names, exchange=exchange, frame=frame)
