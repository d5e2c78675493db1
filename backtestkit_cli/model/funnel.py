"""The signal funnel: where every decision time and every draft of one stream ended.

Sums that always hold: ticks = stopped + busy + missed + no_price + decisions; decisions = warm_up + ambiguous +
no_draft + drafts + errors; drafts = invalid + no_quantity + risk + scheduled + opened_at_decision; scheduled =
activated + cancelled; opened = opened_at_decision + activated = closed.
"""

from collections import Counter
from dataclasses import dataclass, field

from backtestkit_cli.model.event import CancelReason, CloseReason


@dataclass(slots=True)
class Funnel:
    """Counts of one stream. `off_grid` and `late` count rows of a strategy that met no free decision time.

    `missed` are decision times of a live session whose minute was learnt of too late for an entry.
    """

    ticks: int = 0
    stopped: int = 0
    busy: int = 0
    missed: int = 0
    no_price: int = 0
    warm_up: int = 0
    short_history: int = 0
    ambiguous: int = 0
    no_draft: int = 0
    errors: int = 0
    drafts: int = 0
    invalid: int = 0
    invalid_by_rule: Counter[str] = field(default_factory=Counter)
    no_quantity: int = 0
    no_quantity_by_rule: Counter[str] = field(default_factory=Counter)
    risk: int = 0
    risk_by_profile: Counter[str] = field(default_factory=Counter)
    scheduled: int = 0
    opened_at_decision: int = 0
    activated: int = 0
    cancelled: Counter[CancelReason] = field(default_factory=Counter)
    closed: Counter[CloseReason] = field(default_factory=Counter)
    off_grid: int = 0
    late: int = 0

    @property
    def decisions(self) -> int:
        """Decision times at which the strategy was asked, or would have been but for its warm-up."""
        return self.ticks - self.stopped - self.busy - self.missed - self.no_price

    @property
    def opened(self) -> int:
        """Positions opened, at the decision or later."""
        return self.opened_at_decision + self.activated

    def refuse(self, rules: tuple[str, ...]) -> None:
        """Count one invalid draft under every rule it broke."""
        self.invalid += 1
        self.invalid_by_rule.update(rules)

    def broken_sums(self) -> list[str]:
        """The sums that do not hold; empty when the funnel is whole."""
        sums = {
            "decisions": (self.decisions, self.warm_up + self.ambiguous + self.no_draft + self.drafts + self.errors),
            "drafts": (
                self.drafts,
                self.invalid + self.no_quantity + self.risk + self.scheduled + self.opened_at_decision,
            ),
            "scheduled": (self.scheduled, self.activated + self.cancelled.total()),
            "opened": (self.opened, self.closed.total()),
        }
        return [name for name, (whole, parts) in sums.items() if whole != parts]
