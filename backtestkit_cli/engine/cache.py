"""Columns that several runs on the same candles want: computed once, and forgotten again when they grow too many.

* A key begins with a word for what it is and names everything that decides it, candles by themselves, so that what
  comes out of the cache is what would have been computed.
* The arrays in it take at most so many bytes; what was used longest ago goes first. What takes more alone is not kept.
* Whoever runs one thing hands in NOTHING_KEPT, in which nothing is.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from backtestkit_cli.engine.candles import Candles

MOST_BYTES = 64 << 20
ENTRY_BYTES = 1024
"""What an entry takes beside its arrays: key, order, plain values."""

Key: TypeAlias = tuple[Hashable, ...]
Value = TypeVar("Value")


class Cache:
    """Values by key; `most_bytes` bounds what they take together."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._values: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self.bytes = 0

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made now where it is not there."""
        if key in self._values:
            self._values.move_to_end(key)
            return cast("Value", self._values[key][0])
        value = make()
        size = ENTRY_BYTES + array_bytes(value)
        if size <= self._most:
            self._values[key] = value, size
            self.bytes += size
            while self.bytes > self._most:
                self.bytes -= self._values.popitem(last=False)[1][1]
        return value

    def source(self, candles: Candles) -> Candles:
        """The candles to compute on for a cut of them, so that every cut finds it; the cut where that is no use.

        Minutes that were filled in are no part of a cut that begins among them, but would count in all candles.
        """
        return candles.whole if self._most and candles.bridged is None else candles


NOTHING_KEPT = Cache(0)


def array_bytes(value: object) -> int:
    """The bytes of the arrays in a value: an array, or some in a tuple or a dataclass."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(map(array_bytes, value))
    if is_dataclass(value):
        return sum(array_bytes(getattr(value, field.name)) for field in fields(value))
    return 0
