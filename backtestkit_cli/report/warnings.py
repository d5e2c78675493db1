"""The warnings of several streams, told once.

* A warning that all streams have stands alone, one that a few have with their names, one that many have with their
  count and one name.
* Warnings of one kind that differ in their figures alone are one warning of many; what came from the run itself, and
  doubts about decisions, are told one by one.
* What streams borrow together is told instead of what each borrows; doubts about decisions come first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.measure.doubts import MEANINGS
from backtestkit_cli.measure.trust import Finding, trust_together

BORROWED = "borrowed-money"
NAMED = 3
"""Up to here streams are named."""
ONE_BY_ONE = frozenset((*MEANINGS, "from-the-run"))


def shared_warnings(run: RunResult, findings: Sequence[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """The warnings of all streams of a run, whose findings are given in the same order."""
    together = trust_together(run)
    about: dict[Finding, list[str]] = {}
    for stream, found in zip(run.streams, findings, strict=True):
        for finding in found:
            if finding.level == "warning" and not (together and finding.code == BORROWED):
                about.setdefault(finding, []).append(_name(stream))
    told = _told(about, len(run.streams))
    return (*together, *sorted(told, key=lambda finding: finding.code not in MEANINGS))


def _told(about: dict[Finding, list[str]], streams: int) -> Iterator[Finding]:
    """Each finding with its streams; of many of one kind the first, with the count of all."""
    kinds: dict[str, list[Finding]] = {}
    for finding in about:
        kinds.setdefault(finding.code, []).append(finding)
    for code, alike in kinds.items():
        if len(alike) > NAMED and code not in ONE_BY_ONE:
            names = [name for finding in alike for name in about[finding]]
            yield _of(alike[0], f"{len(names)} of {streams} streams, such as {names[0]}")
            continue
        for finding in alike:
            names = about[finding]
            few = ", ".join(names) if len(names) <= NAMED else f"{len(names)} of {streams} streams, such as {names[0]}"
            yield finding if len(names) == streams else _of(finding, few)


def _of(finding: Finding, whose: str) -> Finding:
    return replace(finding, text=f"{whose}: {finding.text}")


def _name(stream: StreamRun) -> str:
    return f"{stream.strategy} on {stream.symbol}"
