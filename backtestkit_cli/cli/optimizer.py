"""`backtestkit optimizer`: the group of commands that look for params or strategies."""

import typer

from backtestkit_cli.cli import search, studies

app = typer.Typer(
    help="Look for params that hold on candles they were not chosen on.", no_args_is_help=True, rich_markup_mode=None
)
app.command("search")(search.search)
app.command("show")(studies.show)
app.command("apply")(studies.apply)
