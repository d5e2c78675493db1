"""A language model behind Ollama, through its own client."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from backtestkit_cli.data.providers.bounded import (
    MAX_ANSWER_LENGTH,
    BoundedTransport,
    bounded,
    failed,
    status_error,
    too_long,
)
from backtestkit_cli.model.message import Message


class Ollama:
    """Asks a model of an Ollama server; `seconds` is for the whole answer."""

    def __init__(
        self,
        model: str,
        base_url: str = "http://127.0.0.1:11434",
        api_key: str | None = None,
        seconds: float = 180,
    ) -> None:
        self._model, self._url, self._key, self._seconds = model, base_url, api_key, seconds

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Ask for JSON of a schema.

        Raises:
            TransientError, RejectedError: there is no answer.
        """
        return bounded(self._url, self._seconds, lambda: self._asked(messages, schema))

    def _asked(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        import ollama

        said, length, is_whole = [], 0, False
        transport = BoundedTransport(self._key)
        client = ollama.Client(self._url, follow_redirects=False, timeout=self._seconds, transport=transport)
        with closing(client):
            plain = [message.plain() for message in messages]
            try:
                for part in client.chat(model=self._model, messages=plain, format=dict(schema), stream=True):
                    said.append(part.message.content or "")
                    length += len(said[-1])
                    if length > MAX_ANSWER_LENGTH:
                        raise too_long(self._url)
                    is_whole = bool(part.done) and part.done_reason != "length"
            except ollama.ResponseError as error:
                raise status_error(self._url, error.status_code, error.error) from error
        if not is_whole:
            raise failed(self._url, "the answer breaks off")
        return "".join(said)
