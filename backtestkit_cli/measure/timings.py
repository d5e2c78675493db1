"""How long the parts of a run took, and what that amounts to.

* A piece of work counts its own time: what is measured inside it is taken off, so that totals add up.
* A wait runs from the end of a piece to the start of the next one of its stage in the same process.
* Every piece is held, so the deviation is that of the population; percentiles are by nearest rank.
* Times come from a function that is handed in; nothing here knows a clock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from backtestkit_cli.measure.metrics import mean_of, total
from backtestkit_cli.measure.original import population_deviation
from backtestkit_cli.measure.original_events import nearest_rank

Given = TypeVar("Given")
Answer = TypeVar("Answer")


class Part(NamedTuple):
    """What is measured: a stage of one stream, of all streams on a symbol, or of the run."""

    stage: str
    strategy: str | None = None
    symbol: str | None = None


@dataclass(slots=True)
class Pieces:
    """How long each piece of a part took, and the waits between them, in ms."""

    durations: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The pieces of a part in figures, in ms; waits are None where there is only one piece."""

    stage: str
    strategy: str | None
    symbol: str | None
    count: int
    total_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    deviation_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    mean_wait_ms: float | None
    min_wait_ms: float | None
    max_wait_ms: float | None


class Stopwatch:
    """Measures pieces of work; `seconds` never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._ended: dict[str, float] = {}
        self._inside = 0.0
        self.pieces: dict[Part, Pieces] = {}

    @contextmanager
    def piece(self, stage: str, strategy: str | None = None, symbol: str | None = None) -> Iterator[None]:
        """Measure what is done inside."""
        outer, self._inside = self._inside, 0.0
        started = self._seconds()
        try:
            yield
        finally:
            ended = self._seconds()
            own = self.pieces.setdefault(Part(stage, strategy, symbol), Pieces())
            own.durations.append(1000 * (ended - started - self._inside))
            if stage in self._ended:
                own.waits.append(1000 * (started - self._ended[stage]))
            self._ended[stage] = ended
            self._inside = outer + ended - started

    def timed(self, function: Callable[[Given], Answer], *part: str) -> Callable[[Given], Answer]:
        """The function, each of whose calls is a piece."""

        def call(given: Given) -> Answer:
            with self.piece(*part):
                return function(given)

        return call

    def add(self, pieces: Mapping[Part, Pieces]) -> None:
        """Take over what another process measured."""
        for part, found in pieces.items():
            own = self.pieces.setdefault(part, Pieces())
            own.durations += found.durations
            own.waits += found.waits

    def timings(self) -> tuple[Timing, ...]:
        """Each stage of the whole run, then each part of it, in the order in which they began."""
        stages: dict[Part, list[Pieces]] = {}
        for part, pieces in self.pieces.items():
            stages.setdefault(Part(part.stage), []).append(pieces)
        whole = {part: _joined(several) for part, several in stages.items()}
        return tuple(_timing(part, pieces) for part, pieces in {**whole, **_parts(self.pieces)}.items())


def _joined(several: Sequence[Pieces]) -> Pieces:
    return Pieces(
        durations=[one for pieces in several for one in pieces.durations],
        waits=[one for pieces in several for one in pieces.waits],
    )


def _parts(pieces: Mapping[Part, Pieces]) -> dict[Part, Pieces]:
    return {part: own for part, own in pieces.items() if part != Part(part.stage)}


def _timing(part: Part, pieces: Pieces) -> Timing:
    durations = sorted(pieces.durations)
    mean = mean_of(durations) or 0.0
    return Timing(
        **part._asdict(),
        count=len(durations),
        total_ms=total(durations),
        mean_ms=mean,
        min_ms=durations[0],
        max_ms=durations[-1],
        deviation_ms=population_deviation(durations, mean),
        median_ms=nearest_rank(durations, 50),
        p95_ms=nearest_rank(durations, 95),
        p99_ms=nearest_rank(durations, 99),
        mean_wait_ms=mean_of(pieces.waits),
        min_wait_ms=min(pieces.waits, default=None),
        max_wait_ms=max(pieces.waits, default=None),
    )
