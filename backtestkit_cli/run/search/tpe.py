"""Params by the tree-structured Parzen estimator of optuna.

* It is asked for batches of ten, whatever number of processes works, and knows everything that was found before.
* The study lives in memory and is made again for each batch, with a seed of its own: an interrupted search goes on with
  the same params as one that was not.
* Numbers are searched by their place among the values of a param, truth values and texts as choices without order.
* What is tried again is not tested again, and it is told once.
Source: J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, Algorithms for Hyper-Parameter Optimization, NIPS 24 (2011).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from backtestkit_cli.errors import Problem, UsageError
from backtestkit_cli.run.search.samplers import Params, Seeds
from backtestkit_cli.run.search.space import Space

if TYPE_CHECKING:
    from optuna import Study

BATCH = 10


@dataclass(slots=True, kw_only=True)
class Tpe:
    """Asks optuna."""

    space: Space
    trials: int
    seeds: Seeds
    asked: int = 0
    known: dict[Params, float | None] = field(default_factory=dict)

    def ask(self) -> tuple[Params, ...]:
        """The next batch; the last one may be smaller."""
        count = min(BATCH, self.trials - self.asked)
        if count <= 0:
            return ()
        study, kinds = self._study(), self._kinds()
        self.asked += count
        return tuple(self._params(study.ask(kinds).params) for _ in range(count))

    def tell(self, batch: Sequence[Params], values: Sequence[float | None]) -> None:
        """Remember what came of a batch."""
        self.known |= dict(zip(batch, values, strict=True))

    def _study(self) -> "Study":
        optuna = imported_optuna()
        seed = int(np.random.SeedSequence((*self.seeds, self.asked // BATCH)).generate_state(1)[0])
        study: Study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        kinds = self._kinds()
        for params, value in self.known.items():
            state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
            places = {name: self._place(name, one) for name, one in params}
            study.add_trial(optuna.create_trial(state=state, value=value, params=places, distributions=kinds))
        return study

    def _kinds(self) -> dict[str, Any]:
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {
            name: CategoricalDistribution(values) if _is_unordered(values) else IntDistribution(0, len(values) - 1)
            for name, values in self.space
        }

    def _place(self, name: str, value: object) -> Any:
        values = dict(self.space)[name]
        return value if _is_unordered(values) else [*map(repr, values)].index(repr(value))

    def _params(self, places: dict[str, Any]) -> Params:
        return tuple(
            (name, places[name] if _is_unordered(values) else values[places[name]]) for name, values in self.space
        )


def imported_optuna() -> Any:
    """Import optuna, without what it tells of each trial.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        what, hint = "optuna, which the sampler tpe asks, cannot be imported", "pip install 'backtestkit-cli[optimize]'"
        raise UsageError(Problem("optuna-missing", what, found=str(error), hint=hint)) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _is_unordered(values: Sequence[object]) -> bool:
    return any(isinstance(value, bool | str) for value in values)
