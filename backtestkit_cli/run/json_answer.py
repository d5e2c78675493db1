"""An answer of a language model that must be one JSON object, read strictly: each key once, each number finite."""

import json
import math
from typing import Any

from backtestkit_cli.errors import ConfigError, Problem
from backtestkit_cli.plugins.words import shown


def json_object(text: str) -> dict[str, Any]:
    """Read an answer that is one JSON object and nothing else, each key once, each number finite.

    Raises:
        ConfigError: it is not that.
    """
    try:
        answer = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise refused("not-json", "the answer is no JSON", found=shown(text), expected=str(error)[:120]) from None
    if not isinstance(answer, dict):
        raise refused("not-json", "the answer is no JSON object", found=shown(text))
    return answer


def refused(code: str, what: str, *, found: str | None = None, expected: str | None = None) -> ConfigError:
    """Say what is wrong with an answer."""
    return ConfigError(Problem(code, what, found=found, expected=expected))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        raise ValueError("a key stands there twice")
    return known


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number
