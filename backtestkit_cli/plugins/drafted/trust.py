"""Which files a language model wrote, and which of them somebody has agreed to run.

* `HEADER` as the first line says that a language model wrote the file. What it stands in runs only when the SHA-256 of
  the whole content is in `state/trusted.json` of the project: one changed byte is another file, in that line too.
* Files without that line are their owner's, and nothing is asked.
* Content is read once: the bytes whose hash is known are those that are checked and run.
"""

import json
from hashlib import sha256
from pathlib import Path

from backtestkit_cli.disk import DISK, write_atomic
from backtestkit_cli.errors import ConfigError, Problem, Source, StrategyError
from backtestkit_cli.plugins.drafted.allowed import refusals

HEADER = "# drafted by a language model for backtestkit: runs only after `backtestkit trust`"
_MARKS = (b"drafted by a language model for backtestkit", b"runs only after `backtestkit trust`")
_BEGINNING = 200
TRUSTED = Path("state") / "trusted.json"


def is_drafted(code: bytes) -> bool:
    """Whether it says at its beginning that a language model wrote it; half of the line is enough."""
    return any(mark in code[:_BEGINNING] for mark in _MARKS)


def digest_of(code: bytes) -> str:
    """Name a content: its SHA-256 in hex."""
    return sha256(code).hexdigest()


def checked_text(code: bytes, path: Path) -> str:
    """Read a drafted file as text that says only what it may.

    Raises:
        ConfigError: it says more; all of it is told.
    """
    try:
        text = code.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(Problem("not-allowed", "the file is not UTF-8", Source(file=str(path)))) from None
    problems = refusals(text, str(path))
    if problems:
        raise ConfigError(*problems)
    return text


def trusted(project: Path) -> dict[str, str]:
    """The hashes that somebody agreed to, each with the path of the file at that time.

    Raises:
        ConfigError: the file of consents cannot be read.
    """
    file = project / TRUSTED
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {str(digest): str(path) for digest, path in known.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError):
        what, hint = "this is no list of trusted files", "remove it, and trust the files again that you want to run"
        raise ConfigError(Problem("bad-consents", what, Source(file=str(file)), hint=hint)) from None


def trust(project: Path, path: Path, digest: str) -> None:
    """Keep the consent to run one content."""
    DISK.make_folder((project / TRUSTED).parent)
    text = json.dumps({**trusted(project), digest: str(path)}, indent=2, sort_keys=True)
    write_atomic(project / TRUSTED, f"{text}\n".encode())


def trusted_text(code: bytes, path: Path, project: Path) -> str:
    """The text of a drafted file that may run.

    Raises:
        StrategyError: nobody has agreed to this content.
        ConfigError: it says more than it may.
    """
    if digest_of(code) not in trusted(project):
        hint = f"read it, then: backtestkit trust {path}"
        what = "a language model wrote this file, and nobody has agreed to run it as it is now"
        raise StrategyError(Problem("not-trusted", what, Source(file=str(path)), hint=hint))
    return checked_text(code, path)
