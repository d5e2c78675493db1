"""The trades of two runs, pair by pair: the same trade is that of the same strategy, symbol and decision time.

Ids and notes follow from those, or change nothing; they are not compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.report.frames import trades_table
from backtestkit_cli.report.report import Column, Table

Which: TypeAlias = Literal["same", "changed", "only A", "only B"]
WHO = ("strategy", "symbol", "decided")
UNCOMPARED = frozenset((*WHO, "id", "note"))


class Unequal(NamedTuple):
    """Something that differs: its name, and what it is in either run (None where it is not there)."""

    name: str
    a: Any
    b: Any


def unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Unequal]:
    """What differs between two mappings, in order of name."""
    for name in sorted({**a, **b}):
        if a.get(name) != b.get(name):
            yield Unequal(name, a.get(name), b.get(name))


class TradePair(NamedTuple):
    """One trade as either run has it, None where it has none; columns by name. `changes` is what differs."""

    a: dict[str, Any] | None
    b: dict[str, Any] | None
    changes: tuple[Unequal, ...]

    @property
    def which(self) -> Which:
        """Where it is."""
        if self.a is None:
            return "only B"
        if self.b is None:
            return "only A"
        return "changed" if self.changes else "same"

    @property
    def row(self) -> dict[str, Any]:
        """The trade, as A has it if it does."""
        return self.a or self.b or {}

    @property
    def stream(self) -> tuple[str, str]:
        """Whose it is."""
        return self.row["strategy"], self.row["symbol"]


def trade_pairs(a: RunResult, b: RunResult) -> list[TradePair]:
    """Pair the trades of two runs, in order of decision."""
    of_a, of_b = _by_decision(a), _by_decision(b)
    return [_pair(of_a.get(who), of_b.get(who)) for who in sorted({**of_a, **of_b}, key=lambda who: (who[2], *who[:2]))]


def pairs_table(pairs: Sequence[TradePair], *, names_only: bool = False) -> Table:
    """Show pairs line by line, with what changed: from what to what, or its names only."""
    sides = [[pair.a for pair in pairs], [pair.b for pair in pairs]]
    pnl = [[None if row is None else row["pnl_percent"] for row in side] for side in sides]
    decided = [round(pair.row["decided"].timestamp() * 1000) for pair in pairs]
    return Table(
        (
            Column(key="decided", label="Decided", values=decided, form="time", unit="UTC"),
            Column(key="strategy", label="Strategy", values=[pair.row["strategy"] for pair in pairs]),
            Column(key="symbol", label="Symbol", values=[pair.row["symbol"] for pair in pairs]),
            Column(key="which", label="Where", values=[pair.which for pair in pairs]),
            Column(key="pnl_percent_a", label="A", values=pnl[0], form="signed", unit="%"),
            Column(key="pnl_percent_b", label="B", values=pnl[1], form="signed", unit="%"),
            Column(key="changes", label="Changed", values=[_changes(pair, names_only=names_only) for pair in pairs]),
        ),
        row="trade",
    )


def _by_decision(run: RunResult) -> dict[tuple[str, str, Any], dict[str, Any]]:
    if not run.streams:
        return {}
    rows = trades_table(run).iter_rows(named=True)
    return {(row["strategy"], row["symbol"], row["decided"]): row for row in rows}


def _pair(a: dict[str, Any] | None, b: dict[str, Any] | None) -> TradePair:
    found = () if a is None or b is None else unequal(a, b)
    return TradePair(a, b, tuple(one for one in found if one.name not in UNCOMPARED))


def _changes(pair: TradePair, *, names_only: bool) -> str:
    if names_only:
        return ", ".join(one.name for one in pair.changes)
    return ", ".join(f"{one.name} {_shown(one.a)} → {_shown(one.b)}" for one in pair.changes)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return f"{value:%Y-%m-%dT%H:%M}" if hasattr(value, "strftime") else str(value)
