"""Where the trials of a search are run: on one window at a time, on candles that end with it.

A result that was kept by an interrupted run is taken over; a new one is kept before the next trial begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backtestkit_cli.errors import ConfigError
from backtestkit_cli.measure.contest import Contestant, Failed, Outcome
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.run.contestant import Ended, Tester
from backtestkit_cli.run.loaded import LoadedOnce
from backtestkit_cli.run.search.kept import KeptTrials
from backtestkit_cli.run.trials import TrialLedger

if TYPE_CHECKING:
    from backtestkit_cli.run.search.search import Search


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the trials of one search share. `taken_over` counts results of an interrupted run."""

    search: "Search"
    loaded: LoadedOnce
    kept: KeptTrials
    ledger: TrialLedger
    taken_over: int = 0
    _at: tuple[TimeRange, Tester] | None = None

    def tried(self, window: TimeRange, contestants: Sequence[Contestant]) -> Iterator[Ended]:
        """Try params on a window, in their order.

        Raises:
            ConfigError, DataError: something that all trials share is wrong.
        """
        tester = self._tester(window)
        plan = tester.plan
        for contestant in contestants:
            known = self.kept.known(plan, contestant)
            if known is not None:
                self.taken_over += 1
                yield known
                continue
            one = _ended(tester, contestant)
            if isinstance(one, Outcome):
                self.kept.add(plan, one)
            yield one

    def judged(self, window: TimeRange, chosen: Outcome) -> Outcome | None:
        """What chosen params make of a window; None where their code fails."""
        one = next(self.tried(window, [chosen.contestant]))
        return one if isinstance(one, Outcome) else None

    def _tester(self, window: TimeRange) -> Tester:
        """The one of the window; it knows what its trials have in common."""
        if self._at is None or self._at[0] != window:
            self._at = window, self._made(window)
        return self._at[1]

    def _made(self, window: TimeRange) -> Tester:
        search, whole = self.search, self.search.plan.whole
        is_cut = window.end_ms < whole.range.end_ms
        return Tester(
            config=search.config,
            plan=search.plan.on(window),
            registry=search.registry,
            logs=search.logs,
            loaded=self.loaded.until(window.end_ms + search.plan.protocol.gap_ms) if is_cut else self.loaded,
            on_abandon=search.on_abandon,
            ends_process=search.ends_process,
        )


def _ended(tester: Tester, contestant: Contestant) -> Ended:
    """Test; params that make no strategy together are a failure of their own."""
    try:
        return tester.test(contestant)
    except ConfigError as error:
        return Failed(contestant=contestant, code=error.code, what=error.problems[0].what)
