"""`backtestkit optimizer`: the group of commands that look for params or strategies."""

import typer

from backtestkit_cli.cli import generate, search, studies

app = typer.Typer(
    help="Look for params, or let a model draft strategies, and test on candles they were not chosen on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("search")(search.search)
app.command("generate")(generate.generate)
app.command("show")(studies.show)
app.command("apply")(studies.apply)
