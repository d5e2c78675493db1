"""An optimizer at work: conversations, drafts asked and checked, and the project that is made of them.

* Each draft goes on with its own copy of the conversation of its training range. A draft that cannot be used is asked
  for again, with what is wrong; after three tries it is lost, and the others go on.
* A draft that trades like an earlier one is told and left out.
* Answers are kept by the hash of what was asked, so that an interrupted run goes on without asking twice; those of a
  transcript are not, it is at hand.
* Nothing that a model says is executed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from backtestkit_cli.config.contest_schema import OptimizerSchema
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.read import write_text
from backtestkit_cli.data.answers import AnswerBook, prompt_hash
from backtestkit_cli.data.load import load_candles
from backtestkit_cli.disk import file_name
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.errors import ConfigError, DataError, Problem, Source, StrategyError, TransientError
from backtestkit_cli.model.event import DraftsMade, OptimizerProgress, ProjectMade, ProjectWritten, SourceRead
from backtestkit_cli.model.message import Message
from backtestkit_cli.model.time import MINUTE_MS, TimeRange
from backtestkit_cli.plugins.ports import Provider
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.conversation import dump_conversation
from backtestkit_cli.run.callbacks import optimizer_callbacks_of
from backtestkit_cli.run.drafting.conversation import SYSTEM, Gathered, Texts, gather
from backtestkit_cli.run.drafting.disguise import ASSET, Disguise, Undisguised, market_words
from backtestkit_cli.run.drafting.draft import DRAFT_SCHEMA, Draft, draft_from, problem_text
from backtestkit_cli.run.drafting.project import (
    Seen,
    path_from,
    project_values,
    readme_text,
    refuse_taken,
    write_project,
)
from backtestkit_cli.run.drafting.python_draft import PYTHON_SCHEMA, PYTHON_SYSTEM, python_draft_from
from backtestkit_cli.run.drafting.rows import CandleRows, Look, Row, RowSource, prepare_source, rows_of
from backtestkit_cli.run.listen import Audience, Listeners
from backtestkit_cli.run.providers import answered, provider_of
from backtestkit_cli.run.sources import anomaly_of, local_source

TRIES = 3
"""How often one draft is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftEntry:
    """What became of one draft: taken, like an earlier one (`twin`), or lost (`problem`).

    `messages` are all that was said, answers too; `folder` is where they are written down. `source` is the Python
    file of a draft that is not rules.
    """

    name: str
    range: TimeRange
    messages: tuple[Message, ...]
    strategy: dict[str, Any] | None
    twin: str | None
    problem: str | None
    tries: int
    folder: Path
    source: str | None = None


@dataclass(slots=True, kw_only=True)
class Optimizer:
    """One optimizer of a config. What has been asked once in this object is not asked again."""

    config: Config
    name: str
    registry: Registry
    logs: Path
    is_blind: bool = True
    is_python: bool = False
    listeners: Listeners = field(default_factory=Listeners)
    _entries: tuple[DraftEntry, ...] = ()
    _seen: list[Seen] = field(default_factory=list)
    _audience: Audience | None = None

    @property
    def schema(self) -> OptimizerSchema:
        """What the config says of it."""
        return self.config.optimizers[self.name]

    def get_data(self) -> tuple[DraftEntry, ...]:
        """Ask for all drafts.

        Raises:
            ConfigError, DataError: a source, the provider or the candles cannot be used.
            StrategyError: code of a source raised, or no draft can be used.
            ExchangeError: the provider does not answer.
        """
        is_first = not self._entries
        if is_first:
            self._seen.clear()
            self._entries = tuple(self._drafted())
        drafts = self._taken()
        if not drafts:
            what = f"none of {len(self._entries)} drafts can be used; the last: {self._entries[-1].problem}"
            raise StrategyError(Problem("no-draft", what, hint=f"what was said: {self._entries[-1].folder}"))
        if is_first:
            self._tell(DraftsMade, drafts=drafts)
        return self._entries

    def get_code(self, folder: str | Path | None = None) -> str:
        """Give the config of the project, in a folder, that the drafts are compared in.

        Raises:
            BacktestkitError: as `get_data`.
        """
        self.get_data()
        target = self._target(folder)
        text = write_text(project_values(self.config, self.name, self._taken(), target))
        self._tell(ProjectMade, text=text)
        return text

    def dump(self, folder: str | Path | None = None) -> Path:
        """Write the project to a folder, by default `drafts/<name>` of this one.

        Raises:
            UsageError: there is something at that place; nobody has been asked then.
            BacktestkitError: as `get_data`.
        """
        target = self._target(folder)
        refuse_taken(target)
        text = self.get_code(target)
        readme = readme_text(
            self.config, self.name, self._entries, self._seen, partial(path_from, target), is_blind=self.is_blind
        )
        sources = {one.name: one.source for one in self._entries if one.source is not None and one.twin is None}
        write_project(self.config, self.name, text, readme, target, sources)
        self._tell(ProjectWritten, folder=str(target))
        return target

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What the model was shown."""
        return tuple(self._seen)

    def _target(self, folder: str | Path | None) -> Path:
        return self.config.project / "drafts" / file_name(self.name) if folder is None else Path(folder).absolute()

    @property
    def ranges(self) -> tuple[TimeRange, ...]:
        """The training ranges."""
        return tuple(TimeRange(one.start, one.end) for one in self.schema.train)

    def _taken(self) -> dict[str, dict[str, Any]]:
        return {one.name: one.strategy for one in self._entries if one.strategy is not None and one.twin is None}

    def _tell(self, event: Any, **keys: Any) -> None:
        if self._audience is None:
            first = optimizer_callbacks_of(self.config, self.registry, self.name)
            self._audience = Audience("backtest", first, self.listeners, exchange=self.schema.exchange, frame="")
        if self._audience.wants(event):
            keys.setdefault("time_ms", self.schema.test.start)
            self._audience.tell(event(optimizer=self.name, symbol=self.schema.symbol, **keys))

    def _drafted(self) -> Iterator[DraftEntry]:
        schema, total = self.schema, len(self.schema.train) * self.schema.drafts
        asking = _Asking(self.config, self.name, self.registry, self._book(), is_python=self.is_python)
        sources = [prepare_source(self.config, self.name, place, self.registry) for place in range(len(schema.sources))]
        conversations = self._conversations(sources)
        all_sources, known = len(sources) * len(schema.train), dict[str, str]()
        for number in range(total):
            told, texts = conversations[number // schema.drafts]
            name, task = f"draft-{number + 1}", texts.task(number % schema.drafts + 1, schema.drafts)
            messages, draft, problem, tries = asking.draft(name, (*told.messages, task))
            twin = known.setdefault(draft.rules, name) if draft else None
            yield DraftEntry(
                name=name,
                range=told.range,
                messages=messages,
                strategy=draft.values if draft else None,
                twin=twin if twin != name else None,
                problem=problem,
                tries=tries,
                folder=self._written_down(messages, draft),
                source=draft.source if draft else None,
            )
            self._progressed(all_sources, all_sources, number + 1)

    def _conversations(self, sources: list[RowSource]) -> list[tuple[Gathered, Texts]]:
        """The whole conversation of each training range, with the texts that it was made of."""
        looks: dict[TimeRange, tuple[Candles | None, Look, Texts]] = {}
        for within in self.ranges:
            candles = self._candles(within, sources)
            look: Look = Undisguised()
            if self.is_blind:
                assert candles is not None  # noqa: S101  # loaded whenever it is blind
                look = Disguise.of(candles, within.start_ms, market_words(self.schema.symbol, self.schema.hide or ()))
            looks[within] = candles, look, self._texts(look)

        def read(place: int, within: TimeRange) -> tuple[Row, ...]:
            candles, look, _ = looks[within]
            return rows_of(sources[place], self.schema.symbol, within, candles, look)

        whole: dict[int, tuple[Gathered, Texts]] = {}
        for one in gather(
            self.ranges,
            [source.name for source in sources],
            read,
            lambda within: looks[within][2],
            lambda within: (looks[within][2].system(),),
            lambda done, all_: self._progressed(done, all_, 0),
        ):
            start_ms, end_ms = one.range.start_ms, one.range.end_ms
            self._seen.append(Seen(one.range, one.source, len(one.rows)))
            self._tell(SourceRead, time_ms=end_ms, source=one.source, rows=one.rows, start_ms=start_ms, end_ms=end_ms)
            whole[one.place] = one, looks[one.range][2]
        return list(whole.values())

    def _texts(self, look: Look) -> Texts:
        limits, costs = self.config.settings.limits, self.config.settings.costs
        return Texts(
            symbol=ASSET if self.is_blind else self.schema.symbol,
            templates=self.schema.templates,
            sources=self.schema.sources,
            limits={
                "least_take_profit": limits.min_take_profit_percent,
                "least_stop": limits.min_stop_loss_percent,
                "most_stop": limits.max_stop_loss_percent,
                "longest": limits.max_lifetime_minutes,
                "costs": 2 * (costs.fee_percent + costs.slippage_percent),
            },
            hide=look.text,
            standard=PYTHON_SYSTEM if self.is_python else SYSTEM,
        )

    def _candles(self, within: TimeRange, sources: list[RowSource]) -> Candles | None:
        histories = [source.history_minutes for source in sources if isinstance(source, CandleRows)]
        if not histories and not self.is_blind:
            return None
        config, schema = self.config, self.schema
        start_ms = within.start_ms - max(histories, default=0) * MINUTE_MS
        source = local_source(config, schema.exchange, self.registry)
        candles = load_candles(source, schema.symbol, start_ms, within.end_ms, config.settings.gap, anomaly_of(config))
        if candles.end_ms <= within.start_ms:
            what, where = f"no candles of {schema.symbol} in {within}", Source(symbol=schema.symbol)
            raise DataError(Problem("no-candles", what, where, hint="choose a range inside what is there"))
        return candles

    def _book(self) -> AnswerBook | None:
        if self.schema.use == "replay":
            return None
        return AnswerBook(self.logs / "drafts" / file_name(self.name) / "answers.jsonl")

    def _written_down(self, messages: tuple[Message, ...], draft: Draft | None) -> Path:
        said = repr([message.plain() for message in messages])
        name = sha256(said.encode(errors="surrogatepass")).hexdigest()[:12]
        folder = self.logs / "drafts" / file_name(self.name) / "conversations"
        return dump_conversation(name, messages, draft.values if draft else None, folder)

    def _progressed(self, done: int, total: int, drafts: int) -> None:
        self._tell(
            OptimizerProgress,
            done_sources=done,
            total_sources=total,
            done_drafts=drafts,
            total_drafts=len(self.schema.train) * self.schema.drafts,
        )


class _Asking:
    """Asks a model, unless it is known what it said."""

    def __init__(
        self, config: Config, name: str, registry: Registry, book: AnswerBook | None, *, is_python: bool
    ) -> None:
        schema = config.optimizers[name]
        keys = {key: getattr(schema, key) for key in ("model", "base_url", "api_key", "transcript")}
        self._provider: Provider = provider_of(config, "optimizers", name, schema.use, keys, registry)
        self._config, self._registry, self._book, self._model = config, registry, book, schema.model
        self._is_python, self._schema = is_python, PYTHON_SCHEMA if is_python else DRAFT_SCHEMA

    def draft(
        self, name: str, messages: tuple[Message, ...]
    ) -> tuple[tuple[Message, ...], Draft | None, str | None, int]:
        """Ask until there is a draft, or three times: all messages, the draft, what was wrong at last, the tries."""
        wrong = ""
        for tries in range(1, TRIES + 1):
            try:
                answer = self._answer(messages)
                messages = (*messages, Message(role="assistant", content=answer))
                return messages, self._read(answer, name), None, tries
            except TransientError:
                if tries == TRIES:
                    raise
            except ConfigError as error:
                wrong = str(error)
                if tries < TRIES:
                    messages = (*messages, Message(role="user", content=problem_text(error)))
        return messages, None, wrong, TRIES

    def _read(self, answer: str, name: str) -> Draft:
        if self._is_python:
            return python_draft_from(answer, name, self._config)
        return draft_from(answer, name, self._config, self._registry)

    def _answer(self, messages: tuple[Message, ...]) -> str:
        prompt = prompt_hash(self._model, messages, self._schema)
        known = self._book.get(prompt) if self._book else None
        if known is not None:
            return known
        answer = answered(self._provider, messages, self._schema)
        if self._book:
            self._book.add(prompt, answer)
        return answer
