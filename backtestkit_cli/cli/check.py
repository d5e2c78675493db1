"""`backtestkit check`: whether strategies can be believed, before their results are."""

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtestkit_cli.cli.messages import printable, render_source
from backtestkit_cli.cli.options import (
    ConfigOption,
    ExchangeOption,
    FrameOption,
    JsonOption,
    RangeOption,
    SetOption,
    StrategiesArgument,
    SymbolOption,
    VerboseOption,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import open_kit
from backtestkit_cli.cli.stop import STOP, stoppable
from backtestkit_cli.errors import Problem, StrategyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backtestkit_cli.run.checks.remark import Remark

PluginOption = Annotated[
    str | None,
    typer.Option("--plugin", metavar="REF", help="Check only this plugin, such as strategies/own.py:function."),
]
NoPluginsOption = Annotated[bool, typer.Option("--no-plugins", help="Run no code but our own.")]
WIDTH = 80
SIGNS = {"error": "✗", "warning": "!", "info": "·"}


def check(
    strategies: StrategiesArgument = None,
    symbol: SymbolOption = None,
    frame: FrameOption = None,
    range_: RangeOption = None,
    exchange: ExchangeOption = None,
    no_plugins: NoPluginsOption = False,
    plugin: PluginOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Check strategies: do they look ahead, is their warm-up long enough, can they earn their costs."""
    output = Output(as_json=as_json, verbose=verbose)
    if plugin is not None and (no_plugins or strategies):
        other = "--no-plugins" if no_plugins else "a strategy"
        raise UsageError(Problem("conflict", f"--plugin and {other} are both given", hint="give one of the two"))
    kit = open_kit(output, config, set_)
    if plugin is not None:
        with redirect_stdout(sys.stderr):
            return _tell(output, kit.check_plugin(plugin), plugin)
    job = kit.check(
        *(strategies or ()),
        symbols=symbol or (),
        exchange=exchange,
        frame=frame,
        range=range_,
        has_plugins=not no_plugins,
    )
    job.on_abandon = lambda message: _abandoned(message, output)
    total = job.plan.range.minutes * len(job.plan.strategies) * len(job.plan.symbols)
    with output.progress(total) as on_progress, redirect_stdout(sys.stderr):
        job.on_progress = stoppable(on_progress)
        remarks = job.run()
    return _tell(output, remarks, f"{job.plan.range} on {job.plan.exchange}")


def _abandoned(message: str, output: Output) -> None:
    output.error(StrategyError(Problem("call-timed-out", message)))


def _tell(output: Output, remarks: "Sequence[Remark]", about: str) -> int:
    """Write what was found; the exit code."""
    counts = {level: sum(remark.level == level for remark in remarks) for level in SIGNS}
    document = {"about": about, **counts, "findings": [_document(remark) for remark in remarks]}
    with STOP.held():
        output.result(document, "\n".join(_lines(remarks, about, counts)))
    return StrategyError.exit_code if counts["error"] else 0


def _document(remark: "Remark") -> dict[str, Any]:
    return {
        "level": remark.level,
        "code": remark.code,
        "text": remark.text,
        "hint": remark.hint,
        "strategy": remark.strategy,
        "symbol": remark.symbol,
        "where": None if remark.where is None else asdict(remark.where),
        "decision": None if remark.doubt is None else asdict(remark.doubt),
    }


def _lines(remarks: "Sequence[Remark]", about: str, counts: dict[str, int]) -> "Iterator[str]":
    yield f"Check of {printable(about)}"
    before = None
    for remark in remarks:
        head = f"{remark.strategy} on {remark.symbol}" if remark.strategy else ""
        if head != before:
            yield from ("", head) if head else ("",)
            before = head
        yield from _wrapped(f"  {SIGNS[remark.level]} ", remark.text)
        if remark.hint:
            yield from _wrapped("    ", remark.hint)
        if remark.where and (place := render_source(remark.where)):
            yield f"    {printable(place)}"
    yield ""
    errors, warnings = (_counted(counts[level], level) for level in ("error", "warning"))
    yield f"{errors}, {warnings}"


def _wrapped(head: str, text: str) -> list[str]:
    return wrap(printable(text), WIDTH, initial_indent=head, subsequent_indent="    ", break_on_hyphens=False)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
