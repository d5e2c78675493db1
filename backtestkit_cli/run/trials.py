"""Every trial ever run, so that the best of many is known to be the best of how many.

* `state/trials/<exchange>/<symbol>.jsonl` has one line for each trial on that symbol, whoever ran it; deleting `logs/`
  changes no count. Lines are only ever appended, under a lock, and forced to the disk at least once a second; one that
  was cut off or changed does not count.
* A trial is what its run id is: strategy, code, params, costs, fill policy, range and candles. The same trial counts
  once; one that made another Sharpe ratio under the same id, as functions given by a program can, is another one.
* Trials are counted together that touch one calendar month (UTC) of one symbol of an exchange. A range that is a day
  longer does not begin at nought, and a range of other months owes nothing to it.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backtestkit_cli.config.merge import Config
from backtestkit_cli.disk import DISK, file_name
from backtestkit_cli.measure.contest import Outcome
from backtestkit_cli.measure.statistics import YEAR_DAYS
from backtestkit_cli.model.time import TimeRange, iso
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.sealed_lines import sealed, sealed_lines

TRIALS = "trials"
SECONDS = 1.0
"""So long a trial may wait for others, to be forced to the disk with them."""
LOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial: its run id, and its Sharpe ratio per day, None where it has none."""

    run_id: str
    sharpe: float | None

    @property
    def key(self) -> str:
        """What makes it count once."""
        return f"{self.run_id} {self.sharpe!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCount:
    """How many trials there were, and the variance (n - 1) of the Sharpe ratios per day of those that have one."""

    trials: int
    variance: float


def trial_of(outcome: Outcome) -> Trial:
    """A contestant as a trial."""
    yearly = outcome.figures["sharpe_ratio"]
    return Trial(run_id=outcome.run_id, sharpe=None if yearly is None else yearly / math.sqrt(YEAR_DAYS))


@dataclass(slots=True, kw_only=True)
class TrialLedger:
    """The trials on some symbols of an exchange over a range; `folder` is that of all ledgers."""

    folder: Path
    exchange: str
    symbols: tuple[str, ...]
    range: TimeRange
    clock: WallClock = field(default_factory=WallClock)
    _waiting: list[Trial] = field(default_factory=list)
    _written: set[str] = field(default_factory=set)
    _flushed: float = 0.0

    @classmethod
    @contextmanager
    def of(cls, config: Config, exchange: str, symbols: Sequence[str], within: TimeRange) -> "Iterator[TrialLedger]":
        """Open the ledger of a project; what waits is written at the end, however it comes.

        Raises:
            OSError: the disk refused.
        """
        folder = config.project / config.settings.state.path / TRIALS
        ledger = cls(folder=folder, exchange=exchange, symbols=tuple(symbols), range=within)
        try:
            yield ledger
        finally:
            ledger.flush()

    def add(self, trial: Trial) -> None:
        """Count a trial.

        Raises:
            OSError: the disk refused.
        """
        self._waiting.append(trial)
        if self.clock.monotonic() - self._flushed >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: the disk refused.
        """
        fresh = {one.key: one for one in self._waiting if one.key not in self._written}
        if fresh:
            for symbol in self.symbols:
                self._append(self._path(symbol), fresh)
        self._written.update(fresh)
        self._waiting.clear()
        self._flushed = self.clock.monotonic()

    def counted(self) -> TrialCount:
        """Count the trials that touch a month of the range on one of the symbols, ever."""
        self.flush()
        found: dict[str, float | None] = {}
        first, last = self._months
        for symbol in self.symbols:
            for told in sealed_lines(self._path(symbol)):
                if told["first"] <= last and first <= told["last"]:
                    found[told["key"]] = told["sharpe"]
        sharpes = [one for one in found.values() if one is not None]
        return TrialCount(trials=len(found), variance=float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0)

    @property
    def _months(self) -> tuple[str, str]:
        """The first and the last month that the range touches."""
        return iso(self.range.start_ms)[:7], iso(max(self.range.start_ms, self.range.end_ms - 1))[:7]

    def _path(self, symbol: str) -> Path:
        return self.folder / file_name(self.exchange) / f"{file_name(symbol)}.jsonl"

    def _append(self, path: Path, trials: Mapping[str, Trial]) -> None:
        """Add those that no line of the file holds."""
        from filelock import FileLock

        DISK.make_folder(path.parent)
        with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS):
            known = {told["key"] for told in sealed_lines(path)}
            first, last = self._months
            lines = [
                sealed({"key": key, "first": first, "last": last, "sharpe": one.sharpe})
                for key, one in trials.items()
                if key not in known
            ]
            if lines:
                with path.open("ab") as file:
                    file.write(b"".join([b"\n" * (file.tell() > 0), *lines]))  # the last line may have been cut off
                    file.flush()
                    os.fsync(file.fileno())
