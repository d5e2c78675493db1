"""Kit: load a project and run its commands; the same door for the command line and for Python users."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, overload

from backtestkit_cli.config.edit import empty_config, kind_named, unknown_entry, with_settings
from backtestkit_cli.config.given import Given
from backtestkit_cli.config.merge import load
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.errors import UsageError
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.plugins.places import place_of_caller
from backtestkit_cli.plugins.ports import Mode
from backtestkit_cli.plugins.registry import ROOT
from backtestkit_cli.run.entries import Entries, entries_of
from backtestkit_cli.run.jobs import Job, Runs
from backtestkit_cli.run.listen import Heard, Listeners, Subscription

if TYPE_CHECKING:
    from backtestkit_cli.data.fetch import FetchReport
    from backtestkit_cli.measure.story import Story
    from backtestkit_cli.report.verdict import Verdict
    from backtestkit_cli.run.backtest import Backtest
    from backtestkit_cli.run.check import Check
    from backtestkit_cli.run.checks.remark import Remark
    from backtestkit_cli.run.drafting.optimizer import Optimizer
    from backtestkit_cli.run.finished_robust import FinishedRobust
    from backtestkit_cli.run.live.session import Live
    from backtestkit_cli.run.outside import OutsideExchange
    from backtestkit_cli.run.parity import SessionParity
    from backtestkit_cli.run.real import Confirm
    from backtestkit_cli.run.search.apply import Applied
    from backtestkit_cli.run.search.finished import FinishedStudy
    from backtestkit_cli.run.search.search import Search
    from backtestkit_cli.run.session import Sessions
    from backtestkit_cli.run.walker import Walker


@dataclass(slots=True, kw_only=True, eq=False)
class Kit(Entries):
    """A project: its config, its own copy of the plugin registry, and who listens to its runs."""

    paths: tuple[Path, ...] = ()
    overrides: tuple[str, ...] = ()
    listeners: Listeners = field(default_factory=Listeners)
    runs: Runs = field(default_factory=Runs, repr=False)

    @classmethod
    def load(cls, *paths: str | Path, overrides: Sequence[str] = ()) -> "Kit":
        """Load config files and folders (default `configs/`); `overrides` are texts such as `settings.gap=bridge`.

        Raises:
            ConfigError: something in the config is wrong; all problems are told together.
        """
        given = tuple(Path(path) for path in paths or ("configs",))
        config = load(given, overrides)
        return cls(config=config, registry=ROOT.child(), paths=given, overrides=tuple(overrides))

    @classmethod
    def empty(cls, project: str | Path = ".") -> "Kit":
        """Begin a project without config files; `project` is the folder of relative paths and of `logs/`."""
        return cls(config=empty_config(Path(project)), registry=ROOT.child())

    @property
    def settings(self) -> Settings:
        """The settings as they are now; `Settings()` has the defaults."""
        return self.config.settings

    def configure(self, given: Mapping[str, Any] | None = None, /, **keys: Any) -> Settings:
        """Change keys of the settings: mappings are merged, all else is replaced, None takes a key away.

        Raises:
            ConfigError: something would be wrong then; the settings stay as they were.
        """
        where = place_of_caller()
        values = Given("settings", self.registry, where).values(given, keys)
        with self.turn:
            self.config = with_settings(self.config, values, where)
        return self.settings

    @property
    def logs(self) -> Path:
        """The folder of reports and run bundles."""
        return self.config.project / "logs"

    @property
    def state(self) -> Path:
        """The folder of live state."""
        return self.config.project / self.settings.state.path

    def validate(self, **names: str | Sequence[str]) -> None:
        """Check that entries exist, by kind: `validate(strategies=["ema-cross"], exchange="sample")`.

        What the entries of a config name in their turn is known to exist: no change that breaks it is taken.

        Raises:
            UsageError: some do not, all of them are named; or there is no such kind.
        """
        where = place_of_caller()
        chosen = {kind_named(kind): (one,) if isinstance(one, str) else one for kind, one in names.items()}
        problems = [
            unknown_entry(entries, kind, name, where)
            for kind, some in chosen.items()
            for entries in [entries_of(self.config, kind)]
            for name in some
            if name not in entries
        ]
        if problems:
            raise UsageError(*problems)

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
        record: bool = False,
    ) -> "Backtest":
        """Plan a backtest of strategies (default: all of the config) over a frame, or a range `A..B`.

        The answer is run by `.run()`, or by iterating over its events. With `record` language models are asked what
        they have not answered yet, and their answers are kept.

        Raises:
            UsageError, ConfigError: a name is unknown, or something does not fit.
        """
        from backtestkit_cli.run.backtest import Backtest
        from backtestkit_cli.run.plan import plan_backtest
        from backtestkit_cli.run.request import Request, checked_jobs

        request = Request(strategies=strategies, symbols=symbols, exchange=exchange, frame=frame, range=range)
        plan = plan_backtest(self.config, request)
        return Backtest(
            config=self.config,
            plan=plan,
            registry=self.registry,
            logs=self.logs,
            jobs=checked_jobs(jobs),
            is_recording=record,
            listeners=self.listeners,
            runs=self.runs,
        )

    def walker(
        self,
        name: str,
        *,
        symbols: Sequence[str] = (),
        frame: str | None = None,
        metric: str | None = None,
        jobs: int = 1,
        cluster: str | None = None,
        resume: bool = False,
    ) -> "Walker":
        """Plan the comparison of a walker of the config; `frame` and `metric` take the place of its own.

        With `cluster`, the address of a Dask cluster, its workers test, unless somebody listens here to the backtests.
        The answer is run by `.run()`, or by iterating over its events. With `resume` results that an interrupted run of
        the same kept are taken over.

        Raises:
            UsageError, ConfigError: a name is unknown, or something does not fit.
        """
        from backtestkit_cli.run.contestants import plan_walker
        from backtestkit_cli.run.request import checked_jobs
        from backtestkit_cli.run.walker import Walker

        return Walker(
            config=self.config,
            plan=plan_walker(self.config, name, symbols, metric, frame),
            registry=self.registry,
            logs=self.logs,
            jobs=checked_jobs(jobs),
            cluster=cluster,
            is_resumed=resume,
            listeners=self.listeners,
            runs=self.runs,
        )

    def search(
        self,
        strategy: str,
        *,
        symbols: Sequence[str] = (),
        exchange: str | None = None,
        frame: str | None = None,
        range: str | None = None,  # noqa: A002  # the option's name
        metric: str | None = None,
        sampler: str = "random",
        trials: int = 100,
        folds: int = 4,
        hold_out: float = 0.2,
        embargo: str = "1d",
        vary: Mapping[str, object] | None = None,
        seed: int = 0,
        jobs: int = 1,
        cluster: str | None = None,
        resume: bool = False,
    ) -> "Search":
        """Plan a search for params of a strategy; `vary` gives their values, and `hold_out` is a share of the range.

        The answer is run by `.run()`, or by iterating over its events. With `cluster`, the address of a Dask cluster,
        its workers test. With `resume` results that an interrupted search kept are taken over.

        Raises:
            UsageError, ConfigError: a name is unknown, or something does not fit.
            StrategyError: the code of the strategy raised while it was loaded.
        """
        from backtestkit_cli.run.request import Request, checked_jobs
        from backtestkit_cli.run.search.plan import SearchOptions, embargo_minutes, plan_search
        from backtestkit_cli.run.search.search import Search

        request = Request(strategies=(strategy,), symbols=symbols, exchange=exchange, frame=frame, range=range)
        options = SearchOptions(
            metric=metric,
            sampler=sampler,
            trials=trials,
            folds=folds,
            hold_out=hold_out,
            embargo_minutes=embargo_minutes(embargo),
            vary=vary or {},
            seed=seed,
        )
        return Search(
            config=self.config,
            plan=plan_search(self.config, request, self.registry.child(), options),
            registry=self.registry,
            logs=self.logs,
            jobs=checked_jobs(jobs),
            cluster=cluster,
            is_resumed=resume,
            listeners=self.listeners,
            runs=self.runs,
        )

    def study(self, source: str = "last") -> "FinishedStudy":
        """A stored search: by its id, a unique prefix of it, its strategy, or `last`.

        Raises:
            UsageError, DataError: there is none, or it is damaged.
        """
        from backtestkit_cli.report.study_files import find_study, read_study
        from backtestkit_cli.run.search.finished import FinishedStudy

        return FinishedStudy(study=read_study(find_study(self.logs, source)), logs=self.logs)

    def apply_study(self, source: str = "last", *, name: str | None = None, to: str | Path | None = None) -> "Applied":
        """Write the chosen params of a stored search as a strategy of its own, into a new file beside the config.

        Raises:
            UsageError, DataError: there is no such study, nothing was chosen, or something would be overwritten.
            ConfigError: the config, or the code, is not that of the study any more.
        """
        from backtestkit_cli.run.search.apply import apply_study

        path, study = None if to is None else Path(to), self.study(source).study
        return apply_study(self.config, study, name=name, path=path, folder=self._config_folder)

    def apply_draft(self, source: str, *, name: str | None = None, to: str | Path | None = None) -> "Applied":
        """Write a draft, `OPTIMIZER/DRAFT`, as a strategy of its own, into a new file beside the config.

        Raises:
            UsageError, ConfigError: there is no such draft, or something would be overwritten.
        """
        from backtestkit_cli.run.drafting.apply import apply_draft

        path = None if to is None else Path(to)
        return apply_draft(self.config, source, name=name, path=path, folder=self._config_folder)

    @property
    def _config_folder(self) -> Path:
        first = self.paths[0] if self.paths else self.config.project
        return first if first.is_dir() else first.parent

    def optimizer(self, name: str, *, blind: bool = True, python: bool = False) -> "Optimizer":
        """Give an optimizer of the config: `.get_data()` asks for drafts, `.dump()` writes the project made of them.

        Without `blind` the model is told the name of the market, dates and prices; with `python` it is asked for Python
        instead of rules, which runs only after `backtestkit trust`.

        Raises:
            UsageError: there is no such optimizer.
        """
        from backtestkit_cli.run.drafting.optimizer import Optimizer

        self.get_optimizer(name)
        return Optimizer(
            config=self.config,
            name=name,
            registry=self.registry,
            logs=self.logs,
            is_blind=blind,
            is_python=python,
            listeners=self.listeners,
        )

    def live(
        self,
        *strategies: str,
        symbols: Sequence[str] = (),
        exchange: str | None = None,
        broker: str | None = None,
        real: bool = False,
        confirm: "Confirm" = None,
    ) -> "Live":
        """Plan a live session of strategies (default: all of the config), on paper.

        `broker="ccxt"` with `real=True` sends real orders. They are confirmed by the name of the exchange: `confirm` is
        that word, or a function that is given what has to be known and answers it.

        The answer is run by `.run()`, or by iterating over its events; `.stop()` and `.leave()` end it.

        Raises:
            UsageError, ConfigError: a name is unknown, or something does not fit.
        """
        from backtestkit_cli.run.live.session import Live
        from backtestkit_cli.run.plan import plan_live
        from backtestkit_cli.run.real import confirmation, refuse_unconfirmed
        from backtestkit_cli.run.request import Request

        request = Request(strategies=strategies, symbols=symbols, exchange=exchange)
        plan = plan_live(self.config, request, broker=broker, is_real=real)
        if plan.is_real:
            text = confirmation(self.config, plan.exchange, plan.strategies, plan.symbols)
            refuse_unconfirmed(plan.exchange, confirm, text)
        return Live(
            config=self.config,
            plan=plan,
            registry=self.registry,
            logs=self.logs,
            folder=self.state,
            listeners=self.listeners,
            runs=self.runs,
        )

    @property
    def sessions(self) -> "Sessions":
        """The live sessions of this project, to be seen and steered from outside."""
        from backtestkit_cli.run.session import Sessions

        return Sessions(config=self.config, folder=self.state, logs=self.logs, registry=self.registry.child())

    def exchange(self, name: str) -> "OutsideExchange":
        """An exchange outside of a run: candles, price, steps and formats.

        Raises:
            UsageError, ConfigError: there is no such exchange, or it cannot be used.
        """
        from backtestkit_cli.run.outside import OutsideExchange
        from backtestkit_cli.run.sources import anomaly_of, is_local, local_source, remote_source

        source = local_source if is_local(self.get_exchange(name)) else remote_source
        return OutsideExchange(
            name=name,
            source=source(self.config, name, self.registry),
            price_candles=self.settings.limits.average_price_candles,
            anomaly=anomaly_of(self.config),
        )

    def fetch(self, exchange: str, symbol: str, range: str) -> "FetchReport":  # noqa: A002  # the option's name
        """Bring the 1m candles of a range `A..B` into the candle store that backtests read.

        Raises:
            UsageError, ConfigError: there is no such exchange, or an argument makes no sense.
            DataError, ExchangeError: the candles cannot be had.
        """
        from backtestkit_cli.run.sources import fetch_into_store, remote_source

        self.get_exchange(exchange)
        source = remote_source(self.config, exchange, self.registry)
        return fetch_into_store(self.config, exchange, source, symbol, range)

    def clear(
        self, strategy: str | None = None, symbol: str | None = None, mode: Mode | None = None
    ) -> tuple[Path, ...]:
        """Remove stored runs and newest reports: all, or those of a strategy, a symbol, a mode; what was removed.

        A stored run goes when all of its streams are meant.
        """
        from backtestkit_cli.report.clear import clear

        return clear(self.logs, strategy, symbol, mode)

    def jobs(self) -> tuple[Job[Any], ...]:
        """Every backtest, or walker, that was begun with `.background()`, the oldest first."""
        return tuple(self.runs.jobs)

    def stop(self, strategy: str, symbol: str) -> bool:
        """Ask the runs under way to decide nothing more in a stream; whether there was one to ask.

        A waiting entry is cancelled, an open position is followed to its end. A walker tests no more contestants.

        Raises:
            UsageError: there is no such strategy.
        """
        found = self._runs_of(strategy, symbol)
        for one in found:
            one.standing.ask_stop((strategy, symbol))
        return bool(found)

    def is_stopped(self, strategy: str, symbol: str) -> bool:
        """Whether a run under way was asked to stop a stream.

        Raises:
            UsageError: there is no such strategy.
        """
        return any(one.standing.is_stop_asked((strategy, symbol)) for one in self._runs_of(strategy, symbol))

    def pending_signal(self, strategy: str, symbol: str) -> "Signal | None":
        """The signal of the position that a run under way holds now; the newest run counts.

        Raises:
            UsageError: there is no such strategy.
        """
        found = [one.standing.pending.get((strategy, symbol)) for one in self._runs_of(strategy, symbol)]
        return found[-1] if found else None

    def scheduled_signal(self, strategy: str, symbol: str) -> "Signal | None":
        """The signal whose entry waits in a run under way; the newest run counts.

        Raises:
            UsageError: there is no such strategy.
        """
        found = [one.standing.waiting.get((strategy, symbol)) for one in self._runs_of(strategy, symbol)]
        return found[-1] if found else None

    def _runs_of(self, strategy: str, symbol: str) -> "list[Backtest | Live | Walker | Search]":
        self.get_strategy(strategy)
        return self.runs.of((strategy, symbol))

    def explain(
        self, run: str, when: str, *, strategy: str | None = None, symbol: str | None = None
    ) -> "tuple[Story, ...]":
        """Tell what a stored run did at a time, or with a signal, and why: one story for each stream asked about.

        Raises:
            UsageError, DataError: there is no such run or signal, or the run cannot be done again.
            ConfigError, StrategyError: its code or candles cannot be used any more.
        """
        from backtestkit_cli.report.dump import find_bundle
        from backtestkit_cli.run.explain import explain

        bundle, project = find_bundle(self.logs, run), self.config.project
        return explain(bundle, when, project, self.registry.child(), strategy=strategy, symbol=symbol)

    def verify(self, run: str = "last") -> "Verdict":
        """Do a stored run again, with the config of its bundle, and say whether it is the same and if not, why.

        Raises:
            UsageError, DataError: there is no such run, or it cannot be done again.
            ConfigError, StrategyError: its code or candles cannot be used any more.
        """
        from backtestkit_cli.report.dump import find_bundle
        from backtestkit_cli.run.verify import verify

        return verify(find_bundle(self.logs, run), self.config.project, self.registry.child())

    def robust(self, run: str = "last", *, worlds: int = 50) -> "FinishedRobust":
        """Test what a stored run withstands: other orders, days, entries and costs, and so many other markets.

        Raises:
            UsageError, DataError: there is no such run, it cannot be done again, or comes out otherwise now.
            ConfigError, StrategyError: its code or candles cannot be used any more.
        """
        from backtestkit_cli.report.dump import find_bundle
        from backtestkit_cli.run.robust import Robust

        bundle = find_bundle(self.logs, run)
        registry = self.registry.child()
        return Robust(
            bundle=bundle, project=self.config.project, registry=registry, logs=self.logs, worlds=worlds
        ).run()

    def parity(self, session: str = "last") -> "SessionParity":
        """Do a live session again as a backtest of its window, and say which signals differ and why.

        Raises:
            UsageError, DataError: there is no such session, or it cannot be done again.
            ConfigError, StrategyError: its code or candles cannot be used any more.
        """
        from backtestkit_cli.run.parity import parity
        from backtestkit_cli.run.session import find_session

        return parity(find_session(self.logs, session), self.config.project, self.registry.child())

    def check(
        self,
        *strategies: str,
        symbols: Sequence[str] = (),
        exchange: str | None = None,
        frame: str | None = None,
        range: str | None = None,  # noqa: A002  # the option's name
        has_plugins: bool = True,
    ) -> "Check":
        """Plan a check of strategies (default: all of the config); `.run()` gives what was found.

        While it runs, the working folder may change for moments.

        Raises:
            UsageError, ConfigError: a name is unknown, or something does not fit.
        """
        from backtestkit_cli.run.check import Check
        from backtestkit_cli.run.plan import plan_backtest
        from backtestkit_cli.run.request import Request

        request = Request(strategies=strategies, symbols=symbols, exchange=exchange, frame=frame, range=range)
        return Check(
            config=self.config,
            plan=plan_backtest(self.config, request),
            registry=self.registry,
            has_plugins=has_plugins,
        )

    def check_plugin(self, reference: str) -> "tuple[Remark, ...]":
        """Run the conformance suite of its port on a plugin, such as `strategies/own.py:function`.

        Raises:
            UsageError: it is no plugin of a port that can be checked.
            ConfigError, StrategyError: it cannot be found, or raised while it was loaded.
        """
        from backtestkit_cli.run.checks.plugin import plugin_remarks

        return plugin_remarks(self.config, self.registry, reference)
