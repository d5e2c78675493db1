"""What in the code of a strategy most likely makes it look ahead: lines that are known to, as hints and no more.

Nothing is concluded from them: a strategy is accused by what it decides, never by how it is written.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MOST_CAUSES = 3
_CLOCKS = frozenset(
    {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time")}
    | {("time", "time_ns"), ("time", "localtime"), ("time", "gmtime")}
)
_WHOLE_COLUMN = frozenset({"mean", "std", "var", "median", "quantile", "rank", "max", "min", "sum", "count"})
_FITS = frozenset({"polyfit", "lstsq", "fit", "fit_transform", "fft", "rfft", "filtfilt", "savgol_filter"})
_READS = frozenset({"read_csv", "read_parquet", "scan_csv", "scan_parquet", "read_json", "open", "loadtxt", "load"})


class Cause(NamedTuple):
    """A line that may be the reason; `rank` orders them, the likeliest first."""

    rank: int
    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


def causes_in(file: str | None) -> list[Cause]:
    """The likeliest lines of a file."""
    return sorted({cause for node in _nodes(file) for cause in _of(node)})[:MOST_CAUSES]


def clock_lines(file: str | None) -> list[int]:
    """The lines of a file that ask for the wall clock."""
    calls = (node for node in _nodes(file) if isinstance(node, ast.Call))
    return sorted({call.lineno for call in calls if _owner_and_name(call) in _CLOCKS})


def _nodes(file: str | None) -> Iterator[ast.AST]:
    if file is None:
        return
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    yield from ast.walk(tree)


def _owner_and_name(call: ast.Call) -> tuple[str, str]:
    """The last two names of `datetime.datetime.now()`."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return getattr(owner, "attr", getattr(owner, "id", "")), _name(call)


def _of(node: ast.AST) -> Iterator[Cause]:
    if isinstance(node, ast.Call):
        for rank, test in enumerate(_TESTS):
            what = test(node, _name(node))
            if what:
                yield Cause(rank, node.lineno, what)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and _is_negative(node.slice.step):
        yield Cause(2, node.lineno, "[::-1] turns the column around: what is cumulated then comes from later rows")


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_negative(node: ast.expr | None) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _keyword(call: ast.Call, name: str) -> Any:
    return next(
        (one.value.value for one in call.keywords if one.arg == name and isinstance(one.value, ast.Constant)), None
    )


def _shift(call: ast.Call, name: str) -> str | None:
    given = [*call.args, *(one.value for one in call.keywords if one.arg in ("n", "periods", "shift"))]
    if name in ("shift", "diff", "pct_change", "roll") and any(_is_negative(one) for one in given):
        return f"{name}(-n) takes the value of a later row"
    return None


def _direction(call: ast.Call, name: str) -> str | None:
    strategy = _keyword(call, "strategy")
    if name == "join_asof" and strategy in ("forward", "nearest"):
        return f"join_asof with strategy={strategy!r} joins what comes later"
    if name in ("backward_fill", "bfill") or (name == "fill_null" and strategy == "backward"):
        return f"{name} fills from later rows"
    if name == "interpolate":
        return "interpolate draws a line to the next known row"
    if _keyword(call, "center"):
        return "a centred window reaches into later rows"
    if name == "convolve" and _keyword(call, "mode") == "same":
        return "convolve with mode='same' centres its kernel: half of it lies in later rows"
    return None


def _reverse(call: ast.Call, name: str) -> str | None:
    if _keyword(call, "reverse") and name.startswith("cum"):
        return f"{name}(reverse=True) cumulates later rows"
    if name == "reverse" or (name == "sort" and _keyword(call, "descending")):
        return f"{name} turns the rows around: what is cumulated then comes from later rows"
    return None


def _group(call: ast.Call, name: str) -> str | None:
    if name in ("group_by_dynamic", "rolling") and _keyword(call, "label") != "right" and name != "rolling":
        return "group_by_dynamic labels a period with its begin: joined there, it is known before it has ended"
    if name in ("over", "group_by"):
        return f"{name} sees the whole of each group, its later rows too"
    return None


def _whole(call: ast.Call, name: str) -> str | None:
    if name in _FITS:
        return f"{name} works on all rows at once"
    if name in _WHOLE_COLUMN and isinstance(call.func, ast.Attribute) and _keyword(call, "axis") is None:
        return f"{name}() of a whole column changes with every later row"
    return None


def _end(_call: ast.Call, name: str) -> str | None:
    if name in ("len", "last", "tail", "height"):
        return f"{name}() tells where the candles end"
    return None


def _file(_call: ast.Call, name: str) -> str | None:
    return f"{name} reads a file, which may hold later rows" if name in _READS else None


_TESTS: tuple[Callable[[ast.Call, str], str | None], ...] = (
    _shift,
    _direction,
    _reverse,
    _file,
    _group,
    _whole,
    _end,
)
