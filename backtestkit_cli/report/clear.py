"""Removing what runs left in `logs/`: bundles and newest reports, nothing else.

* A bundle goes only when every stream in it is meant; one whose manifest is damaged goes only when all are.
* A heat map is of all symbols of a strategy, so a single symbol does not take it away.
* A bundle is put aside by one rename before it is removed, so that none is ever found half.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from backtestkit_cli.disk import DISK, file_name
from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.plugins.ports import Mode
from backtestkit_cli.report.dump import RUNS, Bundle, bundles, newest_heat, newest_report
from backtestkit_cli.report.kinds import KINDS
from backtestkit_cli.report.written import LIVE

_ENDINGS = (".md", ".html", ".json", ".csv")


@dataclass(frozen=True, slots=True)
class _Meant:
    """What is to go; None stands for all."""

    strategy: str | None
    symbol: str | None
    mode: Mode | None

    def has(self, bundle: Bundle) -> bool:
        """Whether every stream of a bundle is meant."""
        wanted = (("strategies", self.strategy), ("symbols", self.symbol))
        names = all(name is None or bundle.manifest.get(key) == [name] for key, name in wanted)
        return names and self.mode in (None, bundle.manifest.get("kind"))

    def has_report(self, path: Path, kind: str) -> bool:
        """Whether a newest report is of what is meant."""
        if path.suffix not in _ENDINGS or self.mode not in (
            None,
            *(("paper", "live") if kind == LIVE else ("backtest",)),
        ):
            return False
        if kind == "heat":
            is_own = self.strategy is None or path.stem == newest_heat(path, self.strategy).stem
            return self.symbol is None and is_own
        first, _, second = path.stem.partition("__")
        own = newest_report(path, kind, self.strategy or "", "").stem.partition("__")[0]
        return (self.strategy is None or first == own) and (self.symbol is None or second == file_name(self.symbol))


def clear(logs: Path, strategy: str | None, symbol: str | None, mode: Mode | None) -> tuple[Path, ...]:
    """Remove the stored runs and newest reports of a strategy, a symbol and a mode, each None for all.

    Raises:
        UsageError: there is no such mode.
        OSError: the disk refused.
    """
    if mode not in (None, *get_args(Mode)):
        raise UsageError(Problem("unknown-mode", f"there is no mode {mode}", expected=", ".join(get_args(Mode))))
    meant = _Meant(strategy, symbol, mode)
    removed = list(_reports(logs, meant))
    for path in removed:
        path.unlink()
    for bundle in [one for one in bundles(logs) if meant.has(one)]:
        folder = logs / RUNS / bundle.run_id
        aside = folder.with_name(f".{bundle.run_id}.old")
        DISK.replace(folder, aside)
        shutil.rmtree(aside)
        removed.append(folder)
    return tuple(removed)


def _reports(logs: Path, meant: _Meant) -> Iterator[Path]:
    for kind in (*KINDS, LIVE):
        folder = logs / kind
        yield from sorted(path for path in folder.glob("*") if path.is_file() and meant.has_report(path, kind))
