"""How the values of a column read, written together: the same texts as one by one, in a fraction of the time."""

import math
from collections.abc import Sequence

from backtestkit_cli.model.time import iso
from backtestkit_cli.report.report import Form, Value
from backtestkit_cli.report.text import LARGEST_PLAIN, MISSING, PRICE_DIGITS, WRITERS, price_text, text_of, time_text

_LEAST_PLAIN = 1e-4  # up to LARGEST_PLAIN neither Python nor polars writes an exponent
_NEAR = 1e-9


def texts_of(values: Sequence[Value], form: Form) -> list[str]:
    """Write the values of a column, each as `text_of` does."""
    if form == "time":
        return [MISSING if text is None else time_text(text) for text in isos(values)]
    numbers = finite(values)
    if numbers is None:
        return [text_of(value, form) for value in values]
    return _prices(numbers) if form == "price" else list(map(WRITERS[form], numbers))


def isos(times_ms: Sequence[Value]) -> list[str | None]:
    """Write the times of a column as `model.time.iso` does, None where there is none; whole minutes all at once."""
    import numpy as np

    if all(isinstance(time_ms, int) for time_ms in times_ms):
        moments = np.array(times_ms, dtype="datetime64[ms]")
        if (moments == moments.astype("datetime64[m]")).all():
            return [f"{text}Z" for text in np.datetime_as_string(moments, unit="m").tolist()]
    return [iso(int(time_ms)) if isinstance(time_ms, int | float) else None for time_ms in times_ms]


def reprs_of(numbers: Sequence[float]) -> list[str]:
    """Write numbers with all their digits, each as `repr` does."""
    import numpy as np
    import polars as pl

    column = np.array(numbers, dtype=np.float64)
    texts: list[str] = pl.Series(column).cast(pl.String).to_list()
    size = np.abs(column)
    is_plain = (size == 0) | (size >= _LEAST_PLAIN) & (size < LARGEST_PLAIN)
    for place in np.flatnonzero(~is_plain).tolist():
        texts[place] = repr(numbers[place])
    return texts


def finite(values: Sequence[Value]) -> list[float] | None:
    """The values of a column if all of them are floats, none of them infinite or missing."""
    if set(map(type, values)) != {float}:
        return None
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    return numbers if len(numbers) == len(values) else None


def _prices(prices: Sequence[float]) -> list[str]:
    """Each as `price_text` does; near a power of ten numpy's logarithm need not be that of the standard library."""
    import numpy as np

    sizes = np.abs(np.array(prices, dtype=np.float64))
    powers = np.log10(sizes, where=sizes > 0, out=np.zeros(len(sizes)))
    if (np.abs(powers - np.rint(powers)) < _NEAR).any() or (sizes >= LARGEST_PLAIN).any():
        return list(map(price_text, prices))
    digits = np.maximum(2, PRICE_DIGITS - 1 - np.floor(powers).astype(np.int64)).tolist()
    formats = {count: f".{count}f" for count in set(digits)}
    return [format(price, formats[count]) for price, count in zip(prices, digits, strict=True)]
