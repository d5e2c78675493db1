"""Outcomes of many contestants in little memory: what few readers want of each lies in a temporary file.

* Who made an outcome, and its packed figures, stay; its days and findings are read back whenever they are asked for.
* The file has no name, and is gone with whoever holds the outcomes.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any, Generic, TypeVar, overload
from weakref import finalize

import numpy as np

from backtestkit_cli.measure.contest import Contestant, Outcome
from backtestkit_cli.measure.trust import Finding

One = TypeVar("One")
Figure = float | int | None


class Spill:
    """The file; `spilled` makes an outcome small."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0
        self._turn = Lock()
        self._same: dict[Any, Any] = {}

    def spilled(self, outcome: Outcome, contestant: Contestant) -> Outcome:
        """The same outcome of the same contestant, as another object.

        Raises:
            OSError: the disk refused.
        """
        findings = json.dumps([[one.level, one.code, one.text] for one in outcome.findings])
        return replace(
            outcome,
            contestant=contestant,
            figures=self._packed(outcome.figures),
            reasons=self._once(tuple(outcome.reasons.items()), outcome.reasons),
            equity=Spilled(self, *self._put(array("d", outcome.equity).tobytes()), _floats),
            findings=Spilled(self, *self._put(findings.encode()), _findings),
        )

    def read(self, place: int, size: int) -> bytes:
        """Some bytes of the file."""
        with self._turn:
            file = self._opened()
            file.seek(place)
            return file.read(size)

    def _put(self, body: bytes) -> tuple[int, int]:
        with self._turn:
            file, place = self._opened(), self._end
            file.seek(place)
            file.write(body)
            self._end += len(body)
        return place, len(body)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115  # it lives as long as the outcomes that read it
            finalize(self, self._file.close)
        return self._file

    def _packed(self, figures: Mapping[str, Figure]) -> "Figures":
        places = self._once(tuple(figures), {key: place for place, key in enumerate(figures)})
        kinds = bytes(2 if one is None else isinstance(one, int) for one in figures.values())
        values = array("d", (0.0 if one is None else one for one in figures.values()))
        return Figures(places, self._once(kinds, kinds), values)

    def _once(self, key: Any, value: Any) -> Any:
        """One object for all equal ones."""
        return self._same.setdefault(key, value)


class Figures(Mapping[str, Figure]):
    """Figures by key; those that share their keys share `places`. `kinds`: 0 a float, 1 a whole number, 2 none."""

    __slots__ = ("_kinds", "_places", "_values")

    def __init__(self, places: Mapping[str, int], kinds: bytes, values: "array[float]") -> None:
        self._places, self._kinds, self._values = places, kinds, values

    def __getitem__(self, key: str) -> Figure:
        place = self._places[key]
        value = self._values[place]
        return None if self._kinds[place] == 2 else int(value) if self._kinds[place] else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Spilled(Sequence[One], Generic[One]):
    """Values that are read from the file at every look."""

    __slots__ = ("_made", "_place", "_size", "_spill")

    def __init__(self, spill: Spill, place: int, size: int, made: Callable[[bytes], tuple[One, ...]]) -> None:
        self._spill, self._place, self._size, self._made = spill, place, size, made

    def _all(self) -> tuple[One, ...]:
        return self._made(self._spill.read(self._place, self._size))

    @overload
    def __getitem__(self, place: int) -> One: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[One, ...]: ...
    def __getitem__(self, place: int | slice) -> One | tuple[One, ...]:
        return self._all()[place]

    def __iter__(self) -> Iterator[One]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Spilled) and self._all() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self._all(),)


def _floats(body: bytes) -> tuple[float, ...]:
    return tuple(np.frombuffer(body).tolist())


def _findings(body: bytes) -> tuple[Finding, ...]:
    return tuple(Finding(*one) for one in json.loads(body))
