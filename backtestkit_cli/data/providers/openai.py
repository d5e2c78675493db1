"""A language model behind any server that speaks OpenAI's chat route."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from backtestkit_cli.data.providers.bounded import BoundedTransport, bounded, failed, status_error
from backtestkit_cli.model.message import Message


class OpenAi:
    """Asks `{base_url}/chat/completions`; `base_url` ends as the server wants it, mostly in `/v1`.

    `seconds` is for the whole answer.
    """

    def __init__(self, model: str, base_url: str, api_key: str | None = None, seconds: float = 180) -> None:
        self._model, self._url, self._key, self._seconds = model, base_url.rstrip("/"), api_key, seconds

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        """Ask for JSON of a schema.

        Raises:
            TransientError, RejectedError: there is no answer.
        """
        return bounded(self._url, self._seconds, lambda: self._asked(messages, schema))

    def _asked(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        import httpx

        question = {
            "model": self._model,
            "messages": [message.plain() for message in messages],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
        }
        transport: Any = BoundedTransport(self._key)  # it has the methods that are called, not the base class
        client = httpx.Client(transport=transport, timeout=self._seconds)
        with closing(client):
            response = client.post(f"{self._url}/chat/completions", json=question)
        if response.status_code != httpx.codes.OK:
            raise status_error(self._url, response.status_code, response.text)
        choice = response.json()["choices"][0]
        answer = choice["message"]["content"]
        if not isinstance(answer, str):
            raise failed(self._url, f"the model refuses: {choice['message'].get('refusal')}")
        if choice.get("finish_reason") not in ("stop", None):
            raise failed(self._url, f"the answer breaks off: {choice['finish_reason']}")
        return answer
