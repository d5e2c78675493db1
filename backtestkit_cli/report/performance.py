"""The performance report: where the time of a run went, stage by stage, and which stage and stream were slowest.

* Each stage is told of the narrowest part it was measured for: the stream, all streams on its symbol, or the run.
* Times are those of the wall clock, hence of this one execution: the only report that differs between equal runs.
"""

from collections.abc import Iterator, Sequence

from backtestkit_cli.measure.timings import Timing
from backtestkit_cli.report.report import Chapter, Column, Fact, Facts, Section, Table, table_section
from backtestkit_cli.report.text import text_of

FIGURES: tuple[tuple[str, str], ...] = (
    ("total_ms", "Total"),
    ("mean_ms", "Mean"),
    ("min_ms", "Least"),
    ("max_ms", "Most"),
    ("deviation_ms", "Deviation"),
    ("median_ms", "Median"),
    ("p95_ms", "p95"),
    ("p99_ms", "p99"),
    ("mean_wait_ms", "Mean wait"),
    ("min_wait_ms", "Least wait"),
    ("max_wait_ms", "Most wait"),
)
NOBODY = "nothing was measured"


def performance_sections(timings: Sequence[Timing], chapter: Chapter) -> Iterator[Section]:
    """Tell the times of a stream, or of all of them together where the chapter is about all."""
    shown = list(_narrowest(timings, chapter.strategy, chapter.symbol))
    yield Section(key="performance", title="Where the time went", block=Facts(tuple(_summary(timings, shown))))
    yield table_section("stages", "Each stage", _table(shown))
    if chapter.strategy is None:
        yield table_section("stream_times", "Each stream", _streams(timings))


def _narrowest(timings: Sequence[Timing], strategy: str | None, symbol: str | None) -> Iterator[Timing]:
    """Of each stage what is closest to a stream."""
    for stage in dict.fromkeys(one.stage for one in timings):
        fitting = [
            one
            for one in timings
            if one.stage == stage and one.strategy in (None, strategy) and one.symbol in (None, symbol)
        ]
        yield max(fitting, key=lambda one: (one.strategy is not None, one.symbol is not None))


def _summary(timings: Sequence[Timing], shown: Sequence[Timing]) -> Iterator[Fact]:
    whole = sum(one.total_ms for one in shown)
    stage = max(shown, key=lambda one: one.total_ms, default=None)
    streams = _stream_totals(timings)
    slowest = NOBODY
    if stage is not None and whole > 0:
        slowest = f"{stage.stage}, {text_of(100 * stage.total_ms / whole, 'number', '%')} of it"
    stream = max(streams, key=lambda name: streams[name], default=None)
    named = NOBODY if stream is None else f"{stream[0]} on {stream[1]}, {text_of(streams[stream], 'number', 'ms')}"
    yield Fact(key="measured_ms", label="Measured", value=whole, form="number", unit="ms")
    yield Fact(key="slowest_stage", label="Slowest stage", value=slowest)
    yield Fact(key="slowest_stream", label="Slowest stream, own work", value=named)
    yield Fact(key="deviation", label="Deviation", value="of the population")


def _stream_totals(timings: Sequence[Timing]) -> dict[tuple[str, str], float]:
    totals: dict[tuple[str, str], float] = {}
    for one in timings:
        if one.strategy is not None and one.symbol is not None:
            name = one.strategy, one.symbol
            totals[name] = totals.get(name, 0.0) + one.total_ms
    return totals


def _table(timings: Sequence[Timing]) -> Table:
    figures = [
        Column(key=key, label=label, values=[getattr(one, key) for one in timings], form="number", unit="ms")
        for key, label in FIGURES
    ]
    return Table(
        (
            Column(key="stage", label="Stage", values=[one.stage for one in timings]),
            Column(key="part", label="Of", values=[_part(one) for one in timings]),
            Column(key="count", label="Count", values=[one.count for one in timings], form="count"),
            *figures,
        ),
        row="stage",
    )


def _part(timing: Timing) -> str:
    if timing.strategy is not None:
        return "the stream"
    return "the run" if timing.symbol is None else "the symbol"


def _streams(timings: Sequence[Timing]) -> Table:
    """The slowest first."""
    ordered = sorted(_stream_totals(timings).items(), key=lambda item: (-item[1], item[0]))
    return Table(
        (
            Column(key="strategy", label="Strategy", values=[strategy for (strategy, _), _ in ordered]),
            Column(key="symbol", label="Symbol", values=[symbol for (_, symbol), _ in ordered]),
            Column(key="total_ms", label="Total", values=[total for _, total in ordered], form="number", unit="ms"),
        ),
        row="stream",
    )
