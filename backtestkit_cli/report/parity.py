"""How a session against its backtest reads: how many signals are equal, then each difference with its cause."""

from collections import Counter
from collections.abc import Iterator, Sequence

from backtestkit_cli.measure.parity import Cause, Parity
from backtestkit_cli.model.time import iso
from backtestkit_cli.report.text import clean

WIDTH = 80
NOT_COMPARED = "Not compared: decisions of the newest candle, and what both sides refused"
MEANINGS: dict[Cause, str] = {
    "missed-tick": "nobody was there at that decision time",
    "late-candle": "the session learnt of the minute too late to enter",
    "failed-call": "the strategy could not be asked, or failed",
    "risk": "a rule refused the entry on one side only",
    "stopped": "the session had been asked to stop, and went on later",
    "data-differs": "the session saw other candles than the backtest",
    "fill-price": "the same candles, another price",
    "follows": "only a consequence of an earlier difference",
    "unexplained": "no reason is known; if it comes again, please report it",
}


def parity_text(session: str, start_ms: int, end_ms: int, parity: Parity, left_out: Sequence[str] = ()) -> str:
    """Write it for people; strategies that are `left_out` had no decision time yet."""
    lines = [f"Session {session}, {iso(start_ms)} to {iso(end_ms)}", *_lines(parity), "", NOT_COMPARED]
    if left_out:
        lines += _wrapped(f"Left out, for they had no decision time yet: {', '.join(left_out)}", "")
    return "\n".join(lines)


def _lines(parity: Parity) -> Iterator[str]:
    if not parity.signals:
        yield "no signal, live or in the backtest: nothing differs"
        return
    is_equal = not parity.differences
    yield f"{parity.equal} of {parity.signals} signals equal{': live is the backtest' if is_equal else ''}"
    for one in parity.differences:
        yield ""
        yield f"{iso(one.decided_ms)}  {one.cause:<12}  {clean(one.strategy)} on {clean(one.symbol)}"
        yield from _wrapped(one.what)
        yield from _wrapped(one.detail)
    if parity.differences:
        yield ""
        counts = Counter(one.cause for one in parity.differences)
        yield from (f"{counts[cause]:>4}  {cause:<12}  {text}" for cause, text in MEANINGS.items() if counts[cause])


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    from textwrap import wrap

    return wrap(clean(text), WIDTH, initial_indent=indent, subsequent_indent="  ")
