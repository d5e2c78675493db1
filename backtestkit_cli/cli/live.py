"""`backtestkit live`: run strategies on the running market until told to stop, on paper, or with real orders."""

import sys
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from backtestkit_cli.cli.options import (
    ConfigOption,
    ExchangeOption,
    SetOption,
    StrategiesArgument,
    SymbolOption,
    VerboseOption,
)
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import open_kit, short
from backtestkit_cli.cli.stop import STOP
from backtestkit_cli.errors import Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backtestkit_cli.cli.screen import Screen
    from backtestkit_cli.kit import Kit
    from backtestkit_cli.run.live.session import Live
    from backtestkit_cli.state.request import StopRequest

StopAfterOption = Annotated[
    str | None, typer.Option("--stop-after", metavar="TIME", help="Stop by itself after so long, such as 10m or 8h.")
]
StopNowOption = Annotated[
    bool,
    typer.Option("--stop-now", help="At a stop leave positions open at once; the next start goes on with them."),
]
BrokerOption = Annotated[
    str | None, typer.Option("--broker", metavar="NAME", help="Who carries out orders: paper (default) or ccxt.")
]
RealOption = Annotated[bool, typer.Option("--real", help="Send real orders, with real money; needs --broker ccxt.")]
ConfirmOption = Annotated[
    str | None,
    typer.Option("--confirm", metavar="EXCHANGE", help="The name of the exchange, as your word for real orders."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write each event to stdout as one line of JSON.")]


def live(
    strategies: StrategiesArgument = None,
    symbol: SymbolOption = None,
    exchange: ExchangeOption = None,
    stop_after: StopAfterOption = None,
    stop_now: StopNowOption = False,
    broker: BrokerOption = None,
    real: RealOption = False,
    confirm: ConfirmOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Run strategies on the running market, on paper or with real orders: the engine of the backtest, with state that
    survives crashes.
    """
    output = Output(as_json=as_json, verbose=verbose)
    stop_ms = duration_ms(stop_after)
    kit = open_kit(output, config, set_)
    _refuse_second(kit)
    word = confirm or partial(_asked_for, output)
    session = kit.live(
        *(strategies or ()), symbols=symbol or (), exchange=exchange, broker=broker, real=real, confirm=word
    )
    if stop_ms is not None:
        session.stop_at_ms = session.clock.now_ms() + stop_ms
    session.leaves_at_stop = stop_now
    with _shown(session, output) as screen, STOP.gentle(lambda: _first(session, screen), session.leave):
        for event in session:
            screen.event(event)
    output.tell(_farewell(session))
    return STOP.exit_code if STOP else 0


def _asked_for(output: Output, text: str) -> str:
    """The word that somebody types after reading a text; none without a terminal."""
    if not sys.stdin.isatty():
        return ""
    output.tell(f"{text}\nType the name of the exchange to go on:")
    STOP.listen()  # polars takes Ctrl-C when it is imported, and lets nobody hear of it who waits for a key
    return sys.stdin.readline().strip()


def _first(session: "Live", screen: "Screen") -> None:
    """The first signal: end well, and say what is still waited for; one after a stop from elsewhere is the second."""
    from backtestkit_cli.run.live.saying import stopping

    if session.asked_to_stop:
        session.leave()
    session.stop()
    screen.note(stopping(session.views(), leaves=session.leaves_at_stop))


@contextmanager
def _shown(session: "Live", output: Output) -> "Iterator[Screen]":
    from backtestkit_cli.cli.screen import screen_for
    from backtestkit_cli.run.log import shown

    with screen_for(session, output) as screen, redirect_stdout(sys.stderr), shown(screen.note, output.verbose):
        session.on_trouble = screen.trouble
        session.on_minute = screen.minute
        session.on_note = screen.note
        session.on_begin = screen.begin
        session.on_asked = lambda request: screen.note(_heard(session, request))
        yield screen


def _heard(session: "Live", request: "StopRequest") -> str:
    from backtestkit_cli.run.live.saying import stopping

    match request.manner:
        case "gently":
            return f"asked from another terminal: {stopping(session.views(), leaves=session.leaves_at_stop)}"
        case "now":
            return "asked from another terminal: ends now"
        case "after":
            seconds = request.after_ms // 1000
            time = f"{seconds} s" if seconds % 60 else f"{seconds // 60} min"
            return f"asked from another terminal: stops in {time}"
        case _:
            assert_never(request.manner)


def _farewell(session: "Live") -> str:
    from backtestkit_cli.run.live.saying import named

    held = [f"  {named(view)}" for view in session.views() if view.state != "flat"]
    name, journal = session.record.session, f"journal in {short(session.journal_path)}"
    if not held:
        return f"session {name} has ended with nothing open\n{journal}"
    return "\n".join([f"session {name} was left with", *held, "the next start goes on with it", journal])


def duration_ms(text: str | None) -> int | None:
    """Read the time of `--stop-after`.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    from backtestkit_cli.model.time import seconds_of

    expected = "30s, 10m, 8h or 2d"
    try:
        seconds = seconds_of(text)
    except ValueError as error:
        raise UsageError(Problem("bad-duration", f"--stop-after {text!r} is no duration", expected=expected)) from error
    if not seconds:
        raise UsageError(Problem("bad-duration", f"--stop-after {text!r} is no time at all", expected=expected))
    return seconds * 1000


def _refuse_second(kit: "Kit") -> None:
    """Another session holds the state folder: say so before anything heavy is loaded.

    Raises:
        UsageError: it does.
    """
    from backtestkit_cli.disk import folder_lock

    if kit.settings.state.use in ("files", "sqlite"):
        with folder_lock(kit.state):
            pass
