"""`report diff`: what two stored runs were told, what they rested on, and what came out, side by side.

* Causes first: config, code, candles, policy, program. Of a config only what the two runs used counts.
* Trades are the same trade when strategy, symbol and decision time are; a changed one says in what.
* The first difference is that of the events, which tell more than trades: also what was refused or never opened.
* Everything is read from the bundles; nothing runs and nothing is measured by another rule than in the reports.
"""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.measure.metrics import Metric, total
from backtestkit_cli.measure.statistics import run_metrics
from backtestkit_cli.report.frames import storable
from backtestkit_cli.report.report import Column, Fact, Facts, Section, Table, table_section
from backtestkit_cli.report.stored import StoredRun, plain
from backtestkit_cli.report.trade_pairs import TradePair, Unequal, Which, pairs_table, trade_pairs, unequal

if TYPE_CHECKING:
    import polars as pl

SHOWN_TRADES = 20
COUNTS: tuple[tuple[str, str, Which], ...] = (
    ("same", "Same", "same"),
    ("changed", "Changed", "changed"),
    ("only_a", "Only A", "only A"),
    ("only_b", "Only B", "only B"),
)
HASH_DIGITS = 12
SHOWN_WHOLE = ("settings", "risks", "sizings")


def diff(a: StoredRun, b: StoredRun) -> tuple[Section, ...]:
    """Compare two runs."""
    pairs = trade_pairs(a.run, b.run)
    differing = [pair for pair in pairs if pair.which != "same"]
    first = pairs_table(differing[:SHOWN_TRADES], names_only=True)
    return (
        Section(key="summary", title="In short", block=_summary(a, b, pairs)),
        table_section("config", "Config", _table("path", "Path", _config(a, b))),
        table_section("code", "Code", _table("file", "File", _hashes(a, b, "sources"))),
        table_section("data", "Candles", _table("stream", "Stream", _hashes(a, b, "candles"))),
        table_section("policy", "Rules of the run", _table("key", "Key", list(unequal(_rules(a.run), _rules(b.run))))),
        table_section("program", "Program", _table("part", "Part", list(unequal(_program(a), _program(b))))),
        table_section("metrics", "Result", _metrics(a.run, b.run)),
        table_section("streams", "Streams", _streams(a, b, pairs)),
        table_section("first_trades", f"The first {len(first)} of {len(differing)} trades that differ", first),
        Section(key="trades", title="Trades that differ", block=pairs_table(differing), depth="record"),
    )


# ---- causes


def _config(a: StoredRun, b: StoredRun) -> list[Unequal]:
    used = _used(a) | _used(b)
    found = unequal(a.manifest.get("config", {}), b.manifest.get("config", {}))
    return [one for one in found if one.name.partition(".")[0] in SHOWN_WHOLE or _entry(one.name, used)]


def _used(one: StoredRun) -> set[str]:
    manifest = one.manifest
    names = [f"strategies.{name}" for name in manifest.get("strategies", ())]
    return {*names, f"exchanges.{manifest.get('exchange')}", f"frames.{manifest.get('frame')}"}


def _entry(path: str, used: set[str]) -> bool:
    return any(path.startswith(f"{entry}.") for entry in used)


def _hashes(a: StoredRun, b: StoredRun, key: str) -> list[Unequal]:
    found = unequal(a.manifest.get(key, {}), b.manifest.get(key, {}))
    return [Unequal(one.name, _short(one.a), _short(one.b)) for one in found]


def _short(text: str | None) -> str | None:
    return None if text is None else text[:HASH_DIGITS]


def _rules(run: RunResult) -> dict[str, Any]:
    """Policy, costs and range of a run, by dotted key."""
    told: dict[str, Any] = {
        "exchange": run.exchange,
        "frame": run.frame,
        "gap": run.gap,
        "balance": run.balance,
        "range": str(run.range),
        "tick": run.tick.value,
    }
    told |= {f"policy.{key}": value for key, value in plain(run.policy).items()}
    return told | {f"costs.{key}": value for key, value in plain(run.costs).items()}


def _program(one: StoredRun) -> dict[str, Any]:
    manifest = one.manifest
    code = _short(manifest.get("package"))
    return {**manifest.get("versions", {}), "python": manifest.get("python"), "code of this program": code}


# ---- results


def _summary(a: StoredRun, b: StoredRun, pairs: Sequence[TradePair]) -> Facts:
    counts = Counter(pair.which for pair in pairs)
    first_ms, what = _first_event(a, b)
    return Facts(
        (
            Fact(key="run_a", label="A", value=a.run.run_id),
            Fact(key="run_b", label="B", value=b.run.run_id),
            Fact(key="trades_same", label="Trades the same", value=counts["same"], form="count"),
            Fact(key="trades_changed", label="Trades changed", value=counts["changed"], form="count"),
            Fact(key="trades_only_a", label="Trades only in A", value=counts["only A"], form="count"),
            Fact(key="trades_only_b", label="Trades only in B", value=counts["only B"], form="count"),
            Fact(key="first_difference", label="First difference", value=first_ms, form="time", unit="UTC"),
            Fact(key="first_difference_what", label="What it is", value=what),
        )
    )


def _first_event(a: StoredRun, b: StoredRun) -> tuple[int | None, str]:
    """The earliest event of a common stream that differs: its time, and what happened in either run."""
    streams = {_stream(one) for one in a.run.streams} & {_stream(one) for one in b.run.streams}
    found = [one for stream in sorted(streams) if (one := _first_of(stream, a.record.events, b.record.events))]
    if not streams:
        return None, "the runs have no stream in common"
    return min(found, default=(None, "none: every event is the same"), key=lambda one: one[0] or 0)


def _first_of(stream: tuple[str, str], *events: "pl.DataFrame") -> tuple[int, str] | None:
    import polars as pl

    own = [
        one.filter(strategy=pl.lit(stream[0]), symbol=pl.lit(stream[1])).with_columns(
            pl.col("time", "decided").dt.epoch("ms")
        )
        for one in events
    ]
    for rows in zip_longest(*(one.iter_rows(named=True) for one in own)):
        if rows[0] != rows[1]:
            told = [row for row in rows if row is not None]
            return min(row["time"] for row in told), f"{stream[0]} on {stream[1]}: {_unlike(*rows)}"
    return None


def _unlike(a: dict[str, Any] | None, b: dict[str, Any] | None) -> str:
    """Say how two events differ; of different signals the first is what the other run does not have."""
    if a is not None and b is not None and a["time"] != b["time"] and a["id"] != b["id"]:
        first, name = (a, "A") if a["time"] < b["time"] else (b, "B")
        return f"{first['kind']} in {name} only"
    if a is None or b is None or a["kind"] != b["kind"]:
        kinds = ["nothing more" if row is None else row["kind"] for row in (a, b)]
        return f"{kinds[0]} in A, {kinds[1]} in B"
    return f"{a['kind']} with another {', '.join(one.name for one in unequal(a, b))}"


def _stream(one: StreamRun) -> tuple[str, str]:
    return storable(one.strategy), storable(one.symbol)


# ---- tables


def _table(key: str, label: str, found: Sequence[Unequal]) -> Table:
    return Table(
        (
            Column(key=key, label=label, values=[one.name for one in found]),
            Column(key="a", label="A", values=[_written(one.a) for one in found]),
            Column(key="b", label="B", values=[_written(one.b) for one in found]),
        )
    )


def _written(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _metrics(a: RunResult, b: RunResult) -> Table:
    """The figures of all streams of either run together; not those that neither has."""
    measured = [{one.key: one for one in run_metrics(run)} if run.streams else {} for run in (a, b)]
    both: dict[str, Metric] = {**measured[1], **measured[0]}
    names = {key: one for key, one in both.items() if any(_has_value(found.get(key)) for found in measured)}
    values = [[found[key].value if key in found else None for key in names] for found in measured]
    deltas = [None if one is None or other is None else other - one for one, other in zip(*values, strict=True)]
    return Table(
        (
            Column(key="key", label="Key", values=list(names), depth="record"),
            Column(key="metric", label="Metric", values=[one.label for one in names.values()]),
            Column(key="a", label="A", values=values[0], form="number", format=".6g"),
            Column(key="b", label="B", values=values[1], form="number", format=".6g"),
            Column(key="difference", label="B − A", values=deltas, form="signed", format="+.6g"),
            Column(key="unit", label="Unit", values=[one.unit for one in names.values()]),
        )
    )


def _has_value(metric: Metric | None) -> bool:
    return metric is not None and metric.value is not None


def _streams(a: StoredRun, b: StoredRun, pairs: Sequence[TradePair]) -> Table:
    """Each stream of either run, with its net result and its trades."""
    sums = [{_stream(one): _net(one) for one in run.run.streams} for run in (a, b)]
    names = sorted({**sums[0], **sums[1]})
    pnl = [[found.get(name) for name in names] for found in sums]
    deltas = [None if one is None or other is None else other - one for one, other in zip(*pnl, strict=True)]
    counted = Counter((pair.stream, pair.which) for pair in pairs)
    counts = [
        Column(key=key, label=label, values=[counted[name, which] for name in names], form="count")
        for key, label, which in COUNTS
    ]
    return Table(
        (
            Column(key="strategy", label="Strategy", values=[strategy for strategy, _ in names]),
            Column(key="symbol", label="Symbol", values=[symbol for _, symbol in names]),
            Column(key="pnl_percent_a", label="A", values=pnl[0], form="signed", unit="%"),
            Column(key="pnl_percent_b", label="B", values=pnl[1], form="signed", unit="%"),
            Column(key="difference", label="B − A", values=deltas, form="signed"),
            *counts,
        )
    )


def _net(stream: StreamRun) -> float:
    return total(stream.result.trades.pnl_percent)
