"""The rows that the sources of an optimizer have for one training range.

* Only what lies inside the range is shown: a row with a `time` outside of it is left out, a candle must have closed.
* A function is asked page by page, 25 rows each, until a page is shorter; rows with an id that was there are left out.
* More than 10 000 rows are refused: no model reads them.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, assert_never

import numpy as np

from backtestkit_cli.config.contest_schema import SourceSchema
from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.resample import Resampled
from backtestkit_cli.engine.rules.evaluate import Evaluation
from backtestkit_cli.engine.rules.expression import Expression
from backtestkit_cli.engine.rules.history import longest_minutes, reaches
from backtestkit_cli.engine.rules.parse import RuleProblem, parse
from backtestkit_cli.engine.vwap import price_at
from backtestkit_cli.errors import BacktestkitError, ConfigError, DataError, Problem, Source, StrategyError
from backtestkit_cli.model.time import Interval, TimeRange, parse_time
from backtestkit_cli.plugins.places import raised
from backtestkit_cli.plugins.reference import Plugin, resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.plugins.words import shown
from backtestkit_cli.run.drafting.disguise import Disguise, Undisguised

PAGE_ROWS = 25
MOST_ROWS = 10_000
Row: TypeAlias = Mapping[str, Any]
Look: TypeAlias = Disguise | Undisguised


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuery:
    """What a function is asked for: rows `[offset, offset + limit)` of those inside `[start_ms, end_ms)`."""

    symbol: str
    start_ms: int
    end_ms: int
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class CandleRows:
    """Candles of an interval, with indicators beside them."""

    name: str
    interval: Interval
    indicators: Mapping[str, Expression]
    price_candles: int

    @property
    def history_minutes(self) -> int:
        """What the indicators need before the range."""
        paths = frozenset(path for one in self.indicators.values() for path in reaches(one, {}))
        return longest_minutes(paths, self.interval.minutes, settled=True)

    def rows(self, candles: Candles, within: TimeRange, look: Look) -> Iterator[Row]:
        """Each candle that opens and closes inside the range; `time` is its open."""
        seen = look.candles(candles)
        larger = Resampled(seen, self.interval.minutes)
        evaluation = Evaluation(seen, self.interval.minutes, partial(price_at, seen, count=self.price_candles))
        columns = {name: getattr(larger, name) for name in ("open", "high", "low", "close", "volume")}
        columns |= {name: evaluation.numbers(one) for name, one in self.indicators.items()}
        opens = larger.close_ms - self.interval.ms
        inside = larger.exists & (opens >= within.start_ms) & (larger.close_ms <= within.end_ms)
        for row in np.flatnonzero(inside).tolist():
            yield {"time": look.time(int(opens[row])), **{name: float(one[row]) for name, one in columns.items()}}


@dataclass(frozen=True, slots=True)
class CsvRows:
    """The rows of a file."""

    name: str
    path: Path

    def rows(self, within: TimeRange, look: Look) -> Iterator[Row]:
        """Each row whose `time` is inside the range.

        Raises:
            DataError: the file cannot be read, or a row has no time.
        """
        try:
            text = self.path.read_text(encoding="utf-8-sig")
            for number, row in enumerate(csv.DictReader(text.splitlines(), strict=True, restkey="more"), 2):
                if within.start_ms <= self._time(row, number) < within.end_ms:
                    yield look.row(row)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            what = "the CSV of a source cannot be read"
            raise DataError(Problem("bad-source-row", what, Source(file=str(self.path)), found=str(error))) from error

    def _time(self, row: Row, line: int) -> int:
        try:
            return parse_time(row.get("time") or "nothing")
        except (ValueError, OverflowError) as error:
            where = Source(file=str(self.path), line=line)
            raise DataError(Problem("bad-source-row", "a row without a time", where, found=str(error))) from None


@dataclass(frozen=True, slots=True)
class FunctionRows:
    """The rows of a function."""

    name: str
    plugin: Plugin
    function: Callable[[SourceQuery], Any]

    def rows(self, symbol: str, within: TimeRange, look: Look) -> Iterator[Row]:
        """Each row of each page, distinct by id.

        Raises:
            StrategyError: it raised, or answered no rows.
        """
        known: set[Any] = set()
        for row in self._paged(symbol, within):
            if row["id"] in known:
                continue
            known.add(row["id"])
            if self._is_inside(row, within):
                yield look.row(row)

    def _paged(self, symbol: str, within: TimeRange) -> Iterator[Row]:
        for offset in range(0, MOST_ROWS, PAGE_ROWS):
            page = self._page(
                SourceQuery(
                    symbol=symbol, start_ms=within.start_ms, end_ms=within.end_ms, limit=PAGE_ROWS, offset=offset
                )
            )
            yield from page
            if len(page) < PAGE_ROWS:
                return

    def _page(self, query: SourceQuery) -> list[Row]:
        try:
            page = list(self.function(query))
        except (KeyboardInterrupt, BacktestkitError):
            raise
        except BaseException as error:
            raise StrategyError(raised(error, self.plugin.place, "when it was asked for rows")) from error
        for row in page:
            if not isinstance(row, Mapping) or not isinstance(row.get("id"), str | int):
                raise self._refused(f"{shown(row)} is no row with an `id`, a text or a whole number")
        if len(page) > query.limit:
            raise self._refused(f"it gave {len(page)} rows where at most {query.limit} were asked for")
        return page

    def _is_inside(self, row: Row, within: TimeRange) -> bool:
        if "time" not in row:
            return True
        try:
            return within.start_ms <= parse_time(row["time"]) < within.end_ms
        except (ValueError, OverflowError) as error:
            raise self._refused(f"the `time` of a row is none: {error}") from None

    def _refused(self, what: str) -> StrategyError:
        return StrategyError(Problem("bad-source-row", f"source {self.name}: {what}", self.plugin.place))


RowSource: TypeAlias = CandleRows | CsvRows | FunctionRows


def prepare_source(config: Config, optimizer: str, place: int, registry: Registry) -> RowSource:
    """Make one source ready.

    Raises:
        ConfigError: an indicator, the reference or its params are wrong.
        StrategyError: its file raised while it was loaded.
    """
    schema = config.optimizers[optimizer].sources[place]
    if schema.candles is not None:
        indicators = {name: _indicator(config, optimizer, place, name, schema) for name in schema.indicators}
        price_candles = config.settings.limits.average_price_candles
        return CandleRows(schema.name or f"candles-{schema.candles}", schema.candles, indicators, price_candles)
    if schema.csv is not None:
        path = config.project / schema.csv
        return CsvRows(schema.name or path.stem, path)
    plugin = resolve(schema.use or "", "source", config.project, registry)
    if problems := plugin.check(schema.params):
        where = config.where("optimizers", optimizer, "sources", place, "params")
        raise ConfigError(*(Problem(problem.code, problem.what, where, hint=problem.hint) for problem in problems))
    name = schema.name or str(getattr(plugin.function, "__name__", "rows"))
    return FunctionRows(name, plugin, plugin.bind(schema.params))


def _indicator(config: Config, optimizer: str, place: int, name: str, schema: SourceSchema) -> Expression:
    try:
        return parse(schema.indicators[name], kind="number")
    except RuleProblem as error:
        where = config.where("optimizers", optimizer, "sources", place, "indicators", name)
        raise ConfigError(Problem("bad-rule", error.what, where, hint=error.hint)) from error


def rows_of(source: RowSource, symbol: str, within: TimeRange, candles: Candles | None, look: Look) -> tuple[Row, ...]:
    """All rows of a source inside a range, as they are shown; `candles` is None where no source has any.

    Raises:
        DataError, StrategyError: they cannot be had, or are too many.
    """
    match source:
        case CandleRows():
            assert candles is not None  # noqa: S101  # loaded for every optimizer with such a source
            found = tuple(source.rows(candles, within, look))
        case CsvRows():
            found = tuple(source.rows(within, look))
        case FunctionRows():
            found = tuple(source.rows(symbol, within, look))
        case _:
            assert_never(source)
    if len(found) > MOST_ROWS:
        what = f"source {source.name} has {len(found)} rows in {within}"
        hint = "take a larger interval, or a shorter range"
        raise DataError(Problem("source-too-long", what, expected=f"at most {MOST_ROWS}", hint=hint))
    return found
