"""The field types of the schemas: what a name, a time, a duration or a reference may look like.

Rules: types are strict, so a text is no number; whole numbers count as numbers. A mapping reports unknown keys with
the keys it knows, and all broken rules of a section are reported together.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Self, TypeAlias, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from backtestkit_cli.config.problems import explain, refusal, without_misspelt
from backtestkit_cli.model.time import MINUTE_MS, Interval, iso, minutes_of, parse_time

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
FIRST_YEAR_MS, LAST_YEAR_MS = 0, 7_258_118_400_000
STRATEGY_INTERVALS = tuple(interval for interval in Interval if interval is not Interval.D3)
Broken: TypeAlias = tuple[tuple[str | int, ...], Any, PydanticCustomError]


class Schema(BaseModel):
    """A section of the config: known keys only, strict types, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def broken_rules(cls, given: Mapping[str, Any]) -> Iterator[Broken]:  # noqa: ARG003  # read by the sections
        """Yield the rules between keys that raw values break, as (keys, value, refusal)."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _all_together(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        broken = [
            InitErrorDetails(type=why, loc=keys, input=value)
            for keys, value, why in (cls.broken_rules(given) if isinstance(given, Mapping) else ())
        ]
        try:
            schema = handler(given)
        except ValidationError as error:
            known = tuple(cls.model_fields)
            errors = without_misspelt(error.errors(include_url=False), known, given)
            first = [
                InitErrorDetails(type=explain(one, known, given), loc=one["loc"], input=one["input"]) for one in errors
            ]
            raise ValidationError.from_exception_data(cls.__name__, [*first, *broken]) from None
        if broken:
            raise ValidationError.from_exception_data(cls.__name__, broken)
        return schema


def raw_number(model: type[Schema], given: Any, key: str) -> float | None:
    """Give a raw number or its default, None for anything that is no number."""
    value = given.get(key, model.model_fields[key].default) if isinstance(given, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def text_or(model: type[Schema], expected: str, text: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the check of a field that takes a text or a mapping, without errors of the form not meant."""

    def check(value: Any) -> Any:
        if isinstance(value, Mapping):
            return model.model_validate(value)
        if isinstance(value, model):
            return value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise refusal("wrong-type", "a value of the wrong kind", expected=expected)
        return text(value)

    return check


def _name(text: str) -> str:
    if not NAME.match(text):
        expected = "1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
        raise refusal("bad-name", "this is no name", expected=expected)
    return text


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", text):
        raise refusal(
            "bad-name", "this is no name for a value", expected="letters, digits and underscores, no digit first"
        )
    return text


def _symbol(text: str) -> str:
    if not re.fullmatch(r"\S{1,64}", text):
        raise refusal("bad-name", "this is no symbol", expected="a symbol such as BTCUSDT, without blanks")
    return text


def _reference(text: str) -> str:
    if not re.fullmatch(r"[^:\s]([^:]*[^:\s])?:[A-Za-z_][A-Za-z0-9_]*", text):
        raise refusal("bad-reference", "this names no function", expected="path.py:name or package.module:name")
    return text


def _plugin(text: str) -> str:
    if ":" in text:
        return _reference(text)
    if not NAME.match(text):
        raise refusal("bad-reference", "this names no plugin", expected="a registered name, or path.py:name")
    return text


def _environment(text: str) -> str:
    if re.search(r"\$\{(?![A-Za-z_][A-Za-z0-9_]*\})", text):
        raise refusal("bad-environment", "this names no variable of the environment", expected="${NAME}")
    return text


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://", "${")):
        raise refusal("bad-value", "this is no address", expected="http://… or https://…, or ${NAME}")
    return text


def _people_address(text: str) -> str:
    if not re.match(r"[a-z][a-z0-9+.-]*://\S|\$\{", text, re.IGNORECASE):
        expected = "an address of Apprise such as tgram://TOKEN/CHAT or mailto://…, or ${NAME}"
        raise refusal("bad-value", "this is no address", expected=expected)
    return text


def _path(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise refusal("bad-value", "this is no path", expected="a path such as data/signals.csv")
    return text


def _time(value: Any) -> int:
    expected = "a time such as 2023-03-01, 2023-03-01T12:30Z, 2023-03-01T12:30+02:00 or milliseconds"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise refusal("bad-time", "this is no time", expected=expected)
    try:
        time_ms = parse_time(value)
    except (ValueError, OverflowError):
        hint = "milliseconds have 12 or 13 digits" if isinstance(value, int) else "all times are UTC"
        raise refusal("bad-time", "this is no time", expected=expected, hint=hint) from None
    if not FIRST_YEAR_MS <= time_ms < LAST_YEAR_MS:
        raise refusal("bad-time", "the time is out of range", expected="a year from 1970 to 2199")
    return time_ms


def _start_time(value: Any) -> int:
    time_ms = _time(value)
    if time_ms % MINUTE_MS:
        raise refusal("bad-time", f"{iso(time_ms)} is no whole minute", expected="a time without seconds")
    return time_ms


def time_or_none(value: Any) -> int | None:
    """Read a raw time; None for what is refused as a time anyway."""
    try:
        return _time(value)
    except PydanticCustomError:
        return None


def _interval_of(choices: tuple[Interval, ...]) -> Callable[[Any], Interval]:
    def check(value: Any) -> Interval:
        if isinstance(value, str) and value in choices:
            return Interval(value)
        raise refusal("bad-interval", "no such interval", expected=", ".join(choices))

    return check


def _duration(least_minutes: int) -> Callable[[Any], str]:
    def check(text: Any) -> str:
        expected = f"a duration of at least {least_minutes}m such as 90m, 24h or 2d"
        try:
            minutes = minutes_of(text)
        except (ValueError, AttributeError):
            raise refusal("bad-duration", "this is no duration in whole minutes", expected=expected) from None
        if minutes < least_minutes:
            raise refusal("bad-duration", "the duration is too short", expected=expected)
        return str(text)

    return check


def _metric(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?", text):
        raise refusal("bad-name", "this is no metric", expected="a name such as sharpe_ratio or original.sharpe_ratio")
    return text


def _number_format(text: str) -> str:
    if not re.fullmatch(r"[-+ ]?,?(\.[0-9]{1,2})?[defg]?", text):
        raise refusal("bad-value", "this is no number format", expected="a format such as .2f, +.2f or ,d")
    return text


def expression_text(value: Any) -> str:
    """Take a rule expression, or a number as one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise refusal("wrong-type", "a value of the wrong kind", expected="an expression such as ema(close, 12)")
    text = value if isinstance(value, str) else repr(value)
    if not text.strip():
        raise refusal("bad-value", "the expression is empty", expected="an expression such as ema(close, 12)")
    return text


def _param(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise refusal("wrong-type", "a value of the wrong kind", expected="a number, a text, true or false")
    return value


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list that has a value twice."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise refusal("listed-twice", f"{value} is listed twice", hint="list it once")
    return values


def as_tuple(value: Any) -> Any:
    """Take a list as a tuple; strict types know no other way."""
    return tuple(value) if isinstance(value, list) else value


_TIME_SCHEMA = WithJsonSchema({"type": ["string", "integer"], "description": "UTC; ISO 8601 or milliseconds"})
_ISO = PlainSerializer(iso, return_type=str, when_used="json")

Text = Annotated[str, Field(min_length=1), AfterValidator(_environment)]
Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"})
]
Identifier = Annotated[str, AfterValidator(_identifier)]
Symbol = Annotated[str, AfterValidator(_symbol)]
FunctionReference = Annotated[str, AfterValidator(_reference)]
Callback: TypeAlias = FunctionReference | None
PluginReference = Annotated[str, AfterValidator(_plugin)]
Address = Annotated[str, AfterValidator(_environment), AfterValidator(_address)]
PeopleAddress = Annotated[str, AfterValidator(_environment), AfterValidator(_people_address)]
FilePath = Annotated[str, AfterValidator(_path), AfterValidator(_environment)]
Time = Annotated[int, BeforeValidator(_time), _ISO, _TIME_SCHEMA]
StartTime = Annotated[int, BeforeValidator(_start_time), _ISO, _TIME_SCHEMA]
AnyInterval = Annotated[Interval, BeforeValidator(_interval_of(tuple(Interval)))]
StrategyInterval = Annotated[
    Interval,
    BeforeValidator(_interval_of(STRATEGY_INTERVALS)),
    WithJsonSchema({"enum": [interval.value for interval in STRATEGY_INTERVALS]}),
]
Duration = Annotated[str, BeforeValidator(_duration(1))]
WarmUp = Annotated[str, BeforeValidator(_duration(0))]
Metric = Annotated[str, AfterValidator(_metric)]
NumberFormat = Annotated[str, AfterValidator(_number_format)]
Expression = Annotated[str, BeforeValidator(expression_text)]
ParamValue = Annotated[bool | int | float | str, BeforeValidator(_param)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
WholeNumber = Annotated[int, Field(ge=0)]
Params: TypeAlias = dict[Identifier, ParamValue]

Item = TypeVar("Item")
Entries = Annotated[tuple[Item, ...], BeforeValidator(as_tuple), Field(min_length=1)]
DistinctEntries = Annotated[tuple[Item, ...], BeforeValidator(as_tuple), AfterValidator(distinct), Field(min_length=1)]


def choices(kind: Any) -> tuple[str, ...]:
    """Give the texts a Literal allows."""
    return tuple(get_args(kind))


class NamedSchema(Schema):
    """What every kind has."""

    name: Name
    note: Text | None = None
