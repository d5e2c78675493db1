"""Masks secrets by value in every text before it leaves the program.

Rules: a registered value is masked wherever it stands, also percent-encoded or escaped as in JSON; of an address its
user, path and query are secrets of their own, because error messages quote them apart. Values shorter than four
characters are not masked: they are no secrets, and every text would be riddled with masks.
"""

import json
import re
import threading
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

MASK = "***"
MIN_LENGTH = 4
MIN_PART_LENGTH = 8


class Redactor:
    """The secrets seen so far, and the filter for texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Redactor"], tuple[()]]:
        # a copy in another process starts without secrets: they are not to travel
        return Redactor, ()

    def register(self, value: str) -> None:
        """Mask this value from now on."""
        self._mask(_parts(value))

    def register_login(self, address: str) -> None:
        """Mask the password of a server's address, and the address with it; names of hosts and databases are known."""
        password = _password_of(address)
        self._mask([one for one in (address, password, unquote(password)) if len(password) >= MIN_LENGTH])

    def _mask(self, values: Iterable[str]) -> None:
        with self._lock:
            self._values.update(spelling for value in values for spelling in _spellings(value))
            longest_first = sorted(self._values, key=lambda one: (-len(one), one))
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def clean(self, text: str) -> str:
        """Give the text with every registered value masked."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(MASK, text)


def _password_of(address: str) -> str:
    """The password in an address, as it stands there: before the host, or in the query."""
    try:
        split = urlsplit(address)
        query = dict(parse_qsl(split.query))
    except ValueError:
        return ""
    return split.password or query.get("password", "")


def _parts(value: str) -> list[str]:
    """Give the value and, of an address, the parts that can be secret alone."""
    parts = [value] if len(value) >= MIN_LENGTH else []
    if "://" not in value:
        return parts
    try:
        address = urlsplit(value)
    except ValueError:
        return parts
    pieces = [address.path, address.query, address.username, address.password]
    pieces += re.split(r"[/&=?;]", f"{address.path}/{address.query}")
    return parts + [piece for piece in pieces if piece and len(piece) >= MIN_PART_LENGTH]


def _spellings(value: str) -> set[str]:
    """Give the ways the value may be written in a log line."""
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    return {value, quote(value, safe=""), quote(value), quote_plus(value), *escaped}
