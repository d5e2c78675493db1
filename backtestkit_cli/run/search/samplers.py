"""Which params are tried next: a sampler is asked for a batch, and told what came of it.

* The same space, seed and answers give the same batches. What a sampler is told never depends on how many processes
  worked, or whether the search was interrupted.
* An empty batch is the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from backtestkit_cli.measure.contest import Param
from backtestkit_cli.run.search.space import Space, combination, size_of

SamplerName = Literal["grid", "random", "tpe"]
Params: TypeAlias = tuple[Param, ...]
Seeds: TypeAlias = tuple[int, int]
"""The seed of the user, and the number of the search within it."""


class Sampler(Protocol):
    """Chooses what is tried."""

    def ask(self) -> tuple[Params, ...]:
        """The next params to try; none at the end."""
        ...

    def tell(self, batch: Sequence[Params], values: Sequence[float | None]) -> None:
        """What became of a batch: the more, the better; None where there is no value."""
        ...


@dataclass(slots=True)
class Listed:
    """Tries a list in its order, whatever comes of it."""

    waiting: Iterator[tuple[Params, ...]]

    def ask(self) -> tuple[Params, ...]:
        """All of it at once, then nothing."""
        return next(self.waiting, ())

    def tell(self, batch: Sequence[Params], values: Sequence[float | None]) -> None:
        """It learns nothing."""


def sampler_of(name: SamplerName, space: Space, trials: int, seeds: Seeds) -> Sampler:
    """Make the sampler of one search; `trials` are at most tried, by a grid all."""
    match name:
        case "grid":
            return _listed(space, range(size_of(space)))
        case "random":
            return _listed(space, _drawn(size_of(space), trials, seeds))
        case "tpe":
            from backtestkit_cli.run.search.tpe import Tpe

            return Tpe(space=space, trials=trials, seeds=seeds)


def _listed(space: Space, places: Sequence[int]) -> Listed:
    return Listed(iter([tuple(combination(space, place) for place in places)]))


def _drawn(size: int, trials: int, seeds: Seeds) -> list[int]:
    """Different places, in the order they are drawn; of very many the first ones that a number can name."""
    known = min(size, np.iinfo(np.int64).max)
    drawn: list[int] = np.random.default_rng(seeds).choice(known, min(size, trials), replace=False).tolist()
    return drawn
