"""Providers of language models: what servers do to them ends in an answer or in an error of ours, in bounded time."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from model_servers import HOSTILE_SERVERS, Answer, nobody, serving

from backtestkit_cli.data.answers import AnswerBook, prompt_hash, read_answers
from backtestkit_cli.errors import ConfigError, DataError, ExchangeError, RejectedError, TransientError
from backtestkit_cli.model.message import Message
from backtestkit_cli.plugins.ports import Provider
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import ROOT

needs_client = pytest.mark.skipif(find_spec("ollama") is None, reason="the extra `llm` is not installed")
ASKED = (Message(role="system", content="Be brief."), Message(role="user", content="Long?"))
SCHEMA: Mapping[str, Any] = {"type": "object"}
SECRET = "canary-91ab77"


def provider(name: str, address: str, *, seconds: float = 5, key: str | None = None) -> Provider:
    plugin = resolve(name, "provider", Path(), ROOT)
    url = address if name == "ollama" else f"{address}/v1"
    made: Provider = plugin.function(model="small", base_url=url, api_key=key, seconds=seconds)
    return made


both = pytest.mark.parametrize("name", ["ollama", "openai"])


@needs_client
@both
def test_a_model_is_told_everything_and_its_answer_comes_back_whole(name: str) -> None:
    text = '{"note": "long ' + "x" * 9000 + ' ü"}'
    with serving(text) as server:
        assert provider(name, server.address, key=SECRET).complete(ASKED, SCHEMA) == text
    (asked,) = server.asked
    assert asked["model"] == "small"
    assert asked["messages"] == [message.plain() for message in ASKED]
    assert SCHEMA in (asked.get("format"), asked.get("response_format", {}).get("json_schema", {}).get("schema"))
    assert server.keys == [f"Bearer {SECRET}"]


@needs_client
@both
def test_a_key_of_the_environment_is_not_sent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving("{}") as server:
        provider(name, server.address).complete(ASKED, SCHEMA)
    assert server.keys == [None]


@needs_client
@both
@pytest.mark.parametrize("answer", HOSTILE_SERVERS.values(), ids=HOSTILE_SERVERS.keys())
def test_a_hostile_server_ends_in_an_error_of_ours(name: str, answer: Answer) -> None:
    with serving(answer) as server, pytest.raises(ExchangeError) as caught:
        provider(name, server.address, seconds=0.3).complete(ASKED, SCHEMA)
    assert caught.value.code in {
        "model-failed",
        "model-refused",
        "model-timed-out",
        "model-too-long",
        "model-unreachable",
    }
    assert len(server.asked) == 1  # nothing is asked twice


@needs_client
@both
@pytest.mark.parametrize(
    ("status", "error"), [("404", RejectedError), ("redirect", RejectedError), ("429", TransientError)]
)
def test_what_is_final_is_told_from_what_may_pass(name: str, status: str, error: type[ExchangeError]) -> None:
    with serving(HOSTILE_SERVERS[status]) as server, pytest.raises(error):
        provider(name, server.address).complete(ASKED, SCHEMA)


@needs_client
@both
def test_a_body_without_an_end_is_not_read_to_the_end_of_the_time(name: str) -> None:
    with serving(HOSTILE_SERVERS["endless body"]) as server, pytest.raises(TransientError) as caught:
        provider(name, server.address, seconds=60).complete(ASKED, SCHEMA)
    assert caught.value.code == "model-too-long"


@needs_client
@both
def test_a_server_that_is_not_there_is_named(name: str) -> None:
    address = nobody()
    with pytest.raises(TransientError) as caught:
        provider(name, address).complete(ASKED, SCHEMA)
    assert caught.value.code == "model-unreachable"
    assert address in str(caught.value)


@needs_client
@both
def test_an_answer_that_was_cut_for_its_length_is_none(name: str) -> None:
    if name == "ollama":
        body = {"message": {"role": "assistant", "content": "{}"}, "done": True, "done_reason": "length"}
    else:
        body = {"choices": [{"message": {"content": "{}"}, "finish_reason": "length"}]}
    payload = json.dumps(body).encode() + b"\n"
    with serving(lambda handler: handler.send(200, payload)) as server, pytest.raises(TransientError):
        provider(name, server.address).complete(ASKED, SCHEMA)


def test_a_transcript_is_told_line_by_line_until_it_is_over(tmp_path: Path) -> None:
    (tmp_path / "said.jsonl").write_text('{"answer": "one"}\n{"answer": "two"}\n')
    plugin = resolve("replay", "provider", tmp_path, ROOT)
    replay = plugin.bind({"transcript": "said.jsonl"})()
    assert [replay.complete(ASKED, SCHEMA) for _ in range(2)] == ["one", "two"]
    with pytest.raises(RejectedError, match="no answer is left"):
        replay.complete(ASKED, SCHEMA)


@pytest.mark.parametrize("line", ["[]", '{"answer": 1}', "{", '{"answer": "a", "prompt": 1}', "[" * 100_000])
def test_a_line_that_holds_no_answer_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "said.jsonl"
    path.write_text(f'{{"answer": "one"}}\n{line}\n')
    with pytest.raises(DataError) as caught:
        read_answers(path)
    assert caught.value.problems[0].where is not None
    assert caught.value.problems[0].where.line == 2


def test_a_file_of_answers_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_answers(tmp_path / "said.jsonl")


def test_answers_stay_and_a_torn_last_line_is_as_if_it_had_never_been_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    first, second = (prompt_hash(model, ASKED, SCHEMA) for model in ("small", "large"))
    assert first != second
    AnswerBook(path).add(first, "one\ntwo")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"prompt": "')
    book = AnswerBook(path)
    assert (book.get(first), book.get(second)) == ("one\ntwo", None)
    book.add(second, "three")
    again = AnswerBook(path)
    assert (again.get(first), again.get(second)) == ("one\ntwo", "three")
    assert path.read_bytes().startswith(whole)
