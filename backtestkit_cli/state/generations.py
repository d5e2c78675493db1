"""Each generation of a record of live state as it lies on disk, for people who have to say which of them is true.

Nothing is deleted: a generation that is not true is renamed, and can be looked at for ever.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from backtestkit_cli.disk import DISK, file_name
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.state.record import BadRecord, Record, decode
from backtestkit_cli.state.store import ENDING, PREVIOUS

SET_ASIDE = ".set-aside-"
Which = Literal["current", "previous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One file of a record: what it says, or what is wrong with it."""

    which: Which
    path: Path
    record: Record | None
    fault: str = ""


def stored_keys(folder: Path, kind: str) -> tuple[str, ...]:
    """The keys of all records of a kind, damaged ones too; of a damaged one with a long name, what its file says."""
    names = {path.name.removesuffix(".prev") for path in (folder / file_name(kind)).glob(f"*{ENDING}*")}
    names = {name.removesuffix(ENDING) for name in names if name.endswith(ENDING) and not name.startswith(".")}
    return tuple(sorted(_key(folder, kind, name) for name in names))


def generations(folder: Path, kind: str, key: str) -> tuple[Generation, ...]:
    """Both generations of a record, as far as there are any."""
    return _of_file(folder, kind, file_name(key))


def set_aside(generation: Generation, now_ms: int) -> Path:
    """Rename a generation, so that it does not count any more; where it is now.

    Raises:
        StateError: the disk does not let it.
    """
    path = generation.path
    kept = path.with_name(f"{path.name}{SET_ASIDE}{now_ms}")
    while kept.exists():
        now_ms += 1
        kept = path.with_name(f"{path.name}{SET_ASIDE}{now_ms}")
    try:
        DISK.replace(path, kept)
        DISK.sync_folder(path.parent)
    except OSError as error:
        what = f"{path.name} cannot be renamed: {error.strerror or error}"
        raise StateError(Problem("state-not-saved", what, Source(file=str(path)), hint="mend the disk")) from error
    return kept


def _key(folder: Path, kind: str, name: str) -> str:
    known = (one.record.key for one in _of_file(folder, kind, name) if one.record is not None)
    return next(known, unquote(name))


def _of_file(folder: Path, kind: str, name: str) -> tuple[Generation, ...]:
    place = folder / file_name(kind)
    found = (_generation("current", place / f"{name}{ENDING}"), _generation("previous", place / f"{name}{PREVIOUS}"))
    return tuple(one for one in found if one is not None)


def _generation(which: Which, path: Path) -> Generation | None:
    try:
        record = decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except BadRecord as bad:
        return Generation(which=which, path=path, record=None, fault=str(bad))
    if not path.name.startswith(f"{file_name(record.key)}{ENDING}"):
        return Generation(which=which, path=path, record=None, fault=f"it is the record of {record.key}")
    return Generation(which=which, path=path, record=record)
