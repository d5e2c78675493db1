"""`backtestkit optimizer search`: try params of a strategy, and say how much of the best one is luck."""

from typing import Annotated

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.options import ConfigOption, JsonOption, SetOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import open_kit
from backtestkit_cli.errors import Problem, UsageError

StrategyArgument = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="A strategy of the config.", autocompletion=complete.strategies)
]


def search(
    strategy: StrategyArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Try params of a strategy."""
    open_kit(Output(as_json=as_json, verbose=verbose), config, set_).get_strategy(strategy)
    what = f"the params of {strategy} cannot be searched by this version yet"
    raise UsageError(Problem("not-available", what, hint="compare variants with `backtestkit walker`"))
