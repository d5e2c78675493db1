"""`run verify`: do a stored run again and say whether it is the same, and if not, why.

* The config is the one of the bundle; what today's files say does not matter. Code and candles are today's.
* Nothing is written but in a folder that is gone afterwards.
* Files are compared by hash. Where tables differ in bytes only, as another version of polars writes them, they count
  as the same.
* Anything that changed is a reason only when the result is another one.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.stored import MANIFEST
from backtestkit_cli.report.verdict import Change, Difference, Outcome, Verdict
from backtestkit_cli.run.backtest import Backtest, OnProgress, end_quietly, nobody
from backtestkit_cli.run.repeat import damages, read_manifest, repeat

if TYPE_CHECKING:
    import polars as pl

SHOWN_LINE = 60
TABLES = ("trades.parquet", "events.parquet")


def verify(
    bundle: Path,
    project: Path,
    registry: Registry,
    *,
    on_progress: OnProgress = nobody,
    on_abandon: Callable[[str], None] = end_quietly,
) -> Verdict:
    """Do the run of a bundle again and compare.

    Raises:
        UsageError, DataError: the bundle cannot be done again.
        ConfigError, StrategyError: its code or candles cannot be used any more.
    """
    manifest = read_manifest(bundle)
    damaged = damages(bundle, manifest)
    with tempfile.TemporaryDirectory(prefix="backtestkit-") as folder:
        job = repeat(manifest, project, registry, Path(folder))
        job.on_progress, job.on_abandon = on_progress, on_abandon
        again = _done_again(job, manifest)
        now = read_manifest(again)
        differences = tuple(_differences(bundle, again, manifest, now))
    changes = tuple(_changes(manifest, now))
    return Verdict(
        run_id=bundle.name,
        run_id_now=now["run_id"],
        outcome=_outcome(damaged, changes, differences),
        files=tuple(sorted(set(manifest["files"]) & set(now["files"]))),
        damaged=damaged,
        changes=changes,
        differences=differences,
    )


def _outcome(damaged: tuple[str, ...], changes: tuple[Change, ...], differences: tuple[Difference, ...]) -> Outcome:
    if damaged:
        return "damaged"
    if not differences:
        return "identical"
    return "changed" if changes else "unexplained"


def _done_again(job: Backtest, manifest: Mapping[str, Any]) -> Path:
    """Run and write; what listeners of the run did wrong stands in its report, and they are not called again."""
    run = job.run()
    heard = tuple(manifest.get("listener_warnings", ()))
    return job.dump(replace(run, warnings=(*heard, *run.warnings))).bundle


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for path, before, after in _unequal(then["sources"], now["sources"]):
        yield Change(kind="code", what=path, then=before, now=after)
    for stream, before, after in _unequal(then["candles"], now["candles"]):
        detail = _first_month(then["candle_months"].get(stream, {}), now["candle_months"].get(stream, {}))
        yield Change(kind="candles", what=stream, then=before, now=after, detail=detail)
    versions = {**then["versions"], "python": then["python"]}, {**now["versions"], "python": now["python"]}
    for name, before, after in _unequal(*versions):
        yield Change(kind="package", what=name, then=before, now=after)
    if then["package"] != now["package"]:
        yield Change(kind="program", what="backtestkit", then=then["package"], now=now["package"])


def _unequal(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str | None, str | None]]:
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield name, then.get(name), now.get(name)


def _first_month(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    first = next((month for month, _, _ in _unequal(then, now)), None)
    if first is None:
        return ""
    if first not in then or first not in now:
        return f"the first month that differs is {first}: candles {'then' if first in then else 'now'} only"
    return f"the first month that differs is {first}"


def _differences(bundle: Path, again: Path, then: dict[str, Any], now: dict[str, Any]) -> Iterator[Difference]:
    for name in sorted(set(then["files"]) & set(now["files"]) - {MANIFEST}):
        before, after = then["files"][name], now["files"][name]
        if before == after:
            continue
        first = _first_row(bundle / name, again / name) if name in TABLES else _first_line(bundle / name, again / name)
        if first is not None:
            yield Difference(file=name, then=before, now=after, first=first)


def _first_line(before: Path, after: Path) -> str:
    try:
        lines = before.read_text(encoding="utf-8").splitlines(), after.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    for number, (then, now) in enumerate(zip_longest(*lines, fillvalue=""), start=1):
        if then != now:
            return (
                f"line {number}: {then.strip()[:SHOWN_LINE]}\n{' ' * len(f'line {number}')}→ {now.strip()[:SHOWN_LINE]}"
            )
    return ""


def _first_row(before: Path, after: Path) -> str | None:
    """The first row of two tables that differs, in words; None when they hold the same."""
    import polars as pl

    try:
        old = pl.read_parquet(before)
    except (OSError, pl.exceptions.PolarsError):
        return ""
    new = pl.read_parquet(after)
    if old.equals(new):
        return None
    for row in range(max(len(old), len(new))):
        then, now = _row(old, row), _row(new, row)
        if then != now:
            return _told(row, then, now)
    return "the columns differ"


def _row(table: "pl.DataFrame", row: int) -> dict[str, Any]:
    return table.row(row, named=True) if row < len(table) else {}


def _told(row: int, then: dict[str, Any], now: dict[str, Any]) -> str:
    shown = then or now
    time = shown.get("time", shown.get("closed"))
    head = f"row {row + 1}: {shown.get('strategy')} {shown.get('symbol')} {time:%Y-%m-%dT%H:%M} {shown.get('kind', '')}"
    if not (then and now):
        return f"{head.rstrip()} is there {'then' if then else 'now'} only"
    unequal = [f"{key} {then.get(key)} → {now.get(key)}" for key in then if then.get(key) != now.get(key)]
    return "\n".join([head.rstrip(), *unequal[:6]])
