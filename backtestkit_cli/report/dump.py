"""Where reports lie on disk: one bundle per run, the newest report of each stream, and how they are found again.

* `logs/runs/<run id>/` is whole or not there: it is written beside its place, synced, and renamed. A bundle of the
  same id gives way by two renames; a crash between them leaves none, never a mixture.
* Only `manifest.json` may depend on the wall clock; everything else is the same bytes for the same run.
* `logs/<kind>/<strategy>__<symbol>.md` (heat: `<strategy>.md`) is written whole, over the older one, where a run has
  something to say in that kind of report.
* Printing a stored report reads it, and never computes anything anew.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from backtestkit_cli.disk import DISK, Disk, file_name, write_atomic
from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.measure.timings import Stopwatch, Timing
from backtestkit_cli.model.time import parse_time
from backtestkit_cli.report.as_json import json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.elsewhere import meant_elsewhere
from backtestkit_cli.report.frames import parquet, trades_table
from backtestkit_cli.report.kinds import OF_EVENTS, Kind, has_content, part_of, report_of
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.report.pictures import pictures_parquet
from backtestkit_cli.report.report import Report
from backtestkit_cli.report.stored import (
    EVENTS_FILE,
    MANIFEST,
    RUN_FILE,
    TRADES_FILE,
    Record,
    kept_file,
    record_of,
    run_json,
)

Format = Literal["md", "json"]

WRITERS = {"md": markdown, "json": json_text}
RUNS = "runs"
MODE = 0o644
ATTEMPTS = 5
SHOWN_CANDIDATES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedFiles:
    """What was written: the bundle, the files in it, the newest report of each stream, and those of other kinds."""

    bundle: Path
    files: tuple[Path, ...]
    reports: tuple[Path, ...]
    by_kind: tuple[Path, ...]


class Bundle(NamedTuple):
    """A stored run. The manifest of a damaged bundle is empty."""

    run_id: str
    manifest: dict[str, object]


def dump(
    run: RunResult,
    logs: Path,
    *,
    manifest: Mapping[str, object],
    formats: Sequence[Format] = ("md", "json"),
    record: Record | None = None,
    report: Report | None = None,
    stopwatch: Stopwatch | None = None,
    disk: Disk = DISK,
) -> DumpedFiles:
    """Write the bundle of a run, and the newest report of each of its streams.

    `record` and `report` spare making them again. The manifest gets the run's id, kind and status, the hash of each
    file, what the stopwatch measured, all but the disk, and a seal.

    Raises:
        OSError: the disk refused; the bundle is the old one, the new one, or (between two renames) none.
    """
    record = record or record_of(run)
    report = report or build(run, record.events)
    with stopwatch.piece("write") if stopwatch else nullcontext():
        payloads = _payloads(record, report, formats)
    timings = stopwatch.timings() if stopwatch else ()
    hashes = {name: hashlib.sha256(payload).hexdigest() for name, payload in payloads.items()}
    own = {"run_id": run.run_id, "kind": run.kind, "status": run.status}
    told = {**own, **manifest, **own, "files": hashes, "timings": [asdict(one) for one in timings]}
    told["seal"] = seal_of(told)
    payloads[MANIFEST] = (json.dumps(told, indent=2, allow_nan=False, default=str) + "\n").encode("ascii")
    bundle = logs / RUNS / file_name(run.run_id)
    _place(bundle, payloads, disk)
    files = tuple(bundle / name for name in payloads)
    known = payloads.get("report.md")
    payloads.clear()  # from here on one text at a time, so that a year of trades needs little memory
    written = []
    for path, told_of in _newest(record, report, timings, logs):
        text = known if told_of is report and known else markdown(told_of).encode("utf-8")
        disk.make_folder(path.parent)
        write_atomic(path, text, mode=MODE, disk=disk)
        written.append(path)
    return DumpedFiles(
        bundle=bundle,
        files=files,
        reports=tuple(path for path in written if path.parent.name == run.kind),
        by_kind=tuple(path for path in written if path.parent.name != run.kind),
    )


def _newest(record: Record, report: Report, timings: tuple[Timing, ...], logs: Path) -> Iterator[tuple[Path, Report]]:
    """The reports that have something to say, one after the other, each with its place."""
    parts = _parts(record, report)
    yield from _by_stream(parts, logs, ("backtest", *OF_EVENTS))
    for name in dict.fromkeys(stream.strategy for stream in record.run.streams):
        part = part_of(record, name, None)
        if has_content("heat", part):
            yield newest_heat(logs, name), report_of("heat", part, report if part is record else None)
    yield from _by_stream([(replace(part, timings=timings), base) for part, base in parts], logs, ("performance",))


def seal_of(manifest: Mapping[str, object]) -> str:
    """The hash of everything that a manifest says, but of its seal: a manifest that was changed has another one."""
    told = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode("ascii")).hexdigest()


def newest_report(logs: Path, kind: str, strategy: str, symbol: str) -> Path:
    """Where the newest report of a stream lies; different streams never share a file."""
    first = file_name(strategy).replace("__", "_%5F")
    if first.endswith("_"):
        first = first[:-1] + "%5F"
    return logs / kind / f"{first}__{file_name(symbol)}.md"


def newest_heat(logs: Path, strategy: str) -> Path:
    """Where the newest heat map of a strategy lies."""
    return logs / "heat" / f"{file_name(strategy)}.md"


def bundles(logs: Path) -> list[Bundle]:
    """List the stored runs, the one that finished last at the end."""
    folder = logs / RUNS
    found = [Bundle(path.name, _manifest(path)) for path in _folders(folder)]
    return sorted(found, key=lambda bundle: (_finished_ms(bundle), bundle.run_id))


def find_bundle(logs: Path, text: str) -> Path:
    """Find a stored run by its id, by the beginning of it, or as `last`.

    Raises:
        UsageError: there is none, or more than one.
    """
    known = bundles(logs)
    ids = [bundle.run_id for bundle in known]
    if text == "last" and known:
        return logs / RUNS / ids[-1]
    matches = [one for one in ids if one == text] or [one for one in ids if text and one.startswith(text)]
    if len(matches) == 1:
        return logs / RUNS / matches[0]
    raise UsageError(_not_found(logs, text, known, matches))


def read_report(bundle: Path, format: Format = "md") -> str:  # noqa: A002  # the option's word
    """Read a stored report as it was written.

    Raises:
        UsageError: the bundle has no report in that format.
        DataError: it is not the one that was written, or cannot be read.
    """
    path = bundle / f"report.{format}"
    try:
        return kept_file(bundle, path.name).decode("utf-8")
    except FileNotFoundError:
        stored = [one for one in WRITERS if (bundle / f"report.{one}").is_file()]
        what = f"run {bundle.name} has no report in the format {format}"
        raise UsageError(
            Problem(
                "no-report",
                what,
                Source(file=str(path)),
                expected=", ".join(stored) or None,
                hint="run the backtest again to write it",
            )
        ) from None


def _payloads(record: Record, report: Report, formats: Sequence[Format]) -> dict[str, bytes]:
    payloads = {
        RUN_FILE: run_json(record.run),
        TRADES_FILE: parquet(trades_table(record.run)),
        EVENTS_FILE: parquet(record.events),
        **pictures_parquet(record.run),
    }
    for name in formats:
        payloads[f"report.{name}"] = WRITERS[name](report).encode("utf-8")
    return payloads


def _parts(record: Record, report: Report) -> list[tuple[Record, Report]]:
    """Each stream by itself, with its backtest report."""
    streams = record.run.streams
    if len(streams) == 1:
        return [(record, report)]
    parts = [part_of(record, stream.strategy, stream.symbol) for stream in streams]
    return [(part, build(part.run, part.events)) for part in parts]


def _by_stream(
    parts: Sequence[tuple[Record, Report]], logs: Path, kinds: Sequence[Kind]
) -> Iterator[tuple[Path, Report]]:
    for part, base in parts:
        (stream,) = part.run.streams
        for kind in kinds:
            if has_content(kind, part):
                yield newest_report(logs, kind, stream.strategy, stream.symbol), report_of(kind, part, base)


def _place(bundle: Path, payloads: Mapping[str, bytes], disk: Disk) -> None:
    """Write a folder beside its place and rename it there."""
    temporary = _beside(bundle, "tmp")
    disk.make_folder(temporary)
    try:
        for name, payload in payloads.items():
            write_atomic(temporary / name, payload, mode=MODE, disk=disk)
        _swap(temporary, bundle, disk)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    disk.sync_folder(bundle.parent)


def _swap(temporary: Path, bundle: Path, disk: Disk) -> None:
    """Put a folder in the place of another; a run of the same id may be doing the same just now."""
    for attempt in range(ATTEMPTS):
        retired = _beside(bundle, "old")
        with suppress(FileNotFoundError):
            disk.replace(bundle, retired)
        try:
            disk.replace(temporary, bundle)
        except OSError:
            if retired.exists() and not bundle.exists():
                disk.replace(retired, bundle)
                raise
            if attempt == ATTEMPTS - 1 or not bundle.exists():
                raise
        shutil.rmtree(retired, ignore_errors=True)
        if not temporary.exists():
            return


def _beside(bundle: Path, ending: str) -> Path:
    return bundle.with_name(f".{bundle.name}.{os.getpid()}-{secrets.token_hex(4)}.{ending}")


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _finished_ms(bundle: Bundle) -> int:
    """When a run finished; the beginning of time where its manifest does not say."""
    with suppress(ValueError, OverflowError):
        return parse_time(str(bundle.manifest.get("finished_at")))
    return 0


def _manifest(bundle: Path) -> dict[str, object]:
    try:
        told = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _not_found(logs: Path, text: str, known: Sequence[Bundle], matches: Sequence[str]) -> Problem:
    where = Source(file=str(logs / RUNS))
    elsewhere = meant_elsewhere(logs, text)
    if not known:
        hint = elsewhere or "run `backtestkit backtest` first"
        return Problem("no-run", "no run is stored yet", where, found=text, hint=hint)
    if matches:
        shown = [bundle for bundle in known if bundle.run_id in matches]
        return Problem(
            "ambiguous-run",
            f"{len(matches)} runs begin with {text!r}",
            where,
            expected=_candidates(shown),
            hint="give more of the id",
        )
    return Problem(
        "unknown-run",
        f"no stored run is or begins with {text!r}",
        where,
        expected=_candidates(known),
        hint=elsewhere or "give an id, the beginning of one, or `last`",
    )


def _candidates(known: Sequence[Bundle]) -> str:
    """The newest runs first."""
    told = [bundle.run_id for bundle in reversed(known)]
    more = f" and {len(told) - SHOWN_CANDIDATES} more" if len(told) > SHOWN_CANDIDATES else ""
    return ", ".join(told[:SHOWN_CANDIDATES]) + more
