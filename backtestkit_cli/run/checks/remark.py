"""What `check` has to say: one remark each, with its weight, its code and its place."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from backtestkit_cli.engine.doubt import Doubt
from backtestkit_cli.errors import Source

Level: TypeAlias = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was found. `code` is stable kebab-case; `doubt` holds the values of a decision that changed."""

    level: Level
    code: str
    text: str
    hint: str | None = None
    strategy: str | None = None
    symbol: str | None = None
    where: Source | None = None
    doubt: Doubt | None = None
