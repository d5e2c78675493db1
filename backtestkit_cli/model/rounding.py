"""Prices and quantities on the steps of a market: prices are rounded half up, quantities are cut."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

_EXACT = Context(prec=700)  # the largest double over the smallest has 632 digits


def write_price(price: float, step: float | None) -> str:
    """Write a price on its step, rounded half up; in full precision without a step."""
    return _write(price, step, ROUND_HALF_UP)


def write_quantity(quantity: float, step: float | None) -> str:
    """Write a quantity on its step, cut towards zero; in full precision without a step."""
    return _write(quantity, step, ROUND_DOWN)


def cut_quantity(quantity: float, step: float | None) -> float:
    """Cut a quantity towards zero to its step; without a step it stays as it is."""
    return quantity if step is None else float(write_quantity(quantity, step))


def difference(whole: float, *parts: float) -> float:
    """What is left of a quantity without some parts, exact in decimals: 0.3 without 0.1 is 0.2."""
    return float(Decimal(repr(float(whole))) - sum(Decimal(repr(float(part))) for part in parts))


def total(*parts: float) -> float:
    """The sum of some quantities, exact in decimals."""
    return float(sum((Decimal(repr(float(part))) for part in parts), Decimal(0)))


def average_price(value: float, quantity: float) -> float:
    """What one of a quantity cost, divided in decimals: what was paid at one price has that price."""
    return float(Decimal(repr(float(value))) / Decimal(repr(float(quantity))))


def _write(value: float, step: float | None, rounding: str) -> str:
    exact = Decimal(repr(float(value)))  # `repr` of a numpy double is no number
    if step is None:
        return format(exact, "f")
    size = Decimal(repr(step)).normalize()
    steps = _EXACT.divide(exact, size).quantize(Decimal(1), rounding=rounding, context=_EXACT)
    unit = size if size.as_tuple().exponent < 0 else Decimal(1)  # type: ignore[operator]  # finite
    return format(_EXACT.multiply(steps, size).quantize(unit, context=_EXACT), "f")
