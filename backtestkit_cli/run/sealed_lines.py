"""Lines that outlive a crash: each begins with the hash of the rest, so one that was cut off or changed is left out."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def sealed(told: Mapping[str, object]) -> bytes:
    """Write plain values as one line; infinite figures, which JSON does not know, as Python writes them."""
    text = json.dumps(told).encode("ascii")
    return hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"


def sealed_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of a file that are whole, in their order; none of a file that is not there."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            seal, _, text = line.rstrip(b"\n").partition(b" ")
            if text and hashlib.sha256(text).hexdigest().encode() == seal:
                yield json.loads(text)
