"""The store of live state in files: one file per record, never half-written, never deleted.

* `state/<kind>/<key>.json` is the record, `.prev` beside it the generation before. A save that returned survives a
  power cut; one that was interrupted leaves the old record or the new one.
* A damaged record gives way to its previous generation, and is kept as `.corrupt-<time>`. Without a good one nothing is
  touched and nothing may begin: somebody has to say what is true.
* One program holds the folder; the temp files that killed ones left are swept by the next.
* Who looks from outside, while another program may hold the folder, renames nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backtestkit_cli.disk import DISK, Disk, Holder, file_name, folder_lock, remove_leftovers, write_atomic
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.state.record import BadRecord, Record, decode, encode

ENDING, PREVIOUS, CORRUPT = ".json", ".json.prev", ".json.corrupt-"


class FileStore:
    """Records by kind and key. `warnings` are told once: which records were damaged, and what took their place.

    `holder` is who we are while we hold the folder.
    """

    def __init__(self, folder: Path, now_ms: Callable[[], int], disk: Disk = DISK, *, is_outside: bool = False) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self.holder: Holder | None = None
        self._is_outside = is_outside
        self._now_ms = now_ms
        self._disk = disk
        self._generations: dict[Path, int] = {}

    @contextmanager
    def held(self) -> Iterator["FileStore"]:
        """Hold the folder for this program alone, swept of what killed ones left.

        Raises:
            UsageError: another program holds it; the message names the process.
        """
        with folder_lock(self.folder) as self.holder:
            for folder in self.folder.iterdir():
                if folder.is_dir():
                    remove_leftovers(folder, disk=self._disk)
            yield self

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, in order.

        Raises:
            StateError: one has no good generation.
        """
        folder = self.folder / file_name(kind)
        paths = {path.with_name(path.name.removesuffix(".prev")) for path in folder.glob(f"*{ENDING}*")}
        paths = {path for path in paths if path.name.endswith(ENDING) and not path.name.startswith(".")}
        records = [self._read(path) for path in sorted(paths)]
        return tuple(sorted(record.key for record in records if record is not None))

    def load(self, kind: str, key: str) -> dict[str, Any] | None:
        """The body of a record; None where there never was one.

        Raises:
            StateError: it has no good generation.
        """
        record = self._read(self._path(kind, key))
        return None if record is None else record.body

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> None:
        """Keep a body; once this returns it survives a power cut.

        Raises:
            StateError: it could not be written; the record is the old one, or already the new one.
        """
        path = self._path(kind, key)
        if path not in self._generations:
            self._read(path)
        generation = self._generations.get(path, 0) + 1
        payload = encode(Record(key=key, generation=generation, saved_at_ms=self._now_ms(), body=dict(body)))
        try:
            self._disk.make_folder(path.parent)
            write_atomic(path, payload, previous=path.with_name(path.stem + PREVIOUS), disk=self._disk)
        except OSError as error:
            what = f"the state of {key} could not be written: {error.strerror or error}"
            hint = "open positions go on in memory; make room, or mend the disk"
            raise StateError(Problem("state-not-saved", what, Source(file=str(path)), hint=hint)) from error
        self._generations[path] = generation

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / file_name(kind) / f"{file_name(key)}{ENDING}"

    def _read(self, path: Path) -> Record | None:
        """The newest good generation."""
        previous = path.with_name(path.stem + PREVIOUS)
        reasons = []
        for place in (path, previous):
            try:
                record = _checked(place, path.stem)
            except FileNotFoundError:
                continue
            except BadRecord as bad:
                reasons.append(f"{place.name}: {bad}")
                continue
            if reasons:
                self._quarantine(path, reasons[0])
            self._generations[path] = record.generation
            return record
        if not reasons:
            return None
        what = f"the state in {path.name} is damaged, and so is its previous generation ({'; '.join(reasons)})"
        hint = "look at the exchange and say what is true with `backtestkit session reconcile`; nothing was deleted"
        raise StateError(Problem("state-damaged", what, Source(file=str(path)), hint=hint))

    def _quarantine(self, path: Path, reason: str) -> None:
        if self._is_outside:
            self.warnings.append(f"{reason}; its previous generation counts")
            return
        kept = path.with_name(f"{path.stem}{CORRUPT}{self._now_ms()}")
        self._disk.replace(path, kept)
        self.warnings.append(f"{reason}; it is kept as {kept.name}, and its previous generation counts")


def _checked(path: Path, name: str) -> Record:
    """Read a record that stands under the name of its key."""
    record = decode(path.read_bytes())
    if name != file_name(record.key):
        raise BadRecord(f"it is the record of {record.key}")
    return record
