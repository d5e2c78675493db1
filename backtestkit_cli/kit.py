"""Kit: load a project and run its commands; the same door for the command line and for Python users."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, overload

from backtestkit_cli.config.merge import Config, load
from backtestkit_cli.plugins.ports import Mode
from backtestkit_cli.plugins.registry import ROOT, Registry
from backtestkit_cli.run.listen import Heard, Listeners, Subscription

if TYPE_CHECKING:
    from backtestkit_cli.report.verdict import Verdict
    from backtestkit_cli.run.backtest import Backtest


@dataclass(frozen=True, slots=True)
class Kit:
    """A loaded project: its config, its own copy of the plugin registry, and who listens to its runs."""

    config: Config
    registry: Registry
    paths: tuple[Path, ...]
    overrides: tuple[str, ...]
    listeners: Listeners = field(default_factory=Listeners)

    @classmethod
    def load(cls, *paths: str | Path, overrides: Sequence[str] = ()) -> "Kit":
        """Load config files and folders (default `configs/`); `overrides` are texts such as `settings.gap=bridge`.

        Raises:
            ConfigError: something in the config is wrong; all problems are told together.
        """
        given = tuple(Path(path) for path in paths or ("configs",))
        return cls(load(given, overrides), ROOT.child(), given, tuple(overrides))

    @property
    def logs(self) -> Path:
        """The folder of reports and run bundles."""
        return self.config.project / "logs"

    @overload
    def on(
        self,
        event_type: type[Heard],
        function: Callable[[Heard], object],
        *,
        where: Callable[[Heard], object] | None = None,
        mode: Mode | None = None,
        once: bool = False,
    ) -> Subscription: ...

    @overload
    def on(
        self,
        event_type: UnionType,
        function: Callable[[Any], object],
        *,
        where: Callable[[Any], object] | None = None,
        mode: Mode | None = None,
        once: bool = False,
    ) -> Subscription: ...

    def on(
        self,
        event_type: Any,
        function: Callable[[Any], object],
        *,
        where: Callable[[Any], object] | None = None,
        mode: Mode | None = None,
        once: bool = False,
    ) -> Subscription:
        """Listen to all runs of this project: a function is told of each event of a class for which `where` is true.

        Raises:
            UsageError: nothing of that class is ever told, there is no such mode, or a function is none.
        """
        return self.listeners.on(event_type, function, where=where, mode=mode, once=once)

    def backtest(
        self,
        *strategies: str,
        symbols: Sequence[str] = (),
        exchange: str | None = None,
        frame: str | None = None,
        range: str | None = None,  # noqa: A002  # the option's name
        jobs: int = 1,
    ) -> "Backtest":
        """Plan a backtest of strategies (default: all of the config) over a frame, or a range `A..B`.

        The answer is run by `.run()`, or by iterating over its events.

        Raises:
            UsageError, ConfigError: a name is unknown, or something does not fit.
        """
        from backtestkit_cli.run.backtest import Backtest
        from backtestkit_cli.run.plan import Request, plan_backtest

        request = Request(strategies=strategies, symbols=symbols, exchange=exchange, frame=frame, range=range)
        plan = plan_backtest(self.config, request)
        return Backtest(
            config=self.config,
            plan=plan,
            registry=self.registry,
            logs=self.logs,
            jobs=jobs,
            listeners=self.listeners,
        )

    def verify(self, run: str = "last") -> "Verdict":
        """Do a stored run again, with the config of its bundle, and say whether it is the same and if not, why.

        Raises:
            UsageError, DataError: there is no such run, or it cannot be done again.
            ConfigError, StrategyError: its code or candles cannot be used any more.
        """
        from backtestkit_cli.report.dump import find_bundle
        from backtestkit_cli.run.verify import verify

        return verify(find_bundle(self.logs, run), self.config.project, self.registry.child())
