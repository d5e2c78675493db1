"""The command line: commands, global handling of errors, exit codes. Imports stay light."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from backtestkit_cli import __version__
from backtestkit_cli.cli import (
    backtest,
    check,
    data,
    explain,
    init,
    live,
    optimizer,
    parity,
    report,
    robust,
    session,
    show,
    trust,
    verify,
    walker,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.stop import STOP
from backtestkit_cli.errors import BacktestkitError, Problem, Source, UsageError

app = typer.Typer(
    name="backtestkit",
    help="Backtest signal trading strategies written in YAML, Python or CSV, with numbers you can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
app.command()(init.init)
app.command()(backtest.backtest)
app.command()(walker.walker)
app.command()(live.live)
app.command()(parity.parity)
app.command()(check.check)
app.command()(explain.explain)
app.command()(robust.robust)
app.add_typer(optimizer.app, name="optimizer")
app.command()(trust.trust)
app.add_typer(data.app, name="data")
app.add_typer(report.app, name="report")
app.add_typer(session.app, name="session")
report.runs.command("verify")(verify.verify_run)
app.add_typer(report.runs, name="run")
app.add_typer(show.configs, name="config")
app.command("list")(show.list_kind)
app.command()(show.doctor)


INTERRUPTED = 130
"""What typer answers for a command that a `KeyboardInterrupt` ended."""


def _show_version(*, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"backtestkit {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[  # the callback reads it
        bool,
        typer.Option(
            "--version", callback=lambda value: _show_version(wanted=value), is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    output = Output(as_json="--json" in arguments, verbose=2 if "-vv" in arguments else 0)
    try:
        code = app(list(arguments), standalone_mode=False, prog_name="backtestkit")
    except Exception as error:  # noqa: BLE001  # the last line of defence: one message, never a traceback
        return output.stopped(STOP.exit_code) if STOP else _failed(output, error)
    if code == INTERRUPTED:
        return output.stopped(STOP.exit_code)
    return code if isinstance(code, int) else 0


def _failed(output: Output, error: Exception) -> int:
    """Tell of an error of ours, of the system, of the command-line parser, or of a bug; the exit code."""
    if isinstance(error, BacktestkitError):
        return output.error(error)
    if isinstance(error, OSError):
        return output.error(_refused(error))
    message = getattr(error, "format_message", None)
    if message is None:
        return output.bug(error)
    if type(error).__name__ == "NoArgsIsHelpError":
        output.tell(str(message()))
        return UsageError.exit_code
    hint = "backtestkit --help lists the commands, COMMAND --help their options"
    return output.error(UsageError(Problem("usage", str(message()).rstrip("."), hint=hint)))


def _refused(error: OSError) -> UsageError:
    """Say what the system did not let the program do."""
    where = Source(file=str(error.filename)) if error.filename else None
    hint = "check the path, its rights, and the space on the disk"
    return UsageError(Problem("system-refused", f"the system refuses: {error.strerror or error}", where, hint=hint))
