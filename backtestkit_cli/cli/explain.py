"""`backtestkit explain`: what a stored run did at a time, or with a signal, and why. Today's config is not read."""

from typing import Annotated

import typer

from backtestkit_cli.cli.again import again
from backtestkit_cli.cli.options import ConfigOption, JsonOption, RunArgument, VerboseOption
from backtestkit_cli.cli.output import Output

WhenArgument = Annotated[
    str, typer.Argument(metavar="WHEN|SIGNAL", help="A time such as 2023-03-05T10:15 (UTC), or the id of a signal.")
]
StrategyOption = Annotated[str | None, typer.Option("--strategy", metavar="NAME", help="Tell of this strategy only.")]
MarketOption = Annotated[str | None, typer.Option("--symbol", "-s", metavar="S", help="Tell of this market only.")]
NOT_AS_STORED = 5


def explain(
    run: RunArgument,
    when: WhenArgument,
    strategy: StrategyOption = None,
    symbol: MarketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Tell what a run did at one time, or with one signal, and why."""
    from backtestkit_cli.plugins.registry import ROOT
    from backtestkit_cli.report.story import stories_text
    from backtestkit_cli.report.story_json import stories_document
    from backtestkit_cli.run.explain import explain as explained

    output = Output(as_json=as_json, verbose=verbose)
    with again(run, config, output) as (bundle, project, on_progress, on_abandon):
        stories = explained(
            bundle,
            when,
            project,
            ROOT.child(),
            strategy=strategy,
            symbol=symbol,
            on_progress=on_progress,
            on_abandon=on_abandon,
        )
    output.result(stories_document(stories), stories_text(stories))
    return NOT_AS_STORED if any(story.difference for story in stories) else 0
