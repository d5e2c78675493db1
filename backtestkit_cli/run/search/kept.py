"""Results of trials that are kept while a search runs, so that an interrupted one can go on.

* `logs/optimizer/<strategy>/results.jsonl` has one line for each trial that came to a result, of which a few of the
  last second may be lost. It goes when the search is complete.
* A result counts only for the same trial, window, config, code, candles, program and figures: all are in its key.
* Functions given by a program cannot be told apart, so nothing is kept of them.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from backtestkit_cli.config.merge import Config
from backtestkit_cli.measure.contest import Contestant, Outcome, scope_of
from backtestkit_cli.report.contest_json import outcome_plain
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.contestants import WalkerPlan, config_of
from backtestkit_cli.run.identity import run_id
from backtestkit_cli.run.kept_results import code_of, read_results
from backtestkit_cli.run.sealed_lines import sealed

RESULTS = "results.jsonl"
SECONDS = 1.0


@dataclass(slots=True)
class KeptTrials:
    """The results that count, by key, and the file that new ones go to; without one none are kept."""

    config: Config
    fingerprint: str
    path: Path
    found: dict[str, Outcome]
    file: IO[bytes] | None
    code: str
    clock: WallClock = field(default_factory=WallClock)
    synced: float = 0.0

    @classmethod
    @contextmanager
    def of(
        cls, config: Config, path: Path, strategy: str, fingerprint: str, *, is_resumed: bool, is_kept: bool
    ) -> "Iterator[KeptTrials]":
        """Open the results of a search whose candles are known.

        Raises:
            OSError: the disk refused.
        """
        if not is_kept:
            yield cls(config, fingerprint, path, {}, None, "")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        found = read_results(path) if is_resumed else {}
        with path.open("ab") as file:
            file.write(b"\n" * (file.tell() > 0))  # the last line may have been cut off
            yield cls(config, fingerprint, path, found, file, code_of(config, (strategy,)))

    def known(self, plan: WalkerPlan, contestant: Contestant) -> Outcome | None:
        """What an earlier run found, if it would be found again."""
        return self.found.get(self._key(plan, contestant)) if self.found else None

    def add(self, plan: WalkerPlan, outcome: Outcome) -> None:
        """Keep a result.

        Raises:
            OSError: the disk refused.
        """
        if self.file is None:
            return
        told = {"key": self._key(plan, outcome.contestant), "outcome": outcome_plain(outcome)}
        self.file.write(sealed(told))
        if self.clock.monotonic() - self.synced >= SECONDS:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.synced = self.clock.monotonic()

    def forget(self) -> None:
        """Nothing is left to go on with."""
        if self.file is not None:
            self.path.unlink(missing_ok=True)

    def _key(self, plan: WalkerPlan, contestant: Contestant) -> str:
        own = run_id(config_of(self.config, contestant), plan.shared, (), "complete", {})
        decided = [contestant.name, own, self.fingerprint, scope_of(plan.metric), self.code]
        return hashlib.sha256(json.dumps(decided).encode()).hexdigest()
