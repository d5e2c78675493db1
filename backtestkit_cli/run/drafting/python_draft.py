"""What a model may answer when it is asked for Python: one vectorised function, read as text and never run here.

The text has to pass the list of what a language model may write; what does not is told to the model with line and
reason. It is written as it came, under a first line that keeps it from running until somebody agrees.
"""

import ast
from collections.abc import Mapping
from typing import Any

from backtestkit_cli.config.edit import empty_config, with_entry
from backtestkit_cli.config.fields import STRATEGY_INTERVALS
from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.plugins.drafted.allowed import refusals
from backtestkit_cli.plugins.drafted.function import function_in
from backtestkit_cli.plugins.drafted.trust import HEADER
from backtestkit_cli.run.drafting.draft import Draft, answer_of

FUNCTION = "draft"
PYTHON_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "candles": {"type": "string", "enum": [interval.value for interval in STRATEGY_INTERVALS]},
        "warm_up": {"type": "string"},
        "source": {"type": "string", "maxLength": 10000},
        "note": {"type": "string", "maxLength": 500},
    },
    "required": ["candles", "warm_up", "source", "note"],
}
PYTHON_SYSTEM = """\
You design strategies that trade one market. You answer with one JSON object of the schema you are given, and nothing
else. source is a Python file with one function, vectorised with polars:

import polars as pl

def draft(candles: pl.LazyFrame, *, length: int = 20) -> pl.LazyFrame:
    is_high = pl.col("close") > pl.col("high").rolling_max(length).shift(1)
    return candles.filter(is_high & pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("long"),
        price_take_profit=pl.col("price") * 1.02,
        price_stop_loss=pl.col("price") * 0.99,
        lifetime_minutes=pl.lit(720),
    )

Columns given: time open high low close volume vwap price. Returned: exactly the columns of the example, position long
or short. Each param has a type (int, float, bool, str) and a default.
Allowed are import polars as pl, import math, from backtestkit_cli import resample, plain expressions, and polars
expressions that compute columns. Not allowed: reading, writing, collect with arguments, functions handed to polars,
lambda, while, class, try, +=, names that begin with an underscore, other imports.
Only closed candles are given; a row may use rows before it, never after it.
A take profit is at least {least_take_profit:g} % away, a stop between {least_stop:g} % and {most_stop:g} %.
A round trip costs {costs:g} %. A position lives at most {longest} minutes.
candles is the interval of the rows, warm_up how much history the function needs, such as "24h".
Prices you see may be scaled: compare prices with each other, never with a fixed number."""


def python_draft_from(text: str, name: str, config: Config) -> Draft:
    """Read an answer as a strategy of a name, whose function stands in a file of its own.

    Raises:
        ConfigError: it is none; all that is wrong with it is told.
    """
    answer = answer_of(text, PYTHON_SCHEMA)
    for key in PYTHON_SCHEMA["required"]:
        if not isinstance(answer[key], str):
            raise ConfigError(Problem("bad-value", f"{key} is no text"))
    written = answer["source"].strip()
    file = file_of(name)
    if problems := refusals(written, file):
        raise ConfigError(*problems)
    function_in(written, FUNCTION, file)
    values = {"name": name, "interval": answer["candles"], "use": f"{file}:{FUNCTION}", "warm_up": answer["warm_up"]}
    values["note"] = answer["note"]
    with_entry(empty_config(config.project), "strategies", values, Source(file="the draft"))
    return Draft(values, f"{HEADER}\n{written}\n", ast.dump(ast.parse(written)))


def file_of(name: str) -> str:
    """Where in its project the Python of a draft stands."""
    return f"strategies/{name}.py"
