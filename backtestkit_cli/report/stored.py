"""A run as it is kept: every report of a stored run can be made again, and nothing is run for it.

* `run.json` holds what stands in no table: policy, costs, limits, funnels, candles, warnings. Trades and events are the
  parquet files beside it; the same run gives the same bytes.
* What is read back is equal to what was stored, but that the events are a table and cannot be told again one by one.
* A bundle whose files do not fit together, or are not those that its manifest knows, is damaged, and no report is made
  of it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from backtestkit_cli.engine.result import RunResult, StreamResult, StreamRun
from backtestkit_cli.engine.trades import trades_from_frame
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.measure.timings import Timing
from backtestkit_cli.model.event import Event
from backtestkit_cli.model.policy import FillPolicy, Policy, ReferencePolicy
from backtestkit_cli.report.frames import events_table, storable

if TYPE_CHECKING:
    import polars as pl

RUN_FILE = "run.json"
MANIFEST = "manifest.json"
TRADES_FILE = "trades.parquet"
EVENTS_FILE = "events.parquet"
IN_TABLES = frozenset(("trades", "events", "listed", "drawn"))

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """A run, its events as one table, and how long it took: what all reports are made from."""

    run: RunResult
    events: "pl.DataFrame"
    timings: tuple[Timing, ...] = ()

    def told(self, *kinds: str) -> "pl.DataFrame":
        """The events of some kinds in their order, times in UTC ms."""
        import polars as pl

        chosen = self.events.filter(pl.col("kind").is_in(kinds))
        return chosen.with_columns(pl.col("time", "decided").dt.epoch("ms"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A stored run with its manifest."""

    record: Record
    manifest: Mapping[str, Any]

    @property
    def run(self) -> RunResult:
        """The run itself."""
        return self.record.run


def record_of(run: RunResult) -> Record:
    """Take down a run that just happened."""
    return Record(run=run, events=events_table(run))


def run_json(run: RunResult) -> bytes:
    """Write what stands in no table."""
    return (json.dumps(plain(run), indent=1, sort_keys=True, allow_nan=False) + "\n").encode("ascii")


def read_record(bundle: Path) -> Record:
    """Read a stored run.

    Raises:
        UsageError: it was stored by a version that kept less.
        DataError: the bundle is damaged.
    """
    import polars as pl

    path = bundle / RUN_FILE
    if not path.is_file():
        what = f"run {bundle.name} was stored by a version that did not keep what its reports are made from"
        raise UsageError(Problem("no-run-record", what, Source(file=str(path)), hint="run the backtest again"))
    try:
        manifest = json.loads((bundle / MANIFEST).read_bytes())
        told = json.loads(whole_file(bundle, RUN_FILE, manifest["files"]))
        trades, events = (
            pl.read_parquet(BytesIO(whole_file(bundle, name, manifest["files"]))) for name in (TRADES_FILE, EVENTS_FILE)
        )
        streams = tuple(_stream(one, trades) for one in told["streams"])
        run = made(RunResult, told, streams=streams, policy=policy_from(told["policy"]))
        timings = tuple(made(Timing, one) for one in manifest.get("timings", []))
        return Record(run=run, events=events, timings=timings)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        pl.exceptions.PolarsError,
    ) as error:
        what = f"run {bundle.name} cannot be read: {type(error).__name__}"
        raise DataError(
            Problem("damaged-run", what, Source(file=str(bundle)), hint="run the backtest again")
        ) from error


def whole_file(bundle: Path, name: str, hashes: Mapping[str, str], code: str = "damaged-run") -> bytes:
    """The content of a file, as the manifest knows it.

    Raises:
        DataError: it is another one.
    """
    content = (bundle / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != hashes.get(name):
        what = f"{name} of run {bundle.name} was changed after the run"
        raise DataError(Problem(code, what, Source(file=str(bundle / name)), hint="run the backtest again"))
    return content


def kept_file(bundle: Path, name: str) -> bytes:
    """The content of a file of a bundle, as its manifest knows it.

    Raises:
        FileNotFoundError: the bundle does not keep it.
        DataError: it is another one, or the manifest cannot be read.
    """
    if not (bundle / name).exists():
        raise FileNotFoundError(name)
    try:
        hashes = json.loads((bundle / MANIFEST).read_bytes())["files"]
        return whole_file(bundle, name, hashes, "damaged-report")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{name} of run {bundle.name} cannot be read: {type(error).__name__}"
        problem = Problem("damaged-report", what, Source(file=str(bundle / name)), hint="run the backtest again")
        raise DataError(problem) from error


def read_stored(bundle: Path) -> StoredRun:
    """Read a stored run with its manifest.

    Raises:
        UsageError, DataError: as `read_record`.
    """
    record = read_record(bundle)
    return StoredRun(record=record, manifest=json.loads((bundle / MANIFEST).read_bytes()))


def plain(value: Any) -> Any:
    """Write an object as plain values, without what stands in tables."""
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value) if one.name not in IN_TABLES}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, Sequence) else value


def policy_from(told: Mapping[str, Any]) -> Policy:
    """Read a policy from plain values."""
    return made(ReferencePolicy, told) if "name" in told else made(FillPolicy, told)


def _stream(told: Mapping[str, Any], trades: "pl.DataFrame") -> StreamRun:
    import polars as pl

    own = trades.filter(strategy=pl.lit(told["strategy"]), symbol=pl.lit(told["symbol"]))
    result = made(StreamResult, told["result"], trades=trades_from_frame(own), events=_no_events)
    return made(StreamRun, told, result=result)


def made(kind: type[Made], told: Mapping[str, Any], **given: Any) -> Made:
    """Build an object from plain values, each checked against the type of its field."""
    from pydantic import TypeAdapter

    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind) if one.name not in given and one.name in told]  # type: ignore[arg-type]
    values = {name: TypeAdapter(hints[name]).validate_python(told[name]) for name in names}
    return kind(**values, **given)


def _no_events(*, with_levels: bool = True) -> Iterator[Event]:  # noqa: ARG001  # as every story
    raise LookupError("the events of a stored run are a table, they cannot be told again")
