"""The store of live state in files: one file per record, never half-written, never deleted.

* `state/<kind>/<key>.json` is the record, `.prev` beside it the generation before. A save that returned survives a
  power cut; one that was interrupted leaves the old record or the new one.
* A damaged record gives way to its previous generation, and is kept as `.corrupt-<time>`. Without a good one nothing is
  touched and nothing may begin: somebody has to say what is true.
* What cannot be read just now is neither damaged nor absent: no other generation takes its place.
* One program holds the folder; the temp files that killed ones left are swept by the next. Where the folder is deleted
  meanwhile it is not made again: nothing is kept any more, and that is said.
* Who looks from outside, while another program may hold the folder, renames nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

from backtestkit_cli.disk import (
    DISK,
    Disk,
    Holder,
    file_name,
    folder_lock,
    holder_of,
    refuse_lost,
    remove_leftovers,
    write_atomic,
)
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.state.generations import Generation, Which, generation_of
from backtestkit_cli.state.record import BadRecord, Record, decode, encode

ENDING, PREVIOUS, CORRUPT = ".json", ".prev", ".json.corrupt-"
SET_ASIDE = ".set-aside-"


class FileStore:
    """Records by kind and key. `warnings` are told once: which records were damaged, and what took their place."""

    def __init__(self, folder: Path, now_ms: Callable[[], int], disk: Disk = DISK, *, is_outside: bool = False) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self._is_outside = is_outside
        self._now_ms = now_ms
        self._disk = disk
        self._generations: dict[Path, int] = {}
        self._holder: Holder | None = None

    @contextmanager
    def held(self) -> Iterator["FileStore"]:
        """Hold the folder for this program alone, swept of what killed ones left.

        Raises:
            UsageError: another program holds it; the message names the process.
        """
        with folder_lock(self.folder) as self._holder:
            for folder in self.folder.iterdir():
                if folder.is_dir():
                    remove_leftovers(folder, disk=self._disk)
            yield self

    def holder(self) -> Holder | None:
        """Who holds it just now.

        Raises:
            StateError: the disk does not tell.
        """
        with _reading(self.folder):
            return holder_of(self.folder)

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, in order.

        Raises:
            StateError: one has no good generation, or cannot be read.
        """
        records = [self._read(path) for path in self._paths(kind)]
        return tuple(sorted(record.key for record in records if record is not None))

    def stored_keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, damaged ones too; of those with a long name, what their file says.

        Raises:
            StateError: the folder cannot be read.
        """
        return tuple(sorted(unquote(path.stem) for path in self._paths(kind)))

    def generations(self, kind: str, key: str) -> tuple[Generation, ...]:
        """Both generations of a record, as far as there are any.

        Raises:
            StateError: one cannot be read.
        """
        found = []
        for which in get_args(Which):
            with suppress(FileNotFoundError):
                found.append(generation_of(which, _bytes_of(_file(self._path(kind, key), which)), key))
        return tuple(found)

    def set_aside(self, kind: str, key: str, which: Which) -> str:
        """Rename a generation, so that it does not count any more; its new name.

        Raises:
            StateError: the disk does not let it.
        """
        path, now_ms = _file(self._path(kind, key), which), self._now_ms()
        try:
            while (kept := path.with_name(f"{path.name}{SET_ASIDE}{now_ms}")).exists():
                now_ms += 1
            self._disk.replace(path, kept)
            self._disk.sync_folder(path.parent)
        except OSError as error:
            raise _not_saved(key, path, error) from error
        self._generations.pop(self._path(kind, key), None)
        return str(kept)

    def load(self, kind: str, key: str) -> dict[str, Any] | None:
        """The body of a record; None where there never was one.

        Raises:
            StateError: it has no good generation, or cannot be read.
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
            if self._holder is not None:
                refuse_lost(self.folder, self._holder)
            self._disk.make_folder(path.parent)
            write_atomic(path, payload, previous=_file(path, "previous"), disk=self._disk)
        except OSError as error:
            raise _not_saved(key, path, error) from error
        self._generations[path] = generation

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / file_name(kind) / f"{file_name(key)}{ENDING}"

    def _paths(self, kind: str) -> list[Path]:
        """The places of all records of a kind, whatever is there."""
        folder, found = self.folder / file_name(kind), []
        with suppress(FileNotFoundError), _reading(folder):  # `glob` would take a folder that is not readable for empty
            found = list(folder.iterdir())
        paths = {path.with_name(path.name.removesuffix(PREVIOUS)) for path in found}
        return sorted(path for path in paths if path.name.endswith(ENDING) and not path.name.startswith("."))

    def _read(self, path: Path) -> Record | None:
        """The newest good generation."""
        reasons = []
        for place in (_file(path, which) for which in get_args(Which)):
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
        try:
            self._disk.replace(path, kept)
        except OSError as error:
            raise _not_saved(unquote(path.stem), path, error) from error
        self.warnings.append(f"{reason}; it is kept as {kept.name}, and its previous generation counts")


def _file(path: Path, which: Which) -> Path:
    """The file of a generation of the record at a path."""
    return path if which == "current" else path.with_name(path.name + PREVIOUS)


def _not_saved(key: str, path: Path, error: OSError) -> StateError:
    what = f"the state of {key} could not be written: {error.strerror or error}"
    hint = "open positions go on in memory; make room, or mend the disk"
    return StateError(Problem("state-not-saved", what, Source(file=str(path)), hint=hint))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What cannot be read inside, unless it is not there, becomes an error of ours."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        what = f"the state in {path.name} could not be read: {error.strerror or error}"
        hint = "look at the folder; a session that runs tries again"
        raise StateError(Problem("state-unreadable", what, Source(file=str(path)), hint=hint)) from error


def _bytes_of(path: Path) -> bytes:
    with _reading(path):
        return path.read_bytes()


def _checked(path: Path, name: str) -> Record:
    """Read a record that stands under the name of its key."""
    record = decode(_bytes_of(path))
    if name != file_name(record.key):
        raise BadRecord(f"it is the record of {record.key}")
    return record
