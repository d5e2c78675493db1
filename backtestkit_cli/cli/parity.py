"""`backtestkit parity`: a live session against the backtest of its own window. Today's config is not read."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.again import abandoned
from backtestkit_cli.cli.options import ConfigOption, JsonOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import logs_folder
from backtestkit_cli.cli.stop import stoppable

SessionArgument = Annotated[
    str,
    typer.Argument(metavar="SESSION", help="Session id, unique prefix, or last.", autocompletion=complete.sessions),
]


def parity(
    session: SessionArgument = "last",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Do a live session again as a backtest, and say which signals differ and why."""
    from backtestkit_cli.plugins.registry import ROOT
    from backtestkit_cli.report.parity import parity_text
    from backtestkit_cli.run.log import shown
    from backtestkit_cli.run.parity import parity as compared
    from backtestkit_cli.run.session import find_session

    output = Output(as_json=as_json, verbose=verbose)
    logs = logs_folder(config)
    folder = find_session(logs, session)
    with output.progress(None) as on_progress, redirect_stdout(sys.stderr), shown(output.tell, verbose):
        found = compared(
            folder,
            logs.parent,
            ROOT.child(),
            on_progress=stoppable(on_progress),
            on_abandon=lambda message: abandoned(output, message),
        )
    output.result(
        found.document, parity_text(found.session, found.start_ms, found.end_ms, found.parity, found.left_out)
    )
    return found.exit_code
