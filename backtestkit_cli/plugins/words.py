"""How names and values of users are put into sentences.

Foreign text is cut to one line of bounded length, and nothing a value does while it is written can raise.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 120


def shown(value: object) -> str:
    """Write a value as in Python, shortened."""
    try:
        return one_line(repr(value))
    except Exception:  # noqa: BLE001  # the __repr__ of a user's class may do anything
        return f"a {type(value).__name__}"


def described(error: BaseException) -> str:
    """Write an error as `ValueError: what it says`."""
    try:
        text = one_line(str(error))
    except Exception:  # noqa: BLE001  # the __str__ of a user's class may do anything
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_line(text: str) -> str:
    """Join the lines of a text and cut it."""
    joined = " ".join(text[: 4 * _LONGEST].split())
    return joined if len(joined) <= _LONGEST else f"{joined[: _LONGEST - 1]}…"


def listed(names: Iterable[str]) -> str:
    """List names in order, or say that there are none."""
    return ", ".join(sorted(names)) or "none"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that was probably meant."""
    by_case = {one.casefold(): one for one in known}
    found = get_close_matches(name.casefold()[:_LONGEST], by_case, n=1)
    return by_case[found[0]] if found else None


def meant(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known name and list all of them."""
    names = list(known)
    suggestion = nearest(name, names)
    every = f"known here: {listed(names)}"
    return every if suggestion is None else f"did you mean {suggestion}? {every}"
