"""A strategy that asks a language model at each decision.

* It is told the closed candles of four intervals, with times counted back from the decision, and the text of the
  strategy. It has no way to be told what closes later.
* Its answer is JSON of one schema: long, short or wait, levels, minutes, a note. `wait` is no signal; anything else
  that is not exactly that is a failed decision, counted, and never a position.
* Answers are kept by the hash of what was asked. A backtest runs from them alone, and ends where one is missing;
  recording it, or running live, asks the model and keeps what it says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.strategy_schema import StrategySchema
from backtestkit_cli.data.answers import AnswerBook, prompt_hash
from backtestkit_cli.disk import file_name
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, Source, StrategyError
from backtestkit_cli.model.message import Message
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.plugins.answers import AnswerProblem
from backtestkit_cli.plugins.ports import Market, Provider
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.json_answer import json_object
from backtestkit_cli.run.providers import answered, provider_of

WINDOWS = (("1h", 24), ("15m", 24), ("5m", 24), ("1m", 30))
"""The candles that are told: interval and count, the largest first."""
HISTORY_MINUTES = 24 * 60
_NUMBER = {"type": "number"}
SIGNAL_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "position": {"type": "string", "enum": ["long", "short", "wait"]},
        "price_open": {"anyOf": [_NUMBER, {"type": "null"}]},
        "price_take_profit": _NUMBER,
        "price_stop_loss": _NUMBER,
        "lifetime_minutes": {"type": "integer"},
        "note": {"type": "string", "maxLength": 500},
    },
    "required": ["position", "price_open", "price_take_profit", "price_stop_loss", "lifetime_minutes", "note"],
}
LONGEST_NOTE = 500
SYSTEM = """\
You decide whether to open one position now, by the strategy you are given and the candles you are shown.
Answer with one JSON object of the schema, and nothing else. position wait opens nothing: say it unless the signal is
clear. price_open null enters at the market; a price waits for it. For a long the take profit is above the entry and the
stop below it, for a short the other way round. lifetime_minutes is how long the position lives at most."""


class Unanswerable(Exception):  # noqa: N818  # it carries the error
    """Raised inside a strategy call whose answer cannot be had: the run ends with `error`."""

    def __init__(self, error: BacktestkitError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True, kw_only=True)
class AskedModel:
    """The model of one strategy, as a function that is called at each decision."""

    name: str
    model: str
    text: str
    book: AnswerBook
    is_recording: bool
    make_provider: Callable[[], Provider]
    _provider: Provider | None = field(default=None)

    def __call__(self, market: Market) -> Mapping[str, object] | None:
        """Ask what to do now.

        Raises:
            AnswerProblem: the model answered something else.
            TooFewCandles: history is too short.
            Unanswerable: a backtest has no answer.
        """
        messages = question(market, self.text)
        prompt = prompt_hash(self.model, messages, SIGNAL_SCHEMA)
        answer = self.book.get(prompt)
        return signal_from(self._asked(market, messages, prompt) if answer is None else answer)

    def _asked(self, market: Market, messages: tuple[Message, ...], prompt: str) -> str:
        is_live = market.mode != "backtest"
        if not (is_live or self.is_recording):
            what = f"no answer of the model of {self.name} is recorded for this decision"
            where = Source(symbol=market.symbol, time_ms=market.now)
            hint = f"run the backtest with --record, or check the file {self.book.path}"
            raise Unanswerable(StrategyError(Problem("answer-missing", what, where, hint=hint)))
        try:
            if self._provider is None:
                self._provider = self.make_provider()
            answer = answered(self._provider, messages, SIGNAL_SCHEMA)
        except BacktestkitError as error:
            if is_live:
                raise AnswerProblem(str(error)) from error
            raise Unanswerable(error) from error
        self.book.add(prompt, answer)
        return answer


def question(market: Market, text: str) -> tuple[Message, ...]:
    """Write what a model is told at a decision."""
    candles = [_table(market, interval, count) for interval, count in WINDOWS]
    asked = f"{market.symbol} now costs {market.price:.10g}. The strategy:\n\n{text}\n\nWhat do you do now?"
    return (
        Message(role="system", content=SYSTEM),
        Message(role="user", content="\n\n".join(candles)),
        Message(role="user", content=asked),
    )


def _table(market: Market, interval: str, count: int) -> str:
    window = market.candles(interval, count)
    ago = (market.now - window.time) // MINUTE_MS
    columns = (window.open, window.high, window.low, window.close, window.volume)
    rows = [
        f"{minutes},{','.join(f'{value:.10g}' for value in row)}" for minutes, *row in zip(ago, *columns, strict=True)
    ]
    return "\n".join([f"Candles of {interval}: opened minutes ago,open,high,low,close,volume", *rows])


def signal_from(text: str) -> Mapping[str, object] | None:
    """Read an answer: the keys of a draft, or None to wait.

    Raises:
        AnswerProblem: it is neither.
    """
    try:
        answer = json_object(text)
    except ConfigError as error:
        raise AnswerProblem(str(error)) from None
    if answer.get("position") == "wait":
        return None
    if set(answer) != set(SIGNAL_SCHEMA["required"]):
        raise AnswerProblem(f"it has not exactly the keys {', '.join(SIGNAL_SCHEMA['required'])}")
    if answer["position"] not in ("long", "short"):
        raise AnswerProblem("position is not long, short or wait")
    if not isinstance(answer["lifetime_minutes"], int):
        raise AnswerProblem("lifetime_minutes is no whole number")
    if not isinstance(answer["note"], str) or len(answer["note"]) > LONGEST_NOTE:
        raise AnswerProblem(f"note is no text of at most {LONGEST_NOTE} characters")
    return answer


def answers_path(schema: StrategySchema) -> str:
    """Give the file of the recorded answers of a strategy, from the project folder."""
    return schema.answers or f"data/answers/{file_name(schema.name)}.jsonl"


def asked_model(config: Config, name: str, registry: Registry, *, is_recording: bool) -> AskedModel:
    """Make the function of a strategy with `use: llm`; nobody is asked yet.

    Raises:
        DataError: the file of answers is damaged.
    """
    schema = config.strategies[name]
    keys = {"model": schema.model, "base_url": schema.base_url, "api_key": schema.api_key}
    return AskedModel(
        name=name,
        model=schema.model or "",
        text=schema.text or "",
        book=AnswerBook(config.project / answers_path(schema)),
        is_recording=is_recording,
        make_provider=lambda: provider_of(config, "strategies", name, schema.provider or "ollama", keys, registry),
    )
