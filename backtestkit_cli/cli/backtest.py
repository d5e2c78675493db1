"""`backtestkit backtest`."""

from typing import Annotated

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.options import (
    ConfigOption,
    ExchangeOption,
    FrameOption,
    JobsOption,
    JsonOption,
    RangeOption,
    SetOption,
    SymbolOption,
    VerboseOption,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import open_kit

StrategiesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[STRATEGY]...", help="Default: all of the config.", autocompletion=complete.strategies),
]


def backtest(
    strategies: StrategiesArgument = None,
    symbol: SymbolOption = None,
    frame: FrameOption = None,
    range_: RangeOption = None,
    exchange: ExchangeOption = None,
    jobs: JobsOption = 1,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Test strategies on stored candles and report what came of them."""
    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    from backtestkit_cli.run.command import run_backtest

    request = {"symbols": symbol or (), "frame": frame, "range": range_, "exchange": exchange}
    return run_backtest(kit, strategies or (), request, jobs, output)
