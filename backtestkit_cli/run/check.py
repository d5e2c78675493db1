"""`check`: what can be known about strategies before anybody believes their results.

- First everything the config names: references, rules and params, all problems together.
- Then each strategy on each symbol: whether its decisions stand when later candles are other ones, how much history it
  needs, whether it can earn its costs. Rules are causal by construction and probed as a proof; of a CSV nothing can be
  probed.
- The number of probes is fixed by the length of the frame, so the time is bounded and the answer always the same.
- Nothing is stored, and neither listeners nor callbacks are told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from backtestkit_cli.config.merge import Config
from backtestkit_cli.data.load import LocalSource, load_candles
from backtestkit_cli.engine.candles import Candles, Ints
from backtestkit_cli.engine.doubt import Doubt
from backtestkit_cli.engine.trades import Trades
from backtestkit_cli.errors import DataError, Problem, Source, StrategyError
from backtestkit_cli.measure.doubts import doubt_text
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.checks.afresh import Afresh
from backtestkit_cli.run.checks.causes import causes_in, clock_lines
from backtestkit_cli.run.checks.costs import cost_remarks
from backtestkit_cli.run.checks.cut_files import CutProject
from backtestkit_cli.run.checks.decisions import Decisions
from backtestkit_cli.run.checks.moments import draft_moments, other_moments
from backtestkit_cli.run.checks.probe import Probed, probe_answers, probe_rows
from backtestkit_cli.run.checks.references import refuse_wrong_references
from backtestkit_cli.run.checks.remark import LEVELS, Remark
from backtestkit_cli.run.checks.warm_up import WarmUp, measure_warm_up
from backtestkit_cli.run.deadline import Deadline
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.sources import anomaly_of, local_source
from backtestkit_cli.run.strategies import DecisionStrategy, Strategy, prepare

OnProgress = Callable[[str, str, int], None]
"""Told of strategy, symbol and a share of the minutes of the frame, as its work is done."""

MOST_DRAFTS, MOST_OTHERS = 32, 16
FEWEST_MOMENTS = 6
MEASURED = 6
_MINUTES_AT_MOST = 4_000_000
_HISTORY_DAYS = 14


@dataclass(frozen=True, slots=True)
class _Stream:
    """One strategy on one symbol: with the candles of a run, and with more history to measure how much it needs."""

    name: str
    symbol: str
    strategy: Strategy
    afresh: Afresh
    candles: Candles
    longer: Candles


@dataclass(slots=True, kw_only=True)
class Check:
    """One check; without `has_plugins` no code of the user is run."""

    config: Config
    plan: Plan
    registry: Registry
    has_plugins: bool = True
    on_progress: OnProgress = lambda _strategy, _symbol, _minutes: None
    on_abandon: Callable[[str], None] = lambda _message: None

    def run(self) -> tuple[Remark, ...]:
        """Check everything; remarks by strategy and symbol, the gravest first.

        Raises:
            ConfigError: a reference leads nowhere, or rules or params are wrong; all of it is told.
            DataError, StrategyError: there are no candles, or code raised while it was loaded.
        """
        refuse_wrong_references(self.config, self.registry, has_plugins=self.has_plugins)
        found: list[Remark] = []
        with Deadline(self.config.settings.limits.signal_seconds, self.on_abandon) as deadline:
            source = local_source(self.config, self.plan.exchange, self.registry)
            for name in self.plan.strategies:
                for symbol in self.plan.symbols:
                    found += self._of_stream(name, symbol, source, deadline)
        return tuple(found)

    def _of_stream(self, name: str, symbol: str, source: LocalSource, deadline: Deadline) -> list[Remark]:
        schema = self.config.strategies[name]
        if schema.use is not None and not self.has_plugins:
            remarks = [Remark("info", "not-run", "its code was not run: --no-plugins")]
        else:
            remarks = self._whole(self._stream(name, symbol, source, deadline))
        self.on_progress(name, symbol, self.plan.range.minutes)
        remarks.sort(key=lambda remark: LEVELS.index(remark.level))
        return [replace(remark, strategy=name, symbol=symbol) for remark in remarks]

    def _whole(self, stream: _Stream) -> list[Remark]:
        """All remarks on a stream; one whose strategy raises with the candles of a run has this one alone."""
        try:
            return list(self._remarks(stream))
        except StrategyError as error:
            return [Remark("error", "raises", one.what, one.hint, where=one.where) for one in error.problems]

    def _stream(self, name: str, symbol: str, source: LocalSource, deadline: Deadline) -> _Stream:
        strategy = prepare(self.config, name, self.registry.child())
        within, limits = self.plan.range, self.config.settings.limits_model()
        start_ms = within.start_ms - (strategy.history_minutes + limits.average_price_candles) * MINUTE_MS
        end_ms = within.end_ms + (limits.max_wait_minutes + limits.max_lifetime_minutes) * MINUTE_MS
        earlier_ms = start_ms - max(_HISTORY_DAYS * DAY_MS, strategy.history_minutes * MINUTE_MS)
        longer = load_candles(source, symbol, earlier_ms, end_ms, self.config.settings.gap, anomaly_of(self.config))
        candles = longer.from_time(start_ms)
        if candles.start_ms >= within.end_ms:
            where = Source(symbol=symbol, time_ms=within.start_ms)
            raise DataError(Problem("no-candles", f"no candles of {symbol} in {within}", where))
        afresh = Afresh(
            config=self.config,
            plan=self.plan,
            name=name,
            symbol=symbol,
            registry=self.registry,
            deadline=deadline,
            steps=source.steps(symbol),
            tell=self._evaluated(name, symbol),
        )
        return _Stream(name, symbol, strategy, afresh, candles, longer)

    def _evaluated(self, name: str, symbol: str) -> Callable[[], None]:
        """Move the progress on with each evaluation; how many there will be is known roughly."""
        done, most = 0, 4 * (MOST_DRAFTS + MOST_OTHERS) + 10 * MEASURED

        def evaluated() -> None:
            nonlocal done
            done = min(done + 1, most - 1)
            self.on_progress(name, symbol, self.plan.range.minutes * done // most)

        return evaluated

    def _remarks(self, stream: _Stream) -> Iterator[Remark]:
        afresh, candles, last_ms = stream.afresh, stream.candles, int(stream.afresh.ticks[-1])
        if self.config.strategies[stream.name].use == "llm":
            yield Remark("info", "nothing-to-probe", "answers of a language model: how they came cannot be probed")
            return
        project = CutProject(self.config.project, candles)
        if isinstance(stream.strategy, DecisionStrategy):
            walked = afresh.walked(candles, last_ms)
            drafts, trades = walked.decisions, walked.trades
            asked_ms = np.array([time_ms for time_ms, _ in walked.answers], dtype=np.int64)
            probed = probe_answers(afresh, candles, walked, self._moments(stream, drafts, asked_ms), project)
        else:
            drafts = afresh.rows(candles, last_ms).between(self.plan.range.start_ms, last_ms)
            trades = afresh.traded(candles)
            if stream.strategy.form == "signals":
                yield Remark("info", "nothing-to-probe", "signals of a file: how they were made cannot be probed")
                yield from self._costs(stream, drafts, trades)
                return
            probed = probe_rows(afresh, candles, self._moments(stream, drafts, afresh.ticks), project)
        yield from self._probed(stream, probed, project)
        yield from self._warm_up(stream, drafts)
        yield from self._costs(stream, drafts, trades)

    def _moments(self, stream: _Stream, drafts: Decisions, times: Ints) -> list[int]:
        """Fewer on a long frame, so that the time stays bounded."""
        share = min(1.0, _MINUTES_AT_MOST / ((MOST_DRAFTS + MOST_OTHERS) * len(stream.candles)))
        row_minutes = self.config.strategies[stream.name].candles_interval.minutes
        counts = [max(FEWEST_MOMENTS, round(share * most)) for most in (MOST_DRAFTS, MOST_OTHERS)]
        others = other_moments(drafts, times, stream.candles, row_minutes, counts[1])
        return sorted({*draft_moments(drafts, counts[0]), *others})

    def _probed(self, stream: _Stream, probed: Probed, project: CutProject) -> Iterator[Remark]:
        file = getattr(getattr(stream.strategy, "plugin", None), "file", None)
        told: set[str] = set()
        for doubt in probed.doubts:
            remark = self._doubted(doubt, file)
            yield replace(remark, hint=None if doubt.code in told else remark.hint)
            told.add(doubt.code)
        if probed.raised:
            text = f"it raised when it was probed ({len(probed.raised)} times): {probed.raised[0]}"
            yield Remark("warning", "probe-raised", text, "make it work on any number of candles")
        for line in clock_lines(file):
            text = f"line {line} asks for the wall clock: what depends on it differs between runs, and no probe sees it"
            yield Remark(
                "warning", "asks-the-clock", text, "take the time of the market: market.now, or the column time"
            )
        if file and project.is_too_large:
            text = "the files of the project are too many or too large to be cut: what it reads there was not probed"
            yield Remark("info", "files-not-cut", text)
        if not probed.doubts:
            yield Remark("info", "stands", f"no decision changed with another future, at {probed.moments} moments")

    def _doubted(self, doubt: Doubt, file: str | None) -> Remark:
        if doubt.code == "carries-state":
            hint = "compute what it needs from market.candles at each call"
            return Remark("warning", "carries-state", doubt_text(doubt), hint, doubt=doubt)
        if doubt.code == "not-deterministic":
            hint = "seed chance with the decision time, sort sets, and ask no clock"
            return Remark("error", "not-deterministic", doubt_text(doubt), hint, doubt=doubt)
        causes = "; ".join(str(cause) for cause in causes_in(file))
        return Remark("error", "looks-ahead", doubt_text(doubt), f"likely: {causes}" if causes else None, doubt=doubt)

    def _warm_up(self, stream: _Stream, drafts: Decisions) -> Iterator[Remark]:
        moments = draft_moments(drafts, MEASURED)
        row_minutes = self.config.strategies[stream.name].candles_interval.minutes
        is_asked = isinstance(stream.strategy, DecisionStrategy)
        found = measure_warm_up(stream.afresh, stream.longer, moments, row_minutes, is_asked=is_asked)
        if found is None:
            yield Remark("info", "no-draft", "it made no draft in this range, so there is little to look at")
            return
        yield _warm_up_remark(found, stream.strategy)

    def _costs(self, stream: _Stream, drafts: Decisions, trades: Trades) -> Iterator[Remark]:
        price_candles = self.config.settings.limits_model().average_price_candles
        return cost_remarks(drafts, trades, stream.candles, self.plan.range, self.plan.costs, price_candles)


def _warm_up_remark(found: WarmUp, strategy: Strategy) -> Remark:
    """Hold the measured history against the one that a run gives."""
    given, is_python = strategy.history_minutes, strategy.form != "rules"
    measured = f"measured at {found.decisions} drafts"
    if not found.is_settled:
        text = f"its decisions change with every earlier start of history ({measured})"
        return Remark("warning", "history-dependent", text, "let windows have a length of their own")
    hours = -(-found.minutes // 60)
    if given < found.minutes:
        text = f"it needs {hours} h of history, {measured}, and gets {given / 60:.3g} h"
        hint = f"write `warm_up: {hours}h`" if is_python else None
        return Remark("warning", "warm-up-too-short", text, hint)
    text = f"it needs {hours} h of history, {measured}, and gets {given / 60:.3g} h"
    return Remark("info", "warm-up-enough", text)


def is_sound(remarks: tuple[Remark, ...]) -> bool:
    """Whether none of them is an error."""
    return all(remark.level != "error" for remark in remarks)
