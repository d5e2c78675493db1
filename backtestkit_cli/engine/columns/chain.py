"""Which candidates are taken: in order of time, each one that comes while the stream is free."""

import numpy as np

from backtestkit_cli.engine.candles import Bools, Ints
from backtestkit_cli.engine.columns.candidates import Candidates
from backtestkit_cli.engine.columns.market import Market
from backtestkit_cli.engine.columns.outcome import REFUSED, Outcome, resolve
from backtestkit_cli.engine.step import Terms

_FIRST_BATCH, _LAST_BATCH, _SEQUENCE = 2048, 8192, 256


def chain(market: Market, offered: Candidates, terms: Terms) -> Outcome:
    """The outcome of all that are taken, and of all that are refused while the stream is free.

    Only valid ones occupy it; the others are refused wherever they find it free.
    """
    taken = _taken(market, offered, np.flatnonzero(offered.is_valid), terms)
    refused = np.flatnonzero(~offered.is_valid)
    refused = refused[~busy_at(offered.row[refused], offered.row[taken.chosen], taken.end)]
    if not len(refused):
        return taken
    chosen = np.concatenate([taken.chosen, refused])
    order = np.argsort(chosen)
    return Outcome(
        chosen=chosen[order],
        open=np.concatenate([taken.open, np.full(len(refused), -1)])[order],
        end=np.concatenate([taken.end, offered.row[refused]])[order],
        code=np.concatenate([taken.code, np.full(len(refused), REFUSED, dtype=np.int8)])[order],
    )


def busy_at(times: Ints, begin: Ints, end: Ints) -> Bools:
    """Whether a time lies strictly inside one of the intervals, which are ordered and do not overlap."""
    if not len(begin):
        return np.zeros(len(times), dtype=bool)
    place = np.searchsorted(begin, times) - 1
    return (place >= 0) & (times < end[np.maximum(place, 0)])


def _taken(market: Market, offered: Candidates, valid: Ints, terms: Terms) -> Outcome:
    """The valid candidates that are taken.

    Batches are resolved as a whole while enough of a batch is taken, else one candidate after the other.
    """
    parts: list[Outcome] = []
    rows = offered.row[valid]
    total, place, size = len(valid), 0, _FIRST_BATCH
    while place < total:
        if size:
            batch = valid[place : place + size]
            kept = _chained(resolve(market, offered, batch, terms.policy), rows[place : place + size])
            parts.append(kept)
            place = _first_at(rows, int(kept.end[-1]), place + len(batch))
            size = 0 if len(kept.chosen) * 16 < len(batch) else min(size * 2, _LAST_BATCH)
        else:
            first = place
            for _ in range(_SEQUENCE):
                if place >= total:
                    break
                found = resolve(market, offered, valid[place : place + 1], terms.policy)
                parts.append(found)
                place = _first_at(rows, int(found.end[0]), place + 1)
            size = _FIRST_BATCH if place - first < _SEQUENCE * 12 else 0
    return _joined(parts)


def _chained(found: Outcome, rows: Ints) -> Outcome:
    """Of a batch, the first candidate, then always the first at or after the end of the one before."""
    following = np.searchsorted(rows, found.end).tolist()
    steps, step = [], 0
    while step < len(rows):
        steps.append(step)
        step = following[step]
    kept = np.array(steps)
    return Outcome(chosen=found.chosen[kept], open=found.open[kept], end=found.end[kept], code=found.code[kept])


def _joined(parts: list[Outcome]) -> Outcome:
    none = np.zeros(0, dtype=np.int64)
    empty = Outcome(chosen=none, open=none, end=none, code=none.astype(np.int8))
    parts = [empty, *parts]
    return Outcome(
        chosen=np.concatenate([part.chosen for part in parts]),
        open=np.concatenate([part.open for part in parts]),
        end=np.concatenate([part.end for part in parts]),
        code=np.concatenate([part.code for part in parts]),
    )


def _first_at(rows: Ints, time_row: int, place: int) -> int:
    """The first candidate from `place` on at or after a time."""
    if place >= len(rows) or rows[place] >= time_row:
        return place
    return place + int(np.searchsorted(rows[place:], time_row))
