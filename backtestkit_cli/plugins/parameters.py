"""Which params a plugin takes: its signature is the schema.

- What the program hands in is no param: the first parameter of strategies, risk checks, sizings and sources, what is
  positional only, and what a maker of exchanges, stores, notifiers and brokers asks for by the names in `HANDED_IN`.
- Types are strict, as a value of YAML or JSON is read: no text is taken for a number, no truth value for a count; a
  whole number is taken where a float is asked for, a list where a tuple is, a text where an enum is.
- A parameter without a type takes anything, `**params` takes any name, and defaults are believed.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.plugins.places import place_of, text_of
from backtestkit_cli.plugins.words import described, meant, one_line, shown

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

HANDED_IN = frozenset({"project", "clock"})
_SECRET_WORDS = ("key", "secret", "password", "token", "url")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One param of a plugin. `default` is `inspect.Parameter.empty` where one must be given."""

    name: str
    type: Any = Any
    default: Any = inspect.Parameter.empty

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty


class ParameterModel:
    """The params of one plugin, in the order of its signature.

    `takes_any`: it has `**params`. `handed_in`: what it asks the program for by name.
    """

    def __init__(
        self, parameters: tuple[Parameter, ...], *, takes_any: bool, handed_in: frozenset[str], place: Source
    ) -> None:
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self.takes_any = takes_any
        self.handed_in = handed_in
        self._place = place

    @property
    def defaults(self) -> dict[str, Any]:
        """The defaults of those that have one."""
        return {name: one.default for name, one in self.parameters.items() if not one.is_required}

    def problems(self, params: Mapping[str, object]) -> list[Problem]:
        """Everything that is wrong with some params: unknown names, missing ones, wrong values."""
        return self._read(params)[1]

    def values(self, params: Mapping[str, object]) -> dict[str, Any]:
        """The params as the plugin gets them, without those that are not given.

        Raises:
            ConfigError: something is wrong with them; all of it is told.
        """
        values, problems = self._read(params)
        if problems:
            raise ConfigError(*problems)
        return values

    def json_schema(self) -> dict[str, Any]:
        """The JSON schema of the params; a type JSON does not know takes anything."""
        from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

        class Lenient(GenerateJsonSchema):
            ignored_warning_kinds = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012  # set by pydantic

            def handle_invalid_for_json_schema(self, schema: object, error_info: str) -> JsonSchemaValue:  # noqa: ARG002
                return {}

        return {
            **self._model.model_json_schema(schema_generator=Lenient),
            "title": "params",
            "additionalProperties": self.takes_any,
        }

    def _read(self, params: Mapping[str, object]) -> tuple[dict[str, Any], list[Problem]]:
        known = {name: value for name, value in params.items() if name in self.parameters}
        rest = {name: value for name, value in params.items() if name not in self.parameters}
        problems = [] if self.takes_any else [self._unknown(name, value) for name, value in rest.items()]
        problems += [
            self._missing(one) for one in self.parameters.values() if one.is_required and one.name not in params
        ]
        values, wrong = self._typed(known)
        return {**rest, **values}, problems + wrong

    def _typed(self, params: dict[str, object]) -> tuple[dict[str, Any], list[Problem]]:
        if not self.parameters:  # a check makes a strategy anew hundreds of times, and a model takes longer than most
            return {}, []
        from pydantic import ValidationError

        try:
            read = _validated(self._model, params)
        except ValidationError as error:
            return {}, self._wrong(error, params)
        names = list(self.parameters)
        return {names[int(field[1:])]: getattr(read, field) for field in read.model_fields_set}, []

    @cached_property
    def _model(self) -> "type[BaseModel]":
        from pydantic import ConfigDict, Field, create_model
        from pydantic.errors import PydanticUserError
        from pydantic_core import SchemaError

        # Fields have names of our own: a param may be called `schema` or `copy`, which a model already has.
        fields: dict[str, Any] = {
            f"p{index}": (one.type, Field(default=... if one.is_required else one.default, alias=one.name))
            for index, one in enumerate(self.parameters.values())
        }
        config = ConfigDict(strict=True, arbitrary_types_allowed=True)
        try:
            return create_model("Params", __config__=config, **fields)
        except (PydanticUserError, SchemaError, TypeError) as error:
            raise ConfigError(
                Problem(
                    "bad-signature",
                    f"the parameters of {text_of(self._place)} cannot be read: {described(error)}",
                    where=self._place,
                    hint="give them types such as int, float, str, bool, list[int]",
                )
            ) from error

    def _unknown(self, name: object, value: object) -> Problem:
        return Problem(
            "unknown-key",
            f"{text_of(self._place)} takes no param {one_line(str(name))}",
            where=Source(key=str(name)),
            found=_found(str(name), value),
            hint=meant(str(name), self.parameters),
        )

    def _missing(self, parameter: Parameter) -> Problem:
        kind = "" if parameter.type is Any else f" of type {inspect.formatannotation(parameter.type)}"
        return Problem(
            "missing-key",
            f"the param {parameter.name} of {text_of(self._place)} is missing",
            where=Source(key=parameter.name),
            expected=f"a value{kind}",
        )

    def _wrong(self, error: "ValidationError", params: dict[str, object]) -> list[Problem]:
        expected: dict[str, list[str]] = {}
        for one in error.errors(include_url=False, include_context=False):
            if one["type"] == "missing" and len(one["loc"]) == 1:
                continue  # told already
            text = one["msg"].removeprefix("Input should be ")
            inside = [f"[{part}]" for part in one["loc"][1:] if isinstance(part, int)]
            expected.setdefault(str(one["loc"][0]), []).append(f"{text} at {''.join(inside)}" if inside else text)
        return [
            Problem(
                "wrong-value",
                f"the param {name} of {text_of(self._place)} has a wrong value",
                where=Source(key=name),
                found=_found(name, params[name]),
                expected=" or ".join(dict.fromkeys(texts)),
            )
            for name, texts in expected.items()
        ]


def _found(name: str, value: object) -> str | None:
    """Show a value unless its name says that it is secret."""
    return None if any(word in name.casefold() for word in _SECRET_WORDS) else shown(value)


def _validated(model: "type[BaseModel]", params: dict[str, object]) -> "BaseModel":
    """Read what JSON can say by JSON's strict rules, which know lists, not tuples; anything else by Python's."""
    try:
        text = json.dumps(params)
    except (TypeError, ValueError, RecursionError):
        return model.model_validate(params)
    return model.model_validate_json(text)


def parameters_of(function: Callable[..., Any], given: int) -> ParameterModel:
    """Read the signature of a plugin. The program gives its first `given` parameters, or those in `HANDED_IN` if none.

    Raises:
        ConfigError: it has no signature, or types that mean nothing.
    """
    place = place_of(function)
    parameters = list(signature_of(function).parameters.values())
    subject = [one for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY][:given]
    named = [one for one in parameters if one.kind in _NAMED and one not in subject]
    handed_in = frozenset() if given else HANDED_IN.intersection(one.name for one in named)
    named = [one for one in named if one.name not in handed_in]
    types = _types(function, named, place)
    return ParameterModel(
        tuple(Parameter(name=one.name, type=types.get(one.name, Any), default=one.default) for one in named),
        takes_any=any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters),
        handed_in=handed_in,
        place=place,
    )


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a plugin.

    Raises:
        ConfigError: it has none, as some functions written in C.
    """
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        problem = Problem("bad-signature", f"{shown(function)} does not tell its parameters", where=place_of(function))
        raise ConfigError(problem) from error


def _types(function: Callable[..., Any], named: list[inspect.Parameter], place: Source) -> dict[str, Any]:
    # One by one and only for params: the type of `candles` is often imported for type checkers alone.
    written = {one.name: one.annotation for one in named if one.annotation is not inspect.Parameter.empty}
    target = inspect.unwrap(function)
    target = target.__init__ if inspect.isclass(target) else getattr(target, "func", target)
    names = getattr(target, "__globals__", {})
    try:
        return get_type_hints(SimpleNamespace(__annotations__=written), globalns=names, include_extras=True)
    except Exception as error:  # a text as type may say anything
        raise ConfigError(
            Problem(
                "bad-signature",
                f"a parameter type of {text_of(place)} cannot be read: {described(error)}",
                where=place,
                hint="import the types of params outside of TYPE_CHECKING",
            )
        ) from error
