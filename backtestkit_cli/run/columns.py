"""`settings.columns`: the columns that readers of reports get, checked against what each kind of report knows."""

from collections.abc import Iterator, Mapping

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.config.settings import ColumnSchema
from backtestkit_cli.engine.result import ColumnChoice
from backtestkit_cli.errors import Problem
from backtestkit_cli.report.columns import wrong_format, wrong_unit
from backtestkit_cli.report.empty import known_columns, known_walker_columns
from backtestkit_cli.report.kinds import KINDS
from backtestkit_cli.report.report import Column
from backtestkit_cli.report.written import LIVE, WALKER, kind_named

WITH_COLUMNS = (*KINDS, LIVE, WALKER)


def column_choices(config: Config) -> dict[str, tuple[ColumnChoice, ...]]:
    """The choices of the config, by kind of report."""
    return {
        kind: tuple(ColumnChoice(**given.model_dump()) for given in chosen) for kind, chosen in _given(config).items()
    }


def column_problems(config: Config) -> Iterator[Problem]:
    """Find keys that no column has, and formats and units that would not tell its values as they are."""
    for kind, chosen in _given(config).items():
        known = {column.key: column for column in _known_columns(kind)}
        for index, given in enumerate(chosen):
            if given.key not in known:
                where = config.where("settings", "columns", kind, index, "key")
                what, hint = f"the report {kind} has no column {given.key}", did_you_mean(given.key, known)
                yield Problem("unknown-column", what, where, given.key, ", ".join(known), hint)
            elif given.key in (one.key for one in chosen[:index]):
                where = config.where("settings", "columns", kind, index, "key")
                yield Problem("column-twice", f"{given.key} is chosen twice", where, hint="keep one of the two")
            else:
                yield from _wrong_ways(config, kind, index, given, known[given.key])


def default_columns() -> dict[str, list[str]]:
    """The keys of the columns that each kind of report has without a choice, by the path of its setting."""
    return {
        f"settings.columns.{kind}": [column.key for column in _known_columns(kind) if column.depth != "record"]
        for kind in WITH_COLUMNS
    }


def _known_columns(kind: str) -> tuple[Column, ...]:
    """Sessions list trades as backtests do, comparisons who stands where."""
    if kind == WALKER:
        return known_walker_columns()
    return known_columns("backtest" if kind == LIVE else kind_named(kind))


def _given(config: Config) -> Mapping[str, tuple[ColumnSchema, ...]]:
    given = {kind: getattr(config.settings.columns, kind) for kind in WITH_COLUMNS}
    return {kind: chosen for kind, chosen in given.items() if chosen}


def _wrong_ways(config: Config, kind: str, index: int, given: ColumnSchema, column: Column) -> Iterator[Problem]:
    place = ("columns", kind, index)
    expected = None if given.format is None else wrong_format(column, given.format)
    if expected is not None:
        where, what = config.where("settings", *place, "format"), f"the format does not fit the column {column.key}"
        yield Problem("wrong-format", what, where, given.format, expected)
    expected = None if given.unit is None else wrong_unit(column, given.unit)
    if expected is not None:
        where, what = config.where("settings", *place, "unit"), f"the unit does not fit the column {column.key}"
        yield Problem("wrong-unit", what, where, given.unit, expected)
