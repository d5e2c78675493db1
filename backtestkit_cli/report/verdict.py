"""What came of doing a stored run again: the verdict, and how it reads.

* `identical`: the same bytes.
* `changed`: another result, and what it rests on is not the same any more; each change is named.
* `unexplained`: another result from the same code and candles. That must never be.
* `damaged`: a stored file is not what the run wrote.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backtestkit_cli.report.fold import fold
from backtestkit_cli.report.text import clean

Outcome = Literal["identical", "changed", "unexplained", "damaged"]

EXIT_CODES: dict[Outcome, int] = {"identical": 0, "unexplained": 1, "damaged": 3, "changed": 5}
HEADS: dict[Outcome, str] = {
    "identical": "identical",
    "changed": "not the same: what the run rests on has changed",
    "unexplained": "NOT THE SAME, and nothing has changed that is known to matter",
    "damaged": "damaged: a stored file is not what the run wrote",
}
SHOWN_HASH = 12
WIDTH = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that a run rests on and that is not as it was; `detail` says more in words."""

    kind: Literal["code", "candles", "program", "package"]
    what: str
    then: str | None
    now: str | None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file that came out differently; `first` is the first difference in it, where it can be told."""

    file: str
    then: str | None
    now: str | None
    first: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of doing a run again. `files` are those that were compared."""

    run_id: str
    run_id_now: str
    outcome: Outcome
    files: tuple[str, ...]
    damaged: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of the command that tells it."""
        return EXIT_CODES[self.outcome]


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """The verdict as a JSON document."""
    return {**asdict(verdict), "exit_code": verdict.exit_code}


def verdict_text(verdict: Verdict) -> str:
    """The verdict for people."""
    return "\n".join(_lines(verdict))


def _lines(verdict: Verdict) -> Iterator[str]:
    yield f"Run {verdict.run_id}: {HEADS[verdict.outcome]}"
    if verdict.outcome == "identical":
        yield from _folded(f"done again, the same bytes in {', '.join(verdict.files)}")
    for problem in verdict.damaged:
        yield f"  {clean(problem)}"
    if verdict.damaged and not verdict.differences:
        yield from _folded("done again, the run gives what its manifest says; restore it by running the backtest again")
    if verdict.changes:
        yield ""
        yield "Changed since" if verdict.differences else "Changed since, without effect on the result"
        for change in verdict.changes:
            yield from _change(change)
    if verdict.differences:
        yield ""
        yield "Came out differently"
        for difference in verdict.differences:
            yield f"  {clean(difference.file)}  {_short(difference.then)} → {_short(difference.now)}"
            yield from (f"    {clean(line)}" for line in difference.first.splitlines())
        same = [name for name in verdict.files if name not in {one.file for one in verdict.differences}]
        yield from _folded(f"the same: {', '.join(same) or 'nothing'}")
    if verdict.outcome == "unexplained":
        yield ""
        yield "Code, candles and program are as they were. Either a strategy does not give the"
        yield "same answer twice (chance, clock, files, network, its own callbacks), or this is"
        yield "a bug: please report it."


def _folded(text: str) -> Iterator[str]:
    first, *others = fold(text, WIDTH - 4)
    yield f"  {first}"
    yield from (f"    {line}" for line in others)


def _change(change: Change) -> Iterator[str]:
    then, now = _short(change.then), _short(change.now)
    yield f"  {change.kind} {clean(change.what)}: {then} → {now}"
    if change.detail:
        yield f"    {clean(change.detail)}"


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    value = clean(str(value))
    is_hash = len(value) > 2 * SHOWN_HASH and all(char in "0123456789abcdef" for char in value)
    return value[:SHOWN_HASH] if is_hash else value
