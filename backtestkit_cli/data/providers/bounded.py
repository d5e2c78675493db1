"""One question to a server, whatever it does: bounded in time and bytes, and every failure is an error of ours.

* The time is that of the whole answer, not of its parts: a server that sends a byte a second comes to its end too.
* No redirects and no compressed answers: the one would send a key to a stranger, the other a gigabyte in a kilobyte.
* A key comes from the config alone; what the environment offers to a client library is not sent.
* Nothing is asked a second time here.
"""

from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import httpx

from backtestkit_cli.errors import BacktestkitError, Problem, RejectedError, Source, TransientError
from backtestkit_cli.plugins.words import described, one_line

MAX_BODY_BYTES = 4_000_000
MAX_ANSWER_LENGTH = 64_000
_MAY_PASS = (408, 425, 429)


class BoundedTransport:
    """Speaks HTTP, and stops reading where an answer is longer than any should be."""

    def __init__(self, api_key: str | None) -> None:
        self._key = api_key
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request with our key, or with none."""
        request.headers["accept-encoding"] = "identity"
        request.headers.pop("authorization", None)
        if self._key:
            request.headers["authorization"] = f"Bearer {self._key}"
        response = self._transport.handle_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise failed(request.url.host, "the answer is compressed, which was not asked for")
        return httpx.Response(
            response.status_code, headers=response.headers, content=_counted(response.iter_raw(), request.url.host)
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def _counted(chunks: Iterator[bytes], host: str) -> Iterator[bytes]:
    count = 0
    for chunk in chunks:
        count += len(chunk)
        if count > MAX_BODY_BYTES:
            raise too_long(host)
        yield chunk


def bounded(server: str, seconds: float, ask: Callable[[], str]) -> str:
    """Ask in a thread of its own and wait so long; what has not answered by then is left behind.

    Raises:
        TransientError: the server cannot be reached, fails, is too slow, or answers what is no answer.
        RejectedError: it refuses the question for good.
    """
    answers: SimpleQueue[str | BaseException] = SimpleQueue()

    def answer() -> None:
        try:
            answers.put(ask())
        except BaseException as error:  # noqa: BLE001  # told to who waits
            answers.put(error)

    Thread(target=answer, name="language model", daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except Empty:
        what = f"{server} has not answered within {seconds:g} s"
        hint = "take a smaller model, or raise settings.limits.signal_seconds"
        raise TransientError(Problem("model-timed-out", what, Source(key=server), hint=hint)) from None
    if isinstance(found, str):
        if len(found) > MAX_ANSWER_LENGTH:
            raise too_long(server)
        return found
    raise _ours(server, found) from found


def _ours(server: str, error: BaseException) -> BacktestkitError:
    match error:
        case BacktestkitError():
            return error
        case httpx.TransportError() | ConnectionError() | OSError():
            what = f"{server} cannot be reached: {described(error)}"
            hint = "is the server running, and is `base_url` its address?"
            return TransientError(Problem("model-unreachable", what, Source(key=server), hint=hint))
        case _:
            return failed(server, f"it sent what is no answer: {described(error)}")


def failed(server: str, what: str) -> TransientError:
    """Say that an answer is none."""
    return TransientError(Problem("model-failed", f"{server} gave no answer", Source(key=server), found=one_line(what)))


def too_long(server: str) -> TransientError:
    """Say that an answer has no end."""
    what = f"{server} answered more than {MAX_ANSWER_LENGTH} characters"
    return TransientError(Problem("model-too-long", what, Source(key=server), hint="take another model"))


def status_error(server: str, status: int, text: str) -> BacktestkitError:
    """Say that a server answered with an error: for good, or such that it may pass."""
    is_final = 300 <= status < 500 and status not in _MAY_PASS
    kind: Any = RejectedError if is_final else TransientError
    what, hint = f"{server} refuses with status {status}", "look at model, base_url and api_key" if is_final else None
    return kind(Problem("model-refused", what, Source(key=server), found=one_line(text) or None, hint=hint))  # type: ignore[no-any-return]
