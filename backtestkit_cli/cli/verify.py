"""`backtestkit run verify`: do a stored run again and say whether it is the same. Today's config is not read."""

from backtestkit_cli.cli.again import again
from backtestkit_cli.cli.options import ConfigOption, JsonOption, RunArgument, VerboseOption
from backtestkit_cli.cli.output import Output


def verify_run(
    run: RunArgument = "last", config: ConfigOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """Do a run again and say whether it is the same; if not, why."""
    from backtestkit_cli.plugins.registry import ROOT
    from backtestkit_cli.report.verdict import verdict_document, verdict_text
    from backtestkit_cli.run.verify import verify

    output = Output(as_json=as_json, verbose=verbose)
    with again(run, config, output) as (bundle, project, on_progress, on_abandon):
        verdict = verify(bundle, project, ROOT.child(), on_progress=on_progress, on_abandon=on_abandon)
    output.result(verdict_document(verdict), verdict_text(verdict))
    return verdict.exit_code
