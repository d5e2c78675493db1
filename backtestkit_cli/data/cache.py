"""The disposable cache of a market's candles: one plain array per column, mapped into memory when read.

* It is believed only when it was made from exactly the files that are there now, and when every column still adds
  up to what was noted. Anything else counts as no cache.
* It may be deleted at any time.
"""

import hashlib
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from backtestkit_cli.data.load import Columns
from backtestkit_cli.disk import DISK, Disk, write_atomic

_FORMAT = 1
_NOTE = "cache.json"
_FILE_MODE = 0o644


def listing_hash(paths: Sequence[Path]) -> str:
    """Hash which files these are: names, sizes, times of change, places on disk; not their contents, for speed."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns} {status.st_ino}\n".encode())
    return digest.hexdigest()


class ColumnCache:
    """The cached columns in one folder."""

    def __init__(self, folder: Path, *, disk: Disk = DISK) -> None:
        self._folder = folder
        self._disk = disk

    def read(self, made_from: str) -> Columns | None:
        """Map the columns; None when they are missing, damaged or made from other files."""
        try:
            note = json.loads((self._folder / _NOTE).read_text(encoding="utf-8"))
            if note["format"] != _FORMAT or note["made_from"] != made_from:
                return None
            columns = Columns._make(self._mapped(name) for name in Columns._fields)
            kinds = [(column.dtype.str, column.shape) for column in columns]
            if kinds != [(kind, (note["rows"],)) for kind in ("<i8", *["<f8"] * 5)]:
                return None
            return columns if _sums(columns) == note["sums"] else None
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None

    def write(self, made_from: str, columns: Columns) -> None:
        """Write the columns, the note last, so that half a cache is no cache."""
        self._disk.make_folder(self._folder)
        for name, column in columns._asdict().items():
            written = BytesIO()
            np.save(written, column, allow_pickle=False)
            self._write(f"{name}.npy", written.getvalue())
        note = {"format": _FORMAT, "made_from": made_from, "rows": len(columns.time), "sums": _sums(columns)}
        self._write(_NOTE, json.dumps(note, sort_keys=True).encode("ascii"))

    def _mapped(self, name: str) -> npt.NDArray[np.generic]:
        return np.asarray(np.load(self._folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))

    def _write(self, name: str, payload: bytes) -> None:
        write_atomic(self._folder / name, payload, mode=_FILE_MODE, disk=self._disk)


def _sums(columns: Columns) -> list[int]:
    """Add up the bits of each column modulo 2**64: one pass, and any changed bit changes it."""
    return [int(np.add.reduce(np.ascontiguousarray(column).view(np.uint64))) for column in columns]
