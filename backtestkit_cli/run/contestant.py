"""The test of one contestant of a walker: a backtest by the driver of every backtest, of which figures are kept.

* It runs under the name of its strategy, so that `backtest` with the same params gives the same run id.
* Modules of user code are its own and go with it. What its code raises makes it a failed one; what is wrong with the
  candles, or with the config, is wrong for all and ends the walker.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.cache import Cache
from backtestkit_cli.errors import BacktestkitError, ConfigError, StrategyError
from backtestkit_cli.measure.contest import Contestant, Failed, Outcome, outcome_of
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.build import findings_of, held_percent
from backtestkit_cli.run.backtest import Backtest, OnProgress, end_quietly, nobody
from backtestkit_cli.run.checks.afresh import forget
from backtestkit_cli.run.contestants import WalkerPlan, config_of
from backtestkit_cli.run.listen import Listeners
from backtestkit_cli.run.loaded import LoadedOnce

Ended: TypeAlias = Outcome | Failed


@dataclass(slots=True, kw_only=True)
class Tester:
    """Tests contestants one after the other on candles that are loaded.

    What does not change with their params is computed once and kept in `cache`. With `forgives` params that make no
    strategy together are a failure of their own, no error of all.
    """

    config: Config
    plan: WalkerPlan
    registry: Registry
    logs: Path
    loaded: LoadedOnce
    on_progress: OnProgress = nobody
    on_abandon: Callable[[str], None] = end_quietly
    listeners: Listeners = field(default_factory=Listeners)
    ends_process: bool = True
    forgives: bool = False
    cache: Cache = field(default_factory=Cache)

    def test(self, contestant: Contestant) -> Ended:
        """Run the backtest of a contestant and measure it.

        Raises:
            ConfigError, DataError: something that all contestants share is wrong.
        """
        registry = self.registry.child()
        backtest = Backtest(
            config=config_of(self.config, contestant),
            plan=self.plan.plans[contestant.strategy],
            registry=registry,
            logs=self.logs,
            load=self.loaded,
            cache=self.cache,
            on_progress=self.on_progress,
            on_abandon=self.on_abandon,
            listeners=self.listeners,
            ends_process=self.ends_process,
        )
        try:
            run = backtest.run()
            return outcome_of(contestant, run, self.plan.metric, held_percent(run), findings_of(run))
        except StrategyError as error:
            return _failed(contestant, error)
        except ConfigError as error:
            if not self.forgives:
                raise
            return _failed(contestant, error)
        finally:
            forget(registry)


def _failed(contestant: Contestant, error: BacktestkitError) -> Failed:
    return Failed(contestant=contestant, code=error.code, what=error.problems[0].what)
