"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from backtestkit_cli.cli import complete

ConfigOption = Annotated[
    list[Path] | None,
    typer.Option("--config", "-c", metavar="PATH", help="Config file or folder; repeatable. Default: configs/"),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override a config value, such as strategies.ema-cross.params.fast=8"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Say more; -vv shows tracebacks.")
]
StrategiesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="STRATEGY", help="Default: all of the config.", autocompletion=complete.strategies),
]
SymbolOption = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol", "-s", metavar="S", help="Market such as BTCUSDT; repeatable.", autocompletion=complete.symbols
    ),
]
ExchangeOption = Annotated[
    str | None,
    typer.Option("--exchange", "-e", metavar="E", help="Where candles come from.", autocompletion=complete.exchanges),
]
FrameOption = Annotated[
    str | None, typer.Option("--frame", "-f", metavar="F", help="Period to test.", autocompletion=complete.frames)
]
RangeOption = Annotated[
    str | None, typer.Option("--range", "-r", metavar="A..B", help="Period to test, such as 2023-03-01..2023-03-22.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes to work with.")]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="tcp://HOST:PORT", help="Test on the Dask cluster whose scheduler is there."),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Run id, unique prefix, or last.", autocompletion=complete.runs)
]
