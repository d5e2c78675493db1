"""What live mode keeps between two starts, and every document it writes, in order.

* A document is a plain value with the original's field names. It is found by its kind, an entity and a key.
* Signals, waiting entries and levels are kept per symbol and strategy; positions per risk profile.
* Nothing is read from or written to a disk here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

StoreKind: TypeAlias = Literal["signal", "schedule", "risk", "partial"]
Document: TypeAlias = Mapping[str, Any]
"""A document with fields. Nobody has checked them: any may be missing, or hold anything."""


class Written(NamedTuple):
    """A document that was written at a tick; `value` is None where nothing is kept any more."""

    kind: StoreKind
    time_ms: int
    entity: str
    key: str
    value: object


@dataclass(slots=True, kw_only=True)
class Stores:
    """The stores of a run. `found` is what they hold at its start; `now_ms` stamps what is stamped by the wall clock.

    `found` goes from kind to entity to key to document.
    """

    now_ms: int
    found: Mapping[str, Mapping[str, Mapping[str, object]]] = field(default_factory=dict)
    writes: list[Written] = field(default_factory=list)
    _written: dict[tuple[StoreKind, str, str], object] = field(default_factory=dict)

    def read(self, kind: StoreKind, entity: str, key: str) -> Any:
        """The document that was written last; None where there is none."""
        place = (kind, entity, key)
        if place in self._written:
            return self._written[place]
        return self.found.get(kind, {}).get(entity, {}).get(key)

    def write(self, kind: StoreKind, time_ms: int, entity: str, key: str, value: object) -> None:
        """Keep a document instead of the former one."""
        self._written[kind, entity, key] = value
        self.writes.append(Written(kind, time_ms, entity, key, value))
