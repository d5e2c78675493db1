"""`backtestkit run verify`: do a stored run again and say whether it is the same. Today's config is not read."""

import sys
from contextlib import redirect_stdout

from backtestkit_cli.cli.options import ConfigOption, JsonOption, RunArgument, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import logs_folder
from backtestkit_cli.cli.stop import stoppable
from backtestkit_cli.errors import Problem, StrategyError


def verify_run(
    run: RunArgument = "last", config: ConfigOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """Do a run again and say whether it is the same; if not, why."""
    from backtestkit_cli.plugins.registry import ROOT
    from backtestkit_cli.report.dump import find_bundle
    from backtestkit_cli.report.verdict import verdict_document, verdict_text
    from backtestkit_cli.run.log import shown
    from backtestkit_cli.run.repeat import read_manifest, total_minutes
    from backtestkit_cli.run.verify import verify

    output = Output(as_json=as_json, verbose=verbose)
    logs = logs_folder(config)
    bundle = find_bundle(logs, run)
    total = total_minutes(read_manifest(bundle))
    with output.progress(total) as on_progress, redirect_stdout(sys.stderr), shown(output.tell, verbose):
        verdict = verify(
            bundle,
            logs.parent,
            ROOT.child(),
            on_progress=stoppable(on_progress),
            on_abandon=lambda message: abandoned(output, message),
        )
    output.result(verdict_document(verdict), verdict_text(verdict))
    return verdict.exit_code


def abandoned(output: Output, message: str) -> None:
    """Tell why the process ends now: a strategy call hangs and cannot be interrupted."""
    output.error(StrategyError(Problem("call-timed-out", message)))
