"""The values of a param that a comparison tries: a list, or a range of numbers, which is a short way to write one.

Rules: a range counts in decimal digits, as it is written, so that 0.1 to 0.3 by 0.1 is 0.1, 0.2 and 0.3; its end is in
it where a step meets it. Whole numbers stay whole.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails

from backtestkit_cli.config.fields import Broken, ParamValue, as_tuple, distinct
from backtestkit_cli.config.problems import key_meant, missing_key, refusal, unknown_key

KEYS = ("from", "to", "step")
MOST_VALUES = 10_000
EXPECTED = "a list, or a range such as {from: 8, to: 16, step: 4}"


def values_of(first: float, last: float, step: float) -> tuple[int | float, ...]:
    """Write a range out."""
    start, width = Decimal(str(first)), Decimal(str(step))
    count = int((Decimal(str(last)) - start) / width) + 1
    is_whole = isinstance(first, int) and isinstance(step, int)
    found = (start + place * width for place in range(count))
    return tuple(int(one) if is_whole else float(one) for one in found)


def _varied(value: Any) -> Any:
    if isinstance(value, Mapping):
        broken = [InitErrorDetails(type=why, loc=keys, input=found) for keys, found, why in _broken_keys(value)]
        if broken:
            raise ValidationError.from_exception_data("range", broken)
        return values_of(*(value[key] for key in KEYS))
    if not isinstance(value, list | tuple):
        raise refusal("wrong-type", "a value of the wrong kind", expected=EXPECTED)
    return as_tuple(value)


def _broken_keys(given: Mapping[str, Any]) -> Iterator[Broken]:
    """Yield what is wrong with a range: its keys, their kinds, else what they make together."""
    unknown = [key for key in given if key not in KEYS]
    numbers = {key: given[key] for key in KEYS if key in given}
    wrong = [key for key, one in numbers.items() if isinstance(one, bool) or not isinstance(one, int | float)]
    for key in unknown:
        yield (key,), given[key], unknown_key(str(key), KEYS, given)
    meant = {key_meant(str(key), KEYS, given) for key in unknown}
    for key in KEYS:
        if key not in given and key not in meant:
            yield (key,), dict(given), missing_key(key)
    for key in wrong:
        yield (key,), given[key], refusal("wrong-type", "a value of the wrong kind", expected="a number")
    if len(numbers) == len(KEYS) and not wrong:
        yield from _broken_range(given)


def _broken_range(given: Mapping[str, Any]) -> Iterator[Broken]:
    first, last, step = (Decimal(str(given[key])) for key in KEYS)
    if step <= 0:
        yield ("step",), given["step"], refusal("bad-value", "the number is out of range", expected="a number above 0")
    elif last < first:
        yield ("to",), given["to"], refusal("bad-value", "the range ends before it starts", expected="from <= to")
    elif (last - first) / step >= MOST_VALUES:
        why = refusal("bad-value", "the range has too many values", expected=f"at most {MOST_VALUES}")
        yield ("step",), given["step"], why


Varied = Annotated[
    tuple[ParamValue, ...],
    BeforeValidator(_varied),
    AfterValidator(distinct),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": {"type": ["boolean", "integer", "number", "string"]}},
                {
                    "type": "object",
                    "properties": {key: {"type": "number"} for key in KEYS},
                    "required": list(KEYS),
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
