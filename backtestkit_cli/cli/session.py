"""`backtestkit session`: see and steer live sessions from another terminal."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtestkit_cli.cli.live import StopAfterOption, duration_ms
from backtestkit_cli.cli.options import ConfigOption, JsonOption, SetOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import DEFAULT_CONFIG, open_kit, short
from backtestkit_cli.cli.tables import columns, pairs
from backtestkit_cli.errors import ConfigError, Problem, StateError, UsageError
from backtestkit_cli.model.time import clock_text, iso, to_second

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backtestkit_cli.run.live.status import StreamStatus
    from backtestkit_cli.run.reconcile import Said, Unsettled
    from backtestkit_cli.run.session import SessionBrief, Sessions
    from backtestkit_cli.state.request import Manner

app = typer.Typer(
    help="See and steer live sessions from another terminal.", no_args_is_help=True, rich_markup_mode=None
)

KILLED = "KILL SWITCH ON: nothing is opened until `backtestkit session kill --release`"
SessionArgument = Annotated[
    str | None, typer.Argument(metavar="SESSION", help="Id, unique prefix, or last. Default: the one in the state.")
]
NowOption = Annotated[
    bool, typer.Option("--stop-now", help="Leave positions open at once; the next start goes on with them.")
]
ReleaseOption = Annotated[bool, typer.Option("--release", help="Let sessions open positions again.")]
FlatOption = Annotated[
    tuple[str, str] | None,
    typer.Option("--flat", metavar="STRATEGY SYMBOL", help="Say that nothing is open and nothing waits there."),
]
PreviousOption = Annotated[
    tuple[str, str] | None,
    typer.Option("--previous", metavar="STRATEGY SYMBOL", help="Say that the generation before is the true one."),
]
AsideOption = Annotated[
    str | None,
    typer.Option("--set-aside", metavar="RECORD", help="Do without a damaged record: session, money, switch, request."),
]


@app.command("list")
def list_sessions(
    config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """List the sessions, the newest last."""
    output = Output(as_json=as_json, verbose=verbose)
    sessions = open_kit(output, config, set_).sessions
    briefs, now_ms = sessions.list(), sessions.clock.now_ms()
    rows = [_brief_row(brief, now_ms) for brief in briefs]
    text = columns(rows, output.width) if rows else "No session has run here yet; start one with `backtestkit live`."
    output.result([_brief(one) for one in briefs], f"{text}\n\n{KILLED}" if sessions.is_killed else text)
    return 0


@app.command()
def status(
    session: SessionArgument = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Show what each stream of a session holds, as the state has it."""
    output = Output(as_json=as_json, verbose=verbose)
    sessions = open_kit(output, config, set_).sessions
    found, now_ms = sessions.status(session), sessions.clock.now_ms()
    facts = {**_brief(found.brief), "exchange": found.exchange, "kill_switch": found.is_killed}
    streams = [_plain(asdict(stream)) for stream in found.streams]
    for warning in found.warnings:
        output.tell(f"warning: {warning}")
    head = pairs(
        {
            "session": found.brief.session,
            "started": to_second(found.brief.started_ms),
            "standing": _standing(found.brief, now_ms),
            "process": _number(found.brief.process),
            "streams": found.brief.streams,
            "open_positions": found.brief.open_positions,
            "trades": found.brief.trades,
            "exchange": found.exchange,
            "kill_switch": "ON: nothing is opened" if found.is_killed else "off",
            "journal": short(found.journal),
        }
    )
    rows = [_stream_row(stream, now_ms) for stream in found.streams]
    text = "\n\n".join([head, *([columns(_shown(rows), output.width)] if rows else [])])
    output.result({**facts, "journal": str(found.journal), "streams": streams, "warnings": found.warnings}, text)
    return StateError.exit_code if any(stream.needs_word for stream in found.streams) else 0


@app.command()
def stop(
    session: SessionArgument = None,
    stop_now: NowOption = False,
    stop_after: StopAfterOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Ask the running session to end: no new entries, open positions are followed to their end."""
    output = Output(as_json=as_json, verbose=verbose)
    after_ms = duration_ms(stop_after)
    if stop_now and after_ms is not None:
        raise UsageError(Problem("conflict", "--stop-now and --stop-after exclude each other", hint="choose one"))
    sessions = open_kit(output, config, set_).sessions
    manner: Manner = "now" if stop_now else "gently" if after_ms is None else "after"
    asked = sessions.stop(session, manner=manner, after_ms=after_ms or 0)
    how: dict[Manner, str] = {
        "now": "leaves positions open and ends now; the next start goes on with them",
        "gently": "opens nothing more, and ends when its positions have closed",
        "after": f"stops by itself after {stop_after}",
    }
    document = {"process": asked.process or None, "manner": manner, "after_ms": after_ms}
    output.result(document, f"asked {asked}, which hears it within 2 s: it {how[manner]}")
    return 0


@app.command()
def kill(
    release: ReleaseOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Throw the kill switch: nothing is opened any more, entries that wait are cancelled, positions are followed."""
    output = Output(as_json=as_json, verbose=verbose)
    hearing = _switch(output, config, set_).kill(is_killed=not release)
    if release:
        text = "the kill switch is off: sessions may open positions again"
    else:
        text = "the kill switch is on: nothing is opened until `backtestkit session kill --release`"
    who = "no session runs just now" if hearing is None else f"{hearing} hears it within 2 s"
    output.result({"is_killed": not release, "process": hearing.process if hearing else None}, f"{text}; {who}")
    return 0


def _switch(output: Output, config: "Sequence[Path] | None", overrides: "Sequence[str] | None") -> "Sessions":
    """The sessions of a project, its config may be as wrong as it likes as long as it says where the state is."""
    from backtestkit_cli.config.only_state import only_state
    from backtestkit_cli.run.session import Sessions

    try:
        return open_kit(output, config, overrides).sessions
    except ConfigError as error:
        if error.code == "no-config":
            raise
        known = only_state(config or (DEFAULT_CONFIG,), overrides or ())
        state, folder = known.settings.state, known.project / known.settings.state.path
        place = short(folder) if state.use in ("files", "sqlite") else state.use
        output.tell(f"warning: the config cannot be loaded ({error.problems[0].what}); the state in {place} counts")
        return Sessions(config=known, folder=folder, logs=known.project / "logs")


@app.command()
def reconcile(
    flat: FlatOption = None,
    previous: PreviousOption = None,
    set_aside: AsideOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Show what in the state needs a word of yours, and say what is true; nothing is deleted."""
    output = Output(as_json=as_json, verbose=verbose)
    if sum(one is not None for one in (flat, previous, set_aside)) > 1:
        raise UsageError(Problem("conflict", "only one thing can be said at a time", hint="give one option"))
    kit = open_kit(output, config, set_)
    reconciling = kit.sessions.reconciling()
    kept: tuple[str, ...] = ()
    said = ""
    if flat is not None:
        kept, said = reconciling.say_flat(*flat), f"{' '.join(flat)} is flat now"
    elif previous is not None:
        kept, said = reconciling.say_previous(*previous), f"{' '.join(previous)} is what the generation before says"
    elif set_aside is not None:
        kept, said = reconciling.put_aside(set_aside), f"the record {set_aside} does not count any more"
    found = reconciling.unsettled()
    use = kit.settings.state.use
    place = short(kit.state) if use in ("files", "sqlite") else use
    old = f"{len(kept)} old record{'s' * (len(kept) != 1)} kept in {place}"
    parts = [f"{said}; {old}"] if said else []
    parts += [_unsettled(one) for one in found] or ["Nothing needs a word: a session can begin."]
    document = {"kept": kept, "unsettled": [_plain(asdict(one)) for one in found]}
    output.result(document, "\n".join(parts))
    return StateError.exit_code if found else 0


def _brief(brief: "SessionBrief") -> dict[str, Any]:
    """A session as JSON."""
    row: dict[str, Any] = _plain(asdict(brief))
    row["kill_switch"] = row.pop("is_killed")
    return {**row, "started": to_second(brief.started_ms)}


def _brief_row(brief: "SessionBrief", now_ms: int) -> dict[str, Any]:
    """A session as a line of the list."""
    return {
        "session": brief.session,
        "started": clock_text(brief.started_ms, now_ms),
        "standing": _standing(brief, now_ms),
        "process": _number(brief.process),
        "streams": brief.streams,
        "open": brief.open_positions,
        "trades": brief.trades,
    }


def _standing(brief: "SessionBrief", now_ms: int) -> str:
    """Whether it runs, and until when."""
    at = None if brief.stops_ms is None else clock_text(brief.stops_ms, now_ms)
    if brief.is_stopping:
        return f"stopping (until {at})" if at else "stopping"
    return f"{brief.standing}, stops at {at}" if at and brief.standing == "running" else brief.standing


def _number(process: int | None) -> str | None:
    """The number of a process: a name, not an amount."""
    return None if process is None else str(process)


def _stream_row(stream: "StreamStatus", now_ms: int) -> dict[str, Any]:
    """What a stream holds, as a line."""
    from backtestkit_cli.run.live.line import price_text

    return {
        "strategy": stream.strategy,
        "symbol": stream.symbol,
        "state": stream.state,
        "entry": stream.entry and price_text(stream.entry),
        "TP": stream.take_profit and price_text(stream.take_profit),
        "SL": stream.stop_loss and price_text(stream.stop_loss),
        "quantity": stream.quantity and f"{stream.quantity:.8g}",
        "until": clock_text(stream.until_ms, now_ms) if stream.until_ms else None,
        "orders": stream.orders,
    }


def _unsettled(one: "Unsettled") -> str:
    lines = [one.key, f"  {one.what}", *(f"  {said.which:8}  {_said(said)}" for said in one.said)]
    ways = [f"backtestkit session reconcile {way}" if way.startswith("--") else way for way in one.ways]
    return "\n".join([*lines, "  what you can do:", *(f"    {way}" for way in ways)])


def _said(said: "Said") -> str:
    if said.fault:
        return said.fault
    head = f"generation {said.number}, {iso(said.saved_ms or 0)}"
    return head if said.stream is None else f"{head}: {_stream(said.stream)}"


def _stream(stream: "StreamStatus") -> str:
    if stream.entry is None:
        return stream.state
    levels = f"at {stream.entry:g}, TP {stream.take_profit:g}, SL {stream.stop_loss:g}"
    return f"{stream.state} {levels}, since {iso(stream.since_ms or 0)}"


def _plain(told: Any) -> Any:
    """Times as texts under names without `_ms`; what is 0 or unknown is nothing."""
    match told:
        case dict():
            return {
                name.removesuffix("_ms"): (iso(value) if value else None) if name.endswith("_ms") else _plain(value)
                for name, value in told.items()
            }
        case list() | tuple():
            return [_plain(one) for one in told]
        case _:
            return told


def _shown(rows: "Sequence[Mapping[str, Any]]") -> list[dict[str, Any]]:
    """Rows for a table, without the columns that say nothing."""
    empty = {name for name in rows[0] if all(row[name] is None for row in rows)}
    return [{name: value for name, value in row.items() if name not in empty} for row in rows]
