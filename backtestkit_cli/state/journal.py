"""The journal of a session: every minute, decision and event, one JSON object a line, only ever added to.

It is for people, for reports and for `parity`; no position depends on it. A line that a crash cut off is left out.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

JOURNAL = "journal.jsonl"


class Journal:
    """An open journal. What the disk does not take is told once and left out."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self._file: IO[str] | None = None
        self.failure: OSError | None = None

    def add(self, what: str, time_ms: int, **told: Any) -> None:
        """Add a line; `what` names its kind."""
        line = json.dumps({"what": what, "time_ms": time_ms, **told}, allow_nan=True, default=str)
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8")
                if self.path.stat().st_size:
                    self._file.write("\n")  # a crash may have cut the last line off
            self._file.write(line + "\n")
        except OSError as error:
            self.failure = error
            self.close()

    def flush(self) -> None:
        """Hand what was added to the system."""
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            self.failure = error

    def close(self) -> None:
        """End it."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self.failure = error


def read_journal(folder: Path, without: Collection[str] = ()) -> Iterator[Mapping[str, Any]]:
    """Every whole line of a journal, oldest first, but those of some kinds; nothing where there is none."""
    path = folder / JOURNAL
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        skipped = tuple(f'{{"what": "{what}"' for what in without)
        for line in file:
            if line.startswith(skipped):
                continue
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and "what" in told:
                yield told
