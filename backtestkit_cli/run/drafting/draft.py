"""What a model may answer as a draft, and what of it is believed: nothing that the config and the rules do not take.

A draft is data: rules in the rule language, checked like a strategy of a file before anything runs. What is wrong with
it is told to the model in the words that a user would read.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from backtestkit_cli.config.edit import empty_config, with_entry, with_settings
from backtestkit_cli.config.fields import STRATEGY_INTERVALS
from backtestkit_cli.config.given import Given
from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import BacktestkitError, Source
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.plugins.words import shown
from backtestkit_cli.run.json_answer import json_object, refused
from backtestkit_cli.run.strategies import prepare

_EXPRESSION = {"type": "string", "maxLength": 500}
DRAFT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "candles": {"type": "string", "enum": [interval.value for interval in STRATEGY_INTERVALS]},
        "params": {"type": "object", "additionalProperties": {"type": "number"}},
        "let": {"type": "object", "additionalProperties": _EXPRESSION},
        "long": _EXPRESSION,
        "short": _EXPRESSION,
        "take_profit": _EXPRESSION,
        "stop_loss": _EXPRESSION,
        "lifetime": {"type": "string"},
        "note": {"type": "string", "maxLength": 500},
    },
    "required": ["candles", "take_profit", "stop_loss", "lifetime", "note"],
}
MOST_NAMES = 40
LONGEST_NOTE = 500
_PLACE = Source(file="the draft")
_RULES = ("candles", "let", "long", "short", "take_profit", "stop_loss", "lifetime", "note")


class Draft(NamedTuple):
    """A draft that was taken: the keys of its strategy, as a config has them, and its Python, where it is that.

    `code` is the Python without its layout.
    """

    values: dict[str, Any]
    source: str | None = None
    code: str = ""

    @property
    def rules(self) -> str:
        """What it does, without its words: equal for drafts that trade alike."""
        if self.source is not None:
            return self.code
        rules = {key: value for key, value in self.values["rules"].items() if key != "note"}
        return json.dumps([rules, self.values.get("params", {})], sort_keys=True)


def draft_from(text: str, name: str, config: Config, registry: Registry) -> Draft:
    """Read an answer as a strategy of a name, under the settings of a config.

    Raises:
        ConfigError: it is none; all that is wrong with it is told.
    """
    answer = answer_of(text, DRAFT_SCHEMA)
    rules = {key: answer[key] for key in _RULES if answer.get(key) not in (None, {}, "")}
    values: dict[str, Any] = {"name": name, "interval": answer["candles"], "rules": rules}
    if answer.get("params"):
        values["params"] = answer["params"]
    values = Given("strategies", registry, _PLACE).values(values, {})
    alone = with_settings(empty_config(config.project), {"limits": config.settings.limits.model_dump()}, _PLACE)
    prepare(with_entry(alone, "strategies", values, _PLACE), name, registry)
    return Draft(values)


def answer_of(text: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Read an answer with the keys of a schema; their values are not looked at, but for their size.

    Raises:
        ConfigError: it has others, or not all that are required, or is too large.
    """
    answer = json_object(text)
    unknown = [key for key in answer if key not in schema["properties"]]
    if unknown:
        raise refused("unknown-key", f"there is no key {shown(unknown[0])}", expected=", ".join(schema["properties"]))
    for key in schema["required"]:
        if key not in answer:
            raise refused("missing-key", f"the key {key} is missing")
    _refuse_oversized(answer)
    return answer


def problem_text(error: BacktestkitError) -> str:
    """Write what is wrong with a draft, for the model that made it."""
    lines = []
    for problem in error.problems:
        where = problem.where or Source()
        key = where.key or (f"line {where.line}" if where.line else None)
        parts = [problem.what, problem.found and f"found {problem.found}", problem.expected, problem.hint]
        lines.append(f"- {f'{key}: ' if key else ''}{'; '.join(part for part in parts if part)}")
    return "This draft cannot be used:\n" + "\n".join(lines) + "\nAnswer with the whole corrected JSON object."


def _refuse_oversized(answer: Mapping[str, Any]) -> None:
    for key in ("params", "let"):
        if isinstance(answer.get(key), dict) and len(answer[key]) > MOST_NAMES:
            raise refused("bad-value", f"{key} has more than {MOST_NAMES} names")
    if isinstance(answer["note"], str) and len(answer["note"]) > LONGEST_NOTE:
        raise refused("bad-value", f"note has more than {LONGEST_NOTE} characters")
    if "${" in json.dumps(answer):
        raise refused("bad-value", "${…} reads the environment, which a draft has nothing to do with")
