"""The kinds of reports: which there are, what each is made of, and whether a run has anything to say in it.

* Each carries the head, the lead, the signal funnel and the findings of the backtest report of the same streams.
* Schedule, partial and risk count all streams together where there are several, then tell and list each by itself;
  the heat map tells each strategy with all its symbols, performance each stream with what it shares.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from backtestkit_cli.report.build import build
from backtestkit_cli.report.columns import with_choices
from backtestkit_cli.report.frames import storable
from backtestkit_cli.report.heat import heat_chapters
from backtestkit_cli.report.partial import partial_sections
from backtestkit_cli.report.performance import performance_sections
from backtestkit_cli.report.report import Chapter, Fact, Facts, Report, Section
from backtestkit_cli.report.risk import risk_sections
from backtestkit_cli.report.schedule import schedule_sections
from backtestkit_cli.report.stored import Record

Kind = Literal["backtest", "heat", "schedule", "partial", "risk", "performance"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAIN_TABLES: dict[Kind, str] = {
    "backtest": "trades",
    "heat": "heat",
    "schedule": "entries",
    "partial": "levels",
    "risk": "refusals",
    "performance": "stages",
}
"""The section of each kind that lists what it is about."""
CARRIED = frozenset(("funnel", "warnings"))

EventSections: TypeAlias = Callable[[Record], Iterator[Section]]
OF_EVENTS: dict[Kind, tuple[str, EventSections]] = {
    "schedule": ("scheduled", schedule_sections),
    "partial": ("level_reached", partial_sections),
    "risk": ("risk_refused", risk_sections),
}
"""Kinds that are made from events: the events they are about, and what is told of them."""


def report_of(kind: Kind, record: Record, whole: Report | None = None) -> Report:
    """Make a report of a run; `whole` spares building its backtest report again."""
    base = whole or build(record.run, record.events)
    if kind == "backtest":
        return base
    chapters = heat_chapters(record.run, record.events) if kind == "heat" else tuple(_chapters(kind, record, base))
    told = Fact(key="report", label="Report", value=kind, depth="record")
    report = replace(base, kind=kind, head=Facts((told, *base.head.facts)), overview=None, chapters=chapters)
    return with_choices(report, MAIN_TABLES[kind], record.run.columns.get(kind, ()))


def has_content(kind: Kind, record: Record) -> bool:
    """Whether a run has anything that this kind of report is about."""
    if kind in OF_EVENTS:
        about, _ = OF_EVENTS[kind]
        return about in record.events["kind"]
    if kind == "performance":
        return bool(record.timings)
    return kind == "backtest" or any(len(stream.result.trades) for stream in record.run.streams)


def _chapters(kind: Kind, record: Record, base: Report) -> Iterator[Chapter]:
    for chapter in base.chapters:
        carried = tuple(section for section in chapter.sections if section.key in CARRIED)
        yield replace(chapter, sections=(*_sections(kind, record, chapter), *carried))


def _sections(kind: Kind, record: Record, chapter: Chapter) -> Iterator[Section]:
    if kind == "performance":
        yield from performance_sections(record.timings, chapter)
        return
    _, sections = OF_EVENTS[kind]
    for section in sections(part_of(record, chapter.strategy, chapter.symbol)):
        if chapter.strategy is not None or section.key != MAIN_TABLES[kind]:
            yield section


def part_of(record: Record, strategy: str | None, symbol: str | None) -> Record:
    """The streams of a record that are of a strategy and a symbol; None stands for all."""
    import polars as pl

    wanted = {"strategy": strategy, "symbol": symbol}
    streams = tuple(
        stream
        for stream in record.run.streams
        if all(name is None or getattr(stream, key) == name for key, name in wanted.items())
    )
    if len(streams) == len(record.run.streams):
        return record
    events = record.events.filter(**{key: pl.lit(storable(name)) for key, name in wanted.items() if name is not None})
    return replace(record, run=record.run.part(streams), events=events)
