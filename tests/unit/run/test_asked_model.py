"""A language model that decides: what it is told, what is believed, and that a backtest runs from its records alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from accelerated import run_live
from model_servers import BAD_TEXTS

from backtestkit_cli import DecisionFailed, Kit, Opened
from backtestkit_cli.errors import ConfigError, Problem, StrategyError, TransientError
from backtestkit_cli.model.message import Message
from backtestkit_cli.model.time import parse_time
from backtestkit_cli.plugins.answers import AnswerProblem
from backtestkit_cli.run.asked_model import SIGNAL_SCHEMA, WINDOWS, signal_from

LONG: dict[str, Any] = {
    "position": "long",
    "price_open": None,
    "price_take_profit": 101.0,
    "price_stop_loss": 99.0,
    "lifetime_minutes": 60,
    "note": "up",
}
WAIT = json.dumps({**LONG, "position": "wait"})


def changed(**keys: Any) -> str:
    return json.dumps({key: value for key, value in {**LONG, **keys}.items() if value != "gone"})


class Model:
    """A model that answers by a function of what it is told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Sequence[Message]] = []

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        self.asked.append(messages)
        assert schema is SIGNAL_SCHEMA
        answer = self.answer(messages)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, str)
        return answer


def price_of(messages: Sequence[Message]) -> float:
    return float(messages[-1].content.split("costs ")[1].split(". The")[0])


def around(messages: Sequence[Message]) -> str:
    """A long with levels around the price."""
    price = price_of(messages)
    return changed(price_take_profit=price * 1.01, price_stop_loss=price * 0.99)


def project(folder: Path, model: Model) -> Kit:
    kit = Kit.empty(folder)
    kit.add_exchange(name="sample", use="sample")
    kit.add_frame(name="day", start="2023-03-01", end="2023-03-02")
    kit.add_strategy(name="asked", interval="4h", use="llm", model="m", text="Buy at noon.", provider=lambda **_: model)
    return kit


def ran(kit: Kit, *, record: bool = False) -> Any:
    return kit.backtest("asked", symbols=["BTCUSDT"], record=record).run()


def test_a_backtest_asks_with_record_alone_and_then_runs_from_what_was_said(tmp_path: Path) -> None:
    model = Model(around)
    kit = project(tmp_path, model)
    with pytest.raises(StrategyError) as caught:
        ran(kit)
    assert caught.value.code == "answer-missing"
    assert model.asked == []
    first = ran(kit, record=True)
    asked = len(model.asked)
    assert asked >= 3
    assert len(first.streams[0].result.trades) >= 3
    again, recorded = ran(kit), ran(kit, record=True)
    assert len(model.asked) == asked
    assert again.run_id == recorded.run_id == first.run_id
    assert again.stats == first.stats
    told = "\n".join(warning for stream in again.streams for warning in stream.warnings)
    assert "a language model decided" in told


def test_a_model_is_told_closed_candles_of_four_intervals_and_the_text(tmp_path: Path) -> None:
    model = Model(lambda _: WAIT)
    run = ran(project(tmp_path, model), record=True)
    assert run.streams[0].result.funnel.no_draft == len(model.asked) == 6
    assert not len(run.streams[0].result.trades)
    messages = model.asked[0]
    assert [message.role for message in messages] == ["system", "user", "user"]
    assert "Buy at noon." in messages[2].content
    assert "2023" not in "".join(message.content for message in messages)
    tables = messages[1].content.split("\n\n")
    minutes = {"1h": 60, "15m": 15, "5m": 5, "1m": 1}
    for (interval, count), table in zip(WINDOWS, tables, strict=True):
        rows = table.splitlines()[1:]
        assert [int(row.split(",")[0]) for row in rows] == [minutes[interval] * ago for ago in range(count, 0, -1)]


def test_rubbish_is_counted_and_never_a_position(tmp_path: Path) -> None:
    texts = iter([*BAD_TEXTS.values()] * 2)
    kit = project(tmp_path, Model(lambda _: next(texts)))
    run = kit.backtest("asked", symbols=["BTCUSDT"], range="2023-03-01..2023-03-04", record=True).run()
    funnel = run.streams[0].result.funnel
    assert funnel.errors == funnel.decisions == len(BAD_TEXTS) + 1
    assert not len(run.streams[0].result.trades)
    assert run.streams[0].failures == funnel.errors


BAD_SIGNALS = {
    "a missing key": changed(note="gone"),
    "another key": changed(leverage=10),
    "another side": changed(position="buy"),
    "no side": changed(position=None),
    "half a minute": changed(lifetime_minutes=0.5),
    "minutes in words": changed(lifetime_minutes="60"),
    "a note that is none": changed(note=["up"]),
    "a book for a note": changed(note="x" * 501),
    **BAD_TEXTS,
}


@pytest.mark.parametrize("text", BAD_SIGNALS.values(), ids=BAD_SIGNALS.keys())
def test_what_is_not_exactly_an_answer_is_none(text: str) -> None:
    with pytest.raises(AnswerProblem):
        signal_from(text)


def test_an_answer_is_a_draft_or_to_wait() -> None:
    assert signal_from(changed()) == LONG
    assert signal_from(changed(price_open=100.5)) == {**LONG, "price_open": 100.5}
    assert signal_from(WAIT) is None


@pytest.mark.parametrize("keys", [{"price_take_profit": "high"}, {"price_stop_loss": None}, {"price_open": True}])
def test_levels_that_are_no_numbers_are_counted(tmp_path: Path, keys: dict[str, Any]) -> None:
    run = ran(project(tmp_path, Model(lambda _: changed(**keys))), record=True)
    assert run.streams[0].result.funnel.errors == 6


def test_a_provider_that_does_not_answer_ends_a_recording(tmp_path: Path) -> None:
    error = TransientError(Problem("model-unreachable", "nobody there"))
    model = Model(lambda _: error)
    with pytest.raises(TransientError):
        ran(project(tmp_path, model), record=True)
    assert len(model.asked) == 1


def test_a_live_session_asks_keeps_and_goes_on_without_an_answer(tmp_path: Path) -> None:
    later = TransientError(Problem("model-failed", "later"))
    answers = iter([later, WAIT])

    def answer(messages: Sequence[Message]) -> Any:
        return next(answers, None) or around(messages)

    model = Model(answer)
    kit = project(tmp_path, model)
    kit.override_strategy("asked", interval="1h")
    start = parse_time("2023-03-01T00:59:30")
    session = run_live(kit, "asked", start=start, end=start + 3 * 3_600_000)
    assert len(model.asked) == 3
    (failed,) = [event for event in session.events if isinstance(event, DecisionFailed)]
    assert "later" in failed.what
    assert [event.time_ms for event in session.events if isinstance(event, Opened)] == [start + 2 * 3_600_000 + 30_000]
    recorded = (tmp_path / "data" / "answers" / "asked.jsonl").read_text().splitlines()
    assert len(recorded) == 2


def test_a_model_sends_no_real_orders(tmp_path: Path) -> None:
    kit = project(tmp_path, Model(around))
    kit.add_exchange(name="market", use="ccxt", id="binance", market="spot", api_key="a" * 8, secret="b" * 8)
    kit.configure(broker={"use": "ccxt"})
    with pytest.raises(ConfigError, match="on paper only"):
        kit.live("asked", symbols=["BTC/USDT"], exchange="market", broker="ccxt", real=True)
