"""Says in our words what is wrong with a config value, where it stands and what was meant.

Rules: a value is refused with a code, what is wrong, what is expected and a hint; the library that checks values
speaks through the table of this module only. A problem points at the key when the key is wrong, else at the value.
Secrets are never shown as found values.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from backtestkit_cli.config.read import KeyPath, SourceMap, path_text
from backtestkit_cli.errors import Problem, Source

SECRET_KEYS = ("api_key", "secret", "password", "token", "url")
KEY_CODES = ("unknown-key", "unknown-section", "bad-key")

Wording: TypeAlias = tuple[str, str, str | None]


def refusal(code: str, what: str, *, expected: str | None = None, hint: str | None = None) -> PydanticCustomError:
    """Make the error a field check raises."""
    return PydanticCustomError(code, "{what}", {"what": what, "expected": expected, "hint": hint})


def explain(error: ErrorDetails, known: Sequence[str], given: Any) -> PydanticCustomError:
    """Put an error of a section in our words; one of ours stays as it is.

    `known` are the keys the section may have, `given` is what was given for it.
    """
    context = error.get("ctx", {})
    if "what" in context:
        return refusal(error["type"], context["what"], expected=context["expected"], hint=context["hint"])
    if error["type"] == "extra_forbidden":
        return unknown_key(str(error["loc"][-1]), known, given)
    if error["type"] == "missing":
        return missing_key(str(error["loc"][-1]))
    code, what, expected = _WORDING[error["type"]](context) if error["type"] in _WORDING else _UNWORDED
    return refusal(code, what, expected=expected, hint=_advice(code, expected or "", error["input"]))


def unknown_key(key: str, known: Sequence[str], given: Any) -> PydanticCustomError:
    """Refuse a key that a section does not have."""
    meant = key_meant(key, known, given)
    hint = None if meant is None else f"did you mean {meant}?"
    return refusal("unknown-key", "no such key", expected=", ".join(known), hint=hint)


def key_meant(key: str, known: Sequence[str], given: Any) -> str | None:
    """Give the key a misspelt one stands for; one that is not given yet is likelier."""
    absent = [one for one in known if not isinstance(given, Mapping) or one not in given]
    near = [one for one in absent if _is_one_letter_apart(key.casefold()[:100], one.casefold())]
    return near[0] if near else nearest(key, known)


def missing_key(key: str) -> PydanticCustomError:
    """Refuse a section without one of its required keys."""
    return refusal("missing-key", f"the key {key} is missing", hint=f"add `{key}: …`")


def without_misspelt(errors: Sequence[ErrorDetails], known: Sequence[str], given: Any) -> list[ErrorDetails]:
    """Leave out missing keys that are there, but misspelt: the unknown key is reported, and names them."""
    unknown = [str(error["loc"][-1]) for error in errors if error["type"] == "extra_forbidden"]
    meant = {key_meant(key, known, given) for key in unknown}
    return [error for error in errors if error["type"] != "missing" or error["loc"][-1] not in meant]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Give the known name that is most like this one, None when none is near."""
    by_fold = {other.casefold(): other for other in known}
    close = [other for fold, other in by_fold.items() if _is_one_letter_apart(name.casefold()[:100], fold)]
    if close:
        return close[0]
    found = difflib.get_close_matches(name.casefold()[:100], by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def _is_one_letter_apart(one: str, other: str) -> bool:
    """Whether one letter added, left out, replaced or swapped with its neighbour turns one text into the other."""
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Give a hint that names the nearest known name."""
    near = nearest(name, known)
    return None if near is None else f"did you mean {near}?"


def shown(value: Any) -> str:
    """Write a found value short and on one line, as it would stand in YAML."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping" if value else "an empty mapping"
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case str():
            return json.dumps(value if len(value) <= 60 else value[:59] + "…", ensure_ascii=False)
        case bool():
            return str(value).lower()
        case _:
            return " ".join(str(value).split())[:60]


def is_secret(path: KeyPath) -> bool:
    """Whether a value under this path must never be shown."""
    keys = [part for part in path if isinstance(part, str)]
    # the address of an exchange is no secret, and needed in messages
    return (
        bool(keys)
        and keys[-1] != "base_url"
        and bool(re.search(rf"(^|_)({'|'.join(SECRET_KEYS)})$", keys[-1].casefold()))
    )


def key_path(kind: str, index: int | None, name: str | None, keys: KeyPath = ()) -> str:
    """Write a path for people: `strategies[0] "ema-cross" › rules › take_profit`."""
    head = kind if index is None else f"{kind}[{index}]"
    text = head if name is None else f'{head} "{name}"'
    return path_text((text, *keys))


def problems_of(error: ValidationError, locate: Callable[[KeyPath, str], Source]) -> list[Problem]:
    """Turn a failed check into problems; `locate` gives the place of a key path's `key` or `value`."""
    found = [_problem(details, locate) for details in error.errors(include_url=False)]
    return sorted(found, key=lambda problem: (_line(problem), problem.where.column or 0 if problem.where else 0))


def locator(source_map: SourceMap, start: KeyPath, kind: str, name: str | None) -> Callable[[KeyPath, str], Source]:
    """Locate key paths below one section of a file."""
    index = start[-1] if start and isinstance(start[-1], int) else None

    def locate(keys: KeyPath, at: str) -> Source:
        return source_map.source((*start, *keys), at=at, key=key_path(kind, index, name, keys))

    return locate


def _problem(details: ErrorDetails, locate: Callable[[KeyPath, str], Source]) -> Problem:
    keys: KeyPath = tuple(details["loc"])
    is_key = details["type"] in KEY_CODES or bool(keys and keys[-1] == "[key]")
    if details["type"] == "missing-key" or (keys and keys[-1] == "[key]"):
        keys = keys[:-1]
    context = details.get("ctx", {})
    found = None if is_key or details["type"] == "missing-key" or is_secret(keys) else shown(details["input"])
    if details["type"] in _WITHOUT_FOUND:
        found = None
    return Problem(
        details["type"],
        context.get("what", details["msg"]),
        locate(keys, "key" if is_key else "value"),
        found=found,
        expected=context.get("expected"),
        hint=context.get("hint"),
    )


def _line(problem: Problem) -> int:
    return (problem.where.line or 0) if problem.where else 0


def _advice(code: str, expected: str, value: Any) -> str | None:
    """Give the usual cause of a value of the wrong kind, or the nearest choice."""
    if code == "bad-choice" and isinstance(value, str):
        return did_you_mean(value, re.split(", | or ", expected))
    if code != "wrong-type":
        return None
    if isinstance(value, str) and value.casefold() in {"yes", "no", "on", "off", "true", "false"}:
        return "truth values are written true and false"
    if isinstance(value, str) and "${" in value:
        return "values of the environment can stand in texts only"
    if isinstance(value, str) and "number" in expected and re.fullmatch(r"[-+.0-9_,eE]+", value):
        return "numbers are written like 12, 0.5 or 1e3, without quotes"
    if isinstance(value, bool | int | float) and expected == "a text":
        return "put the value in quotes to make it a text"
    return None


def _limit(sign: str, key: str) -> Callable[[dict[str, Any]], Wording]:
    return lambda context: ("bad-value", "the number is out of range", f"a number {sign} {context[key]:g}")


def _type(expected: str) -> Callable[[dict[str, Any]], Wording]:
    return lambda _: ("wrong-type", "a value of the wrong kind", expected)


_UNWORDED: Wording = ("bad-value", "this value is not accepted here", None)

# conflicts between keys name what was found themselves
_WITHOUT_FOUND = ("conflict", "below-costs", "missing-odds", "missing-side", "unused-key")

_WORDING: dict[str, Callable[[dict[str, Any]], Wording]] = {
    "string_type": _type("a text"),
    "int_type": _type("a whole number"),
    "float_type": _type("a number"),
    "bool_type": _type("true or false"),
    "list_type": _type("a list"),
    "tuple_type": _type("a list"),
    "dict_type": _type("a mapping of keys and values"),
    "model_type": _type("a mapping of keys and values"),
    "finite_number": _type("a finite number"),
    "greater_than": _limit("above", "gt"),
    "greater_than_equal": _limit("of at least", "ge"),
    "less_than": _limit("below", "lt"),
    "less_than_equal": _limit("of at most", "le"),
    "literal_error": lambda context: (
        "bad-choice",
        "no such choice",
        context["expected"].replace("'", ""),
    ),
    "string_too_short": lambda _: ("bad-value", "the text is empty", "a text of at least one character"),
    "string_too_long": lambda context: (
        "bad-value",
        "the text is too long",
        f"at most {context['max_length']} characters",
    ),
    "too_short": lambda context: ("bad-value", "too few entries", f"at least {context['min_length']}"),
    "too_long": lambda context: ("bad-value", "too many entries", f"at most {context['max_length']}"),
}
