"""What makes a decision doubtful: it changed when it was made again from the same past."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

DoubtCode: TypeAlias = Literal["looks-ahead", "not-deterministic", "carries-state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One decision that changed, and when.

    `column` is a field of the draft; `known` is its value in the run and `again` the one made again, None for no
    draft or no value. `again_when` ends the sentence that begins with the second value, such as `when later candles
    are cut off`.
    """

    code: DoubtCode
    column: str
    time_ms: int
    known: str | float | None
    again: str | float | None
    again_when: str
