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
    names = "; ".join(
        f"{view.strategy} {view.state} on {view.symbol} until {iso(view.until_ms or 0)} at the latest" for view in held
    )
    return f"stopping: no new entries; waiting for {names}. Ctrl-C leaves them open and ends now"
