"""How files reach the disk: names for foreign text, writes that are whole or absent, one holder per folder.

* `write_atomic` leaves the old file or the new one, never a mixture, whatever kills the program.
* `Disk` has one method per file-system step; a crash test hands in its own and fails at the step it likes.
* `file_name` is one-to-one where a file system tells upper case from lower; where it does not, names that differ
  only in case meet. Upper-case letters stay readable for that price.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backtestkit_cli.errors import BacktestkitError, Problem, Source, UsageError

LONGEST_NAME = 100
LOCK_FILE = ".lock"
LOCK_SECONDS = 0.25
"""How long a holder tries: who only looks whether a folder is held has its lock for a moment, and must harm nobody."""

_DIGEST_LENGTH = 32
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com\d|lpt\d)(\..*)?\Z", re.IGNORECASE)


def file_name(text: str) -> str:
    """Turn any text into one safe file name: `BTC/USDT` becomes `BTC%2FUSDT`.

    At most 100 characters, of letters, digits and `-_.%` only. Percent-encoding, also of a dot at either end and of
    the first letter of names that Windows keeps for devices; a text without characters becomes `%`; what is too long
    keeps its beginning and gets `%~` and a hash of the whole.
    """
    if not text:
        return "%"
    encoded = "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode("utf-8", errors="surrogatepass")
    )
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if encoded.endswith("."):
        encoded = encoded[:-1] + "%2E"
    if _RESERVED.match(encoded):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) <= LONGEST_NAME:
        return encoded
    digest = hashlib.sha256(encoded.encode("ascii")).hexdigest()[:_DIGEST_LENGTH]
    return f"{encoded[: LONGEST_NAME - _DIGEST_LENGTH - 2]}%~{digest}"


class Disk:
    """The steps that change the file system, one method each."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder and its parents where they are missing."""
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path, mode: int) -> int:
        """Create a file that must not exist yet; give its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)

    def write(self, descriptor: int, payload: memoryview) -> int:
        """Write as much as the system takes; give the number of bytes."""
        return os.write(descriptor, payload)

    def sync(self, descriptor: int) -> None:
        """Force a file to the medium."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def link(self, path: Path, second: Path) -> None:
        """Give a file a second name that must not exist yet."""
        second.hardlink_to(path)

    def replace(self, path: Path, target: Path) -> None:
        """Rename a file over another one, in one step."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Force the names in a folder to the medium; systems that cannot open a folder need no such step."""
        if os.name == "nt":
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


DISK = Disk()


def write_atomic(
    path: Path, payload: bytes | Iterable[bytes], *, mode: int = 0o600, previous: Path | None = None, disk: Disk = DISK
) -> None:
    """Write a file whole, or leave the old one: temp in the same folder, sync, rename, sync folder.

    `mode` is cut by the umask of the process. `previous` is a name in the same folder under which the old content
    stays. A payload may come in parts. Once this returns the content survives a power cut. On any error the temp file
    is gone.

    Raises:
        OSError: a step failed; the file is the old one, or (only the last step failed) already the new one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        _write_synced(temporary, payload, mode, disk)
        if previous is not None and path.exists():
            disk.remove(previous)
            disk.link(path, previous)
        disk.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            disk.remove(temporary)
        raise
    disk.sync_folder(path.parent)


def remove_leftovers(folder: Path, *, disk: Disk = DISK) -> None:
    """Remove the temp files that killed writers left; only for the one who holds the folder."""
    for path in folder.glob(".*.tmp"):
        disk.remove(path)


def _write_synced(path: Path, payload: bytes | Iterable[bytes], mode: int, disk: Disk) -> None:
    descriptor = disk.create(path, mode)
    try:
        for part in (payload,) if isinstance(payload, bytes) else payload:
            rest = memoryview(part)
            while rest:
                rest = rest[disk.write(descriptor, rest) :]
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a folder: its process, 0 where that is not known, and a word that no other holder ever has.

    `host` is its computer where that is another one.
    """

    process: int
    word: str
    host: str = ""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}" if self.host else f"process {self.process}"


@contextmanager
def folder_lock(folder: Path, *, refusal: type[BacktestkitError] = UsageError) -> Iterator[Holder]:
    """Hold a folder for this program alone; the system frees it when the program ends, however it ends.

    The lock file stays for ever: removing it would let a second holder in. Not reentrant.

    Raises:
        BacktestkitError: of the class `refusal`, when another program holds the folder; it names the process.
    """
    from filelock import FileLock, Timeout

    DISK.make_folder(folder)
    lock = FileLock(folder / LOCK_FILE, timeout=LOCK_SECONDS)
    note = _note_of(folder)
    try:
        lock.acquire()
    except Timeout:
        raise refusal(_in_use(folder)) from None
    try:
        holder = Holder(os.getpid(), secrets.token_hex(8))
        note.write_text(f"{holder.process} {holder.word}\n", encoding="ascii")
        yield holder
    finally:
        with suppress(OSError):
            note.unlink()
        lock.release()


def holder_of(folder: Path) -> Holder | None:
    """Who holds a folder just now; None where nobody does. Nothing is made and nobody is kept out."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK_FILE).is_file():
        return None
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return _noted(folder)
    lock.release()
    return None


def refuse_lost(folder: Path, holder: Holder) -> None:
    """Hold that a folder is still the one that is held.

    Raises:
        OSError: it was deleted or replaced meanwhile.
    """
    if _noted(folder).word != holder.word:
        raise OSError(errno.ESTALE, "its folder was deleted or replaced meanwhile")


def _note_of(folder: Path) -> Path:
    return folder / f"{LOCK_FILE}-holder"


def _noted(folder: Path) -> Holder:
    try:
        process, _, word = _note_of(folder).read_text(encoding="ascii").strip().partition(" ")
        return Holder(int(process), word)
    except (OSError, ValueError):  # it took the lock a moment ago
        return Holder(0, "")


def _in_use(folder: Path) -> Problem:
    process = _noted(folder).process
    return Problem(
        code="folder-in-use",
        what="another program is working in this folder",
        where=Source(file=str(folder)),
        found=f"process {process}" if process else None,
        hint="wait until it has finished, or stop it; the lock frees itself",
    )
