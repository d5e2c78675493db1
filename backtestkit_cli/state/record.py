"""A record of live state as bytes: one JSON object whose checksum covers everything else in it.

* The text is canonical: keys in order, no blanks, ASCII, one line. What reads differently was not written by us, or is
  damaged; so every truncation and every flipped bit is seen.
* A record of a newer format is refused, never read by halves.
* Times are UTC ms. NaN and infinity do not occur.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

FORMAT = 1
LARGEST_BYTES = 1_000_000


class BadRecord(ValueError):  # noqa: N818  # the store decides whether it is an error
    """Bytes that are no record of ours; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One state under its key. `generation` counts the times it was saved; `body` holds plain JSON values."""

    key: str
    generation: int
    saved_at_ms: int
    body: dict[str, Any]
    format: int = FORMAT


def encode(record: Record) -> bytes:
    """Write a record.

    Raises:
        ValueError: the body holds something that is no JSON value, such as NaN.
    """
    told = asdict(record)
    return _canonical({**told, "checksum": hashlib.sha256(_canonical(told)).hexdigest()}) + b"\n"


def decode(payload: bytes) -> Record:
    """Read a record.

    Raises:
        BadRecord: it is damaged, of a newer format, or nothing of ours.
    """
    if len(payload) > LARGEST_BYTES:
        raise BadRecord(f"{len(payload)} bytes are more than any record has")
    try:
        told = json.loads(payload, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadRecord(f"it is no JSON: {error}" if payload else "it is empty") from None
    if not isinstance(told, dict) or not isinstance(told.get("format"), int):
        raise BadRecord("it is no record")
    if told["format"] != FORMAT:
        raise BadRecord(f"its format is {told['format']}, and this version reads format {FORMAT}")
    checksum = told.pop("checksum", None)
    try:
        record = Record(**told)
    except TypeError:
        raise BadRecord("its keys are not those of a record") from None
    if checksum != hashlib.sha256(_canonical(told)).hexdigest() or encode(record) != payload:
        raise BadRecord("its checksum does not fit its content")
    return record


def _canonical(told: dict[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
