"""Each generation of a record of live state as it is kept, for people who have to say which of them is true."""

from dataclasses import dataclass
from typing import Literal

from backtestkit_cli.state.record import BadRecord, Record, decode

Which = Literal["current", "previous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation of a record: what it says, or what is wrong with it."""

    which: Which
    record: Record | None
    fault: str = ""


def generation_of(which: Which, payload: bytes, key: str) -> Generation:
    """Read a generation of the record of a key."""
    try:
        record = decode(payload)
    except BadRecord as bad:
        return Generation(which=which, record=None, fault=str(bad))
    if record.key != key:
        return Generation(which=which, record=None, fault=f"it is the record of {record.key}")
    return Generation(which=which, record=record)
