"""The journal of a session: every minute, decision and event, one JSON object a line, only ever added to.

It is for people, for reports and for `parity`; no position depends on it. A line that a crash cut off is left out.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

JOURNAL = "journal.jsonl"
TAIL_BYTES = 65_536


class Journal:
    """An open journal. What the disk does not take is left out, and told by a line that says how many at most.

    `heard` is told of each line, in the thread that adds it, whatever the disk does.
    """

    def __init__(self, folder: Path, heard: Callable[[Mapping[str, Any]], None] = lambda _: None) -> None:
        self.path = folder / JOURNAL
        self._heard = heard
        self._unsure = 0
        self._lost = 0
        self._file: IO[str] | None = None
        self.failure: OSError | None = None
        self._is_told = False

    def add(self, what: str, time_ms: int, **told: Any) -> None:
        """Add a line; `what` names its kind."""
        self._heard(said := {"what": what, "time_ms": time_ms, **told})
        line = json.dumps(said, allow_nan=True, default=str)
        self._unsure += 1
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(line + "\n")
        except OSError as error:
            self.failure = error
            self.close()

    def flush(self) -> None:
        """Hand what was added to the system."""
        try:
            if self._file is not None:
                self._file.flush()
                self._unsure = 0
        except OSError as error:
            self.failure = error

    def new_failure(self) -> OSError | None:
        """Why lines are lost, once until they are written again."""
        failure, self.failure = self.failure, None
        is_new = failure is not None and not self._is_told
        self._is_told = failure is not None
        return failure if is_new else None

    def close(self) -> None:
        """End it."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
                self._unsure = 0
        except OSError as error:
            self.failure = error
        self._lost, self._unsure = self._lost + self._unsure, 0

    def _opened(self) -> IO[str]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a", encoding="utf-8")
        if self.path.stat().st_size:
            file.write("\n")  # a crash may have cut the last line off
        if self._lost:
            file.write(json.dumps({"what": "lost", "time_ms": 0, "lines": self._lost}) + "\n")
            self._lost = 0
        return file


def journal_bytes(folder: Path) -> int:
    """How long a journal is just now; 0 where there is none."""
    path = folder / JOURNAL
    return path.stat().st_size if path.is_file() else 0


def newest_ms(folder: Path) -> int | None:
    """The newest time in the end of a journal: when its session was last seen; None where there is no journal."""
    return max((int(told.get("now_ms") or told["time_ms"]) for told in _tail(folder)), default=None)


def has_ended(folder: Path) -> bool:
    """Whether the last line of a journal says that its session ended with nothing open."""
    lines = list(_tail(folder))
    return bool(lines) and lines[-1].get("what") == "end" and lines[-1].get("is_over") is True


def said_flat(strategy: str, symbol: str) -> str:
    """What a journal keeps where somebody said that nothing is open in a stream."""
    return f"{strategy} on {symbol} is flat"


def _tail(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The whole lines in the end of a journal that have a time."""
    path = folder / JOURNAL
    if not path.is_file():
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        for line in file:
            with suppress(
                ValueError, TypeError, AttributeError, KeyError
            ):  # cut off by a crash, or by where the end begins
                told = json.loads(line)
                int(told.get("now_ms") or told["time_ms"])
                yield told


def read_journal(
    folder: Path, without: Collection[str] = (), *, until: int | None = None
) -> Iterator[Mapping[str, Any]]:
    """Every whole line of a journal, oldest first, but those of some kinds; nothing where there is none.

    `until` ends it after so many bytes.
    """
    path, place = folder / JOURNAL, 0
    if not path.is_file():
        return
    skipped = tuple(f'{{"what": "{what}"'.encode() for what in without)
    with path.open("rb") as file:
        for line in file:
            place += len(line)
            if until is not None and place > until:
                return
            if line.startswith(skipped):
                continue
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and "what" in told:
                yield told
