"""The values of a param that a comparison tries: a list, or a range of numbers, which is a short way to write one.

Rules: a range counts in decimal digits, as it is written, so that 0.1 to 0.3 by 0.1 is 0.1, 0.2 and 0.3; its end is in
it where a step meets it. Whole numbers stay whole.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, create_model

from backtestkit_cli.config.fields import Broken, ParamValue, Schema, as_tuple, distinct
from backtestkit_cli.config.problems import refusal

MOST_VALUES = 10_000
EXPECTED = "a list, or a range such as {from: 8, to: 16, step: 4}"


class _Steps(Schema):
    """The rules between the keys of a range."""

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:
        """Yield a range that is empty, or has too many values."""
        numbers = [given.get(key) for key in ("from", "to", "step")]
        if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
            return
        first, last, step = (Decimal(str(one)) for one in numbers)
        if last < first:
            yield ("to",), given["to"], refusal("bad-value", "the range ends before it starts", expected="from <= to")
        elif step > 0 and (last - first) / step >= MOST_VALUES:
            why = refusal("bad-value", "the range has too many values", expected=f"at most {MOST_VALUES}")
            yield ("step",), given["step"], why


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal("wrong-type", "a value of the wrong kind", expected="a number")
    return value


def _step(value: Any) -> Any:
    if _number(value) <= 0:
        raise refusal("bad-value", "the number is out of range", expected="a number above 0")
    return value


_KEYS: dict[str, Any] = {
    "from": (Annotated[Any, AfterValidator(_number)], ...),
    "to": (Annotated[Any, AfterValidator(_number)], ...),
    "step": (Annotated[Any, AfterValidator(_step)], ...),
}
# `from` is no name that a class could spell
_Range = create_model("_Range", __base__=_Steps, **_KEYS)


def values_of(first: float, last: float, step: float) -> tuple[int | float, ...]:
    """Write a range out."""
    start, width = Decimal(str(first)), Decimal(str(step))
    count = int((Decimal(str(last)) - start) / width) + 1
    is_whole = isinstance(first, int) and isinstance(step, int)
    found = (start + place * width for place in range(count))
    return tuple(int(one) if is_whole else float(one) for one in found)


def _varied(value: Any) -> Any:
    if isinstance(value, Mapping):
        given = _Range.model_validate(value).model_dump()
        return values_of(given["from"], given["to"], given["step"])
    if not isinstance(value, list | tuple):
        raise refusal("wrong-type", "a value of the wrong kind", expected=EXPECTED)
    return as_tuple(value)


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
                    "properties": {key: {"type": "number"} for key in ("from", "to", "step")},
                    "required": ["from", "to", "step"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
