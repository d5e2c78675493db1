"""Results of contestants that are kept while a walker runs, so that an interrupted one can go on.

* `logs/walker/<name>/results.jsonl` has one line for each contestant that is done with: written before the next one
  begins, forced to the disk a few times a second. A line that was cut off, or changed, does not count.
* A result counts only for the same contestant, config, code, candles, program and figures: all of them are in its key.
  Of the code every Python file beside a strategy's own counts, for one may import the other.
* Without `--resume` the file begins anew with the first result; what stood in it lies beside it until a run is
  complete, so that `--resume` finds all of it after an interruption.
* Functions given by a program cannot be told apart, so nothing is kept of them.
* Failed contestants are tested again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from backtestkit_cli.config.merge import Config
from backtestkit_cli.measure.contest import Contestant, Outcome, scope_of
from backtestkit_cli.report.contest_json import outcome_from, outcome_plain
from backtestkit_cli.report.walker_files import contest_folder
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.contestant import Ended
from backtestkit_cli.run.contestants import config_of
from backtestkit_cli.run.identity import run_id
from backtestkit_cli.run.record import package_hash, versions
from backtestkit_cli.run.sealed_lines import sealed, sealed_lines

if TYPE_CHECKING:
    from backtestkit_cli.run.walker import Walker

RESULTS = "results.jsonl"
EARLIER = "earlier.jsonl"
SYNC_SECONDS = 0.25


class TakenOver(NamedTuple):
    """Of how many contestants a kept result was taken over, and of how many others none holds any more."""

    taken: int
    stale: int


@dataclass(slots=True)
class KeptResults:
    """The results that count, by key, and the path that new ones go to; without a path none are kept."""

    walker: "Walker"
    path: Path | None = None
    found: dict[str, Outcome] = field(default_factory=dict)
    file: IO[bytes] | None = None
    clock: WallClock = field(default_factory=WallClock)
    _synced: float = 0.0
    _bases: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def of(cls, walker: "Walker") -> "Iterator[KeptResults]":
        """Open the results of a walker whose candles are known.

        Raises:
            OSError: the disk refused.
        """
        if walker.registry.has_given:
            yield cls(walker)
            return
        path = contest_folder(walker.logs, walker.plan.walker) / RESULTS
        earlier = path.with_name(EARLIER)
        if walker.is_resumed:
            _append(earlier, path)
        kept = cls(walker, path, read_results(path, walker.spilled) if walker.is_resumed else {})
        try:
            yield kept
        finally:
            if kept.file is not None:
                os.fsync(kept.file.fileno())
                kept.file.close()
        if walker.done == len(walker.plan.contestants):
            earlier.unlink(missing_ok=True)

    def known(self, contestant: Contestant) -> Outcome | None:
        """What an earlier run found, if it would be found again."""
        return self.found.get(self._key(contestant)) if self.found else None

    @property
    def taken_over(self) -> TakenOver:
        """How many contestants have a result that counts, and how many had one that does not any more."""
        taken = {one for one in self.walker.plan.contestants if self.known(one) is not None}
        had = {one.contestant for one in self.found.values()}.intersection(self.walker.plan.contestants)
        return TakenOver(len(taken), len(had - taken))

    def add(self, one: Ended) -> None:
        """Keep a result for good before anything else is done.

        Raises:
            OSError: the disk refused.
        """
        if self.path is None or not isinstance(one, Outcome):
            return
        if self.file is None:
            self.file = self._opened(self.path)
        told = {"key": self._key(one.contestant), "outcome": outcome_plain(one)}
        self.file.write(sealed(told))
        if self.clock.monotonic() - self._synced >= SYNC_SECONDS:
            os.fsync(self.file.fileno())
            self._synced = self.clock.monotonic()

    def _opened(self, path: Path) -> IO[bytes]:
        """The file for new results; without `--resume` those of earlier runs are put aside."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.walker.is_resumed:
            _append(path, path.with_name(EARLIER))
        file = path.open("ab", buffering=0)
        if file.tell():
            file.write(b"\n")  # the last line may have been cut off
        return file

    def _key(self, contestant: Contestant) -> str:
        told = json.dumps([self._base(contestant), contestant.name, contestant.params])
        return hashlib.sha256(told.encode()).hexdigest()

    def _base(self, contestant: Contestant) -> str:
        """What all variants of a strategy have in common."""
        walker, strategy = self.walker, contestant.strategy
        if strategy not in self._bases:
            blank = replace(contestant, params=tuple((name, "") for name, _ in contestant.params))
            own = run_id(config_of(walker.config, blank), walker.plan.plans[strategy], (), "complete", {})
            code = code_of(walker.config, tuple(walker.plan.plans))
            self._bases[strategy] = json.dumps([own, walker.fingerprint, scope_of(walker.plan.metric), code])
        return self._bases[strategy]


def _append(source: Path, target: Path) -> None:
    """Move the lines of a file, where there is one, to the end of another."""
    if not source.is_file():
        return
    with target.open("ab") as file:
        file.write(b"\n" + source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    source.unlink()


def _as_it_is(outcome: Outcome) -> Outcome:
    return outcome


def read_results(path: Path, held: Callable[[Outcome], Outcome] = _as_it_is) -> dict[str, Outcome]:
    """Read the lines that are whole, by key."""
    return {told["key"]: held(outcome_from(told["outcome"])) for told in sealed_lines(path)}


def code_of(config: Config, strategies: tuple[str, ...]) -> str:
    """One hash over this program, what it stands on, and every Python file beside those of the strategies."""
    digest = hashlib.sha256(json.dumps([package_hash(), versions()], sort_keys=True).encode())
    references = [config.strategies[name].use or "" for name in strategies]
    files = {config.project / one.rpartition(":")[0] for one in references if ".py:" in one}
    for folder in sorted({path.parent for path in files}):
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder)} {len(path.read_bytes())} ".encode(errors="surrogatepass"))
            digest.update(path.read_bytes())
    return digest.hexdigest()
