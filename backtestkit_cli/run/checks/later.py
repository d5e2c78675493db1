"""Candles with another future: what follows a moment is cut off, or replaced by candles that rise or fall.

What lies before the moment is the same to the bit, so whoever decides by it alone decides the same.
"""

from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from backtestkit_cli.engine.candles import Bools, Candles, Floats

Later: TypeAlias = Literal["nothing", "rise", "fall"]
LATERS: tuple[Later, ...] = ("nothing", "rise", "fall")
WHEN = {
    "nothing": "when the candles after {} are cut off",
    "rise": "when the candles after {} rise instead",
    "fall": "when the candles after {} fall instead",
}
"""The end of a sentence about each, with the place of the moment."""
_STEPS = {"rise": 1.001, "fall": 0.999}
_VOLUMES = {"rise": 7.0, "fall": 0.3}
_MINUTES = 2 * 1440


def with_later(candles: Candles, time_ms: int, later: Later) -> Candles:
    """The candles that have closed by a time, followed by nothing or by two days that were made up."""
    last = candles.row(time_ms)
    before = _part(candles, last)
    return before if later == "nothing" else _continued(before, _STEPS[later], _VOLUMES[later])


def until(candles: Candles, time_ms: int) -> Candles:
    """The candles that have closed by a time, as views."""
    return _part(candles, candles.row(time_ms))


def _part(candles: Candles, last: int) -> Candles:
    part = slice(0, max(0, min(last, len(candles))))
    return replace(
        candles,
        open=candles.open[part],
        high=candles.high[part],
        low=candles.low[part],
        close=candles.close[part],
        volume=candles.volume[part],
        present=None if candles.present is None else candles.present[part],
        bridged=None if candles.bridged is None else candles.bridged[part],
    )


def _continued(before: Candles, step: float, volumes: float) -> Candles:
    """Candles that go on from the last close, a fixed factor a minute."""
    known = before.close[~np.isnan(before.close)]
    last = float(known[-1]) if len(known) else 1.0
    close: Floats = last * step ** np.arange(1.0, _MINUTES + 1)
    opened = np.concatenate(([last], close[:-1]))
    volume = np.full(_MINUTES, volumes * (float(np.nanmean(before.volume[-1440:])) if len(known) else 1.0))
    return replace(
        before,
        open=_joined(before.open, opened),
        high=_joined(before.high, np.maximum(opened, close) * 1.0002),
        low=_joined(before.low, np.minimum(opened, close) * 0.9998),
        close=_joined(before.close, close),
        volume=_joined(before.volume, volume),
        present=_flagged(before.present, is_set=True),
        bridged=_flagged(before.bridged, is_set=False),
    )


def _joined(before: Floats, after: Floats) -> Floats:
    return np.concatenate((before, after))


def _flagged(before: Bools | None, *, is_set: bool) -> Bools | None:
    return None if before is None else np.concatenate((before, np.full(_MINUTES, is_set)))
