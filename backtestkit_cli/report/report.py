"""What a report is: chapters of sections of plain values, each with its form and unit, for every writer alike.

* Nothing in here is formatted or escaped; texts of users are as they were given.
* `depth` says who gets something: `summary` everybody, `full` whoever writes files, `record` the JSON document alone.
* Keys are snake_case and stable; the first dot of a key nests in the JSON document.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from backtestkit_cli.measure.metrics import Metric
from backtestkit_cli.measure.trust import Finding

Depth = Literal["summary", "full", "record"]
Form = Literal["text", "count", "number", "signed", "price", "time", "truth"]
Value: TypeAlias = str | int | float | bool | tuple[str, ...] | None
"""Times are UTC ms; a tuple is a list of names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value with its name; `indent` counts the facts it is a part of."""

    key: str
    label: str
    value: Value
    form: Form = "text"
    unit: str = ""
    indent: int = 0
    depth: Depth = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table, top to bottom; alone among all values its cells are kept as a sequence.

    `format` is a number format in place of the one of the form.
    """

    key: str
    label: str
    values: Sequence[Value]
    form: Form = "text"
    unit: str = ""
    depth: Depth = "summary"
    format: str = ""

    @property
    def is_left(self) -> bool:
        """Whether it is aligned to the left; numbers are to the right."""
        return self.form in ("text", "time", "truth")


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Measures:
    """Metrics, each with its unit or its reason for N/A."""

    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, whose rows are `row` each.

    A narrow reader gets the last `last` rows, or the first `first`, None for all; `has_total` marks a last row. A map
    of `heat` has one value in each cell, of which the high or the low ones are good.
    """

    columns: tuple[Column, ...]
    row: str = "row"
    last: int | None = None
    first: int | None = None
    has_total: bool = False
    heat: Literal["high", "low"] | None = None

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0


@dataclass(frozen=True, slots=True)
class Findings:
    """What bears on the trust in a result, warnings first."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """The sum of trade percents at equal steps of time, from the start of the range to its end."""

    values: tuple[float, ...]


Block: TypeAlias = Facts | Measures | Table | Findings | Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One headed part of a chapter."""

    key: str
    title: str
    block: Block
    depth: Depth = "summary"


def table_section(key: str, title: str, table: Table) -> Section:
    """Head a table; one without rows is for the record alone."""
    return Section(key=key, title=title, block=table, depth="summary" if len(table) else "record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What is told of one stream; of all of them together when `strategy` is None, or of what `name` says."""

    sections: tuple[Section, ...]
    name: str = ""
    strategy: str | None = None
    symbol: str | None = None
    depth: Depth = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Points of a drawing, joined in their order where `is_line`; `texts` tell of each, else the name does."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    texts: tuple[str, ...] = ()
    is_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What is only drawn, by the writer of pages; `is_time`: x are UTC ms. A diagonal is where x and y are equal."""

    key: str
    title: str
    x_title: str
    y_title: str
    traces: tuple[Trace, ...]
    is_time: bool = False
    has_diagonal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """The result in one sentence: what it made, against what, and how many warnings there are.

    Percents are sums over the streams, one stake each; `hold_percent` is None without a price. With a `balance` only
    sized streams count: `pnl_quote` is what they made of it, `return_percent` the same in percent; buy and hold is then
    that of all of it, the same share in each stream's symbol. `is_undecided` if nobody's result could be chosen.
    Without `is_comparable` the result is not held against buy and hold: it is of other money, or not over yet.
    `of` says which part of the time it is of, where that is not all of it.
    """

    pnl_percent: float
    hold_percent: float | None
    trades: int
    streams: int
    warnings: int
    is_interrupted: bool
    is_optimistic: bool
    is_undecided: bool = False
    is_comparable: bool = True
    balance: float | None = None
    pnl_quote: float | None = None
    return_percent: float | None = None
    of: str = ""

    @property
    def made_percent(self) -> float:
        """What was made, in percent of the balance where there is one."""
        return self.pnl_percent if self.return_percent is None else self.return_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole report. `overview` puts several streams side by side, what is all told again in the chapters.

    A `headline` comes before the lead.
    """

    run_id: str
    kind: str
    strategies: tuple[str, ...]
    symbols: tuple[str, ...]
    lead: Lead
    head: Facts
    overview: Table | None
    chapters: tuple[Chapter, ...]
    headline: str = ""
    drawings: tuple[Drawing, ...] = ()
