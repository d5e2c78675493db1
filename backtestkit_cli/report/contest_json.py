"""A comparison as it is kept: plain values that become an equal comparison again, floats to the last bit."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.measure.contest import Contest, Contestant, Failed, Outcome
from backtestkit_cli.report.stored import made, plain, policy_from

if TYPE_CHECKING:
    from pydantic import TypeAdapter


_NO_OUTCOMES = '"outcomes": []'
"""Where the outcomes go; inside of a text the quotes would have a backslash before them."""


def contest_json(contest: Contest) -> bytes:
    """Write a comparison; infinite figures, which JSON does not know, as Python writes them."""
    return b"".join(contest_parts(contest))


def contest_parts(contest: Contest) -> Iterator[bytes]:
    """The same piece by piece, for there may be many outcomes."""
    before, place, after = json.dumps(plain(replace(contest, outcomes=()))).partition(_NO_OUTCOMES)
    yield (before + place.removesuffix("]")).encode("ascii")
    for number, one in enumerate(contest.outcomes):
        yield (", " * (number > 0) + json.dumps(outcome_plain(one))).encode("ascii")
    yield ("]" + after + "\n").encode("ascii")


def contest_from(content: bytes) -> Contest:
    """Read a comparison.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: this is none.
    """
    return contest_made(json.loads(content))


def contest_made(told: Mapping[str, Any]) -> Contest:
    """Build a comparison from plain values.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: these make none.
    """
    run = made(RunResult, told["run"], streams=(), policy=policy_from(told["run"]["policy"]))
    parts: dict[str, tuple[Any, ...]] = {
        "contestants": tuple(_adapter(Contestant).validate_python(one) for one in told["contestants"]),
        "outcomes": tuple(map(outcome_from, told["outcomes"])),
        "failed": tuple(_adapter(Failed).validate_python(one) for one in told["failed"]),
    }
    return made(Contest, told, run=run, **parts)


def outcome_plain(outcome: Outcome) -> dict[str, Any]:
    """Write an outcome as plain values."""
    told: dict[str, Any] = plain(replace(outcome, equity=()))
    return {**told, "equity": list(outcome.equity)}


def outcome_from(told: Mapping[str, Any]) -> Outcome:
    """Read an outcome.

    Raises:
        ValueError: this is none.
    """
    found: Outcome = _adapter(Outcome).validate_python(told)
    return replace(found, equity=tuple(found.equity), findings=tuple(found.findings))


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
