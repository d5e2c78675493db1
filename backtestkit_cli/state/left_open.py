"""What the journals of a project say is open: the witness where the state was moved away, or is gone.

* A position that was told as opened and not as closed is open, until somebody says that it is flat.
* Only the streams that are asked about count; others may run in a session with another state.
"""

from collections.abc import Collection
from pathlib import Path

from backtestkit_cli.state.journal import has_ended, read_journal, said_flat

StreamKey = tuple[str, str]
UNREAD = ("candle", "no_candle", "tick", "order", "trouble")


def left_open(logs: Path, streams: Collection[StreamKey], *, but: str = "") -> dict[Path, list[StreamKey]]:
    """The sessions that left some of these streams open, by the folder of their journal; `but` one session.

    `logs` is the folder of the project's logs.
    """
    folders = [path for path in sorted((logs / "live").glob("*")) if path.name != but and not has_ended(path)]
    found = {folder: sorted(_open_in(folder) & set(streams)) for folder in folders}
    return {folder: keys for folder, keys in found.items() if keys}


def _open_in(folder: Path) -> set[StreamKey]:
    known: set[StreamKey] = set()
    for line in read_journal(folder, without=UNREAD):
        match line:
            case {"what": "event", "event": {"kind": "opened", "signal": {"strategy": strategy, "symbol": symbol}}}:
                known.add((strategy, symbol))
            case {"what": "event", "event": {"kind": "closed", "signal": {"strategy": strategy, "symbol": symbol}}}:
                known.discard((strategy, symbol))
            case {"what": "reconciled", "said": said}:
                known = {key for key in known if said_flat(*key) != said}
            case _:
                pass
    return known
