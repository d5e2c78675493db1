"""The figures of recorded reports against ours, cell by cell; the wording and layout of a report do not matter.

A report is read as its tables (labels and rows) and its named figures. The heat map is recorded with broken number
patterns: only the numbers before them are looked at.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from golden.golden_cases import Outcome
from golden.golden_records import Ids
from golden.golden_statistics import figures_of, heat_as_recorded, statistics_as_recorded, walker_runs

from backtestkit_cli.engine.note import plain_text
from backtestkit_cli.engine.reference.events import OfferRejected
from backtestkit_cli.measure.original import (
    TradeFigures,
    WalkerResult,
    newest_first,
    walker_ranking,
)
from backtestkit_cli.measure.original_events import (
    schedule_entry,
)
from backtestkit_cli.model.event import Cancelled, Closed, LevelReached, Opened, Scheduled
from backtestkit_cli.model.fixed import round_minutes, to_fixed
from backtestkit_cli.model.signal import Signal

Row: TypeAlias = dict[str, str]
NONE = "N/A"


@dataclass(slots=True)
class Report:
    """Tables as rows of labelled cells, and named figures."""

    tables: list[list[Row]] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def cells(self) -> dict[str, str]:
        """Everything by its place."""
        found = {f"figure {name}": text for name, text in self.figures.items()}
        for number, rows in enumerate(self.tables, 1):
            found[f"rows of table {number}"] = str(len(rows))
            for place, row in enumerate(rows, 1):
                found |= {f"table {number}, row {place}, {label}": text for label, text in row.items()}
        return found


# ---- reading


def read_report(text: str) -> Report:
    """Read a recorded report."""
    report, heading = Report(), ""
    labels: list[str] = []
    lines = text.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("#"):
            heading = line.strip("# ")
            if line.startswith("## ") and ":" in heading:
                name, _, value = heading.partition(": ")
                report.figures[name] = value
        elif line.startswith("- "):
            name, _, value = line[2:].partition(": ")
            report.figures[f"{heading}, {name}"] = value
        elif line.startswith("| ") and lines[place + 1 : place + 2] and lines[place + 1].startswith("| ---"):
            report.tables.append([])
            labels = _cells(line)
        elif line.startswith("| ") and not line.startswith("| ---"):
            report.tables[-1].append(dict(zip(labels, _cells(line), strict=False)))
        else:
            report.figures |= _named(line)
    return report


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split(" | ")]


def _named(line: str) -> dict[str, str]:
    found = re.findall(r"\*\*([^*]+):\*\* (.*?)(?: \((?:higher|lower) is better\))?(?: \| (?=\*\*)|$)", line)
    return {name: text for name, text in found if name != "Note"}


# ---- writing


def iso_text(time_ms: int) -> str:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def money(price: float | None) -> str:
    return NONE if price is None else f"{to_fixed(price, 8)} USD"


def fixed(value: float | None, digits: int, unit: str = "") -> str:
    return NONE if value is None else f"{to_fixed(value, digits)}{unit}"


def signed(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{'+' if value > 0 else ''}{to_fixed(value, digits)}%"


def trade_summary(figures: TradeFigures) -> dict[str, str]:
    """The named figures of closed trades; none without a trade."""
    if not figures.total_closed:
        return {}
    rate = fixed(figures.win_rate, 2, f"% ({figures.win_count}W / {figures.loss_count}L)")
    return {
        "Total signals": str(figures.total_closed),
        "Closed signals": str(figures.total_closed),
        "Win rate": rate,
        "Average PNL": signed(figures.avg_pnl),
        "Total PNL": signed(figures.total_pnl),
        "Standard Deviation": fixed(figures.std_dev, 3, "%"),
        "Sharpe Ratio": fixed(figures.sharpe_ratio, 3),
        "Annualized Sharpe Ratio": fixed(figures.annualized_sharpe_ratio, 3),
        "Certainty Ratio": fixed(figures.certainty_ratio, 3),
        "Expected Yearly Returns": signed(figures.expected_yearly_returns),
    }


def schedule_summary(figures: Mapping[str, Any]) -> dict[str, str]:
    """The named figures of waiting entries; none without an event."""
    if not figures["total_events"]:
        return {}
    return {
        "Total events": str(figures["total_events"]),
        "Scheduled signals": str(figures["total_scheduled"]),
        "Opened signals": str(figures["total_opened"]),
        "Cancelled signals": str(figures["total_cancelled"]),
        "Activation rate": fixed(figures["activation_rate"], 2, "%"),
        "Cancellation rate": fixed(figures["cancellation_rate"], 2, "%"),
        "Average activation time": fixed(figures["avg_activation_time"], 2, " minutes"),
        "Average wait time (cancelled)": fixed(figures["avg_wait_time"], 2, " minutes"),
    }


@dataclass(frozen=True, slots=True)
class Writer:
    """Our reports of a case."""

    outcome: Outcome
    ids: Ids

    def write(self, name: str) -> Report:
        """The report that a recorded file name stands for."""
        kind, *subject = name.removesuffix(".md").split("__")
        kinds: dict[str, Callable[..., Report]] = {
            "backtest": self.backtest,
            "schedule": self.schedule,
            "partial": self.partial,
            "risk": self.risk,
            "walker": self.walker,
            "heatmap": self.heatmap,
        }
        return kinds[kind](*subject)

    def backtest(self, strategy: str, symbol: str) -> Report:
        closed = [event for event in self._events(strategy, symbol) if isinstance(event, Closed)]
        rows = [self._closed_row(event) for event in newest_first(closed)]
        return _report(rows, trade_summary(figures_of(self.outcome, f"{strategy}|{symbol}")))

    def schedule(self, strategy: str, symbol: str) -> Report:
        listed = [event for event in self._events(strategy, symbol) if schedule_entry(event) is not None]
        rows = [self._schedule_row(event) for event in newest_first(listed)]
        return _report(rows, schedule_summary(self._statistics(strategy, symbol)["schedule"]))

    def partial(self, strategy: str, symbol: str) -> Report:
        levels = [event for event in self._events(strategy, symbol) if isinstance(event, LevelReached)]
        figures = self._statistics(strategy, symbol)["partial"]
        names = {"Total events": "total_events", "Profit events": "total_profit", "Loss events": "total_loss"}
        rows = [self._level_row(event) for event in newest_first(levels)]
        return _report(rows, {label: str(figures[name]) for label, name in names.items()} if rows else {})

    def risk(self, strategy: str, symbol: str) -> Report:
        rejected = [event for event in self._events(strategy, symbol) if isinstance(event, OfferRejected)]
        figures = self._statistics(strategy, symbol)["risk"]
        named = {"Total rejections": str(figures["total_rejections"])}
        for label, key in (("Symbol", "by_symbol"), ("Strategy", "by_strategy")):
            named |= {f"Rejections by {label}, {name}": str(count) for name, count in figures[key].items()}
        rows = [self._rejected_row(event) for event in newest_first(rejected)]
        return _report(rows, named if rows else {})

    def walker(self, name: str) -> Report:
        results = walker_runs(self.outcome)[name]
        given = next(one for one in self.outcome.case.terms["walkers"] if one["name"] == name)
        symbol, metric, last = self.outcome.case.terms["symbol"], given.get("metric") or "sharpeRatio", results[-1]
        best = next((one.figures.total_closed for one in results if one.strategy == last.best_strategy), 0)
        closed = [self._walker_rows(one.strategy, symbol) for one in reversed(results)]
        signals = [row for rows in closed for row in rows]
        figures = {
            "Symbol": symbol,
            "Exchange": "golden",
            "Frame": "frame",
            "Optimization Metric": metric,
            "Strategies Tested": str(len(results)),
            "Best Strategy": last.best_strategy or "null",
            f"Best {metric}": fixed(last.best_metric, 2),
            "Total Signals": str(best),
        }
        ranked = [_ranked_row(place, one) for place, one in enumerate(walker_ranking(results)[:10], 1)]
        return Report([ranked, signals] if signals else [ranked], figures)

    def heatmap(self, strategy: str) -> Report:
        heat = heat_as_recorded(self.outcome)[strategy]
        names = {
            "Total Symbols": "total_symbols",
            "Portfolio PNL": "portfolio_total_pnl",
            "Portfolio Sharpe": "portfolio_sharpe_ratio",
            "Total Trades": "portfolio_total_trades",
        }
        if not heat["symbols"]:
            return Report()
        figures = {label: bare(heat[name]) for label, name in names.items()}
        return Report([[_heat_row(row) for row in heat["symbols"]]], figures)

    def _events(self, strategy: str, symbol: str) -> list[Any]:
        return [told.event for told in self.outcome.told(f"{strategy}|{symbol}")]

    def _statistics(self, strategy: str, symbol: str) -> dict[str, Any]:
        found: dict[str, Any] = statistics_as_recorded(self.outcome)[f"{strategy}|{symbol}"]
        return found

    def _note(self, note: str | None) -> Row:
        if not self.outcome.case.config.get("CC_REPORT_SHOW_SIGNAL_NOTE", False):
            return {}
        return {"Note": NONE if note is None else plain_text(note)}

    def _signal_cells(self, signal: Signal) -> Row:
        return {
            "Symbol": signal.symbol,
            "Signal ID": str(self.ids.name(signal.id)),
            "Position": signal.position.upper(),
        }

    def _closed_row(self, event: Closed) -> Row:
        return {
            **self._signal_cells(event.signal),
            **self._note(event.signal.note),
            "Open Price": money(event.signal.price_open),
            "Close Price": money(event.price),
            "Take Profit": money(event.signal.price_take_profit),
            "Stop Loss": money(event.signal.price_stop_loss),
            "PNL (net)": signed(event.pnl_percent),
            "Close Reason": event.reason.value,
            "Duration (min)": str(round_minutes(event.time_ms - event.opened_at)),
            "Open Time": iso_text(event.opened_at),
            "Close Time": iso_text(event.time_ms),
        }

    def _schedule_row(self, event: Scheduled | Opened | Cancelled) -> Row:
        entry, signal = schedule_entry(event), event.signal
        if entry is None:
            raise ValueError("only events of waiting entries are listed")
        return {
            "Timestamp": iso_text(entry.time_ms),
            "Action": entry.action.upper(),
            **self._signal_cells(signal),
            **self._note(signal.note),
            "Current Price": money(signal.price_open if isinstance(event, Opened) else event.price),
            "Entry Price": money(signal.price_open),
            "Take Profit": money(signal.price_take_profit),
            "Stop Loss": money(signal.price_stop_loss),
            "Wait Time (min)": NONE if entry.minutes is None else str(entry.minutes),
        }

    def _level_row(self, event: LevelReached) -> Row:
        return {
            "Action": event.side.upper(),
            **self._signal_cells(event.signal),
            "Strategy": event.signal.strategy,
            "Level %": f"{'+' if event.side == 'profit' else '-'}{event.level}%",
            "Current Price": money(event.price),
            "Timestamp": iso_text(event.time_ms),
            "Mode": "Live" if self.outcome.case.is_live else "Backtest",
        }

    def _rejected_row(self, event: OfferRejected) -> Row:
        offer = event.offer
        default = {"raised": "(default text: thrown)", "object": "(default text: object)"}.get(event.by, "")
        return {
            "Symbol": event.symbol,
            "Strategy": event.strategy,
            "Signal ID": self.ids.name(offer.id) or NONE,
            **self._note(offer.note),
            "Position": str(offer.position).upper(),
            "Exchange": self.outcome.exchanges[f"{event.strategy}|{event.symbol}"],
            "Open Price": money(offer.price_open),
            "Take Profit": money(offer.price_take_profit),
            "Stop Loss": money(offer.price_stop_loss),
            "Current Price": money(event.price),
            "Active Positions": str(event.open_positions),
            "ID": event.rejection_id or NONE,
            "Rejection Reason": event.note or default,
            "Timestamp": iso_text(event.time_ms),
        }

    def _walker_rows(self, strategy: str, symbol: str) -> list[Row]:
        labels = ("Symbol", "Signal ID", "Position", "PNL (net)", "Close Reason", "Open Time", "Close Time")
        rows = self.backtest(strategy, symbol).tables
        return [{"Strategy": strategy} | {label: row[label] for label in labels} for row in (rows[0] if rows else [])]


def _report(rows: list[Row], figures: dict[str, str]) -> Report:
    return Report([rows] if rows else [], figures)


def _ranked_row(place: int, one: WalkerResult) -> Row:
    return {
        "Rank": str(place),
        "Strategy": one.strategy,
        "Metric": fixed(one.metric_value, 2),
        "Total Signals": str(one.figures.total_closed),
        "Win Rate": fixed(one.figures.win_rate, 2, "%"),
        "Avg PNL": signed(one.figures.avg_pnl),
        "Total PNL": signed(one.figures.total_pnl),
        "Sharpe Ratio": fixed(one.figures.sharpe_ratio, 3),
        "Std Dev": fixed(one.figures.std_dev, 3, "%"),
    }


def _heat_row(row: Mapping[str, Any]) -> Row:
    named = {
        "Total PNL": "total_pnl",
        "Sharpe": "sharpe_ratio",
        "PF": "profit_factor",
        "Expect": "expectancy",
        "WR": "win_rate",
        "Avg Win": "avg_win",
        "Avg Loss": "avg_loss",
        "Max DD": "max_drawdown",
        "W Streak": "max_win_streak",
        "L Streak": "max_loss_streak",
        "Trades": "total_trades",
    }
    negated = {**row, "max_drawdown": None if row["max_drawdown"] is None else -row["max_drawdown"]}
    return {"Symbol": row["symbol"], **{label: bare(negated[name]) for label, name in named.items()}}


def bare(value: float | None) -> str:
    return NONE if value is None else repr(float(value))


# ---- comparing


def report_names(folder: Path) -> Iterable[Path]:
    return sorted((folder / "reports").glob("*.md"))


def report_differences(path: Path, writer: Writer) -> tuple[int, list[str]]:
    """How many figures and cells a recorded report has, and which of them differ."""
    expected = read_report(path.read_text(encoding="utf-8")).cells()
    found = writer.write(path.name).cells()
    is_heat = path.name.startswith("heatmap__")
    places = list(dict.fromkeys((*expected, *found)))
    return len(places), list(_wrong(places, expected, found, is_heat=is_heat))


def _wrong(
    places: Sequence[str], expected: Mapping[str, str], found: Mapping[str, str], *, is_heat: bool
) -> Iterable[str]:
    for place in places:
        one, other = expected.get(place), found.get(place)
        if one != other and not (is_heat and one is not None and other is not None and _is_same_number(one, other)):
            yield f"{place}: expected {one!r}, found {other!r}"


def _is_same_number(recorded: str, ours: str) -> bool:
    """Whether a cell of the heat map holds our number before its pattern; a bare pattern is a zero."""
    number, _, _ = recorded.partition("%")
    try:
        one, other = float(number.strip() or 0), float(ours)
    except ValueError:
        return False
    return abs(one - other) <= 1e-12 * abs(one)
