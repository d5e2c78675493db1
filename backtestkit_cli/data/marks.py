"""A checksum of the candles of each UTC month, so that a change can be found again without the old candles.

It tells months apart that differ; what candles are, and whether they are the same, is said by their fingerprint.
"""

import zlib

import numpy as np

from backtestkit_cli.data.months import months_between
from backtestkit_cli.engine.candles import Candles


def month_marks(candles: Candles) -> tuple[tuple[str, str], ...]:
    """Each UTC month with eight hex digits of what its candles are, oldest first."""
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    marks = []
    for month, part in months_between(candles.start_ms, candles.end_ms):
        rows = slice(candles.row(part.start_ms), candles.row(part.end_ms))
        mark = zlib.crc32(f"{part.start_ms} {part.end_ms}".encode("ascii"))
        for column in columns:
            values = np.ascontiguousarray(column[rows], dtype="<f8")
            if candles.present is not None:
                values = np.where(candles.present[rows], values, np.nan)
            mark = zlib.crc32(values.data, mark)
        if candles.bridged is not None:
            mark = zlib.crc32(np.packbits(candles.bridged[rows]).data, mark)
        marks.append((month, f"{mark:08x}"))
    return tuple(marks)
