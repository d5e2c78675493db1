"""`--compare-fills`: what fills are worth, by one run under each policy on the same candles.

* The configured policy comes first; only its run is heard by listeners and callbacks, and only it is kept.
* A policy that the strategies cannot run under is left out, with the reason.
* Modules of user code are new for each run, so that none finds what another one remembered.
"""

from dataclasses import replace

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.measure.fills import FillComparison, compare
from backtestkit_cli.model.policy import PRESETS, Policy
from backtestkit_cli.run.backtest import Backtest
from backtestkit_cli.run.plan import plan_backtest

NAMES = (*PRESETS, "reference")


def other_policies(policy: Policy) -> tuple[str, ...]:
    """The policies that one is compared with."""
    return tuple(name for name in NAMES if name != policy.name)


def compare_fills(job: Backtest, run: RunResult) -> FillComparison:
    """Compare a finished run with runs of the same under each other policy.

    Raises:
        KeyboardInterrupt: the user stopped it.
    """
    runs = [run]
    left_out: list[tuple[str, str]] = []
    for name in other_policies(job.plan.policy):
        try:
            runs.append(_under(name, job).run())
        except BacktestkitError as error:
            left_out.append((name, error.problems[0].what))
    return compare(runs, tuple(left_out))


def _under(name: str, job: Backtest) -> Backtest:
    settings = job.config.settings.model_copy(update={"fill": name})
    config = replace(job.config, settings=settings)

    def on_progress(strategy: str, symbol: str, minutes: int) -> None:
        job.on_progress(f"{strategy} ({name})", symbol, minutes)

    return Backtest(
        config=config,
        plan=plan_backtest(config, job.plan.request, job.plan.present_ms),
        registry=job.registry.child(),
        logs=job.logs,
        jobs=job.jobs,
        on_progress=on_progress,
        on_abandon=job.on_abandon,
        clock=job.clock,
        calls_back=False,
    )
