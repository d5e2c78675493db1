"""Our statistics of a case, in the shape of the recordings."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from golden.golden_cases import Outcome

from backtestkit_cli.engine.reference.events import OfferRejected
from backtestkit_cli.measure.original import (
    TradeFigures,
    WalkerResult,
    backtest_figures,
    heat_figures,
    live_figures,
    trade_of,
    walker_results,
)
from backtestkit_cli.measure.original_events import (
    level_figures,
    rejection_figures,
    schedule_entry,
    schedule_figures,
)
from backtestkit_cli.model.event import Closed, LevelReached


def statistics_as_recorded(outcome: Outcome) -> dict[str, Any]:
    """The figures per strategy and symbol."""
    return {key: _of_stream(outcome, key) for key in outcome.streams}


def _of_stream(outcome: Outcome, key: str) -> dict[str, Any]:
    events = [told.event for told in outcome.told(key)]
    entries = [entry for event in events if (entry := schedule_entry(event)) is not None]
    if outcome.case.is_live:
        trades = {"live": renamed(live_figures(events)[1], "total_closed")}
    else:
        trades = {"backtest": renamed(figures_of(outcome, key), "total_signals")}
    return {
        **trades,
        "schedule": asdict(schedule_figures(entries)),
        "partial": asdict(level_figures(event for event in events if isinstance(event, LevelReached))),
        "risk": asdict(rejection_figures(event for event in events if isinstance(event, OfferRejected))),
    }


def figures_of(outcome: Outcome, key: str) -> TradeFigures:
    """The figures of the closed trades of one stream."""
    return backtest_figures(trade_of(one.event) for one in outcome.told(key) if isinstance(one.event, Closed))


def renamed(figures: TradeFigures, count: str) -> dict[str, Any]:
    """Figures with the recording's name for their count."""
    found = asdict(figures)
    return {count: found.pop("total_closed"), **found}


def heat_as_recorded(outcome: Outcome) -> dict[str, Any]:
    """The heat map of each strategy that ran."""
    found: dict[str, Any] = {}
    for strategy in dict.fromkeys(key.split("|")[0] for key in outcome.streams):
        closed = [one.event for one in outcome.told() if isinstance(one.event, Closed)]
        heat = asdict(heat_figures(trade_of(event) for event in closed if event.signal.strategy == strategy))
        found[strategy] = {**heat, "symbols": list(heat["symbols"])}
    return found


def walker_runs(outcome: Outcome) -> dict[str, list[WalkerResult]]:
    """The results of each walker, in order of testing."""
    symbol = outcome.case.terms["symbol"]
    found: dict[str, list[WalkerResult]] = {}
    for walker in outcome.case.terms.get("walkers") or []:
        tested = [(name, figures_of(outcome, f"{name}|{symbol}")) for name in walker["strategies"]]
        found[walker["name"]] = walker_results(tested, walker.get("metric") or "sharpeRatio")
    return found


def walkers_as_recorded(outcome: Outcome) -> list[dict[str, Any]]:
    """What each walker told."""
    given = {walker["name"]: walker for walker in outcome.case.terms.get("walkers") or []}
    return [_walker(given[name], results) for name, results in walker_runs(outcome).items()]


def _walker(given: Mapping[str, Any], results: list[WalkerResult]) -> dict[str, Any]:
    metric, total, last = given.get("metric") or "sharpeRatio", len(given["strategies"]), results[-1]
    best = next((one.figures for one in results if one.strategy == last.best_strategy), None)
    return {
        "name": given["name"],
        "metric": given.get("metric"),
        "progress": [
            {
                "strategy": one.strategy,
                "metric": metric,
                "metric_value": one.metric_value,
                "best_metric": one.best_metric,
                "best_strategy": one.best_strategy,
                "strategies_tested": place,
                "total_strategies": total,
            }
            for place, one in enumerate(results, 1)
        ],
        "complete": {
            "metric": metric,
            "best_strategy": last.best_strategy,
            "best_metric": last.best_metric,
            "total_strategies": total,
            "best_stats": None if best is None else renamed(best, "total_signals"),
        },
        "result_order": [{"strategy": one.strategy, "metric_value": one.metric_value} for one in reversed(results)],
    }
