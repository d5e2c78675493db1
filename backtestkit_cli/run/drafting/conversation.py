"""What a model is told before it is asked for a strategy: one conversation for each training range.

* A conversation is a tuple: who goes on with it has a copy, and nobody else's grows.
* Texts of the config take the place of ours. `{symbol}`, `{name}`, `{rows}`, `{number}` and `{count}` in them are
  filled in once; what stands in rows is never filled in again.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from backtestkit_cli.config.contest_schema import SourceSchema, TemplatesSchema
from backtestkit_cli.engine.rules.functions import FUNCTIONS
from backtestkit_cli.model.message import Message
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.run.drafting.rows import Row

SYSTEM = """\
You design rules that trade one market. You answer with one JSON object of the schema you are given, and nothing else.

long, short, and each value of let is an expression that is evaluated at the close of every candle.
Columns: open high low close volume typical vwap price hour weekday.
Functions: {functions}.
Operators: + - * / < <= > >= == != and or not; x[n] is the value n candles before;
on('1h', expression) looks at larger candles.
let gives names to expressions, params to numbers; each name has to be used.
long and short are conditions; leave one out to trade one side only. Only closed candles are seen.
take_profit and stop_loss are distances from the entry: a percent such as "1.5%", or an expression such as
"2 * atr(14)".
A take profit is at least {least_take_profit:g} % away, a stop between {least_stop:g} % and {most_stop:g} %.
A round trip costs {costs:g} %.
lifetime is how long a position lives at most, such as "12h", up to {longest} minutes.
Prices you see may be scaled: compare prices with each other, never with a fixed number."""
USER = "These are the rows of {name} of {symbol}. Read them and answer OK.\n\n{rows}"
ASSISTANT = "OK"
TASK = (
    "Draft one strategy for {symbol} that should earn after costs on days you have not seen. "
    "This is draft {number} of {count}: let it differ from what others would draft first. "
    "In note say in one sentence why it should work."
)
_BLANKS = re.compile(r"\{(symbol|name|rows|number|count)\}")


class Told(Protocol):
    """The messages about the rows of a source."""

    def about(self, place: int, name: str, rows: Sequence[Row]) -> tuple[Message, ...]:
        """The message with the rows of the source at a place of the list, and what the model is made to say to it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of one optimizer; `symbol` is what the model is told, `hide` what is done to texts of the config.

    `standard` is our text of what the model is, where the config has none.
    """

    symbol: str
    templates: TemplatesSchema
    sources: tuple[SourceSchema, ...]
    limits: Mapping[str, float]
    hide: Callable[[str], str]
    standard: str = SYSTEM

    def system(self) -> Message:
        """What the model is, and has to keep to."""
        functions = ", ".join(f"{name}{one.usage}" for name, one in FUNCTIONS.items())
        own = self.templates.system
        text = self.standard.format(functions=functions, **self.limits) if own is None else self._filled(own)
        return Message(role="system", content=text)

    def about(self, place: int, name: str, rows: Sequence[Row]) -> tuple[Message, ...]:
        """The message with the rows of a source, and what the model is made to say to it."""
        source, templates = self.sources[place], self.templates
        asked = source.user_message or templates.user_message or USER
        said = source.assistant_message or templates.assistant_message or ASSISTANT
        known = {"name": self.hide(name), "rows": table_text(rows)}
        return (
            Message(role="user", content=self._filled(asked, **known)),
            Message(role="assistant", content=self._filled(said, **known)),
        )

    def task(self, number: int, count: int) -> Message:
        """The question for one draft of several."""
        text = self.templates.task or TASK
        return Message(role="user", content=self._filled(text, number=str(number), count=str(count)))

    def _filled(self, text: str, **known: str) -> str:
        blanks = {"symbol": self.symbol, **known}
        return _BLANKS.sub(lambda found: blanks.get(found[1], found[0]), self.hide(text))


def table_text(rows: Sequence[Row]) -> str:
    """Write rows as CSV, with the columns of all of them; numbers with six digits."""
    if not rows:
        return "(no rows)"
    written = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return written.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if isfinite(value) else ""
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """A conversation after one source of one training range, with the rows that were added."""

    place: int
    range: TimeRange
    source: str
    rows: tuple[Row, ...]
    messages: tuple[Message, ...]


def gather(
    ranges: Sequence[TimeRange],
    names: Sequence[str],
    read: Callable[[int, TimeRange], tuple[Row, ...]],
    told: Callable[[TimeRange], Told],
    begin: Callable[[TimeRange], tuple[Message, ...]],
    on_progress: Callable[[int, int], None],
) -> Iterator[Gathered]:
    """Build the conversation of each range, source by source; progress is told before each, and at the end."""
    total = len(ranges) * len(names)
    for number, within in enumerate(ranges):
        messages = begin(within)
        for place, name in enumerate(names):
            on_progress(number * len(names) + place, total)
            rows = read(place, within)
            messages = (*messages, *told(within).about(place, name, rows))
            yield Gathered(place=number, range=within, source=name, rows=rows, messages=messages)
    on_progress(total, total)
