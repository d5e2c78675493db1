"""What all runs of a comparison have in common, as a run without streams."""

from collections.abc import Sequence

from backtestkit_cli.config.market_schema import SampleExchange
from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.result import RunResult, RunStatus
from backtestkit_cli.run.columns import column_choices
from backtestkit_cli.run.plan import Plan


def shared_run(
    config: Config, plan: Plan, strategies: Sequence[str], status: RunStatus, warnings: tuple[str, ...]
) -> RunResult:
    """Take down market, time, fills, costs and money of the runs of some strategies on one plan."""
    is_sized = any(config.strategies[name].sizing for name in strategies)
    return RunResult(
        run_id="",
        kind="backtest",
        exchange=plan.exchange,
        frame=plan.frame,
        range=plan.range,
        tick=plan.tick,
        policy=plan.policy,
        costs=plan.costs,
        balance=config.settings.balance if is_sized else None,
        gap=config.settings.gap,
        streams=(),
        warnings=warnings,
        status=status,
        columns=column_choices(config),
        is_made_up=isinstance(config.exchanges[plan.exchange], SampleExchange),
    )
