"""What a live session says of itself in a sentence, for the screen, the log and the people who are told."""

from collections.abc import Sequence

from backtestkit_cli.model.time import iso
from backtestkit_cli.run.live.view import StreamView

KILL_SWITCH_ON = "the kill switch is on: nothing is opened until `backtestkit session kill --release`"
KILL_SWITCH_OFF = "the kill switch is off: positions may be opened again"


def held_of(views: Sequence[StreamView]) -> list[StreamView]:
    """Those that have a position open."""
    return [view for view in views if view.until_ms is not None and not view.state.startswith("waits")]


def stopping(views: Sequence[StreamView], *, leaves: bool) -> str:
    """What a session that was asked to stop waits for, and until when."""
    held = held_of(views)
    if leaves or not held:
        return "stopping"
    names = [f"  {named(view)} until {iso(view.until_ms or 0)} at the latest" for view in held]
    return "\n".join(["stopping: no new entries; waiting for", *names, "Ctrl-C leaves them open and ends now"])


def named(view: StreamView) -> str:
    """A stream and what it holds."""
    return f"{view.strategy} {view.state} on {view.symbol}"


def going_on(session: str, ways: str, missed_minutes: int | None, views: Sequence[StreamView]) -> str:
    """What a session that was started again goes on with, once it has caught up."""
    missed = "" if missed_minutes is None else f"{missed_minutes} minute{'s' * (missed_minutes != 1)} missed, "
    held = ", ".join(named(view) for view in views if view.state != "flat") or "nothing"
    return f"goes on with session {session} {ways}: {missed}caught up; open: {held}"
