"""What a user asks to run, and that it is made of the right kinds of values: names are texts, lists are lists.

A command line gives nothing else; a program may give anything.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from backtestkit_cli.errors import Problem, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for; None where nothing was given. `range` is `A..B`."""

    strategies: Sequence[str] = ()
    symbols: Sequence[str] = ()
    exchange: str | None = None
    frame: str | None = None
    range: str | None = None


def refuse_wrong_kinds(request: Request) -> None:
    """Hold that everything is of the kind that it is read as.

    Raises:
        UsageError: something is not; all of it is named.
    """
    problems = tuple(_wrong(request))
    if problems:
        raise UsageError(*problems)


def checked_jobs(jobs: object) -> int:
    """Give back how many processes are to work.

    Raises:
        UsageError: it is no count of them.
    """
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UsageError(Problem("bad-value", f"jobs is {_short(jobs)}", expected="a whole number from 1 on"))
    return jobs


def _wrong(request: Request) -> Iterator[Problem]:
    for name in request.strategies:
        if not isinstance(name, str):
            hint = f"names stand one by one: backtest({', '.join(map(repr, name))})" if _is_list(name) else None
            yield Problem("bad-value", f"{_short(name)} is no name of a strategy", expected="a text", hint=hint)
    if isinstance(request.symbols, str):  # else each of its letters would be a symbol
        what = f"symbols is the text {request.symbols!r}, not a list of symbols"
        yield Problem("bad-symbol", what, expected=f"[{request.symbols!r}]")
    elif not _is_list(request.symbols):
        yield Problem("bad-symbol", f"symbols is {_short(request.symbols)}, not a list of symbols")
    else:
        for symbol in request.symbols:
            if not isinstance(symbol, str):
                yield Problem("bad-symbol", f"{_short(symbol)} is no symbol", expected="a text such as 'BTCUSDT'")
    for option in ("exchange", "frame", "range"):
        given = getattr(request, option)
        if given is not None and not isinstance(given, str):
            yield Problem("bad-value", f"{option} is {_short(given)}, not a text")


def _is_list(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes)


def _short(value: object) -> str:
    return f"{value!r:.60}"
