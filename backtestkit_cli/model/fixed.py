"""Numbers as text with a fixed count of digits, and durations in whole minutes, as the original writes them.

The exact value of the double decides, ties go away from zero. A negative value that becomes zero keeps its sign; minus
zero has none. Half a minute goes up.
"""

import math
from decimal import ROUND_HALF_UP, Context, Decimal

from backtestkit_cli.model.time import MINUTE_MS

_EXACT = Context(prec=1200, rounding=ROUND_HALF_UP)


def to_fixed(value: float, digits: int) -> str:
    """Write a finite number with so many digits after the point."""
    return format(Decimal(value or 0).quantize(Decimal(1).scaleb(-digits), context=_EXACT), "f")


def round_minutes(duration_ms: float) -> int:
    """Round a duration to minutes."""
    return round_half_up(duration_ms / MINUTE_MS)


def round_half_up(value: float) -> int:
    """Round to the nearest whole number; the fraction itself decides, so that just below a half goes down."""
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)
