"""A session whose files may not grow for a while, as on a full disk; what it did is printed as JSON.

A program of its own, because the limit is one of the process. The arguments are its folder, the minute from which
nothing can be written, and the one from which it can again.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from accelerated import JumpingClock
from e2e.project import START_MS

from backtestkit_cli import Idle, Kit
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.event import Active
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.state.session import SessionState, event_body
from backtestkit_cli.state.store import FileStore

BYTES = 64
"""No file may grow beyond; every record is longer."""


def main(folder: Path, full_minute: int, space_minute: int) -> None:
    """Run it until three hours after there is space again."""
    kit = Kit.load(folder / "configs")
    live = kit.live("asked", symbols=["BTCUSDT"])
    seen: dict[str, Any] = {"troubles": []}

    def stored() -> list[str]:
        return [path.read_text("utf-8") for path in sorted(kit.state.rglob("*.json"))]

    def fill() -> None:
        seen["before"] = stored()
        _limit(BYTES)

    def free() -> None:
        seen["at the end"] = stored()
        _limit(resource.RLIM_INFINITY)

    def look() -> None:
        record = SessionState(FileStore(kit.state, lambda: 0)).stream("asked", "BTCUSDT")
        seen["is kept again"] = record.state == live.streams["asked", "BTCUSDT"].walk.state

    space_ms = START_MS + space_minute * MINUTE_MS
    live.clock = JumpingClock(
        START_MS - 20_000,
        {
            START_MS + full_minute * MINUTE_MS: fill,
            space_ms: free,
            space_ms + 2 * MINUTE_MS: look,
            space_ms + 180 * MINUTE_MS: live.leave,
        },
    )

    def on_trouble(error: BacktestkitError) -> None:
        seen["troubles"].append((error.code, (live.clock.now_ms() - START_MS) // MINUTE_MS))

    live.on_trouble = on_trouble
    seen["events"] = [event_body(event) for event in live if not isinstance(event, Idle | Active)]
    print(json.dumps(seen))


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
