"""`backtestkit trust`: agree to run a Python file that a language model wrote, as it is now."""

import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from backtestkit_cli.cli.options import ConfigOption, JsonOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import DEFAULT_CONFIG
from backtestkit_cli.cli.stop import STOP
from backtestkit_cli.errors import Problem, Source, UsageError

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A Python file that a language model wrote.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Agree without being asked.")]


def trust(
    file: FileArgument,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Agree to run a Python file that a language model wrote, as it is now. Nothing of it runs here."""
    from backtestkit_cli.config.merge import project_folder
    from backtestkit_cli.plugins.drafted import trust as consents
    from backtestkit_cli.plugins.drafted.function import names_used

    output = Output(as_json=as_json, verbose=verbose)
    place, project = Source(file=str(file)), project_folder((config or (DEFAULT_CONFIG,))[0])
    code = file.read_bytes()
    if not consents.is_drafted(code):
        what, hint = "no language model wrote this file, so it runs without consent", "nothing is to be done"
        raise UsageError(Problem("not-drafted", what, place, hint=hint))
    uses, digest = names_used(consents.checked_text(code, file)), consents.digest_of(code)
    listed = textwrap.fill(" ".join(uses), 78, initial_indent="  ", subsequent_indent="  ")
    output.tell(f"{file.resolve()}\nSHA-256 {digest}\nIt uses:\n{listed}")
    if not (yes or _agreed(output)):
        hint = "read the file; then answer yes, or give --yes"
        raise UsageError(Problem("not-agreed", "nobody has agreed to run this file", place, hint=hint))
    consents.trust(project, file.resolve(), digest)
    document = {"file": str(file.resolve()), "sha256": digest, "uses": list(uses)}
    output.result(document, f"{file} may run as it is now: {consents.TRUSTED} of {project} says so")
    return 0


def _agreed(output: Output) -> bool:
    if not sys.stdin.isatty():
        return False
    output.tell("It runs with limits, but could read your files. Type yes to let it run as it is now:")
    STOP.listen()  # polars takes Ctrl-C when it is imported, and lets nobody hear of it who waits for a key
    return sys.stdin.readline().strip() == "yes"
